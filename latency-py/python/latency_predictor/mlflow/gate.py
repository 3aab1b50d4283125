"""The gate before `@champion`: the file is the one that was logged, gives the right bits, and is not worse."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.models.model import Model

from ..errors import LatencyError
from ..predictor import Predictor
from . import figures, parity
from .errors import ArtifactError, RegistryError, readable_mlflow_errors
from .figures import Figure
from .model import AGAIN, PARITY_KEY, SHA256_KEY, checked_file, sha256_of

PASSED, FAILED, UNPROVEN, WORSE = "passed", "failed", "unproven", "worse"
NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Check:
    """One question and its result: passed, failed (never overridden), unproven or worse (a reason overrides both)."""

    name: str
    result: str
    detail: str


@dataclass
class Verdict:
    """What was asked about a version, and what was found."""

    version: str
    champion: str | None
    checks: list[Check] = field(default_factory=list)
    compared_on: str = NOT_COMPARED
    figures: list[Figure] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing failed that no reason can override."""
        return all(check.result != FAILED for check in self.checks)

    @property
    def good(self) -> bool:
        """Whether it may become champion without a word."""
        return all(check.result == PASSED for check in self.checks) and all(figure.good for figure in self.figures)

    def why_not(self) -> list[str]:
        """What stands against it, in words."""
        checks = [f"{check.name}: {check.detail}" for check in self.checks if check.result != PASSED]
        worse = [
            f"{figure.name} is {shown(figure.challenger)}, the champion's is {shown(figure.champion)}, allowed is "
            f"{figure.allowed}"
            for figure in self.figures
            if not figure.good
        ]
        return checks + worse

    def as_dict(self) -> dict[str, Any]:
        """For JSON and for the audit trail."""
        return asdict(self) | {"good": self.good}


@dataclass(frozen=True)
class Holdout:
    """Rows that neither model saw in training, with the measured target."""

    rows: pd.DataFrame
    target: str
    name: str
    sha256: str | None = None
    """Of the file, if it is one: the table of a training is told by it."""


def judge(
    version: ModelVersion,
    champion: ModelVersion | None,
    holdout: Holdout | None = None,
    tolerance: float = figures.TOLERANCE,
) -> Verdict:
    """Asks everything that can be asked about a version; nothing is changed."""
    verdict = Verdict(str(version.version), str(champion.version) if champion else None)
    with tempfile.TemporaryDirectory() as folder:
        try:
            local, content, described = _download(version, folder)
        except LatencyError as error:
            verdict.checks.append(Check("file", FAILED, str(error)))
            return verdict
        verdict.checks.append(Check("file", PASSED, "SHA-256 as logged, golden rows hold"))
        verdict.checks += [_pyfunc_bits(local, content), _parity(version, content, described)]
    if champion is None:
        verdict.checks.append(Check("metrics", PASSED, "there is no champion to compare with"))
        return verdict
    verdict.checks.append(_compare(verdict, Predictor(content), champion, holdout, tolerance))
    return verdict


def uri_of(version: ModelVersion) -> str:
    """`models:/name/3`."""
    return f"models:/{version.name}/{version.version}"


def fetch(version: ModelVersion) -> bytes:
    """The version's model file; it has its SHA-256, its golden rows hold, and loading it runs no other code."""
    with tempfile.TemporaryDirectory() as folder:
        return _download(version, folder)[1]


def _download(version: ModelVersion, folder: str) -> tuple[Path, bytes, dict[str, Any]]:
    """The model as it lies in the folder then, its file, and the metadata logged with it."""
    uri = uri_of(version)
    expected = version.tags.get(SHA256_KEY)
    if expected is None:
        raise RegistryError(
            f"{uri} has no tag `{SHA256_KEY}`: it was not registered by this package. Register it again with: "
            f"latency mlflow register --uri {uri}"
        )
    with readable_mlflow_errors(f"downloading {uri}"):
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
    path = checked_file(local, uri)
    found = sha256_of(path)
    if found != expected:
        raise ArtifactError(f"{uri} has the SHA-256 {found}, but {expected} was registered; {AGAIN}")
    content = path.read_bytes()
    # Loading computes the golden rows again.
    Predictor(content)
    return local, content, dict(Model.load(str(local)).metadata or {})


