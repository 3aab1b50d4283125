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
from typing import Any

import mlflow
import yaml
from mlflow.exceptions import MlflowException

from ..model import SHA256_KEY
from .cures import Cures
from .findings import Code, Finding, Severity, Step
from .http import Server

MLMODEL = "MLmodel"
GONE = ("RESOURCE_DOES_NOT_EXIST", "No such artifact", "No such file", "404")


@dataclass(frozen=True)
class Stored:
    """What a download of a model's file gave. `expected`: the SHA-256 in MLmodel; `missing`: what is not
    there; `unreadable`: what the store did not give for another reason; `damaged`: why MLmodel is not one."""

    location: str
    file: str | None = None
    expected: str | None = None
    found: str | None = None
    missing: str | None = None
    unreadable: str | None = None
    damaged: str | None = None


class DamagedError(Exception):
    """An MLmodel that is not what MLflow writes."""


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
            mlmodel = read_mlmodel(self._download(f"{location}/{MLMODEL}", folder))
            expected = _mapping(mlmodel, "metadata", optional=True).get(SHA256_KEY)
            data = _mapping(_mapping(mlmodel, "flavors"), "python_function", optional=True).get("data")
        except (MlflowException, OSError) as error:
            return self._trouble(location, MLMODEL, None, error)
        except DamagedError as error:
            return Stored(location, MLMODEL, damaged=str(error))
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


def read_mlmodel(path: Path) -> dict[str, Any]:
    """An MLmodel file. Raises `DamagedError` if it is not a YAML mapping, `OSError` if it cannot be read."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: no text, or a date that no calendar has.
        why = " ".join(str(error).split())
        raise DamagedError(f"{MLMODEL} is not YAML: {why[:200]}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{MLMODEL} holds {_kind(content)} where a mapping is expected")
    return content


def _mapping(content: dict[str, Any], key: str, optional: bool = False) -> dict[str, Any]:
    """The mapping under a key; none if the key is absent, or null where MLflow allows that (`optional`)."""
    found = content.get(key, {})
    if found is None and optional:
        return {}
    if not isinstance(found, dict):
        raise DamagedError(f"`{key}` in {MLMODEL} is {_kind(found)} where a mapping is expected")
    return found


def _kind(found: object) -> str:
    return "nothing" if found is None else f"a {type(found).__name__}"


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
    if stored.damaged is not None:
        evidence: tuple[str, ...] = (f"file: {stored.location}/{stored.file}", stored.damaged)
        return _changed(server, f"the {MLMODEL} of {what}", stored, evidence)
    wanted = {"the metadata of MLmodel": stored.expected, "the tag of the version": tagged}
    wrong = [f"{where} says {sha}" for where, sha in wanted.items() if sha and stored.found and sha != stored.found]
    if not wrong:
        return None
    evidence = (f"file: {stored.location}/{stored.file}", f"SHA-256 of what the server gives: {stored.found}", *wrong)
    return _changed(server, f"the file of {what}", stored, evidence)


def _changed(server: Server, file: str, stored: Stored, evidence: tuple[str, ...]) -> Finding:
    return Finding(
        Code.CHECKSUM_MISMATCH,
        Severity.ERROR,
        f"{file} is not the one that was logged",
        evidence,
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
