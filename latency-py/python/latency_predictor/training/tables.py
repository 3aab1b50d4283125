"""A model for any table of your own: numbers, categories, and coordinates if it has them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data import split
from ..errors import TrainingError
from . import boosters as xgb
from . import cables, calibration, schemas
from .fit import Fit, fit_prepared, prepare, to_target_space

Floats = npt.NDArray[np.float64]

RECIPE = xgb.Recipe(
    outputs=(
        xgb.Output("low_ms", 0.05, 80, max_depth=5),
        xgb.Output("p50_ms", 0.5, 120, max_depth=5),
        xgb.Output("high_ms", 0.95, 80, max_depth=5),
        xgb.Output("p90_ms", 0.90, 80, max_depth=5),
        xgb.Output("p99_ms", 0.99, 80, max_depth=5),
    )
)
MIN_ROWS = 50


@dataclass(frozen=True)
class TableModel:
    """A fit with its offsets, and how it did on rows that were held out."""

    fit: Fit
    metrics: dict[str, float]
    rows: int
    rows_without_target: int
    held_out: Floats
    """Held-out rows: the target, then one column per output with its offset, all in the target's unit."""


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file.

    Raises TrainingError if it is neither, or cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        if path.suffix.lower() in (".csv", ".gz", ".tsv"):
            return pd.read_csv(path, sep="\t" if ".tsv" in path.suffixes else ",")
    except (EOFError, OSError, ValueError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    raise TrainingError(f"{path} ends in `{path.suffix}`; allowed: .csv, .csv.gz, .tsv or .parquet")


def train(
    rows: pd.DataFrame,
    target: str,
    drop: tuple[str, ...] = (),
    name: str = "custom",
    progress: xgb.Progress | None = None,
    threads: int = xgb.THREADS,
) -> TableModel:
    """Trains on every column but the target and `drop`; offsets come from five held-out folds.

    Folds are by place where the table has coordinates, else by row. The same table gives the same model for the same
    number of threads.
    """
    rows = rows.rename(columns=str)
    twice = rows.columns[rows.columns.duplicated()]
    if len(twice):
        raise TrainingError(f"the table has the column `{twice[0]}` twice; rename one of them")
    for column in (target, *drop):
        if column not in rows:
            raise TrainingError(f"the table has no column `{column}`; it has: {', '.join(rows.columns)}")
    recipe = replace(RECIPE, threads=threads)
    rows, dropped = _with_target(rows, target)
    transform = "log" if (rows[target] > 0).all() else "identity"
    schema = schemas.table_schema(rows, target, drop, hubs(), transform, name)
    _check_coordinates(schema, rows)
    schemas.describe_seen(schema, rows)
    schema["histograms"] = schemas.histograms(schema, rows)
    weight = np.ones(len(rows))
    masks = fold_masks(schema, rows)
    predicted, actual = [], []
    for test in masks:
        part = prepare(schema, recipe.outputs, rows[~test], rows[target][~test], weight[~test])
        fold = fit_prepared(part, recipe, progress)
        predicted.append(fold.margins(rows[test]))
        actual.append(to_target_space(schema, rows[target][test]))
    margins, held_out = np.concatenate(predicted), np.concatenate(actual)
    offsets = calibration.offsets(RECIPE.outputs, margins, held_out, np.ones(len(held_out)))
    everything = prepare(schema, recipe.outputs, rows, rows[target], weight)
    fitted = fit_prepared(everything, recipe, progress).with_offsets(offsets)
    margins = margins + np.array([offset.constant for offset in offsets])
    judged = _in_units(schema, np.column_stack([held_out, margins]))
    return TableModel(fitted, held_out_metrics(schema, margins, held_out), len(rows), dropped, judged)


def provenance(path: Path, model: TableModel, command: str) -> dict[str, Any]:
    """Where the model comes from."""
    return {
        "command": command,
        "table_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "rows": model.rows,
        "held_out_metrics": model.metrics,
    }


def _with_target(rows: pd.DataFrame, target: str) -> tuple[pd.DataFrame, int]:
    if not pd.api.types.is_numeric_dtype(rows[target]):
        raise TrainingError(f"the target `{target}` holds {rows[target].dtype}; allowed: numbers")
    good = np.isfinite(rows[target].to_numpy(dtype=float, na_value=np.nan))
    if good.sum() < MIN_ROWS:
        raise TrainingError(
            f"found {int(good.sum())} rows with a `{target}`; at least {MIN_ROWS} are needed; measure more"
        )
    # The index stays: errors name a row as the caller's table counts it.
    return rows.reset_index(drop=True)[good], int((~good).sum())


def _check_coordinates(schema: dict[str, Any], rows: pd.DataFrame) -> None:
    for field in schema["fields"]:
        if not field.get("required"):
            continue
        values = rows[field["name"]]
        if not pd.api.types.is_numeric_dtype(values):
            raise TrainingError(
                f"column `{field['name']}` holds {values.dtype}, such as {values.iloc[0]!r}; allowed: degrees as "
                "numbers; correct it, or rename the column if it is no coordinate",
                field=field["name"],
            )
        bad = ~values.between(field["min"], field["max"])
        if bad.any():
            row = int(rows.index[bad][0])
            raise TrainingError(
                f"row {row}: {field['name']}: found {values[row]}; allowed: {field['min']:g} to "
                f"{field['max']:g} degrees; correct the {int(bad.sum())} rows, or leave them out",
                field=field["name"],
                row=row,
            )


def fold_masks(schema: dict[str, Any], rows: pd.DataFrame) -> list[npt.NDArray[np.bool_]]:
    """Test rows of each fold."""
    if "coordinates" in schema:
        names = schema["coordinates"]
        ends = [
            split.folds(split.places(rows[names[f"{end}_lat"]], rows[names[f"{end}_lon"]])) for end in ("src", "dst")
        ]
        masks = [(ends[0] == fold) | (ends[1] == fold) for fold in range(split.FOLDS)]
        # Few places can leave a fold without rows to test, or without rows to train on.
        usable = [mask for mask in masks if mask.any() and (~mask).sum() >= MIN_ROWS // 2]
        if len(usable) > 1:
            return usable
    by_row = np.arange(len(rows)) % split.FOLDS
    return [by_row == fold for fold in range(split.FOLDS)]


def hubs() -> list[dict[str, Any]]:
    """The hubs that detours are taken over, as a schema has them."""
    found = cables.load_hub_map()
    return [
        {"name": name, "lat": lat, "lon": lon}
        for name, lat, lon in zip(found.names, found.lat.tolist(), found.lon.tolist(), strict=True)
    ]


def _in_units(schema: dict[str, Any], values: Floats) -> Floats:
    return np.exp(values) if schema["target"]["transform"] == "log" else values


def held_out_metrics(schema: dict[str, Any], margins: Floats, actual: Floats) -> dict[str, float]:
    """How the outputs did on held-out rows, from both in target space, offsets added."""
    margins, actual = _in_units(schema, margins), _in_units(schema, actual)
    names = [output.name for output in RECIPE.outputs]
    low, p50, high, p90 = (margins[:, names.index(name)] for name in ("low_ms", "p50_ms", "high_ms", "p90_ms"))
    error = np.abs(p50 - actual)
    # No error is relative to zero.
    nonzero = actual != 0
    relative = {}
    if nonzero.any():
        median = np.median(error[nonzero] / np.abs(actual[nonzero]))
        relative["median_relative_error"] = round(float(median), 4)
    return {
        "held_out_rows": len(actual),
        "mae": round(float(error.mean()), 4),
        **relative,
        "interval_coverage": round(float(np.mean((low <= actual) & (actual <= high))), 4),
        "below_p90": round(float(np.mean(actual <= p90)), 4),
    }
