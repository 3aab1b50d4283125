"""Why the model is as it is, and what stands in the way of a better one: ablations, learning curve, noise ceiling.

Each trains many models, of which only the median is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data import split
from ..training import boosters as xgb
from ..training import paths
from ..training.paths import Report
from . import features, metrics

Floats = npt.NDArray[np.float64]
Adapt = Callable[[dict[str, Any]], dict[str, Any]]

SHARES = (0.125, 0.25, 0.5, 1.0)
ROUNDS_OF_EFFECTS = 40
HUBER = 0.05
SHRINK_ROWS = 3.0
"""An effect is believed as if so many rows without any stood beside the place's own."""


def ablations(table: pd.DataFrame, recipe: xgb.Recipe, report: Report | None = None) -> dict[str, Any]:
    """Per feature group, C2 and C3 of each data set when models are trained without it: median relative error and
    mean |ln(predicted / actual)|, means over the five folds.
    """
    groups = list(features.groups(paths.prepare_paths(table, recipe.outputs).schema))
    variants: dict[str, Adapt | None] = {"everything": None}
    variants |= {f"without {group}": partial(features.without, group=group) for group in groups}
    return {name: _folds(table, recipe, adapt, name, report) for name, adapt in variants.items()}


def learning_curve(
    table: pd.DataFrame, recipe: xgb.Recipe, report: Report | None = None, shares: Sequence[float] = SHARES
) -> dict[str, Any]:
    """C2 and C3 when models are trained on a share of the places only: is there more to gain from more places?"""
    src, dst = (split.places(table[f"{end}_lat"], table[f"{end}_lon"]) for end in paths.ENDS)
    # Another hash than the folds', so that every fold keeps the same share.
    luck = {place: split.fraction_of(f"learning curve {place}") for place in set(src) | set(dst)}
    curve = {}
    for share in shares:
        kept = ((src.map(luck) < share) & (dst.map(luck) < share)).to_numpy()
        curve[f"{share:g}"] = _folds(table, recipe, None, f"{share:.0%} of the places", report, kept)
    return curve


def _folds(
    table: pd.DataFrame,
    recipe: xgb.Recipe,
    adapt: Adapt | None,
    name: str,
    report: Report | None,
    kept: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    outputs = tuple(output if output.quantile == xgb.MEDIAN else replace(output, rounds=1) for output in recipe.outputs)
    median = [output.quantile for output in outputs].index(xgb.MEDIAN)
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    for fold in range(split.FOLDS):
        if report:
            report(f"{name}: fold {fold + 1} of {split.FOLDS}")
        held = split.by_place(table, fold)
        train = held.train if kept is None else held.train & kept
        fitted = paths.fit_paths(table[train], replace(recipe, outputs=outputs), adapt=adapt)
        for case, mask in (("C2", held.c2), ("C3", held.c3)):
            rows = table[mask]
            predicted = np.exp(fitted.margins(rows)[:, median])
            for dataset, positions in rows.groupby("dataset").indices.items():
                actual, own = rows["rtt_ms"].to_numpy()[positions], predicted[positions]
                found = figures.setdefault(str(dataset), {}).setdefault(case, {})
                for metric in ("median_relative_error", "mean_log_error"):
                    value = metrics.METRICS[metric](actual, own, np.ones(len(own)))
                    found.setdefault(metric, []).append(value)
    return {
        dataset: {
            case: {metric: float(np.mean(values)) for metric, values in found.items()} for case, found in cases.items()
        }
        for dataset, cases in figures.items()
    }


def noise_ceiling(rows: pd.DataFrame, method: str) -> dict[str, Any]:
    """How much of the error on held-out places belongs to the place: its network and last mile, which nothing that is
    known beforehand tells.

    Per data set: `median_relative_error` as predicted, and `with_place_effects` after taking away, for each end, the
    residual that the end's *other* rows share (ln actual − ln predicted = effect of one end + effect of the other +
    rest, fitted by turns). What remains belongs to the pair.
    """
    found = {}
    for dataset, group in rows.groupby("dataset"):
        before, after = [], []
        for _, fold in group.groupby("fold"):
            residual = np.log(fold["actual"].to_numpy() / fold[method].to_numpy())
            left = residual - _place_effects(residual, fold["src"], fold["dst"])
            before.append(np.median(np.abs(np.expm1(-residual))))
            after.append(np.median(np.abs(np.expm1(-left))))
        found[str(dataset)] = {
            "median_relative_error": float(np.mean(before)),
            "with_place_effects": float(np.mean(after)),
        }
    return found


def _place_effects(residual: Floats, src: pd.Series, dst: pd.Series) -> Floats:
    """The effects of both ends of each row, from the ends' other rows, shrunk where these are few.

    Rows far off count less (Huber weights): they belong to their pair.
    """
    codes, places = pd.factorize(pd.concat([src, dst]))
    a, b = codes[: len(src)], codes[len(src) :]

    def per_place(values: Floats) -> Floats:
        both = np.bincount(a, values, len(places)) + np.bincount(b, values, len(places))
        return np.asarray(both, dtype=np.float64)

    effect = np.zeros(len(places))
    for _ in range(ROUNDS_OF_EFFECTS):
        left = residual - effect[a] - effect[b]
        weight = np.minimum(1.0, HUBER / np.maximum(np.abs(left), 1e-9))
        believed = per_place(weight) + SHRINK_ROWS
        # Half steps: both ends of a row move at once.
        own = per_place(weight * left) + (believed - SHRINK_ROWS) * effect
        effect = 0.5 * effect + 0.5 * own / believed
    left = residual - effect[a] - effect[b]
    # Without the row itself, whose share in each of its ends is its weight.
    from_others = [effect[end] - weight * (left + effect[end]) / believed[end] for end in (a, b)]
    both: Floats = from_others[0] + from_others[1]
    return both
