"""Files to an artifact store, and the proof that they arrived: listed, downloaded again, compared by SHA-256."""

from __future__ import annotations

import hashlib
import posixpath
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlflow.store.artifact.artifact_repo import ArtifactRepository


def upload(store: ArtifactRepository, folder: Path, files: list[Path], changed: dict[Path, Path]) -> Iterator[str]:
    """Uploads `files`, which lie below `folder`, under the same relative paths; yields what the proof finds wrong.

    `changed` names files to take instead of some of them.
    """
    below = {path.relative_to(folder).as_posix(): changed.get(path, path) for path in files}
    for name, path in below.items():
        store.log_artifact(str(path), posixpath.dirname(name) or None)
    listed = dict(_listed(store))
    with tempfile.TemporaryDirectory(prefix="latency-doctor-") as temporary:
        for name, path in below.items():
            if listed.get(name) != path.stat().st_size:
                yield f"{name} was uploaded with {path.stat().st_size} bytes, the server lists {listed.get(name)}"
                continue
            sent, got = _sha256(path), _sha256(Path(store.download_artifacts(name, temporary)))
            if sent != got:
                yield f"{name} was uploaded with SHA-256 {sent}, and comes back with {got}"


def _listed(store: ArtifactRepository, path: str | None = None) -> Iterator[tuple[str, int | None]]:
    for entry in store.list_artifacts(path):
        if entry.is_dir:
            yield from _listed(store, entry.path)
        else:
            yield entry.path, entry.file_size


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
