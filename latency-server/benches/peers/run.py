"""Compares the server with others that answer from an XGBoost model of the same size, in one run, by oha.

`run.py SERVER OHA [MLSERVER]`: our program, the load generator, and the program of MLServer if it is there. The others
get their features ready-made, and give one number; ours looks places up, checks, makes the features, and gives
intervals, quantiles and warnings, with everything switched on: tokens, limits, metrics, an access log, observations.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import xgboost

HERE = Path(__file__).resolve().parent
FEATURES, TREES, DEPTH = 49, 460, 6
CONNECTIONS = 16
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
SECRET = "q0ZyS1u7Xw3vJm9dKc2RtA5pLfHbE8gNiOeVxY4T6kQ="  # noqa: S105  of a server that lives for a minute
ROW = {"src": {"lat": 51.51, "lon": -0.13, "access": "wifi"}, "dst": {"place": "aws:us-east-1"}}


@dataclass(frozen=True)
class Load:
    """What oha found."""

    rate: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    errors: dict[str, int]

    @property
    def good(self) -> int:
        return self.statuses.get("200", 0)


@dataclass(frozen=True)
class Peer:
    """A server under test: how it is started, and what it is asked."""

    name: str
    command: list[str]
    path: str
    body: Callable[[int], Any]
    variables: dict[str, str]
    health: str


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def rss_mib(pid: int) -> float:
    """Resident memory of a process and those that it has started."""
    found = subprocess.run(
        ["ps", "-o", "rss=", "--pid", str(pid), "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return sum(map(int, found.stdout.split())) / 1024


@contextmanager
def running(peer: Peer, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a server, waits until it answers, and ends all its processes."""
    with (folder / f"{peer.name.split()[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            peer.command,
            cwd=folder,
            env={**os.environ, **peer.variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            started = time.monotonic()
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{peer.health}", timeout=2):
                        break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() - started > 120:
                        sys.exit(f"{peer.name} does not start: {Path(log.name).read_text()[-2000:]}")
                    time.sleep(0.2)
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def measure(
    oha: str, port: int, path: str, body: Path, *options: str, seconds: int = SECONDS, connections: int = CONNECTIONS
) -> Load:
    """Load for some seconds: closed loop, or with the options of an open one."""
    command = [
        oha,
        "--no-tui",
        "--output-format",
        "json",
        "--stats-success-breakdown",
        "-z",
        f"{seconds}s",
        "-c",
        str(connections),
        "-m",
        "POST",
    ]
    command += ["-T", "application/json", "-D", str(body), *options, f"http://127.0.0.1:{port}{path}"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    percentiles = found["latencyPercentilesSuccessful"]
    return Load(
        found["summary"]["requestsPerSec"],
        1e3 * (percentiles["p50"] or 0),
        1e3 * (percentiles["p99"] or 0),
        found["statusCodeDistribution"],
        {why: count for why, count in found["errorDistribution"].items() if "deadline" not in why},
    )


def check(port: int, peer: Peer, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{peer.path}", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        json.load(answer)


def peers(folder: Path, port: int, server: str, mlserver: str | None) -> list[Peer]:
    """All servers, each with its model; the others' is of the size of the bundled one."""
    random = np.random.default_rng(7)
    rows = random.normal(size=(4_000, FEATURES)).astype(np.float32)
    target = rows[:, 0] * 40 + np.abs(rows[:, 1] * 20) + random.normal(size=len(rows))
    booster = xgboost.XGBRegressor(n_estimators=TREES, max_depth=DEPTH, n_jobs=1).fit(rows, target)
    booster.save_model(folder / "peer.ubj")
    mlflow.xgboost.save_model(booster, folder / "peer-mlflow")
    features = rows[0].tolist()
    columns = [f"f{at}" for at in range(FEATURES)]

    made = subprocess.run([server, "token", "bench"], check=True, capture_output=True, text=True)
    (folder / "tokens").write_text(made.stdout.splitlines()[-1] + "\n")
    (folder / "tokens").chmod(0o600)
    ours = Peer(
        "latency-server",
        [server],
        "/predict",
        lambda rows: ROW if rows == 1 else [ROW] * rows,
        {
            "LATENCY_PORT": str(port),
            "LATENCY_LOG_LEVEL": "info",
            "LATENCY_LOG_FORMAT": "json",
            "LATENCY_TOKENS_FILE": str(folder / "tokens"),
            "LATENCY_RATE_LIMIT": "1000000",
            "LATENCY_OBSERVATIONS": str(folder / "observations.db"),
            "LATENCY_DRAIN_SECONDS": "0",
            "SECRET_KEY": SECRET,
        },
        "/ready",
    )
    threads = {"OMP_NUM_THREADS": "1"}
    python = [sys.executable, "-m"]
    serving = ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "-w", "2"]
    found = [
        ours,
        Peer(
            "Flask, gunicorn, XGBoost",
            [
                *python,
                "gunicorn",
                "--workers",
                "2",
                "--bind",
                f"127.0.0.1:{port}",
                "--chdir",
                str(HERE),
                "flask_app:app",
            ],
            "/predict",
            lambda rows: {"features": [features] * rows},
            {"PEER_MODEL": str(folder / "peer.ubj"), **threads},
            "/",
        ),
        Peer(
            "mlflow models serve, XGBoost",
            [*python, "mlflow", "models", "serve", "-m", str(folder / "peer-mlflow"), *serving],
            "/invocations",
            lambda rows: {"dataframe_split": {"columns": columns, "data": [features] * rows}},
            threads,
            "/ping",
        ),
    ]
    if mlserver:
        settings = {
            "name": "peer",
            "implementation": "mlserver_xgboost.XGBoostModel",
            "parameters": {"uri": "peer.ubj"},
        }
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        serving_settings = {"host": "127.0.0.1", **ports, "parallel_workers": 2}
        (folder / "mlserver").mkdir()
        (folder / "mlserver/peer.ubj").write_bytes((folder / "peer.ubj").read_bytes())
        (folder / "mlserver/model-settings.json").write_text(json.dumps(settings))
        (folder / "mlserver/settings.json").write_text(json.dumps(serving_settings))

        def tensor(rows: int) -> dict[str, Any]:
            data = {"name": "x", "shape": [rows, FEATURES], "datatype": "FP32", "data": [features] * rows}
            return {"inputs": [data]}

        command = [mlserver, "start", str(folder / "mlserver")]
        found.append(Peer("MLServer, XGBoost", command, "/v2/models/peer/infer", tensor, threads, "/v2/health/ready"))
    return found


def main() -> int:
    server, oha = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
    mlserver = str(Path(sys.argv[3]).resolve()) if len(sys.argv) > 3 and Path(sys.argv[3]).exists() else None
    if mlserver is None:
        print("MLServer is not installed: left out", file=sys.stderr)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        found: dict[tuple[str, int], Load] = {}
        everyone = peers(folder, port, server, mlserver)
        for peer in everyone:
            with running(peer, folder, port) as process:
                for rows in (1, 100):
                    body = folder / "body.json"
                    body.write_text(json.dumps(peer.body(rows)))
                    check(port, peer, body.read_bytes())
                    measure(oha, port, peer.path, body, seconds=1)
                    found[peer.name, rows] = load = measure(oha, port, peer.path, body)
                    if load.good == 0 or set(load.statuses) != {"200"}:
                        sys.exit(f"{peer.name}: {load}")
                    print(f"{peer.name}, {rows}: {load}", file=sys.stderr)
                if peer is everyone[0]:
                    tails(oha, port, peer, folder, found[peer.name, 1].rate, process.pid)
        print("| server | rows | requests per second | p50, ms | p99, ms | ours / this |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for (name, rows), load in found.items():
            ratio = found[everyone[0].name, rows].rate / load.rate
            print(f"| {name} | {rows} | {load.rate:,.0f} | {load.p50_ms:.2f} | {load.p99_ms:.2f} | {ratio:.1f} |")
    return 0


def tails(oha: str, port: int, peer: Peer, folder: Path, capacity: float, pid: int) -> None:
    """Ours at half its capacity and at ten times of it, at a fixed rate: no request waits for the answer to another."""
    body = folder / "body.json"
    body.write_text(json.dumps(peer.body(1)))
    fixed = ["-q", str(int(capacity / 2)), "--latency-correction"]
    half = measure(oha, port, peer.path, body, *fixed, seconds=2 * SECONDS)
    print(f"\nat half the capacity, {half.rate:,.0f} per second: p50 {half.p50_ms:.2f} ms, p99 {half.p99_ms:.2f} ms")
    before = rss_mib(pid)
    tenfold = ["-q", str(int(capacity * 10))]
    over = measure(oha, port, peer.path, body, *tenfold, seconds=2 * SECONDS, connections=1_000)
    print(f"at ten times the capacity, over 1,000 connections: {over.rate:,.0f} answers per second, {over.statuses}")
    print(
        f"  of those that were let in: p50 {over.p50_ms:.1f} ms, p99 {over.p99_ms:.1f} ms; {over.errors or 'no errors'}"
    )
    print(f"  memory {before:.0f} MiB before, {rss_mib(pid):.0f} MiB after")
    again = measure(oha, port, peer.path, body)
    print(f"then 16 connections again: {again.rate / capacity:.2f} of the rate before, {again.statuses}\n")


if __name__ == "__main__":
    sys.exit(main())
