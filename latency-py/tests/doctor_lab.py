"""Real tracking servers in the configurations that the doctor has to tell apart, and clients with disks of their own.

A path below /proc/self/cwd is another folder for each process: server and client see the same path and different disks,
as two containers do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import latency_predictor

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "latency.onnx"
OWN_DISK = "/proc/self/cwd/artifacts"
LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
START_SECONDS = 90
NAME = "mlflow.test"
"""A name that the healthy server knows and nobody resolves."""

# What a client does: one run for each entry, in an experiment of its own.
CLIENT = """
import hashlib, json, pathlib, sys
import mlflow

model = pathlib.Path(sys.argv[2])
made = {}
for name, wants in json.loads(sys.argv[1]).items():
    mlflow.set_experiment(name)
    try:
        with mlflow.start_run() as run:
            made[name] = {"run": run.info.run_id}
            mlflow.log_params({"rounds": 200, "eta": 0.1})
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            if "file" in wants:
                mlflow.log_text("held out: 0.1", "reports/figures.txt")
            if "model" in wants or "plain" in wants:
                sha = {"latency.sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
                info = mlflow.pyfunc.log_model(
                    name="model", loader_module="doctor_loader", data_path=str(model),
                    metadata=sha if "model" in wants else None, pip_requirements=["mlflow"],
                )
                mlflow.log_metric("error", 0.1, model_id=info.model_id)
                made[name]["model"] = info.model_id
                if "register" in wants:
                    mlflow.register_model(info.model_uri, name, tags=sha)
            if "crash" in wants:
                raise RuntimeError("out of memory")
    except RuntimeError:
        pass
print("made " + json.dumps(made))
"""


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class TrackingServer:
    """A server in a folder of its own: database, disk, log."""

    folder: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """As clients on this machine name it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> TrackingServer:
        """Starts it, and does not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)]
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *store, *self.options],
                cwd=self.folder,
                env={**clean, **LEAN, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def wait(self) -> TrackingServer:
        """Until it answers. /health is under no check of the host."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return self
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.2)
        raise TimeoutError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stops it and its workers at once: the database survives that."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def log(server: TrackingServer, disk: Path, wants: dict[str, str]) -> dict[str, dict[str, str]]:
    """Runs a client whose working directory is `disk`; gives the ids that it made, by experiment."""
    disk.mkdir(parents=True, exist_ok=True)
    package = Path(latency_predictor.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, json.dumps(wants), str(MODEL)],
        cwd=disk,
        env={
            **os.environ,
            **LEAN,
            "MLFLOW_TRACKING_URI": server.uri,
            "PYTHONPATH": os.pathsep.join((str(package), str(Path(__file__).parent))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("made "))
    made: dict[str, dict[str, str]] = json.loads(line.removeprefix("made "))
    return made


@contextlib.contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """In the place of a client: its disk is the working directory."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass
class Lab:
    """All servers, and what their clients made."""

    servers: dict[str, TrackingServer]
    disks: dict[str, Path]
    made: dict[str, dict[str, dict[str, str]]]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """All servers at once: they take seconds to start."""
    from latency_predictor.mlflow.doctor.cures import allowed_hosts

    folder = tmp_path_factory.mktemp("doctor")
    in_the_way = folder / "file-in-the-way"
    in_the_way.touch()
    port = free_port()
    servers = {
        "healthy": TrackingServer(
            folder / "healthy", environment={"MLFLOW_SERVER_ALLOWED_HOSTS": allowed_hosts(f"{NAME}:{port}")}, port=port
        ),
        "worn": TrackingServer(folder / "worn", ("--artifacts-destination", str(folder / "worn" / "store"))),
        "refusing": TrackingServer(
            folder / "refusing", environment={"MLFLOW_SERVER_ALLOWED_HOSTS": f"{NAME},{NAME}:*"}
        ),
        "file": TrackingServer(folder / "file", ("--default-artifact-root", f"file://{OWN_DISK}")),
        "moved": TrackingServer(folder / "moved", ("--no-serve-artifacts", "--default-artifact-root", OWN_DISK)),
        # A folder below a file can be made by nobody, root included.
        "unwritable": TrackingServer(folder / "unwritable", ("--artifacts-destination", str(in_the_way / "store"))),
    }
    disks = {name: folder / f"client-of-{name}" for name in servers}
    wants = {
        "healthy": {"good": "file model register"},
        "worn": {
            "only-model": "model",
            "lost": "model file register",
            "swapped": "model register file",
            "crashed": "crash",
            "bare": "",
            "plain": "plain file",
        },
        "file": {"apart": "model file register"},
        "moved": {"older": "model file register", "empty-handed": ""},
    }
    try:
        for server in servers.values():
            server.start()
        for server in servers.values():
            server.wait()
        with ThreadPoolExecutor(len(wants)) as pool:
            made = dict(
                zip(wants, pool.map(lambda name: log(servers[name], disks[name], wants[name]), wants), strict=True)
            )
        yield Lab(servers, disks, made)
    finally:
        for server in servers.values():
            server.stop()
