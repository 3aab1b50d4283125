"""The whole way as it is typed: train, log, register, promote, serve, same bits, a worse model refused, rollback."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from conftest import radio_table
from latency_predictor import Predictor, cli
from latency_predictor.mlflow import load_predictor, server, uri
from latency_predictor.mlflow import tracking as runs
from tracking_server import free_port, running

NAME = "round"


def globe_table(rows: int = 400) -> pd.DataFrame:
    """A made-up table with coordinates, and a whole number that matters."""
    random = np.random.default_rng(3)
    places = np.column_stack([random.uniform(-60, 60, 30), random.uniform(-180, 180, 30)]).round(2)
    src, dst = random.integers(0, 30, rows), random.integers(0, 30, rows)
    hops = random.integers(3, 20, rows)
    chord = np.hypot(*(places[src] - places[dst]).T)
    ends = {"src_lat": places[src, 0], "src_lon": places[src, 1], "dst_lat": places[dst, 0], "dst_lon": places[dst, 1]}
    return pd.DataFrame(ends | {"hops": hops, "rtt_ms": 5 + chord + hops * random.uniform(0.5, 1.5, rows)})


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "latency_predictor", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


def latency(*arguments: str | Path, code: int = 0, **environment: str) -> Result:
    """The command in this process; fails with its words if it ends otherwise than expected."""
    done = CliRunner().invoke(cli.app, [str(argument) for argument in arguments], env=environment)
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def ask(address: str, body: dict[str, Any]) -> list[dict[str, float]]:
    request = urllib.request.Request(  # noqa: S310  loopback
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        predictions: list[dict[str, float]] = json.load(answer)["predictions"]
        return predictions


def bits(table: Any) -> bytes:
    return pd.DataFrame(table).astype(np.float32).to_numpy().tobytes()


def test_from_a_table_to_production_and_back(tracking: str, tmp_path: Path) -> None:
    data, file = tmp_path / "paths.csv", tmp_path / "paths.onnx"
    globe_table().to_csv(data, index=False)
    trained = program("train", "--data", data, "--name", "paths", "--out", file)
    assert (trained.returncode, trained.stdout) == (0, "")
    assert f"logging to MLflow at {tracking}" in trained.stderr
    assert "artifacts verified" in trained.stderr
    latency("mlflow", "register", "--name", NAME)
    promoted = json.loads(latency("mlflow", "promote", "--name", NAME, "--reason", "first", "--json").stdout)
    assert promoted["promoted"] is True
    predictor = Predictor(file)
    sha256 = predictor.model_info["sha256"]
    version = MlflowClient().get_model_version_by_alias(NAME, "champion")
    assert version.tags["latency.sha256"] == sha256 == load_predictor(f"models:/{NAME}@champion").model_info["sha256"]

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    serve = ["models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local", "-h", "127.0.0.1"]
    with running([*serve, "-p", str(port), "-w", "1"], f"{address}/ping", tmp_path / "serve.log"):
        rows = globe_table().drop(columns="rtt_ms").head(50)
        assert rows["hops"].dtype == np.int64
        answer = ask(address, {"dataframe_split": rows.to_dict("split")})
        assert list(answer[0]) == list(predictor.predict_batch(rows).columns)
        assert bits(answer) == bits(predictor.predict_batch(rows))
        named = {"src": ["London"], "dst": ["Tokyo"], "hops": [7]}
        found = ask(address, {"dataframe_records": [{"src": "London", "dst": "Tokyo", "hops": 7}]})
        assert (
            bits(found) == bits(predictor.predict_batch(pd.DataFrame(named))) == bits(ask(address, {"inputs": named}))
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, {"dataframe_records": [{"src": "London", "dst_lat": 91, "dst_lon": 0}]})
        words = json.load(refused.value)
        assert refused.value.code == 400
        assert "dst_lat: found 91; allowed: a number from -90 to 90" in words["message"]
        assert "stack_trace" not in words

    worse = ["retrain", "--data", data, "--drop", "hops", "--out", tmp_path / "worse.onnx", "--name", NAME, "--json"]
    again = json.loads(latency("mlflow", *worse).stdout)
    assert again["version"] == "2"
    listed = {entry["path"] for entry in again["artifacts"]}
    assert {"boosters/p50_ms.ubj", "figures/held-out.png", f"{again['model_uri']}/data/model.onnx"} <= listed
    told = latency("mlflow", "promote", "--name", NAME, code=1)
    assert "PROMOTION_REFUSED version 2" in told.stderr
    latency("mlflow", "promote", "--name", NAME, "--force", "--reason", "hops are gone")
    assert load_predictor(f"models:/{NAME}@champion").model_info["sha256"] == again["sha256"]
    latency("mlflow", "rollback", "--name", NAME, "--reason", "too coarse")
    assert load_predictor(f"models:/{NAME}@champion").model_info["sha256"] == sha256

    run = mlflow.get_run(again["run_id"])
    assert run.data.params["p50_ms.rounds"] == "120"
    assert run.data.params["command"].startswith("latency train --data paths.csv")
    figures = Predictor(tmp_path / "worse.onnx").model_info["provenance"]["held_out_metrics"]
    assert {name: run.data.metrics[name] for name in figures} == figures
    dataset = run.inputs.dataset_inputs[0]
    tags = {tag.key: tag.value for tag in dataset.tags}
    origin = predictor.model_info["provenance"]
    assert (dataset.dataset.name, tags["rows"], tags["sha256"]) == ("paths.csv", "400", origin["table_sha256"])


def test_published_sets_are_logged_with_their_versions_and_licences(tracking: str) -> None:
    origin = Predictor.bundled().model_info["provenance"]
    found = {dataset.name: tags for dataset, _, tags in runs.data_sets(origin, Path("paths.parquet"))}
    assert set(found) == {"paths.parquet", *origin["data_sets"]}
    assert found["skyplane"]["licence"] == "Apache-2.0"
    assert found["skyplane"]["rows"] == str(origin["data_sets"]["skyplane"]["rows"])
    (path, sha256), *_ = origin["data_sets"]["skyplane"]["files"].items()
    assert found["skyplane"][f"sha256 {path}"] == sha256
    with mlflow.start_run():
        for dataset, context, tags in runs.data_sets(origin, Path("paths.parquet")):
            mlflow.log_input(dataset, context=context, tags=tags)
    logged = mlflow.get_run(mlflow.last_active_run().info.run_id).inputs.dataset_inputs
    assert len(logged) == len(found)


@pytest.fixture
def afterwards() -> Iterator[None]:
    """MLflow forgets the servers of a test."""
    yield
    mlflow.set_tracking_uri(None)


@pytest.fixture
def radio_csv(tmp_path: Path) -> Path:
    """A small table."""
    path = tmp_path / "radio.csv"
    radio_table(200).to_csv(path, index=False)
    return path


@pytest.mark.usefixtures("afterwards")
def test_no_server_costs_no_model(radio_csv: Path, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    file = tmp_path / "radio.onnx"
    done = latency("train", "--data", radio_csv, "--out", file, MLFLOW_TRACKING_URI=dead)
    assert f"not logging to MLflow: the tracking server {dead} is not reachable" in done.stderr
    assert Predictor(file)
    file.unlink()
    asked = latency("train", "--data", radio_csv, "--out", file, "--mlflow", code=1, MLFLOW_TRACKING_URI=dead)
    assert "TRACKING_ERROR" in asked.stderr
    assert not file.exists(), "it must say so before training"
    silent = latency("train", "--data", radio_csv, "--out", file, "--no-mlflow", MLFLOW_TRACKING_URI=dead)
    assert "MLflow" not in silent.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("HTTPConnectionPool(host='127.0.0.1', port=5403): Max retries exceeded with url: /api", "is not reachable"),
        ("Max retries exceeded (Caused by ConnectTimeoutError(<0x7f401>, 'timed out'))", "does not answer in time"),
        (
            "API request failed with error code 403 != 200. Response body: 'Invalid Host header'",
            "does not know the host",
        ),
        ("API request failed with error code 401 != 200. Response body: ''", "wants a login"),
        ("API request failed with error code 500 != 200.", "fails: API request failed"),
    ],
)
def test_why_a_server_does_not_answer_is_told_apart(text: str, words: str) -> None:
    told = server._why("http://me:hunter2@localhost:5403", text)
    assert f"the tracking server http://localhost:5403 {words}" in told or words in told
    assert "hunter2" not in told


def test_a_password_in_the_address_is_not_shown() -> None:
    assert uri.shown("http://me:hunter2@mlflow:5001/x") == "http://mlflow:5001/x"
    assert uri.shown("https://mlflow") == "https://mlflow"
    assert uri.shown("postgresql://u:p@db/mlflow") == "postgresql://db/mlflow"
    assert uri.shown("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


class Failing(BaseHTTPRequestHandler):
    """A server that answers the first question and fails at all others."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        good = self.path.endswith("/experiments/search")
        self.send_response(200 if good else 500)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"experiments": []}' if good else b"{}")

    do_GET = do_POST  # noqa: N815  as the base class has it

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def failing() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("afterwards")
def test_a_server_that_fails_after_training_costs_no_model(failing: str, radio_csv: Path, tmp_path: Path) -> None:
    file = tmp_path / "radio.onnx"
    quick = {"MLFLOW_TRACKING_URI": failing, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = latency("train", "--data", radio_csv, "--out", file, **quick)
    assert "not logged to MLflow" in done.stderr
    assert f"latency mlflow register --file {file}" in done.stderr
    assert Predictor(file)
    asked = latency("train", "--data", radio_csv, "--out", file, "--mlflow", code=1, **quick)
    assert "The trained model is in" in asked.stderr


def test_help_works_without_mlflow_and_commands_name_the_extra() -> None:
    # None in `sys.modules` is what a package that is not installed looks like to `import`.
    blocked = "import sys; sys.modules['mlflow'] = None; from latency_predictor.__main__ import main; main()"
    for arguments, code, words in (
        (["--help"], 0, "mlflow"),
        (["mlflow", "--help"], 0, "rollback"),
        (["mlflow", "status"], 1, "pip install 'latency-predictor[mlflow]'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", blocked, *arguments],
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert words in done.stdout + done.stderr


@pytest.mark.usefixtures("tracking")
def test_an_artifact_store_that_refuses_costs_no_model(mlflow_folder: Path, radio_csv: Path, tmp_path: Path) -> None:
    # A file where the experiment's folder should be: also root cannot write there.
    experiment = mlflow.set_experiment("full-disk").experiment_id
    blocked = mlflow_folder / "artifacts" / experiment
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("in the way")
    file = tmp_path / "radio.onnx"
    quick = {"MLFLOW_EXPERIMENT_NAME": "full-disk", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = latency("train", "--data", radio_csv, "--out", file, **quick)
    assert "not logged to MLflow" in done.stderr
    assert "latency mlflow doctor" in done.stderr
    assert Predictor(file)
