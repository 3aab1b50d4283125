"""What the measurements are and where they come from: `data/sources.toml` and the fact tables beside it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA_DIR_VARIABLE = "LATENCY_DATA_DIR"


@dataclass(frozen=True)
class SourceFile:
    """One published file: `path` is its place in mirror and cache, `url` its public address, if any."""

    role: str
    path: str
    url: str | None
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """One set of measurements, with what must be said when it is used."""

    name: str
    title: str
    measured: str
    licence: str
    attribution: str
    redistribute: bool
    repository: str | None
    commit: str | None
    files: tuple[SourceFile, ...]

    @property
    def is_public(self) -> bool:
        """Whether every file has a public address; if not, the set joins only from a mirror."""
        return all(file.url is not None for file in self.files)


@dataclass(frozen=True)
class Reference:
    """The fact tables that turn names into coordinates (degrees).

    `regions` is indexed by cloud region (`aws:eu-west-2`), `countries` by ISO-2 code, `states` by `US-CA`.
    """

    regions: pd.DataFrame
    countries: pd.DataFrame
    states: pd.DataFrame


def data_dir() -> Path:
    """The folder with `sources.toml` and `tables/`: LATENCY_DATA_DIR, this package, or the checkout."""
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    if chosen:
        folder = Path(chosen)
        if (folder / "sources.toml").is_file():
            return folder
        raise DataError(
            f"{DATA_DIR_VARIABLE} is {folder}, but there is no sources.toml in it. "
            "Set it to the data/ folder of a source checkout, or unset it."
        )
    here = Path(__file__).resolve().parent
    if (here / "sources.toml").is_file():
        return here
    for parent in here.parents:
        # Both names, so that a stray data/ folder above an installed package is not mistaken for ours.
        if (parent / "data" / "sources.toml").is_file() and (parent / "latency-py").is_dir():
            return parent / "data"
    raise DataError(
        "sources.toml, which lists the measurements, was not found: it is neither in this package nor in a "
        f"source checkout around it. Set {DATA_DIR_VARIABLE} to the data/ folder of a source checkout."
    )


def load_sources(folder: Path | None = None) -> dict[str, Source]:
    """The sets in the order of `sources.toml`, by name."""
    path = (folder or data_dir()) / "sources.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        found = [_source(entry) for entry in document["source"]]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not a valid list of sources ({error!r}). Restore it from the repository."
        ) from error
    return {source.name: source for source in found}


def _source(entry: dict[str, Any]) -> Source:
    return Source(
        name=entry["name"],
        title=entry["title"],
        measured=entry["measured"],
        licence=entry["licence"],
        attribution=entry["attribution"],
        redistribute=entry["redistribute"],
        repository=entry.get("repository"),
        commit=entry.get("commit"),
        files=tuple(
            SourceFile(file["role"], file["path"], file.get("url"), file["bytes"], file["sha256"])
            for file in entry["file"]
        ),
    )


def load_reference(folder: Path | None = None) -> Reference:
    """Cloud regions, country centroids and US state centroids from `tables/`."""
    tables = (folder or data_dir()) / "tables"
    regions = _read_table(tables / "cloud_regions.csv")
    return Reference(
        regions=regions.set_index(regions["provider"] + ":" + regions["region"]),
        countries=_read_table(tables / "country_centroids.csv").set_index("country"),
        states=_read_table(tables / "us_state_centroids.csv").set_index("state"),
    )


def _read_table(path: Path) -> pd.DataFrame:
    try:
        # NA is Namibia and North America here, never a missing value.
        return pd.read_csv(path, keep_default_na=False)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}. Restore it from the repository.") from error
