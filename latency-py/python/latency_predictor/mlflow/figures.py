"""Two models' figures side by side: what a challenger may be, given the champion."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InvalidInputError
from ..predictor import Predictor
from .errors import RegistryError

TOLERANCE = 0.02
SET_TOLERANCE = 3
"""A single data set may move by this many times the tolerance: it has fewer rows than the mean over all sets."""

NOMINAL = 0.9
LOWER = ("median_relative_error", "p90_relative_error", "mae", "mae_ms", "p50_pinball", "p90_pinball")
HIGHER = ("within_20_percent",)
NEAR = ("interval_coverage", "below_p90")


@dataclass(frozen=True)
class Figure:
    """One metric of both models, and whether the challenger's is allowed. `allowed` is a limit in words."""

    name: str
    champion: float | None
    challenger: float | None
    allowed: str
    good: bool


def compare(
    champion: Mapping[str, float], challenger: Mapping[str, float], tolerance: float, rows: float | None = None
) -> list[Figure]:
    """Every figure that both should have, by name. What one of them lacks is not allowed.

    `rows` is how many rows the shares are of: those that should be 0.9 may miss it by two standard errors more.
    """
    names = list(dict.fromkeys([*champion, *challenger]))
    noise = 2 * math.sqrt(NOMINAL * (1 - NOMINAL) / rows) if rows else 0.0
    return [_figure(name, champion.get(name), challenger.get(name), tolerance, noise) for name in names]


def _figure(name: str, champion: float | None, challenger: float | None, tolerance: float, noise: float) -> Figure:
    if champion is None or challenger is None:
        return Figure(name, champion, challenger, "given by both models", good=False)
    kind = name.rsplit("/", 1)[-1]
    if name.startswith("set "):
        tolerance *= SET_TOLERANCE
    if kind in LOWER:
        limit = champion * (1 + tolerance)
        return Figure(name, champion, challenger, f"at most {limit:.4f}", challenger <= limit)
    if kind in HIGHER:
        limit = champion * (1 - tolerance)
        return Figure(name, champion, challenger, f"at least {limit:.4f}", challenger >= limit)
    if kind in NEAR:
        slack = abs(champion - NOMINAL) + tolerance + noise
        good = abs(challenger - NOMINAL) <= slack
        allowed = f"{max(NOMINAL - slack, 0):.4f} to {min(NOMINAL + slack, 1):.4f}"
        return Figure(name, champion, challenger, allowed, good)
    return Figure(name, champion, challenger, f"{champion:g}", challenger == champion)


def same_data(champion: Predictor, challenger: Predictor) -> bool:
    """Whether both models' files hold figures of the same held-out rows: the same table and the same target."""
    tables = [predictor.model_info["provenance"].get("table_sha256") for predictor in (champion, challenger)]
    targets = [predictor.schema["target"]["name"] for predictor in (champion, challenger)]
    held = [bool(predictor.model_info["provenance"].get("held_out_metrics")) for predictor in (champion, challenger)]
    return tables[0] is not None and tables[0] == tables[1] and targets[0] == targets[1] and all(held)


def in_file(predictor: Predictor) -> dict[str, float]:
    """The held-out figures in a model's file; of the paths model the means over its data sets, and each set's error."""
    held_out: dict[str, Any] = predictor.model_info["provenance"].get("held_out_metrics", {})
    accuracy = held_out.get("accuracy")
    if accuracy is None:
        return {name: float(value) for name, value in held_out.items()}
    found: dict[str, list[float]] = {}
    single = {}
    for dataset, cases in accuracy.items():
        for case, figures in cases.items():
            for name, value in figures.items():
                found.setdefault(f"mean {case}/{name}", []).append(value)
            single[f"set {dataset} {case}/median_relative_error"] = float(figures["median_relative_error"])
    return {name: float(np.mean(values)) for name, values in found.items()} | single


def check_columns(champion: Predictor, challenger: Predictor, columns: Collection[str]) -> None:
    """Refuses held-out rows that leave one model without a column that it reads, and the other not.

    What neither of them is told of is fair; what only one of them misses would make it look worse than it is.
    """
    absent = [
        {
            field["name"]
            for field in predictor.schema["fields"]
            if field["name"] not in columns and not _is_named(predictor, field["name"], columns)
        }
        for predictor in (champion, challenger)
    ]
    unfair = sorted(absent[0] ^ absent[1])
    if unfair:
        who = "champion" if unfair[0] in absent[0] else "challenger"
        raise RegistryError(
            f"the held-out rows have no column `{unfair[0]}`, which only the {who} reads; give rows with the columns "
            "of both models"
        )


def _is_named(predictor: Predictor, field: str, columns: Collection[str]) -> bool:
    """Whether the name of a place stands for this coordinate."""
    coordinates = predictor.schema.get("coordinates", {})
    roles = {column: role for role, column in coordinates.items() if isinstance(column, str)}
    return roles.get(field, "")[:3] in set(columns) & {"src", "dst"}


def on_rows(predictor: Predictor, rows: pd.DataFrame, target: str) -> dict[str, float]:
    """The figures on held-out rows of one's own.

    Relative error of p50 (for targets above zero), mean absolute error, share inside low..high, share at or below
    p90, and the pinball losses of p50 and p90 in the target's unit (Koenker and Bassett 1978).
    """
    if target not in rows:
        raise RegistryError(
            f"the held-out rows have no column `{target}`; they have: {', '.join(map(str, rows.columns))}"
        )
    actual = pd.to_numeric(rows[target], errors="coerce").to_numpy(dtype=float)
    known = np.isfinite(actual)
    if not known.any():
        raise RegistryError(f"the held-out rows have no number in the column `{target}`; give measured values")
    fields = {"src", "dst", *(field["name"] for field in predictor.schema["fields"])}
    table = rows.loc[known, [column for column in rows.columns if column in fields]]
    try:
        answer = predictor.predict_batch(table)
    except InvalidInputError as refusal:
        name = predictor.model_info["version"]
        raise RegistryError(f"the model {name} cannot answer the held-out rows: {refusal}") from refusal
    actual = actual[known]
    p50, low, high, p90 = (answer[name].to_numpy(dtype=float) for name in ("p50_ms", "low_ms", "high_ms", "p90_ms"))
    error = np.abs(p50 - actual)
    found = {"median_relative_error": float(np.median(error / actual))} if (actual > 0).all() else {}
    return found | {
        "mae": float(error.mean()),
        "interval_coverage": float(np.mean((low <= actual) & (actual <= high))),
        "below_p90": float(np.mean(actual <= p90)),
        "p50_pinball": _pinball(actual, p50, 0.5),
        "p90_pinball": _pinball(actual, p90, 0.9),
    }


def _pinball(actual: Any, predicted: Any, quantile: float) -> float:
    above = actual - predicted
    return float(np.mean(np.maximum(quantile * above, (quantile - 1) * above)))
