"""A stored model: is it there, and is its file the one that was logged?

MLflow keeps no checksums. Models of this package carry the SHA-256 of their .onnx file: in the metadata of MLmodel, and
as a tag of the registered version, both under `latency.sha256`.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import yaml
from mlflow.exceptions import MlflowException

from .cures import Cures
from .findings import Code, Finding, Severity, Step
from .http import Server

CHECKSUM = "latency.sha256"
MLMODEL = "MLmodel"
GONE = ("RESOURCE_DOES_NOT_EXIST", "No such artifact", "No such file", "404")


@dataclass(frozen=True)
class Stored:
    """What a download of a model's file gave. `expected`: the SHA-256 in MLmodel; `missing`: what is not
    there; `unreadable`: what the store did not give for another reason."""

    location: str
    file: str | None = None
    expected: str | None = None
    found: str | None = None
    missing: str | None = None
    unreadable: str | None = None


class Models:
    """Looks at stored models by location, each once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen: dict[str, Stored] = {}

    def at(self, location: str, compare: bool = False) -> Stored:
        """Downloads MLmodel, and the model's file if there is a checksum: in MLmodel, or elsewhere (`compare`)."""
        seen = self._seen.get(location)
        if seen is None or (compare and seen.missing is None and seen.found is None):
            with tempfile.TemporaryDirectory(prefix="latency-doctor-") as folder:
                seen = self._seen[location] = self._look(location.rstrip("/"), folder, compare)
        return seen

    @property
    def looked_at(self) -> list[Stored]:
        """All that were looked at so far."""
        return list(self._seen.values())

    def _look(self, location: str, folder: str, compare: bool) -> Stored:
        try:
            mlmodel = yaml.safe_load(self._download(f"{location}/{MLMODEL}", folder).read_text()) or {}
        except (MlflowException, OSError, yaml.YAMLError) as error:
            return self._trouble(location, MLMODEL, None, error)
        expected = (mlmodel.get("metadata") or {}).get(CHECKSUM)
        data = (mlmodel.get("flavors", {}).get("python_function") or {}).get("data")
        if not data or (expected is None and not compare):
            return Stored(location, expected=expected)
        try:
            path = _file(self._download(f"{location}/{data}", folder))
        except (MlflowException, OSError) as error:
            return self._trouble(location, data, expected, error)
        return Stored(location, data, expected, hashlib.sha256(path.read_bytes()).hexdigest())

    def _trouble(self, location: str, name: str, expected: str | None, error: Exception) -> Stored:
        why = f"{name}: {self._server.hide(error)}"
        if isinstance(error, FileNotFoundError) or any(word in why for word in GONE):
            return Stored(location, name, expected, missing=why)
        return Stored(location, name, expected, unreadable=why)

    def _download(self, uri: str, folder: str) -> Path:
        found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=self._server.uri)
        return Path(found)


def _file(path: Path) -> Path:
    """The model's file: the data path itself, or the one .onnx file below it."""
    if path.is_file():
        return path
    found = sorted(path.rglob("*.onnx"))
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} .onnx files where one is expected")
    return found[0]


def judge(server: Server, what: str, stored: Stored, tagged: str | None = None) -> Finding | None:
    """What is wrong with a stored model, or None. `tagged` is the SHA-256 that the registry holds, if any."""
    if stored.missing is not None:
        return missing(server, what, (f"location: {stored.location}", f"not there: {stored.missing}"))
    if stored.unreadable is not None:
        return Finding(
            Code.STORE_NOT_READABLE,
            Severity.ERROR,
            f"the store does not give the files of {what}",
            (f"location: {stored.location}", f"not read: {stored.unreadable}"),
            "The server lists the model and fails to read it: a permission, or its store is out of reach.",
            (Cures(server).logs,),
        )
    wanted = {"the metadata of MLmodel": stored.expected, "the tag of the version": tagged}
    wrong = [f"{where} says {sha}" for where, sha in wanted.items() if sha and stored.found and sha != stored.found]
    if not wrong:
        return None
    return Finding(
        Code.CHECKSUM_MISMATCH,
        Severity.ERROR,
        f"the file of {what} is not the one that was logged",
        (f"file: {stored.location}/{stored.file}", f"SHA-256 of what the server gives: {stored.found}", *wrong),
        "The file was changed, cut short or swapped after it was logged, in the store or on the way.",
        (
            Step(
                "Do not serve it. If an older version is good, go back to it",
                Cures(server).there("latency mlflow rollback"),
            ),
            Step(
                "Keep what is there, for whoever looks into it",
                Cures(server).there(f"mlflow artifacts download -u {shlex.quote(stored.location)} -d suspicious-model"),
            ),
            Cures(server).retrain(),
        ),
    )


def missing(server: Server, what: str, evidence: tuple[str, ...], all_of_them: bool = False) -> Finding:
    """The database knows it, the store does not have it."""
    cures = Cures(server)
    cause = (
        "The database knows the model, but its files are gone: the folder of --artifacts-destination was in a "
        "container without a volume and went with it, was deleted, or the server was started with another destination."
    )
    every = (
        " Nothing at all is left of what was looked at: this is what a lost volume looks like." if all_of_them else ""
    )
    return Finding(
        Code.ARTIFACTS_MISSING,
        Severity.ERROR,
        f"the files of {what} are gone",
        evidence,
        cause + every,
        (
            Step(
                "Where does the server store, and what is there?",
                f"docker compose exec {cures.service} sh -c "
                "'ls -la \"${MLFLOW_ARTIFACTS_DESTINATION:-./mlartifacts}\"'\ndocker volume ls",
            ),
            *cures.volume(),
            Step("Put the files back from a backup, below the same paths, if there is one"),
            cures.retrain(),
        ),
    )
