"""Which features earn their place: how much worse unseen places are predicted when a group of columns says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..training import boosters as xgb
from ..training.fit import Fit, base, featurize, to_target_space
from ..training.last_mile import ADD_MS as LAST_MILE_ADD_MS
from ..training.schemas import CABLE_ADD_MS

SEED = 17
CABLES, LAST_MILE = "RTT along cables", "RTT along cables with last mile"


def group_of(feature: dict[str, Any]) -> str:
    """The group that a feature of the paths model belongs to, in words for people."""
    kind = feature["kind"]
    if "fields" in feature:
        label = feature["fields"][0].split("_", 1)[1]
        return "same cloud" if kind == "same" else label
    return {
        "distance_km": "distance",
        "latitude": "latitude and longitude",
        "longitude": "latitude and longitude",
        "cartesian": "unit vectors",
        "continent_count": "continents",
        "detour": "detours over hubs",
        "cable_ms": CABLES,
        "path_ms": LAST_MILE,
    }[kind]


def groups(schema: dict[str, Any]) -> dict[str, list[int]]:
    """The columns of each group."""
    found: dict[str, list[int]] = {}
    for column, feature in enumerate(schema["features"]):
        found.setdefault(group_of(feature), []).append(column)
    return found


def without(schema: dict[str, Any], group: str) -> dict[str, Any]:
    """The schema without a group's columns.

    Without the last mile the trees correct the RTT along the cables; without that one either, they predict ln RTT.
    """
    dropped = {group, LAST_MILE} if group == CABLES else {group}
    kept = [feature for feature in schema["features"] if group_of(feature) not in dropped]
    target = {name: value for name, value in schema["target"].items() if name != "base"}
    kinds = [feature["kind"] for feature in kept]
    if "path_ms" in kinds:
        target["base"] = {"feature": kinds.index("path_ms"), "add": LAST_MILE_ADD_MS}
    elif "cable_ms" in kinds:
        target["base"] = {"feature": kinds.index("cable_ms"), "add": CABLE_ADD_MS}
    return schema | {"features": kept, "target": target}


def permutation_importance(fitted: Fit, rows: pd.DataFrame) -> dict[str, float]:
    """How much the mean |ln(predicted / actual)| of held-out rows grows when a group's columns are shuffled together
    (Breiman 2001). A base that a group holds is shuffled with it.
    """
    random = np.random.default_rng(SEED)
    matrix = featurize(fitted.schema, rows)
    actual = to_target_space(fitted.schema, rows["rtt_ms"])
    median = [output.quantile for output in fitted.recipe.outputs].index(xgb.MEDIAN)

    def error(columns: np.ndarray) -> float:
        margin = xgb.margins([fitted.boosters[median]], columns)[:, 0] + base(fitted.schema, columns)
        return float(np.mean(np.abs(margin - actual)))

    undisturbed = error(matrix)
    grown = {}
    for group, columns in groups(fitted.schema).items():
        shuffled = matrix.copy()
        shuffled[:, columns] = matrix[random.permutation(len(matrix))][:, columns]
        grown[group] = error(shuffled) - undisturbed
    return grown
