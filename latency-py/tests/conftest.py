"""Shared fixtures. Tests over the real measurements run only with a mirror of them (LATENCY_DATA_MIRROR)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from latency_predictor.data.convert import Converted, convert
from latency_predictor.data.fetch import fetch
from latency_predictor.data.sources import Reference, load_reference, load_sources


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
        name: convert(
            name, {file.role: fetch(file, Path("unused"), mirror) for file in source.files}, reference
        )
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
