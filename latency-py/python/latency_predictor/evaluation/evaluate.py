"""The protocol: five folds by place, one end new (C2) or both (C3), per data set, baselines beside it.

Each fold's model is exported, loaded by the core and asked as a user would: what is measured is what is
served. Its conformal offsets come from the other folds' rows alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import Predictor
from ..data import split
from ..data import table as tidy
from ..training.calibration import weighted_quantile
from ..training.paths import CrossFit, Report
from ..training.spread import path_kind
from . import baselines, metrics
from .reliability import expected_below, p95_below, reliability

Floats = npt.NDArray[np.float64]

MODEL = "this model"
QUICK = "quick model"
BOOTSTRAP_ROUNDS = 200
BOOTSTRAP_SEED = 3
LEVEL = 0.90
FIELDS = [*tidy.COORDINATES, *tidy.CATEGORIES]


def evaluate(cross: CrossFit, report: Report | None = None) -> dict[str, Any]:
    """Metrics per data set, case (C2, C3) and method: means over the folds, the model's with an interval.

    Returns `{"accuracy": {set: {case: {method: {metric: number}}}}, "interval": {...}, "measurements": {...},
    "folds": 5}`; relative errors and shares as fractions, times in ms. The interval is a 90 % bootstrap over places.
    """
    folds = []
    for fold in range(len(cross.fits)):
        if report:
            report(f"judging fold {fold + 1} of {len(cross.fits)}")
        folds.append(_predict_fold(cross, fold))
    rows = pd.concat(folds, ignore_index=True)
    return {
        "folds": len(folds),
        "accuracy": _accuracy(rows),
        "interval": _intervals(rows),
        "measurements": reliability(rows),
    }


def _predict_fold(cross: CrossFit, fold: int) -> pd.DataFrame:
    held = cross.splits[fold]
    train, test = cross.table[held.train], cross.table[~held.train]
    model = cross.fits[fold].with_offsets(cross.offsets(leave_out=fold)).to_bytes()
    answer = Predictor(model, sessions=1).predict_batch(test[FIELDS])
    result = pd.DataFrame(
        {
            "fold": fold,
            "dataset": test["dataset"],
            "case": np.where(held.c3[~held.train], "C3", "C2"),
            "src": split.places(test["src_lat"], test["src_lon"]).to_numpy(),
            "dst": split.places(test["dst_lat"], test["dst_lon"]).to_numpy(),
            "access": _access(test),
            "actual": test["rtt_ms"],
            "low": answer["low_ms"].astype(float),
            "high": answer["high_ms"].astype(float),
            "kind": path_kind(test),
            "below_p90": expected_below(test, answer["p90_ms"]),
            "below_p99": expected_below(test, answer["p99_ms"]),
            "p95_below_p99": p95_below(test, answer["p99_ms"]),
            MODEL: answer["p50_ms"].astype(float),
            QUICK: baselines.quick_model(train, test),
        }
    )
    for name, rule in baselines.RULES.items():
        # Rules are fitted per data set: each is as good as it can be.
        for dataset in test["dataset"].unique():
            own, rows = train[train["dataset"] == dataset], test[test["dataset"] == dataset]
            result.loc[rows.index, name] = rule(own if len(own) else train, rows)
    return result


def _access(rows: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The access kind that decides: the end that is no server, if one is."""
    src, dst = rows["src_access"].fillna("unknown"), rows["dst_access"].fillna("unknown")
    access: npt.NDArray[np.object_] = src.where(src != "server", dst).to_numpy(dtype=object)
    return access


def _accuracy(rows: pd.DataFrame) -> dict[str, Any]:
    methods = [MODEL, QUICK, *baselines.RULES]
    accuracy: dict[str, Any] = {}
    for (dataset, case), group in rows.groupby(["dataset", "case"]):
        by_fold = [part for _, part in group.groupby("fold")]
        results: dict[str, dict[str, Any]] = {
            method: {
                name: float(np.mean([_measure(metric, part, method) for part in by_fold]))
                for name, metric in metrics.METRICS.items()
            }
            for method in methods
        }
        results[MODEL]["median_relative_error_interval"] = _bootstrap(by_fold)
        accuracy.setdefault(str(dataset), {})[str(case)] = {"rows": len(group), "methods": results}
    return accuracy


def _measure(metric: Any, rows: pd.DataFrame, method: str, weight: Floats | None = None) -> float:
    weight = np.ones(len(rows)) if weight is None else weight
    return float(metric(rows["actual"].to_numpy(), rows[method].to_numpy(), weight))


def _bootstrap(by_fold: list[pd.DataFrame]) -> list[float]:
    """90 % interval of the mean over folds of the median relative error, resampling places.

    A row counts as often as both its places are drawn.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    prepared = []
    for part in by_fold:
        codes, places = pd.factorize(pd.concat([part["src"], part["dst"]]))
        error = (np.abs(part[MODEL] - part["actual"]) / part["actual"]).to_numpy()
        prepared.append((error, codes[: len(part)], codes[len(part) :], len(places)))
    means = []
    for _ in range(BOOTSTRAP_ROUNDS):
        medians = []
        for error, src, dst, places in prepared:
            drawn = np.bincount(rng.integers(places, size=places), minlength=places)
            weight = (drawn[src] * drawn[dst]).astype(float)
            if weight.any():
                medians.append(weighted_quantile(error, weight, 0.5))
        means.append(np.mean(medians))
    return [float(np.quantile(means, (1 - LEVEL) / 2)), float(np.quantile(means, (1 + LEVEL) / 2))]


def _intervals(rows: pd.DataFrame) -> dict[str, Any]:
    def summary(group: pd.DataFrame) -> dict[str, Any]:
        actual, low, high = (group[name].to_numpy() for name in ("actual", "low", "high"))
        return {
            "rows": len(group),
            "coverage": metrics.coverage(actual, low, high),
            "width_ratio": metrics.width_ratio(low, high),
        }

    return {
        "all": summary(rows),
        "by_data_set": {str(name): summary(group) for name, group in rows.groupby("dataset")},
        "by_access": {str(name): summary(group) for name, group in rows.groupby("access")},
        "by_case": {str(name): summary(group) for name, group in rows.groupby("case")},
    }


def held_out_metrics(result: dict[str, Any]) -> dict[str, Any]:
    """The figures that travel inside the model file: per data set and case, and the interval's coverage."""
    accuracy = {
        dataset: {
            case: {
                name: round(value, 4)
                for name, value in entry["methods"][MODEL].items()
                if name in ("median_relative_error", "p90_relative_error", "within_20_percent", "mae_ms")
            }
            for case, entry in cases.items()
        }
        for dataset, cases in result["accuracy"].items()
    }
    return {"accuracy": accuracy, "interval_coverage": round(result["interval"]["all"]["coverage"], 4)}