def _pyfunc_bits(local: Path, content: bytes) -> Check:
    """From the copy that was checked: what the store holds may have changed since."""
    predictor = Predictor(content)
    rows = [entry["row"] for entry in predictor.schema["golden"]]
    table = pd.DataFrame(rows, columns=[entry["name"] for entry in predictor.schema["fields"]])
    try:
        found = mlflow.pyfunc.load_model(str(local), suppress_warnings=True).predict(table)
        for index, row in enumerate(rows):
            alone = predictor.predict(**row)
            for name in found.columns:
                here, there = np.float32(getattr(alone, name)), np.float32(found[name].iloc[index])
                if here.tobytes() != there.tobytes():
                    return Check(
                        "pyfunc",
                        FAILED,
                        f"golden row {index}, {name}: the pyfunc gives {there}, the file {here}; {AGAIN}",
                    )
    except Exception as error:  # whatever the loader raises is a reason not to serve it
        return Check("pyfunc", FAILED, f"it does not load or predict as a pyfunc: {error}; {AGAIN}")
    return Check("pyfunc", PASSED, f"mlflow.pyfunc gives the file's bits on {len(rows)} golden rows")


def _parity(version: ModelVersion, content: bytes, described: dict[str, Any]) -> Check:
    run_id = version.run_id
    if run_id and parity.can_prove() and parity.has_boosters(run_id):
        try:
            return Check("parity", PASSED, parity.prove_again(content, run_id))
        except LatencyError as error:
            return Check("parity", FAILED, str(error))
    record = described.get(PARITY_KEY)
    if record and record.get("model_sha256") == version.tags[SHA256_KEY]:
        rows = sum(record["rows"].values())
        return Check(
            "parity", PASSED, f"recorded at training: XGBoost {record['xgboost']} agreed to the bit on {rows:,} rows"
        )
    return Check(
        "parity",
        UNPROVEN,
        "neither XGBoost's boosters nor a record of training's proof were logged with it; train it with "
        "`latency train --mlflow` or `latency mlflow retrain`, or vouch for it with --force --reason '…'",
    )


def _compare(
    verdict: Verdict, challenger: Predictor, champion: ModelVersion, holdout: Holdout | None, tolerance: float
) -> Check:
    other = f"the champion (version {champion.version})"
    try:
        current = Predictor(fetch(champion))
        if holdout is not None:
            verdict.compared_on = f"{len(holdout.rows):,} rows of {holdout.name}"
            for predictor in (current, challenger):
                if holdout.sha256 is not None and holdout.sha256 == _table_of(predictor):
                    raise RegistryError(
                        f"{holdout.name} is the table that the model {predictor.model_info['version']} was trained on; "
                        "give rows that neither model saw"
                    )
            figures.check_columns(current, challenger, list(map(str, holdout.rows.columns)))
            pair = [figures.on_rows(predictor, holdout.rows, holdout.target) for predictor in (current, challenger)]
        elif figures.same_data(current, challenger):
            verdict.compared_on = "the held-out rows of the table that both were trained on"
            pair = [figures.in_file(predictor) for predictor in (current, challenger)]
        else:
            return Check(
                "metrics",
                UNPROVEN,
                f"it was trained on another table than {other}, so their held-out figures do not compare; give rows "
                "that neither saw with --holdout FILE, or vouch for it with --force --reason '…'",
            )
    except LatencyError as error:
        return Check("metrics", UNPROVEN, f"it cannot be compared with {other}: {error}")
    rows = len(holdout.rows) if holdout is not None else pair[0].get("held_out_rows")
    verdict.figures = figures.compare(pair[0], pair[1], tolerance, rows)
    worse = sum(not figure.good for figure in verdict.figures)
    if worse:
        return Check("metrics", WORSE, f"{worse} of {len(verdict.figures)} figures are worse than {other} allows")
    return Check("metrics", PASSED, f"{len(verdict.figures)} figures are not worse than those of {other}")


def _table_of(predictor: Predictor) -> str | None:
    found: str | None = predictor.model_info["provenance"].get("table_sha256")
    return found


def shown(value: float | None) -> str:
    """A figure in four decimals."""
    return "not given" if value is None else f"{value:.4f}"
