"""The server, MLflow, Prometheus and Alertmanager on the loopback interface: what is exposed, drawn and told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from . import dashboards, panels, rules, traffic
from .alertmanager import check as check_alertmanager
from .configuration import on_loopback, with_webhook
from .exposed import Exposed
from .expressions import filled_in, used
from .prometheus import Prometheus
from .tools import ROOT, Missing, Wrong, program

# For a machine that has much to do.
PATIENCE = 90.0
NAME = "latency"
ALERT = "LatencyReloadFailing"
JOBS = ("latency", "mlflow", "prometheus", "alertmanager")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, ask: Callable[[], Any], good: Callable[[Any], bool] = bool) -> Any:
    """Asks until the answer is good."""
    started = time.monotonic()
    while True:
        try:
            answer = ask()
        except (OSError, urllib.error.URLError, Wrong):
            answer = None
        if answer is not None and good(answer):
            print(f"ok: {what} ({time.monotonic() - started:.1f} s)", flush=True)
            return answer
        if time.monotonic() - started > PATIENCE:
            raise Wrong(f"{what}: {json.dumps(answer)[:1000]}")
        time.sleep(0.2)


def answers(address: str) -> Callable[[], bool]:
    def ask() -> bool:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200

    return ask


class Receiver:
    """A webhook: whom Alertmanager tells."""

    def __init__(self) -> None:
        told: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.extend((alert["labels"]["alertname"], alert["status"]) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.told = told
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Stack:
    """All processes, each in a group of its own that is ended as a whole."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder

    def start(self, name: str, command: list[str], **variables: str) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, **variables}, stdout=log, stderr=log, start_new_session=True
        )

        def end() -> None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

        self.stack.callback(end)

    def mlflow(self) -> str:
        """MLflow, with a champion and a challenger."""
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", "1", "--expose-prometheus", f"{self.folder}/counts"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--artifacts-destination", f"{self.folder}/artifacts"]
        self.start("mlflow", command, MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
        address = f"http://127.0.0.1:{port}"
        until("MLflow answers", answers(f"{address}/health"))

        os.environ.update(MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", MLFLOW_DISABLE_TELEMETRY="true")
        import mlflow

        from latency_predictor.mlflow import log_model

        mlflow.set_tracking_uri(address)
        mlflow.set_experiment(NAME)
        bundled = (ROOT / "models/latency.onnx").read_bytes()
        for letter in b"ab":
            # The same model in other bytes: ONNX's field `doc_string` once more.
            log_model(bundled + bytes([0x32, 1, letter]), registered_model_name=NAME)
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(NAME, "champion", "1")
        client.set_registered_model_alias(NAME, "challenger", "2")
        return address

    def server(self, path: Path, tracking: str) -> tuple[str, str]:
        """The server with all that has metrics; its address, and a token."""
        made = subprocess.run([path, "token", "check", "--scope", "admin"], check=True, capture_output=True, text=True)
        token, line = made.stdout.splitlines()[1], made.stdout.splitlines()[4]
        (self.folder / "tokens").write_text(line)
        (self.folder / "tokens").chmod(0o600)
        port = free_port()
        self.start(
            "server",
            [str(path)],
            LATENCY_PORT=str(port),
            LATENCY_MODEL=f"models:/{NAME}@champion",
            LATENCY_MODELS=f"file={self.folder}/file.onnx",
            LATENCY_SHADOW="@challenger",
            LATENCY_CACHE=str(self.folder / "cache"),
            LATENCY_REGISTRY_POLL="1",
            LATENCY_OBSERVATIONS=str(self.folder / "observations.db"),
            LATENCY_TOKENS_FILE=str(self.folder / "tokens"),
            LATENCY_DRAIN_SECONDS="0",
            MLFLOW_TRACKING_URI=tracking,
            SECRET_KEY="q0ZyS1u7Xw3vJm9dKc2RtA5pLfHbE8gNiOeVxY4T6kQ=",
        )
        address = f"http://127.0.0.1:{port}"
        until("the server answers", answers(f"{address}/ready"))
        return address, token

    def watchers(self, server: str, mlflow: str, receiver: str) -> Prometheus:
        ports = {"localhost:9090": free_port(), "alertmanager:9093": free_port()}
        addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        addresses |= {"app:5000": server.removeprefix("http://"), "mlflow:5001": mlflow.removeprefix("http://")}
        (self.folder / "alertmanager.yml").write_text(with_webhook(ROOT, receiver))
        alertmanager = program("prometheus-alertmanager")
        self.start(
            "alertmanager",
            [
                alertmanager,
                "--config.file=alertmanager.yml",
                "--storage.path=alerts",
                "--cluster.listen-address=",
                f"--web.listen-address={addresses['alertmanager:9093']}",
            ],
        )
        alerts = f"http://{addresses['alertmanager:9093']}"
        until("Alertmanager answers", answers(f"{alerts}/-/ready"))
        check_alertmanager(alerts)
        self.start(
            "prometheus",
            [
                program("prometheus"),
                f"--config.file={on_loopback(ROOT, self.folder, addresses)}",
                "--storage.tsdb.path=series",
                f"--web.listen-address={addresses['localhost:9090']}",
            ],
        )
        return Prometheus(f"http://{addresses['localhost:9090']}")


def exposed_by(prometheus: Prometheus) -> dict[str, dict[str, set[str]]]:
    """The metrics of each job, with their labels."""
    found: dict[str, dict[str, set[str]]] = {}
    for job in JOBS:
        for series in prometheus.get("series", **{"match[]": f'{{job="{job}",__name__!~"latency:.*|ALERTS.*"}}'}):
            name = series.pop("__name__")
            if name not in ("up",) and not name.startswith("scrape_"):
                found.setdefault(job, {}).setdefault(name, set()).update(series.keys() - {"job", "instance"})
    # Prometheus keeps no label that is empty, as this one is where the program was built without a commit.
    found["latency"]["latency_build_info"].add("commit")
    return found


def write_exposed(found: dict[str, dict[str, set[str]]]) -> None:
    lines = ["# What each job exposes: job, metric, labels. Written by `monitoring/check live PROGRAM --write`."]
    lines += [
        " ".join([job, name, *sorted(labels)]) for job in JOBS for name, labels in sorted(found.get(job, {}).items())
    ]
    (ROOT / "monitoring/exposed.txt").write_text("\n".join(lines) + "\n")


def check_exposed(found: dict[str, dict[str, set[str]]]) -> None:
    """All of the server's metrics, and of the others' those that rules and dashboards name, are as exposed.txt says."""
    known, read = Exposed(ROOT), rules.read(ROOT)
    exprs = [expr for exprs in read.records.values() for expr in exprs]
    exprs += [rule["expr"] for rule in read.alerts.values()]
    exprs += [filled_in(expr) for _, expr in dashboards.queries(dashboards.read(ROOT))]
    named = {name for expr in exprs for name, _ in used(expr).metrics}
    now: dict[str, set[str]] = {}
    for metrics in found.values():
        for name, labels in metrics.items():
            now.setdefault(name, set()).update(labels)
    looked_at = {name for name in known.metrics if name in named or name.startswith("latency_")} - {"ALERTS", "up"}
    looked_at = {name for name in looked_at if not name.startswith("scrape_")}
    looked_at |= {name for name in now if name.startswith("latency_")}
    different = sorted(name for name in looked_at if known.metrics.get(name) != now.get(name))
    if different:
        raise Wrong(f"exposed.txt is not what is exposed: {', '.join(different)}; `--write` writes it anew")
    print(f"ok: {len(looked_at)} metrics are exposed as exposed.txt says", flush=True)


def check_rules(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    troubled = [f"{rule['name']}: {rule.get('lastError')}" for rule in found if rule["health"] != "ok"]
    if troubled:
        raise Wrong("rules that fail on real series:\n" + "\n".join(troubled))
    print(f"ok: {len(found)} rules are evaluated without errors", flush=True)


def check(path: Path, *, write: bool) -> None:
    """Everything, in about a minute."""
    try:
        import prometheus_flask_exporter  # noqa: F401
    except ImportError as error:
        raise Missing("prometheus_flask_exporter is missing: `make monitoring-live` has it in its folder") from error
    with ExitStack() as stack, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Processes end before their folder does.
        stack = stack.enter_context(ExitStack())
        model = folder / "file.onnx"
        model.write_bytes((ROOT / "models/latency.onnx").read_bytes())
        processes, receiver = Stack(stack, folder), Receiver()
        tracking = processes.mlflow()
        server, token = processes.server(path, tracking)

        def reload() -> int:
            return traffic.send(server, "/reload_model?model=file", b"", Authorization=f"Bearer {token}")

        until(
            "the champion answers, the challenger in its shadow",
            lambda: json.load(urllib.request.urlopen(f"{server}/model_info", timeout=5)),
            lambda info: info["registry"]["serving"] == "1",
        )
        prometheus = processes.watchers(server, tracking, receiver.address)
        until(
            "Prometheus reaches all targets",
            lambda: prometheus.get("query", query="count(up == 1)")["result"],
            lambda found: found and found[0]["value"][1] == str(len(JOBS)),
        )
        # The first thousand are what the others are compared with.
        traffic.observe(server, 18)
        traffic.round_of(server)
        time.sleep(3)
        for _ in range(3):
            traffic.observe(server, 2)
            traffic.round_of(server)
            time.sleep(2)
        assert reload() == 200
        print("ok: requests of every kind, and observations", flush=True)

        good = model.read_bytes()
        model.write_bytes(good[:1000])
        assert reload() == 500
        until(f"{ALERT} reaches the receiver", lambda: (ALERT, "firing") in receiver.told)
        model.write_bytes(good)
        assert reload() == 200
        until(f"{ALERT} is over, and the receiver knows", lambda: (ALERT, "resolved") in receiver.told)

        panels.check(ROOT, prometheus.address)
        check_rules(prometheus)
        found = exposed_by(prometheus)
        if write:
            write_exposed(found)
        check_exposed(found)
