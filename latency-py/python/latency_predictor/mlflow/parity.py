"""Parity with XGBoost, held at promotion: the boosters travel beside the model, and are compared with it again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ..predictor import Predictor
from .errors import readable_mlflow_errors
from .model import PARITY_KEY

if TYPE_CHECKING:
    from ..training.outcome import Trained

BOOSTERS = "boosters"
INDEX = "boosters.json"
NEEDED = ("xgboost", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Proof:
    """What is uploaded beside a model, and what stands in its metadata."""

    files: dict[str, bytes]
    metadata: dict[str, Any]


def pack_boosters(trained: Trained) -> Proof:
    """XGBoost's boosters in UBJSON with an index, and the record of what training compared."""
    import onnxruntime
    import xgboost

    outputs = [output.name for output in trained.fit.recipe.outputs]
    files = {
        f"{name}.ubj": bytes(booster.save_raw("ubj"))
        for name, booster in zip(outputs, trained.fit.boosters, strict=True)
    }
    sha256 = hashlib.sha256(trained.model).hexdigest()
    record = {
        "model_sha256": sha256,
        **asdict(trained.proof),
        "xgboost": xgboost.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    index = {
        "model_sha256": sha256,
        "outputs": [
            {"name": name, "file": file, "sha256": hashlib.sha256(content).hexdigest()}
            for name, (file, content) in zip(outputs, files.items(), strict=True)
        ],
    }
    files[INDEX] = (json.dumps(index, indent=1) + "\n").encode()
    return Proof(files, {PARITY_KEY: record})


def can_prove() -> bool:
    """Whether XGBoost and ONNX are installed here."""
    return all(importlib.util.find_spec(package) for package in NEEDED)


def has_boosters(run_id: str) -> bool:
    """Whether the run carries the boosters of its model."""
    try:
        return any(entry.path == f"{BOOSTERS}/{INDEX}" for entry in MlflowClient().list_artifacts(run_id, BOOSTERS))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        # The run has been purged; the model outlives it.
        return False


def prove_again(content: bytes, run_id: str) -> str:
    """Compares the model file with the run's boosters to the bit, on rows of every kind; says on how many.

    Raises `ParityError` at the first bit that differs, and if the boosters belong to another model or were changed.
    """
    import xgboost

    from ..training import fit, golden, parity

    with tempfile.TemporaryDirectory() as folder:
        with readable_mlflow_errors(f"downloading the boosters of run {run_id}"):
            local = Path(MlflowClient().download_artifacts(run_id, BOOSTERS, folder))
        try:
            boosters = _read_boosters(local, run_id, hashlib.sha256(content).hexdigest())
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            # XGBoost's errors are ValueErrors.
            raise parity.ParityError(f"the boosters of run {run_id} cannot be read: {error}") from error
    schema = Predictor(content).schema
    unseen = golden.synthetic_rows(schema, fit.PARITY_ROWS, fit.PARITY_SEED)
    report = parity.check(content, boosters, fit.featurize(schema, unseen))
    return f"XGBoost {xgboost.__version__} and the file agree to the bit on {sum(report.rows.values()):,} rows"


def _read_boosters(folder: Path, run_id: str, model_sha256: str) -> list[Any]:
    import xgboost

    from ..training import parity

    index = json.loads((folder / INDEX).read_text())
    if index["model_sha256"] != model_sha256:
        raise parity.ParityError(
            f"the boosters of run {run_id} belong to the model {index['model_sha256'][:12]}, not to {model_sha256[:12]}"
        )
    boosters = []
    for output in index["outputs"]:
        raw = (folder / Path(output["file"]).name).read_bytes()
        if hashlib.sha256(raw).hexdigest() != output["sha256"]:
            raise parity.ParityError(f"{BOOSTERS}/{output['file']} of run {run_id} is not what was logged")
        booster = xgboost.Booster()
        booster.load_model(bytearray(raw))
        booster.set_param({"nthread": 1})
        boosters.append(booster)
    return boosters
