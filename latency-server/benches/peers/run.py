"""Compares the server with others that answer from the same trees, in one run, under load by oha.

    run.py SERVER OHA [MLSERVER]

Those with XGBoost get the 49 features ready-made, and give the three numbers that the trees give. Ours checks what it
is sent, makes the features, and gives intervals, quantiles and warnings, with everything switched on. Prints Markdown.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from load import Generator, Load, steady
from servers import BATCH, ENGINES, Server, all_servers, ask, on_cores_of_their_own, running

TURNS, SECONDS, WARM_UP_SECONDS = 3, 3, 1
FIXED_TURNS, FIXED_SECONDS = 5, 8
LARGE, TIMES_CAPACITY = 1000, 10
MANY_CONNECTIONS = 500
PROBE_SECONDS = 0.05


def main() -> None:
    """All servers run, and take turns, so that what else the machine does hits all of them. Then ours are alone."""
    program, oha, *more = (Path(argument).absolute() for argument in sys.argv[1:])
    generator = Generator(oha)
    found: dict[tuple[str, int], list[Load]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = all_servers(folder, program, more[0] if more else None)
        with ExitStack() as stack:
            for server in servers:
                stack.enter_context(running(server, folder))
            for rows in (1, BATCH):
                for turn in range(TURNS):
                    for server in servers:
                        load = closed_loop(generator, server, body_of(server, folder, rows), warm=turn == 0)
                        found.setdefault((server.name, rows), []).append(load)
        compare(found)
        for server in servers[: len(ENGINES)]:
            print(f"{server.name}, alone:\n")
            at_half(generator, server, folder)
            with running(server, folder) as process:
                overload(generator, server, folder, process.pid)


def body_of(server: Server, folder: Path, rows: int) -> Path:
    path = folder / f"{server.name} {rows}.json"
    path.write_text(json.dumps(server.body(rows)))
    return path


def closed_loop(generator: Generator, server: Server, body: Path, warm: bool) -> Load:
    if warm:
        ask(server.url(), body.read_bytes())
        generator.run(server.url(), body, WARM_UP_SECONDS)
    load = generator.run(server.url(), body, SECONDS)
    if load.answered < 1:
        sys.exit(f"{server.name}: not all requests are answered: {load}")
    return load


def at_half(generator: Generator, server: Server, folder: Path) -> None:
    """Single requests at half of what 16 connections get, and the same of a server that does nothing, in turns."""
    with on_cores_of_their_own(server, folder) as (where, asked):
        server = asked[0]
        body = body_of(server, folder, 1)
        capacity = median(closed_loop(generator, server, body, warm=True).rate for _ in range(TURNS))
        print(f"- {where}: {capacity:,.0f} single requests per second")
        for other in asked * FIXED_TURNS:
            load = steady(other.url(), body, capacity / 2, FIXED_SECONDS)
            print(
                f"- One row at a fixed rate there, {load.rate / capacity:.2f} of that, to {other.name}: p50 "
                f"{load.p50_ms:.2f} ms, p99 {load.p99_ms:.2f} ms after it was due; with 200: {load.answered:.2%}"
            )


def overload(generator: Generator, server: Server, folder: Path, pid: int) -> None:
    """Batches at a fixed rate beyond the capacity, so large that the generator can ask for that many."""
    url, body = server.url(), body_of(server, folder, LARGE)
    capacity = closed_loop(generator, server, body, warm=True).rate
    before, retry_after, done = memory_mib(pid, "VmRSS"), Counter[str](), threading.Event()
    probe = threading.Thread(target=watch_refusals, args=(url, body.read_bytes(), retry_after, done))
    probe.start()
    loads = [
        generator.run(
            url,
            body,
            FIXED_SECONDS,
            per_second=TIMES_CAPACITY * capacity,
            connections=MANY_CONNECTIONS,
            since_due=since_due,
        )
        for since_due in (False, True)
    ]
    done.set()
    probe.join()
    time.sleep(1)
    again = generator.run(url, body, SECONDS)
    for load, since in zip(loads, ("sent", "due"), strict=True):
        statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(load.statuses.items()))
        print(
            f"- Batches of {LARGE}, {load.rate / capacity:.1f} times the capacity over {MANY_CONNECTIONS} connections: "
            f"{statuses}, {load.errors or 'no errors'}; of those with 200 {load.accepted_rate / capacity:.2f} of the "
            f"capacity, p50 {load.p50_ms:.0f} ms and p99 {load.p99_ms:.0f} ms after they were {since}"
        )
    print(f"- Retry-After of refusals: {dict(retry_after) or 'none seen'}")
    print(
        f"- Memory: {before:.0f} MiB before, {memory_mib(pid, 'VmHWM'):.0f} at most, "
        f"{memory_mib(pid, 'VmRSS'):.0f} after. A second later, 16 connections: {again.rate / capacity:.2f} of the "
        f"capacity, answered with 200: {again.answered:.2%}\n"
    )


def watch_refusals(url: str, body: bytes, retry_after: Counter[str], done: threading.Event) -> None:
    """Counts the header of refusals, by status, which oha does not show."""
    host, path = re.fullmatch(r"http://([^/]+)(/.*)", url).groups()
    while not done.wait(PROBE_SECONDS):
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                retry_after[f"{answer.status}: {answer.getheader('Retry-After')}"] += 1
        except OSError as error:
            retry_after[type(error).__name__] += 1
        finally:
            connection.close()


def memory_mib(pid: int, name: str) -> float:
    (kib,) = re.findall(rf"^{name}:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kib) / 1024


def compare(found: dict[tuple[str, int], list[Load]]) -> None:
    """Medians over the turns; a ratio is within one turn, and its range over all of them."""
    print(f"| server | rows | requests per second | p50, ms | p99, ms | {' | '.join(f'{e} / this' for e in ENGINES)} |")
    print("| --- |" + " ---: |" * (4 + len(ENGINES)))
    for (name, rows), loads in found.items():
        rate, p50, p99 = (median(getattr(load, what) for load in loads) for what in ("rate", "p50_ms", "p99_ms"))
        shown = []
        for ours in ENGINES.values():
            ratios = [mine.rate / load.rate for mine, load in zip(found[ours, rows], loads, strict=True)]
            shown.append(f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
        print(f"| {name} | {rows} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {' | '.join(shown)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
