"""The servers under test: how each is started, and how it is asked for the same rows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import booster
import mlflow
import numpy as np
import pandas as pd

from latency_predictor import Predictor
from latency_predictor.mlflow import log_model
from latency_predictor.training import fit

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[2] / "models" / "latency.onnx"
BATCH = 100
WORKERS = 2
# What evaluates the trees in ours: the default, and this project's own.
ENGINES = {"onnxruntime": "latency-server", "native": "latency-server, native engine"}
SECRET = "q0ZyS1u7Xw3vJm9dKc2RtA5pLfHbE8gNiOeVxY4T6kQ="  # noqa: S105  of a server that lives for a minute
START_SECONDS, STOP_SECONDS = 120, 20


@dataclass(frozen=True)
class Server:
    """`body` gives what is sent for the first so many rows."""

    name: str
    port: int
    command: list[str | Path]
    path: str
    health: str
    body: Callable[[int], Any]
    variables: dict[str, str] = field(default_factory=dict)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path or self.path}"


def all_servers(folder: Path, ours: Path, mlserver: Path | None) -> list[Server]:
    """Ours first, once with each engine. Settings and models are written into the folder."""
    rows = paths()
    features = [
        [None if np.isnan(value) else value for value in row]
        for row in fit.featurize(Predictor(MODEL).schema, rows).tolist()
    ]
    trees = folder / "trees.ubj"
    made = booster.from_model_file(MODEL)
    made.save_model(trees)
    mlflow.xgboost.save_model(made, folder / "xgboost-model", model_format="ubj")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    experiment = mlflow.create_experiment("bench", artifact_location=(folder / "artifacts").as_uri())
    logged = log_model_in(experiment)

    found = [
        *(latency_server(folder, free_port(), ours, rows, engine) for engine in ENGINES),
        flask(free_port(), trees, features),
        mlflow_serve("MLflow, XGBoost", free_port(), str(folder / "xgboost-model"), xgboost_columns(features)),
        mlflow_serve("MLflow, this project's wheel", free_port(), logged, table(rows)),
    ]
    if mlserver is not None:
        found.append(mlserver_of(folder, free_port(), mlserver, trees, features))
    return found


def paths() -> pd.DataFrame:
    """Rows between random positions, some with a label; the same each time."""
    random = np.random.default_rng(7)
    lat, lon = random.uniform(-40, 60, (2, BATCH)).round(2), random.uniform(-120, 140, (2, BATCH)).round(2)
    access = random.choice(np.array(["wifi", "server", "wired", None], object), BATCH)
    access[0] = "wifi"
    return pd.DataFrame(
        {"src_lat": lat[0], "src_lon": lon[0], "dst_lat": lat[1], "dst_lon": lon[1], "src_access": access}
    )


def log_model_in(experiment: str) -> str:
    """Where the bundled model lies, logged as `latency_predictor.mlflow` logs it."""
    with mlflow.start_run(experiment_id=experiment):
        return log_model(MODEL).model_uri


def latency_server(folder: Path, port: int, program: Path, rows: pd.DataFrame, engine: str) -> Server:
    """Ours, with everything switched on: tokens, limits, metrics, observations, and an access log."""
    token = subprocess.run([program, "token", "bench"], check=True, stdout=subprocess.PIPE, text=True).stdout
    tokens = folder / f"tokens {engine}"
    tokens.write_text(token.splitlines()[-1] + "\n")
    tokens.chmod(0o600)
    plain = [
        {
            "src": {"lat": row.src_lat, "lon": row.src_lon}
            | ({"access": row.src_access} if isinstance(row.src_access, str) else {}),
            "dst": {"lat": row.dst_lat, "lon": row.dst_lon},
        }
        for row in rows.itertuples()
    ]
    variables = {
        "LATENCY_ENGINE": engine,
        "LATENCY_PORT": str(port),
        "LATENCY_LOG_LEVEL": "info",
        "LATENCY_LOG_FORMAT": "json",
        "LATENCY_TOKENS_FILE": str(tokens),
        "LATENCY_RATE_LIMIT": "1000000",
        "LATENCY_OBSERVATIONS": str(folder / f"observations {engine}.db"),
        "LATENCY_DRAIN_SECONDS": "0",
        "SECRET_KEY": SECRET,
    }
    return Server(
        ENGINES[engine], port, [program], "/predict", "/ready",
        lambda count: plain[0] if count == 1 else [plain[row % BATCH] for row in range(count)], variables,
    )  # fmt: skip


def flask(port: int, trees: Path, features: list[list[float | None]]) -> Server:
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}"]
    return Server(
        "Flask, gunicorn, XGBoost", port, [*command, "--chdir", HERE, "flask_app:app"], "/predict", "/health",
        lambda count: {"features": features[:count]}, {"PEER_MODEL": str(trees)},
    )  # fmt: skip


def mlflow_serve(name: str, port: int, model: str, content: dict[str, list[Any]]) -> Server:
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--host", "127.0.0.1"]
    return Server(
        name, port, [*command, "--model-uri", model, "--port", str(port), "--workers", str(WORKERS)],
        "/invocations", "/ping",
        lambda count: {"dataframe_split": content | {"data": content["data"][:count]}},
        {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip


def xgboost_columns(features: list[list[float | None]]) -> dict[str, list[Any]]:
    return {"columns": [f"f{at}" for at in range(len(features[0]))], "data": features}


def table(rows: pd.DataFrame) -> dict[str, list[Any]]:
    return {"columns": list(rows), "data": rows.astype(object).where(rows.notna(), None).to_numpy().tolist()}


def mlserver_of(folder: Path, port: int, program: Path, trees: Path, features: list[list[float | None]]) -> Server:
    home = folder / "mlserver"
    home.mkdir()
    model = {"name": "trees", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": str(trees)}}
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"host": "127.0.0.1", "debug": False, "parallel_workers": WORKERS, **ports}
    (home / "model-settings.json").write_text(json.dumps(model))
    (home / "settings.json").write_text(json.dumps(settings))

    def body(count: int) -> dict[str, Any]:
        data = [value for row in features[:count] for value in row]
        return {"inputs": [{"name": "x", "shape": [count, len(features[0])], "datatype": "FP32", "data": data}]}

    return Server(
        "MLServer, XGBoost", port, [program, "start", home], "/v2/models/trees/infer", "/v2/health/ready", body
    )


def nginx(folder: Path, port: int) -> Server | None:
    """Answers with two bytes whatever it is asked: what the machine, its network and the generator take."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        return None
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""
worker_processes {WORKERS}; pid {folder}/nginx.pid; error_log stderr; daemon off;
events {{}}
http {{
    access_log off; default_type application/json;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{{}}"; }} }}
}}
""")
    return Server("nginx, an empty answer", port, [program, "-c", configuration], "/", "/", lambda _: {})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(server: Server, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a server, waits until it is ready, and ends it with the processes that it started."""
    log = folder / f"{server.name}.log"
    # One thread for each worker is best for both of them, and what MLflow starts has to be found.
    shared = {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command,
            cwd=folder,
            env={**os.environ, **shared, **server.variables},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + START_SECONDS
        while not is_up(server.url(server.health)):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"{server.name} does not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield process
    finally:
        stop(process)


@contextmanager
def on_cores_of_their_own(ours: Server, folder: Path) -> Iterator[tuple[str, list[Server]]]:
    """Starts ours, and nginx, on half of the cores; what this program starts then has the others, so that
    neither takes the other's time."""
    cores = sorted(os.sched_getaffinity(0))
    theirs, rest = cores[: len(cores) // 2] or cores, cores[len(cores) // 2 :]
    started = [server for server in (ours, nginx(folder, free_port())) if server]
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        # Inherited: a server has as many workers as cores.
        os.sched_setaffinity(0, theirs)
        for server in started:
            stack.enter_context(running(server, folder))
        os.sched_setaffinity(0, rest)
        yield f"on {len(theirs)} of {len(cores)} cores, the generator on {len(rest)}", started


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def ask(url: str, body: bytes) -> Any:
    """One answer, which has to be good."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read()[:2000]!r}")
