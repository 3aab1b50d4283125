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
from pathlib import Path

from load import Generator, Load
from servers import BATCH, Server, all_servers, ask, free_port, running

SECONDS, WARM_UP_SECONDS = 5, 2
TIMES_CAPACITY = 10
MANY_CONNECTIONS = 500
PROBE_SECONDS = 0.05


def main() -> None:
    """Runs one server after the other; ours comes first, and again at fixed rates."""
    program, oha, *more = (Path(argument).absolute() for argument in sys.argv[1:])
    generator = Generator(oha)
    found: dict[tuple[str, int], Load] = {}
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, *others = all_servers(folder, port, program, more[0] if more else None)
        for server in (ours, *others):
            with running(server, folder, port) as process:
                url = f"http://127.0.0.1:{port}{server.path}"
                for rows in (1, BATCH):
                    found[server.name, rows] = closed_loop(generator, url, body_of(server, folder, rows))
                if server is ours:
                    at_half(generator, url, body_of(ours, folder, 1), found[ours.name, 1].rate)
                    overload(generator, url, body_of(ours, folder, BATCH), found[ours.name, BATCH].rate, process.pid)
    compare(found, ours)


def body_of(server: Server, folder: Path, rows: int) -> Path:
    path = folder / f"{server.name} {rows}.json"
    path.write_text(json.dumps(server.body(rows)))
    return path


def closed_loop(generator: Generator, url: str, body: Path) -> Load:
    ask(url, body.read_bytes())
    generator.run(url, body, WARM_UP_SECONDS)
    load = generator.run(url, body, SECONDS)
    if load.answered < 1:
        sys.exit(f"{url}: not all requests are answered: {load}")
    print(f"{body.stem}: {load}", file=sys.stderr)
    return load


def at_half(generator: Generator, url: str, body: Path, capacity: float) -> None:
    load = generator.run(url, body, 2 * SECONDS, per_second=capacity / 2)
    print(
        f"- One row, {load.rate / capacity:.2f} of the capacity at a fixed rate: p50 {load.p50_ms:.2f} ms, "
        f"p99 {load.p99_ms:.2f} ms; answered with 200: {load.answered:.2%}"
    )


def overload(generator: Generator, url: str, body: Path, capacity: float, pid: int) -> None:
    """Batches at a fixed rate beyond the capacity: one row is answered too fast for the generator to ask for more."""
    before, retry_after, done = memory_mib(pid, "VmRSS"), Counter[str](), threading.Event()
    probe = threading.Thread(target=watch_refusals, args=(url, body.read_bytes(), retry_after, done))
    probe.start()
    load = generator.run(url, body, 2 * SECONDS, per_second=TIMES_CAPACITY * capacity, connections=MANY_CONNECTIONS)
    done.set()
    probe.join()
    time.sleep(1)
    again = generator.run(url, body, SECONDS)
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(load.statuses.items()))
    print(
        f"- Batches of {BATCH}, {load.rate / capacity:.1f} times the capacity over {MANY_CONNECTIONS} connections: "
        f"{statuses}, {load.errors or 'no errors'}; of those with 200 {load.accepted_rate / capacity:.2f} of the "
        f"capacity, p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms. Retry-After of refusals: "
        f"{dict(retry_after) or 'none seen'}"
    )
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


def compare(found: dict[tuple[str, int], Load], ours: Server) -> None:
    print("| server | rows | requests per second | p50, ms | p99, ms | ours / this, requests per second |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for (name, rows), load in sorted(found.items(), key=lambda item: item[0][1]):
        ratio = found[ours.name, rows].rate / load.rate
        print(f"| {name} | {rows} | {load.rate:,.0f} | {load.p50_ms:.2f} | {load.p99_ms:.2f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
