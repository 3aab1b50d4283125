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
from ..data.geo import floor_ms
from ..errors import TrainingError
from . import boosters as xgb
from . import cables, calibration, schemas, spread
from .fit import Fit, fit, to_target_space

Floats = npt.NDArray[np.float64]

RECIPE = xgb.Recipe(
    outputs=(
        xgb.Output("low_ms", 0.05, 90, eta=0.15),
        xgb.Output("p50_ms", 0.5, 420, eta=0.07),
        xgb.Output("high_ms", 0.95, 90, eta=0.15),
    ),
    max_depth=5,
    colsample=0.5,
)
ENDS = ("src", "dst")
END_COLUMNS = ("name", "country", "lat", "lon", "access", "provider", "tier")
LABELS = [f"{end}_{label}" for end in ENDS for label in ("access", "provider", "tier")]
MASK_SHARE = 0.3
MASK_ALL_SHARE = 0.15
MASK_WEIGHT = 0.5
MASK_SEED = 5
FAR_KM = 200.0
FLOOR_MS_PER_KM = cables.FLOOR_MS_PER_KM
MIN_PLACES = 20

Report = Callable[[str], None]


@dataclass(frozen=True)
class CrossFit:
    """Five fits, each without the places of one fold, and what they say about that fold's rows."""

    table: pd.DataFrame
    fits: list[Fit]
    margins: list[Floats]
    """Per fold, for its C2 and C3 rows in table order: one column per output, in target space."""
    splits: list[split.PlaceSplit]

    def offsets(self, leave_out: int | None = None) -> list[float]:
        """Conformal offsets from all folds, or from all but one, so that one's coverage can be judged.

        A row with ends in two folds is held out twice; without `leave_out`, both count. With it, rows that touch the
        fold left out do not.
        """
        predicted, actual, weight = [], [], []
        for fold, (fit_, margins, held) in enumerate(zip(self.fits, self.margins, self.splits, strict=True)):
            if fold == leave_out:
                continue
            rows = self.table[~held.train]
            keep = np.ones(len(rows), dtype=bool) if leave_out is None else self.splits[leave_out].train[~held.train]
            predicted.append(margins[keep])
            actual.append(to_target_space(fit_.schema, rows["rtt_ms"])[keep])
            weight.append(row_weights(self.table)[~held.train][keep])
        return calibration.offsets(
            self.fits[0].recipe.outputs,
            np.concatenate(predicted),
            np.concatenate(actual),
            np.concatenate(weight),
        )


def cross_fit(table: pd.DataFrame, progress: xgb.Progress | None = None, report: Report | None = None) -> CrossFit:
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
        fitted = fit_paths(table[held.train], progress)
        fits.append(fitted)
        margins.append(fitted.margins(table[~held.train]))
        splits.append(held)
    return CrossFit(table, fits, margins, splits)


def fit_paths(table: pd.DataFrame, progress: xgb.Progress | None = None) -> Fit:
    """One fit on all rows of a tidy table."""
    merged = merge_directions(table)
    schema = schemas.paths_schema(cables.fit(far_servers(merged), cables.load_hub_map()))
    schemas.describe_seen(schema, both_directions(merged), floor_distance_km(merged))
    weight = row_weights(merged)
    masked = mask_labels(merged)
    rows = pd.concat([merged, masked], ignore_index=True)
    weights = np.concatenate([weight, weight * MASK_WEIGHT])
    return fit(schema, RECIPE, rows, rows["rtt_ms"], weights, spread.fit(table), progress)


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


def far_servers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows between servers more than 200 km apart: those whose RTT is the cable's, not the last mile's."""
    servers = table["src_access"].eq("server") & table["dst_access"].eq("server")
    return table[servers & (floor_distance_km(table) > FAR_KM)]


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
