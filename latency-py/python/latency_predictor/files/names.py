"""Which kind of file a name says, and the names of the files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError

STREAM = Path("-")
"""Standard input or output."""
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: CSV with its delimiter, compressed or not; or Parquet, without a delimiter."""

    delimiter: str | None
    gzip: bool = False


def suffix(path: Path) -> str:
    """What the name ends with. Raises `DataError` for a name that says no kind of file."""
    if path == STREAM:
        return ".csv"
    for known in SUFFIXES:
        if path.name.lower().endswith(known):
            return path.name[-len(known) :]
    raise DataError(
        f"{path}: found a name that says no kind of file; allowed: a name that ends in {', '.join(SUFFIXES)}"
    )


def kind(path: Path) -> Kind:
    """Likewise, the kind of file."""
    end = suffix(path).lower()
    delimiter = None if end == ".parquet" else "\t" if end.startswith(".tsv") else ","
    return Kind(delimiter, end.endswith(".gz"))


def beside(path: Path, word: str, end: str | None = None) -> Path:
    """`paths.csv.gz` → `paths.word.csv.gz`, or with another end. Standard input has its files in this folder."""
    own = suffix(path)
    stem = "stdin" if path == STREAM else path.name.removesuffix(own)
    return (
        path.with_name(f"{stem}.{word}{own if end is None else end}")
        if path != STREAM
        else Path(f"{stem}.{word}{end or own}")
    )
