"""The protocol: every figure about the paths model, from predictions for rows that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data import split
from ..predictor import Predictor
from ..training import boosters as xgb
from ..training import calibration, paths, recipes
from ..training.paths import CrossFit, Report
from . import baselines, bootstrap, features, held_out, metrics, selection, smoothness, strata
from .held_out import MODEL, QUICK
from .reliability import reliability
from .studies import ablations, learning_curve, noise_ceiling

Floats = npt.NDArray[np.float64]
Groups = dict[str, Any]

METHODS = [MODEL, QUICK, *baselines.RULES]
QUANTILES = {"low_ms": 0.05, MODEL: 0.5, "high_ms": 0.95}
STRATUM_ROWS = 500
"""Coverage of a smaller stratum says more about chance than about the interval."""
WITH_INTERVAL = ("median_relative_error", "p90_relative_error", "within_20_percent")
SPLITS: dict[str, Callable[[pd.DataFrame], list[held_out.HeldOut]]] = {
    "places": held_out.places,
    "pairs": held_out.pairs,
    "countries": held_out.countries,
    "sets": held_out.sets,
}


def evaluate(
    table: pd.DataFrame,
    predictor: Predictor,
    recipe: xgb.Recipe = recipes.BUNDLED,
    fold_recipes: Sequence[xgb.Recipe] = recipes.FOLDS,
    studies: bool = False,
    report: Report | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Every figure, and the predictions for held-out places behind them.

    `predictor` is the model trained on all rows: only its smoothness is looked at. The folds of places are judged with
    recipes of their own, chosen without their rows; everything else with the recipe of the model. Relative errors and
    shares are fractions, times in ms, means over the folds; intervals are 90 % bootstraps over places. With `studies`
    also the ablations and the learning curve, which train many more models.
    """
    offsets = held_out.nested_offsets(table, fold_recipes, report)
    # The other splits hold out other rows: their interval moves by what the folds of places say on the average.
    average = [calibration.average(found) for found in zip(*offsets, strict=True)]
    predictions, importance = {}, []
    for name, hold_out in SPLITS.items():
        parts = []
        for fold, held in enumerate(hold_out(table)):
            if report:
                shown = held.name if name == "sets" else f"fold {fold + 1} of {split.FOLDS}"
                report(f"{name}: holding out {shown}")
            chosen, own = (fold_recipes[fold], offsets[fold]) if name == "places" else (recipe, average)
            fitted = paths.fit_paths(table[held.train], chosen).with_offsets(own)
            parts.append(held_out.predict(table, held, fitted, hide_labels=name == "places"))
            if name == "places":
                importance.append(features.permutation_importance(fitted, table[held.case != ""]))
        if parts:
            predictions[name] = pd.concat(parts, ignore_index=True)
    rows = predictions["places"]
    seen = [_places(table[part.train]) for part in held_out.places(table)]
    starts = rows[["src_lat", "src_lon"]].drop_duplicates()
    result = {
        "rows": len(table),
        "folds": split.FOLDS,
        "accuracy": {name: accuracy(by_access(part) if name == "sets" else part) for name, part in predictions.items()},
        "hidden_labels": hidden_labels(rows),
        "interval": intervals(rows),
        "interval_by_split": {name: interval_of(part) for name, part in predictions.items()},
        "pinball": pinballs(rows),
        "measurements": reliability(rows),
        "selection": selections(selection.with_client(rows, seen)),
        "smoothness": smoothness.falls(predictor, starts),
        "importance": pd.DataFrame(importance).mean().to_dict(),
        "noise_ceiling": noise_ceiling(rows, MODEL),
    }
    if studies:
        result["ablations"] = ablations(table, recipe, report)
        result["learning_curve"] = learning_curve(table, recipe, report)
    return result, rows


def _places(rows: pd.DataFrame) -> set[str]:
    return {place for end in paths.ENDS for place in split.places(rows[f"{end}_lat"], rows[f"{end}_lon"])}


