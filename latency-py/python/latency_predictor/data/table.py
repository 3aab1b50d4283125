"""The tidy table: one row per measured path, the same columns for every set."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from .errors import DataError
from .geo import floor_ms

TEXT = pd.StringDtype(na_value=np.nan)
"""Text with NaN for missing: the same on pandas 2.3 and 3."""

ACCESS = ("server", "wired", "wifi", "cellular", "starlink", "residential")
PROVIDERS = ("aws", "azure", "gcp", "other")
TIERS = ("premium", "standard")

CATEGORIES: dict[str, tuple[str, ...]] = {
    "src_access": ACCESS,
    "dst_access": ACCESS,
    "src_provider": PROVIDERS,
    "dst_provider": PROVIDERS,
    "src_tier": TIERS,
    "dst_tier": TIERS,
}
"""Allowed values of the categories; missing is a null, never a word."""

COORDINATES = {"src_lat": 90.0, "src_lon": 180.0, "dst_lat": 90.0, "dst_lon": 180.0}
"""Coordinates in degrees with their largest absolute value."""

OPTIONAL_RTTS = ("rtt_min_ms", "rtt_max_ms", "rtt_mdev_ms", "rtt_p95_ms")
"""RTT statistics in ms that a set may lack."""

COLUMNS: dict[str, pd.StringDtype | np.dtype] = {
    **dict.fromkeys(("dataset", "src_name", "dst_name", "src_country", "dst_country"), TEXT),
    **dict.fromkeys(COORDINATES, np.dtype("float64")),
    **dict.fromkeys(CATEGORIES, TEXT),
    **dict.fromkeys(("rtt_ms", *OPTIONAL_RTTS, "n", "weight"), np.dtype("float64")),
}
"""Column names in order, with their types. Missing text and numbers are NaN."""

REQUIRED = ("dataset", *COORDINATES, "rtt_ms")


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with all columns in order and typed: absent columns become missing, names empty, weight 1."""
    absent = [column for column in REQUIRED if column not in frame]
    if absent:
        raise DataError(f"the table lacks {', '.join(absent)}. Every row needs {', '.join(REQUIRED)}.")
    unknown = [column for column in frame if column not in COLUMNS]
    if unknown:
        raise DataError(f"the table has unknown columns {unknown}. Known are: {', '.join(COLUMNS)}.")
    result = frame.reindex(columns=list(COLUMNS))
    defaults: dict[str, object] = {"src_name": "", "dst_name": "", "weight": 1.0}
    for column, dtype in COLUMNS.items():
        try:
            values = result[column].astype(dtype)
        except (TypeError, ValueError) as error:
            raise DataError(f"column {column} cannot be read as {dtype}: {error}.") from error
        result[column] = values.fillna(defaults[column]) if column in defaults else values
    return result.reset_index(drop=True)


def validate(table: pd.DataFrame) -> pd.DataFrame:
    """The same table, if every rule holds; else a DataError that names the first offending row and column."""
    wrong = [column for column, dtype in COLUMNS.items() if column not in table or table[column].dtype != dtype]
    if wrong or list(table.columns) != list(COLUMNS):
        raise DataError(
            f"not a tidy table: wrong, missing or misplaced columns {wrong or list(table.columns)}. "
            f"Bring it into form with table.tidy; the columns are: {', '.join(COLUMNS)}."
        )
    dataset = table["dataset"]
    _require(table, "dataset", dataset.notna() & (dataset != ""), "a set's name")
    for column in ("src_country", "dst_country"):
        code = table[column]
        _require(table, column, code.isna() | code.str.fullmatch("[A-Z]{2}", na=False), "an ISO-2 code or missing")
    for column, limit in COORDINATES.items():
        _require(table, column, table[column].abs() <= limit, f"degrees in -{limit:g}..{limit:g}")
    for column, words in CATEGORIES.items():
        value = table[column]
        _require(table, column, value.isna() | value.isin(words), f"one of {', '.join(words)}, or missing")
    for column in ("rtt_ms", "weight"):
        _require(table, column, (table[column] > 0) & np.isfinite(table[column]), "a finite number above 0")
    for column in OPTIONAL_RTTS:
        value = table[column]
        _require(table, column, value.isna() | ((value >= 0) & np.isfinite(value)), "ms, at least 0, or missing")
    _require(table, "n", table["n"].isna() | (table["n"] >= 1), "a count of at least 1, or missing")
    low, high = table["rtt_min_ms"], table["rtt_max_ms"]
    _require(table, "rtt_min_ms", ~(low > table["rtt_ms"]), "at most rtt_ms")
    _require(table, "rtt_max_ms", ~(high < table["rtt_ms"]), "at least rtt_ms")
    _require(table, "rtt_ms", table["rtt_ms"] >= floor_ms(table), "at or above light in fibre")
    return table


def _require(table: pd.DataFrame, column: str, good: pd.Series, allowed: str) -> None:
    # A comparison with NaN is False, so a missing required number fails here too.
    bad = np.flatnonzero(~good.to_numpy(dtype=bool))
    if len(bad):
        found = table[column].iloc[bad[0]]
        raise DataError(
            f"row {bad[0]}, column {column}: found {found!r}; allowed is {allowed}. "
            f"{len(bad):,} of {len(table):,} rows break this rule; correct or drop them."
        )


def concatenate(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all tables in the order given, validated."""
    parts = list(tables)
    if not parts:
        raise DataError("there is no table to concatenate: no set was chosen or found.")
    return validate(tidy(pd.concat(parts, ignore_index=True)))


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a validated table as Parquet (zstd), whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        validate(table).to_parquet(part, engine="pyarrow", compression="zstd", index=False)
        part.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}. Choose another place with --out.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def read(path: Path) -> pd.DataFrame:
    """Reads and validates a table written by `write`."""
    try:
        return validate(tidy(pd.read_parquet(path, engine="pyarrow")))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Make it with: latency data.") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a readable Parquet table ({error}). Make it again with: latency data."
        ) from error
