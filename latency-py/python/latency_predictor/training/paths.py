"""The bundled model: from the table of paths to a fit, and to fits that never saw the places they are asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data import split
from ..data.geo import FLOOR_MS_PER_KM, floor_ms
from ..errors import TrainingError
from . import boosters as xgb
from . import cables, calibration, last_mile, schemas, spread
from .fit import Fit, Prepared, columns, fit_prepared, prepare, to_target_space
from .recipes import BUNDLED

Floats = npt.NDArray[np.float64]

ENDS = ("src", "dst")
END_COLUMNS = ("name", "country", "lat", "lon", "access", "provider", "tier")
LABELS = [f"{end}_{label}" for end in ENDS for label in ("access", "provider", "tier")]
MASK_SHARE = 0.3
MASK_ALL_SHARE = 0.15
MASK_WEIGHT = 0.5
MASK_SEED = 5
MOVE_KM = 50.0
"""Standard deviation, north and east. What a city's coordinates leave open, and what blurred positions do."""

MOVE_SEED = 3
KM_PER_DEGREE = 111.2
FAR_KM = 200.0
MIN_PLACES = 20

Report = Callable[[str], None]


@dataclass(frozen=True)
class CrossFit:
    """Five fits, each without the places of one fold, and what they say about that fold's rows."""

    table: pd.DataFrame
    fits: list[Fit]
    margins: list[Floats]
    """Per fold, for its C2 and C3 rows in table order: one column per output, in target space."""
    splits: list[split.EndSplit]

    def offsets(self) -> list[calibration.Offset]:
        """Conformal offsets. A row with ends in two folds is held out twice, and both count."""
        weight = row_weights(self.table)
        held = [~part.train for part in self.splits]
        return calibration.offsets(
            self.fits[0].recipe.outputs,
            np.concatenate(self.margins),
            np.concatenate([to_target_space(self.fits[0].schema, self.table.loc[rows, "rtt_ms"]) for rows in held]),
            np.concatenate([weight[rows] for rows in held]),
            np.concatenate([floor_distance_km(self.table)[rows] for rows in held]),
        )

    def held_out(self) -> Floats:
        """Held-out rows in ms: the RTT, then one column per output with its offset."""
        held = np.concatenate([np.flatnonzero(~part.train) for part in self.splits])
        distance = floor_distance_km(self.table)[held]
        moves = np.column_stack([offset.at(distance) for offset in self.offsets()])
        return np.column_stack([self.table["rtt_ms"].to_numpy()[held], np.exp(np.concatenate(self.margins) + moves)])


def cross_fit(
    table: pd.DataFrame,
    recipe: xgb.Recipe = BUNDLED,
    progress: xgb.Progress | None = None,
    report: Report | None = None,
) -> CrossFit:
    """Trains once per fold of the split by place, without the places of that fold."""
    places = pd.concat([split.places(table[f"{end}_lat"], table[f"{end}_lon"]) for end in ENDS])
    if places.nunique() < MIN_PLACES:
        raise TrainingError(
            f"found {places.nunique()} places; at least {MIN_PLACES} are needed to hold some out; use a larger table"
        )
    fits, margins, splits = [], [], []
    for fold in range(split.FOLDS):
        held = split.by_place(table, fold)
        if report:
            report(
                f"fold {fold + 1} of {split.FOLDS}: {int(held.train.sum()):,} rows to train on, "
                f"{int(held.c2.sum()):,} with one new end, {int(held.c3.sum()):,} with two"
            )
        fitted = fit_paths(table[held.train], recipe, progress=progress)
        fits.append(fitted)
        margins.append(fitted.margins(table[~held.train]))
        splits.append(held)
    return CrossFit(table, fits, margins, splits)


def fit_paths(
    table: pd.DataFrame,
    recipe: xgb.Recipe = BUNDLED,
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    progress: xgb.Progress | None = None,
) -> Fit:
    """One fit on all rows of a tidy table. `adapt` may change the schema before training."""
    return fit_prepared(prepare_paths(table, recipe.outputs, adapt), recipe, progress)


