"""Real MLflow servers for tests: on loopback, on a free port, stopped by pid."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 120
LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(arguments: list[str], ready: str, log: Path, **environment: str) -> Iterator[None]:
    """Runs `mlflow …` until the address `ready` answers; ends it, and what it started, afterwards."""
    # `mlflow models serve` calls uvicorn by its bare name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments],
            env={**os.environ, **LEAN, "OMP_NUM_THREADS": "1", "PATH": path, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, ready, log)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            # Its own group: the pid of the process that was started here.
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(ready, timeout=2):  # noqa: S310
            return
        time.sleep(0.2)
    raise RuntimeError(f"mlflow did not start: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def tracking_server(folder: Path) -> Iterator[str]:
    """A tracking server with SQLite and proxied artifacts under `folder`; gives its address."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    arguments = ["server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    arguments += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    with running(arguments, f"{uri}/health", folder / "server.log"):
        yield uri
