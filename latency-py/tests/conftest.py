"""Shared fixtures. Tests over the real measurements run only with a mirror of them (LATENCY_DATA_MIRROR)."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from doctor_lab import lab  # noqa: F401  a fixture of several files
from latency_predictor import Predictor
from latency_predictor.data import synthetic
from latency_predictor.data import table as tidy
from latency_predictor.data.convert import Converted, convert
from latency_predictor.data.fetch import fetch
from latency_predictor.data.sources import Reference, load_reference, load_sources
from latency_predictor.training import paths, tables
from latency_predictor.training.fit import Fit
from tracking_server import tracking_server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """The bundled model."""
    return Predictor.bundled()


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """The golden vectors that all languages share."""
    vectors: dict[str, Any] = json.loads((ROOT / "data" / "golden" / "paths.json").read_text())
    return vectors


@pytest.fixture(scope="session")
def synthetic_table() -> pd.DataFrame:
    """A made-up tidy table."""
    return synthetic.make(places=60, seed=7)


@pytest.fixture(scope="session")
def cross(synthetic_table: pd.DataFrame) -> paths.CrossFit:
    """Five fits over the made-up table: seconds, so they are made once."""
    return paths.cross_fit(synthetic_table)


def row(**values: Any) -> dict[str, Any]:
    """A tidy row between two servers; the values given replace its own."""
    return {
        "dataset": "typed", "src_lat": 10.0, "src_lon": 20.0, "dst_lat": 30.0, "dst_lon": 40.0, "rtt_ms": 8.0,
        "src_access": "server", "dst_access": "server", **values,
    }  # fmt: skip


def typed(*rows: dict[str, Any]) -> pd.DataFrame:
    """A tidy table of such rows."""
    return tidy.tidy(pd.DataFrame(list(rows)))


def radio_table(rows: int = 600, seed: int = 1) -> pd.DataFrame:
    """A made-up table of a data scientist: numbers with holes and a category, no coordinates."""
    random = np.random.default_rng(seed)
    band = random.choice(["n1", "n28", "n78"], rows)
    load = random.uniform(0, 1, rows)
    slow = np.select([band == "n1", band == "n28"], [30.0, 45.0], 12.0)
    rtt = slow * (1 + load) * np.exp(random.exponential(0.1, rows))
    table = pd.DataFrame({"band": band, "load": load, "rsrp": random.normal(-90, 8, rows), "rtt_ms": rtt})
    table.loc[table.index % 7 == 3, "rsrp"] = np.nan
    table.loc[table.index % 11 == 5, "band"] = None
    return table


@pytest.fixture(scope="session")
def radio_rows() -> pd.DataFrame:
    """`radio_table`, for tests in folders of their own."""
    return radio_table()


@pytest.fixture(scope="session")
def radio_fit() -> Fit:
    """A model without coordinates, trained on `radio_table`, before it is exported."""
    return tables.train(radio_table(), "rtt_ms", name="radio").fit


@pytest.fixture(scope="session")
def radio_model(radio_fit: Fit) -> bytes:
    """Its file."""
    return radio_fit.to_bytes()


@pytest.fixture(scope="session")
def reference() -> Reference:
    """The committed tables of regions and centroids."""
    return load_reference()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror folder with the real measurements; tests that ask for it are skipped where there is none."""
    value = os.environ.get("LATENCY_DATA_MIRROR")
    if not value:
        pytest.skip("real measurements not tested: LATENCY_DATA_MIRROR is not set to a mirror folder")
    return Path(value)


@pytest.fixture(scope="session")
def real(mirror: Path, reference: Reference) -> dict[str, Converted]:
    """Every real set, verified and converted."""
    return {
        name: convert(name, {file.role: fetch(file, Path("unused"), mirror) for file in source.files}, reference)
        for name, source in load_sources().items()
    }


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes hand-typed lines to a file and gives its path."""

    def write(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the MLflow server of the tests keeps everything; artifacts in `artifacts`."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow_server(mlflow_folder: Path) -> Iterator[str]:
    """The address of an MLflow server that all tests share: each takes names of its own."""
    with tracking_server(mlflow_folder) as uri:
        yield uri


@pytest.fixture
def tracking(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """This process and its children talk to that server."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "tests")
    mlflow.set_tracking_uri(mlflow_server)
    mlflow.set_experiment("tests")
    yield mlflow_server
    mlflow.set_tracking_uri(None)
