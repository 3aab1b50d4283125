"""Artifacts are there when the server lists them and gives the same bytes back."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from .errors import ArtifactError, readable_mlflow_errors
from .model import AGAIN, checked_file, sha256_of


@dataclass(frozen=True)
class Verified:
    """One artifact that came back as it was logged."""

    path: str
    bytes: int
    sha256: str


def verify_run(run_id: str, expected: dict[str, bytes]) -> list[Verified]:
    """Lists a run's artifacts, downloads each that is expected, and compares SHA-256.

    Raises `ArtifactError` for the first that is not listed, or comes back with other bytes.
    """
    with readable_mlflow_errors(f"listing the artifacts of run {run_id}"):
        listed = _files(run_id)
    verified = []
    with tempfile.TemporaryDirectory() as folder:
        for path, content in sorted(expected.items()):
            if path not in listed:
                raise ArtifactError(
                    f"run {run_id}: {path} was uploaded, but the server does not list it: it lists "
                    f"{', '.join(sorted(listed)) or 'nothing'}. Find the cause with: latency mlflow doctor "
                    f"--run {run_id}"
                )
            with readable_mlflow_errors(f"downloading {path} of run {run_id}"):
                local = Path(MlflowClient().download_artifacts(run_id, path, folder))
            wanted, found = hashlib.sha256(content).hexdigest(), sha256_of(local)
            if found != wanted:
                raise ArtifactError(
                    f"run {run_id}: {path} has SHA-256 {found}, but {wanted} was uploaded. Find the cause with: "
                    f"latency mlflow doctor --run {run_id}"
                )
            verified.append(Verified(path, len(content), found))
    return verified


def verify_model(model_id: str, sha256: str) -> list[Verified]:
    """Lists a logged model's files, downloads them all, and compares the .onnx file with what was logged.

    Raises `ArtifactError` if a file is missing, or the .onnx file is another.
    """
    uri = f"models:/{model_id}"
    with tempfile.TemporaryDirectory() as folder, readable_mlflow_errors(f"downloading {uri}"):
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        listed = {entry.path for entry in mlflow.artifacts.list_artifacts(artifact_uri=uri)}
        path = checked_file(local, uri)
        found = sha256_of(path)
        if found != sha256:
            raise ArtifactError(f"{uri}: SHA-256 is {found}, but {sha256} was logged; {AGAIN}")
        absent = sorted({"MLmodel", path.relative_to(local).parts[0]} - listed)
        if absent:
            raise ArtifactError(f"{uri}: {absent[0]} can be downloaded, but the server does not list it; {AGAIN}")
        # MLflow's client adds a file of its own when it downloads.
        files = [file for file in sorted(local.rglob("*")) if file.relative_to(local).parts[0] in listed]
        return [
            Verified(f"{uri}/{file.relative_to(local)}", file.stat().st_size, sha256_of(file))
            for file in files
            if file.is_file()
        ]


def _files(run_id: str) -> set[str]:
    client, found, pending = MlflowClient(), set(), [""]
    while pending:
        for entry in client.list_artifacts(run_id, pending.pop() or None):
            if entry.is_dir:
                pending.append(entry.path)
            else:
                found.add(entry.path)
    return found