def prepare_paths(
    table: pd.DataFrame,
    outputs: tuple[xgb.Output, ...],
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Prepared:
    """All of a fit but its boosters."""
    merged = merge_directions(table)
    rows = pd.concat([merged, move_ends(mask_labels(merged))], ignore_index=True)
    weight = row_weights(merged)
    weights = np.concatenate([weight, weight * MASK_WEIGHT])
    schema = paths_schema(merged, rows, weights)
    if adapt:
        schema = adapt(schema)
    return prepare(schema, outputs, rows, rows["rtt_ms"], weights, spread.fit(table))


def paths_schema(merged: pd.DataFrame, rows: pd.DataFrame, weight: Floats) -> dict[str, Any]:
    """The schema with the cables fitted to merged rows, and the last mile to these and their masked copies."""
    # Nearer ones are mostly last mile.
    far = floor_distance_km(merged) > FAR_KM
    fitted = cables.fit(merged[far], cables.load_hub_map(), row_weights(merged)[far])
    cable_ms = columns(schemas.paths_schema(fitted), [{"kind": "cable_ms"}], rows)[:, 0]
    schema = schemas.paths_schema(fitted, last_mile.fit(rows, cable_ms.astype(np.float64), weight))
    schemas.describe_seen(schema, both_directions(merged), floor_distance_km(merged))
    return schema


def merge_directions(table: pd.DataFrame) -> pd.DataFrame:
    """One row per data set, pair of ends and labels: both directions, and repeats, become their geometric mean."""
    swap = (table["src_lat"] > table["dst_lat"]) | (
        (table["src_lat"] == table["dst_lat"]) & (table["src_lon"] > table["dst_lon"])
    )
    # The same place with other labels must not depend on the direction either.
    level = (table["src_lat"] == table["dst_lat"]) & (table["src_lon"] == table["dst_lon"])
    src_labels, dst_labels = (
        table[f"{end}_access"].fillna("") + table[f"{end}_provider"].fillna("") + table[f"{end}_tier"].fillna("")
        for end in ENDS
    )
    swap |= level & (src_labels > dst_labels)
    merged = table.copy()
    for column in END_COLUMNS:
        src, dst = f"{ENDS[0]}_{column}", f"{ENDS[1]}_{column}"
        merged[src], merged[dst] = table[src].where(~swap, table[dst]), table[dst].where(~swap, table[src])
    merged["log_rtt"] = np.log(table["rtt_ms"])
    key = ["dataset", *(f"{end}_{axis}" for end in ENDS for axis in ("lat", "lon")), *LABELS]
    groups = merged.groupby(key, dropna=False, sort=True)
    first = groups.first().reset_index()
    first["rtt_ms"] = np.exp(groups["log_rtt"].mean().to_numpy())
    first["weight"] = groups["weight"].mean().to_numpy()
    return first[list(table.columns)]


def both_directions(table: pd.DataFrame) -> pd.DataFrame:
    """Each row, and each row with its ends swapped: what training saw at one end, it saw at the other."""
    there, back = ([f"{end}_{column}" for end in ends for column in END_COLUMNS] for ends in (ENDS, ENDS[::-1]))
    return pd.concat([table, table.rename(columns=dict(zip(there, back, strict=True)))], ignore_index=True)


def row_weights(table: pd.DataFrame) -> Floats:
    """The rows' weights times the square root of how much smaller their set is than the largest, mean 1.

    Without it the 58,000 rows of one set would drown the 4,000 of another; with equal weight per set the small ones
    would be learned by heart.
    """
    size = table["dataset"].map(table["dataset"].value_counts()).to_numpy(float)
    weight = table["weight"].to_numpy(float) * np.sqrt(size.max() / size)
    weights: Floats = weight / weight.mean()
    return weights


def mask_labels(table: pd.DataFrame) -> pd.DataFrame:
    """A copy with labels hidden at random, so that a missing label means unknown and not one of the data sets."""
    rng = np.random.default_rng(MASK_SEED)
    everything = rng.random(len(table)) < MASK_ALL_SHARE
    masked = table.copy()
    for label in LABELS:
        masked[label] = masked[label].mask(everything | (rng.random(len(table)) < MASK_SHARE))
    return masked


def move_ends(table: pd.DataFrame) -> pd.DataFrame:
    """A copy with each end moved by some km at random, so that the trees do not learn single places by heart."""
    rng = np.random.default_rng(MOVE_SEED)
    moved = table.copy()
    for end in ENDS:
        lat, lon = (table[f"{end}_{axis}"].to_numpy(float) for axis in ("lat", "lon"))
        north, east = rng.normal(0, MOVE_KM / KM_PER_DEGREE, (2, len(table)))
        # Short of the poles, where a step east has no length.
        moved[f"{end}_lat"] = np.clip(lat + north, -89, 89)
        moved[f"{end}_lon"] = (lon + east / np.cos(np.radians(lat)) + 540) % 360 - 180
    return moved


def floor_distance_km(table: pd.DataFrame) -> Floats:
    """Great-circle distance of each row, km."""
    distance: Floats = floor_ms(table) / FLOOR_MS_PER_KM
    return distance


def provenance(table: pd.DataFrame, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """Where the model comes from; no date of today, so that the same data give the same file."""
    from ..data.sources import load_sources

    sources = load_sources()
    sets = {
        name: {
            "rows": int(rows),
            **(
                {
                    "title": sources[name].title,
                    "measured": sources[name].measured,
                    "licence": sources[name].licence,
                    "attribution": sources[name].attribution,
                    "files": {file.path: file.sha256 for file in sources[name].files},
                }
                if name in sources
                else {}
            ),
        }
        for name, rows in table["dataset"].value_counts().sort_index().items()
    }
    return {
        "command": command,
        "data_sets": sets,
        "rows": len(table),
        # Of the rows as CSV: a Parquet file's bytes also depend on the version of its writer.
        "table_sha256": hashlib.sha256(table.to_csv(index=False).encode()).hexdigest(),
        "held_out_metrics": metrics,
        "notes": {
            "low_ms..high_ms": "90 % interval for the path's median, conformal on held-out places",
            "p90_ms": "path uncertainty convolved with the spread model",
            "p99_ms": "an extrapolation: no training source holds a 99 % quantile",
        },
    }
