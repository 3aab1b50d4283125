"""Training runs: parameters, metrics, data-set versions, pictures, XGBoost's boosters and the model."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]

from ..training.outcome import Trained
from .errors import readable_mlflow_errors
from .model import log_model, read_model
from .parity import BOOSTERS, pack_boosters

DEFAULT_EXPERIMENT = "latency"
DIGEST_LENGTH = 36
"""What MLflow allows; the whole SHA-256 stands in a tag."""
TAG_LENGTH = 500


@dataclass(frozen=True)
class LoggedRun:
    """A training in MLflow."""

    run_id: str
    experiment: str
    model_uri: str
    model_id: str
    sha256: str
    artifacts: dict[str, bytes]
    """What was uploaded to the run, by path."""


def log_training(trained: Trained, experiment: str | None = None) -> LoggedRun:
    """Logs a training as one run of the experiment (default: $MLFLOW_EXPERIMENT_NAME, else `latency`).

    Raises `TrackingError` if the server fails; the model file is not touched.
    """
    from ..evaluation.training_figures import draw

    name = experiment_name(experiment)
    proof = pack_boosters(trained)
    uploaded = {f"figures/{file}": content for file, content in draw(trained).items()}
    uploaded |= {f"{BOOSTERS}/{file}": content for file, content in proof.files.items()}
    with readable_mlflow_errors("logging the training"):
        mlflow.set_experiment(name)
        with mlflow.start_run() as run:
            mlflow.log_params(parameters(trained))
            mlflow.log_metrics(metrics(trained))
            for dataset, context, tags in data_sets(trained.provenance, trained.table):
                mlflow.log_input(dataset, context=context, tags=tags)
            _upload(run.info.run_id, uploaded)
            logged = log_model(trained.model, metadata=proof.metadata)
    sha256 = hashlib.sha256(trained.model).hexdigest()
    return LoggedRun(run.info.run_id, name, logged.model_uri, str(logged.model_id), sha256, uploaded)


def log_file(path: Path, experiment: str | None = None) -> str:
    """Logs a model file that was trained elsewhere, without a run; returns its URI.

    XGBoost's boosters and the record of parity are not with it: a promotion then needs a reason.
    """
    content = read_model(path)
    with readable_mlflow_errors(f"logging {path}"):
        mlflow.set_experiment(experiment_name(experiment))
        uri: str = log_model(content).model_uri
        return uri


def parameters(trained: Trained) -> dict[str, Any]:
    """The recipe: XGBoost's settings per output, threads, and how the model is asked."""
    schema = trained.fit.schema
    found: dict[str, Any] = {
        "name": schema["name"],
        "target": schema["target"]["name"],
        "transform": schema["target"]["transform"],
        "fields": len(schema["fields"]),
        "features": len(schema["features"]),
        "training_threads": trained.fit.recipe.threads,
        "command": trained.provenance["command"],
    }
    for output in trained.fit.recipe.outputs:
        settings = asdict(output)
        prefix = settings.pop("name")
        found |= {f"{prefix}.{setting}": value for setting, value in settings.items()}
    return found


def metrics(trained: Trained) -> dict[str, float]:
    """The held-out figures that travel in the model file, and the training's size and time."""
    held_out = dict(flatten(trained.provenance["held_out_metrics"]))
    return {
        **held_out,
        "rows": float(trained.provenance["rows"]),
        "model_bytes": float(len(trained.model)),
        "training_seconds": round(trained.seconds, 2),
        "parity_rows": float(sum(trained.proof.rows.values())),
    }


def flatten(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Nested figures as `accuracy/ripe/C3/median_relative_error` and the like."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", float(value)


def data_sets(origin: Mapping[str, Any], path: Path) -> Iterator[tuple[MetaDataset, str, dict[str, str]]]:
    """The table, and each published set in it: where it is from, its SHA-256, rows and licence."""
    table = {"sha256": origin["table_sha256"], "rows": str(origin["rows"]), "path": str(path)[-TAG_LENGTH:]}
    own: DatasetSource = LocalArtifactDatasetSource(str(path.resolve()))
    yield _dataset(path.name, own, origin["table_sha256"]), "training", table
    addresses = _addresses() if origin.get("data_sets") else {}
    for name, described in origin.get("data_sets", {}).items():
        files: dict[str, str] = described.get("files", {})
        tags = {
            key: str(described[key])[:TAG_LENGTH]
            for key in ("rows", "licence", "measured", "title")
            if key in described
        }
        tags |= {f"sha256 {file}"[-250:]: sha256 for file, sha256 in files.items()}
        version = (
            hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest() if files else origin["table_sha256"]
        )
        source = own
        if name in addresses:
            source = HTTPDatasetSource(addresses[name])
        yield _dataset(name, source, version), "training", tags


def _dataset(name: str, source: DatasetSource, sha256: str) -> MetaDataset:
    return MetaDataset(source, name=name, digest=sha256[:DIGEST_LENGTH])  # type: ignore[abstract]


def _addresses() -> dict[str, str]:
    from ..data.sources import load_sources

    return {
        name: address
        for name, source in load_sources().items()
        if (address := next((file.url for file in source.files if file.url), source.repository))
    }


def experiment_name(chosen: str | None) -> str:
    """The experiment that is meant: the one chosen, $MLFLOW_EXPERIMENT_NAME, or `latency`."""
    return chosen or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def _upload(run_id: str, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            local = Path(folder) / path
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content)
        MlflowClient().log_artifacts(run_id, folder)