def by_access(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, and those of sets with several access kinds once more under a name with the kind, as `ripe wired`."""
    kinds = rows.groupby("dataset")["access"].transform("nunique")
    mixed = rows[kinds > 1]
    return pd.concat([rows, mixed.assign(dataset=mixed["dataset"] + " " + mixed["access"])], ignore_index=True)


def accuracy(rows: pd.DataFrame) -> Groups:
    """Per data set, case and method: each metric as the mean over the folds, some with an interval.

    `better_than_quick` is the model's median relative error over that of the quick model, with an interval from the
    same draws.
    """
    result: Groups = {}
    for (dataset, case), group in rows.groupby(["dataset", "case"]):
        folds = [part for _, part in group.groupby("fold")]
        methods = {
            method: {name: float(np.mean([_value(metric, part, method) for part in folds])) for name, metric in
                     metrics.METRICS.items()}
            for method in METHODS
        }  # fmt: skip
        found = methods[MODEL]
        entry = {
            "rows": len(group),
            "methods": methods,
            "intervals": {
                name: bootstrap.interval(folds, [_weighted(name, part, MODEL) for part in folds])
                for name in WITH_INTERVAL
            },
            "over_quick": found["median_relative_error"] / methods[QUICK]["median_relative_error"],
            "over_quick_interval": bootstrap.interval(folds, [_over_quick(part) for part in folds]),
        }
        result.setdefault(str(dataset), {})[str(case)] = entry
    return result


def _value(metric: metrics.Metric, rows: pd.DataFrame, method: str) -> float:
    return metric(rows["actual"].to_numpy(), rows[method].to_numpy(), np.ones(len(rows)))


def _weighted(name: str, rows: pd.DataFrame, method: str) -> Callable[[Floats], float]:
    """A metric as a function of row weights; sorted once, since the bootstrap asks for it many times."""
    error = metrics.relative_error(rows["actual"].to_numpy(), rows[method].to_numpy())
    order = np.argsort(error, kind="stable")
    error = error[order]

    def figure(weight: Floats) -> float:
        total = np.cumsum(weight[order])
        if name == "within_20_percent":
            inside = np.searchsorted(error, 0.2, side="right")
            return float(total[inside - 1] / total[-1]) if inside else 0.0
        level = 0.5 if name == "median_relative_error" else 0.9
        return float(error[min(int(np.searchsorted(total, level * total[-1])), len(error) - 1)])

    return figure


def _over_quick(rows: pd.DataFrame) -> Callable[[Floats], float]:
    own, quick = (_weighted("median_relative_error", rows, method) for method in (MODEL, QUICK))
    return lambda weight: own(weight) / quick(weight)


def hidden_labels(rows: pd.DataFrame) -> Groups:
    """What a missing label costs: median relative error per data set and case with labels hidden, and coverage."""
    result: Groups = {}
    for (dataset, case), group in rows.groupby(["dataset", "case"]):
        folds = [part for _, part in group.groupby("fold")]
        names = {"all labels": MODEL} | {name: name for name in held_out.HIDDEN}
        result.setdefault(str(dataset), {})[str(case)] = {
            shown: {
                "median_relative_error": float(
                    np.mean([_value(metrics.median_relative_error, part, column) for part in folds])
                ),
                "coverage": metrics.coverage(
                    group["actual"].to_numpy(),
                    *(group[end if column == MODEL else f"{column} {end}"].to_numpy() for end in ("low_ms", "high_ms")),
                ),
            }
            for shown, column in names.items()
        }
    return result


def interval_of(rows: pd.DataFrame) -> dict[str, Any]:
    """Coverage and width of low..high."""
    actual, low, high = (rows[name].to_numpy() for name in ("actual", "low_ms", "high_ms"))
    return {
        "rows": len(rows),
        "coverage": metrics.coverage(actual, low, high),
        "below": float(np.mean(actual < low)),
        "above": float(np.mean(actual > high)),
        "width_ratio": metrics.width_ratio(low, high),
    }


def intervals(rows: pd.DataFrame) -> Groups:
    """Coverage and width over all rows, and per stratum; `worst` is the least covered with at least 500 rows."""
    strata_found = {by: {str(name): interval_of(group) for name, group in rows.groupby(by)} for by in strata.STRATA}
    large = [
        (found["coverage"], by, name)
        for by, groups in strata_found.items()
        for name, found in groups.items()
        if found["rows"] >= STRATUM_ROWS
    ]
    worst = min(large) if large else None
    everywhere: Groups = {"all": interval_of(rows), "by": strata_found}
    if worst:
        everywhere["worst"] = {"by": worst[1], "stratum": worst[2], "coverage": worst[0]}
    return everywhere


def pinballs(rows: pd.DataFrame) -> Groups:
    """Pinball loss of ln RTT per data set and quantile of the path's median."""
    return {
        str(dataset): {
            f"{quantile:g}": metrics.pinball(group["actual"].to_numpy(), group[column].to_numpy(), quantile)
            for column, quantile in QUANTILES.items()
        }
        for dataset, group in rows.groupby("dataset")
    }


def selections(rows: pd.DataFrame) -> Groups:
    """Best of ten per data set."""
    found = {
        str(dataset): selection.best_of_ten(group.reset_index(drop=True), METHODS)
        for dataset, group in rows.groupby("dataset")
    }
    return {dataset: chosen for dataset, chosen in found.items() if chosen}


def held_out_metrics(cross: CrossFit) -> Groups:
    """The figures that travel inside the model file, from the fits that its offsets come from: per data set and case
    the mean over the folds.
    """
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for fitted, margins, held in zip(cross.fits, cross.margins, cross.splits, strict=True):
        rows = cross.table[~held.train]
        median = [output.quantile for output in fitted.recipe.outputs].index(xgb.MEDIAN)
        predicted = pd.Series(np.exp(margins[:, median]), rows.index)
        for case, mask in (("C2", held.c2), ("C3", held.c3)):
            for dataset, group in cross.table[mask].groupby("dataset"):
                actual, own = group["rtt_ms"].to_numpy(), predicted[group.index].to_numpy()
                figures = found.setdefault(str(dataset), {}).setdefault(case, {})
                for name in ("median_relative_error", "p90_relative_error", "within_20_percent", "mae_ms"):
                    figures.setdefault(name, []).append(metrics.METRICS[name](actual, own, np.ones(len(own))))
    return {
        "accuracy": {
            dataset: {
                case: {name: round(float(np.mean(values)), 4) for name, values in figures.items()}
                for case, figures in cases.items()
            }
            for dataset, cases in found.items()
        }
    }
