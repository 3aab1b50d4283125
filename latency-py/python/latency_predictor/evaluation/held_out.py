"""Predictions for rows that a model never saw: four ways to hold rows out, each asked as a user would ask.

- `places`: five folds of places. C2 rows have one end in a place that training never saw, C3 rows both.
- `pairs`: C1, both places are known and only the pair is new. It flatters, and exists for contrast.
- `countries`: five folds of whole countries, C2 and C3 likewise.
- `sets`: one data set is held out, the others are trained on.

Every model is exported, loaded by the core and asked through it: what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data import split
from ..data import table as tidy
from ..predictor import Predictor
from ..training import boosters as xgb
from ..training import calibration, paths
from ..training.fit import Fit, to_target_space
from ..training.paths import ENDS, LABELS, Report
from ..training.spread import path_kind
from . import baselines, strata
from .reliability import expected_below, p95_below

Floats = npt.NDArray[np.float64]

MODEL = "this model"
QUICK = "quick model"
FIELDS = [*tidy.COORDINATES, *tidy.CATEGORIES]
NUMBERS = ("low_ms", "high_ms", "p90_ms", "p99_ms")
HIDDEN = {
    "access unknown": [label for label in LABELS if label.endswith("access")],
    "provider and tier unknown": [label for label in LABELS if not label.endswith("access")],
    "nothing known": LABELS,
}
"""Labels that a caller may not know; the model is asked again without them."""


FROM_OTHERS = "from the other sets"


@dataclass(frozen=True)
class HeldOut:
    """Rows to train on, and the case of each row to ask about (empty: not asked)."""

    name: str
    train: split.Mask
    case: npt.NDArray[np.object_]


def places(table: pd.DataFrame) -> list[HeldOut]:
    """Five folds of places."""
    return [_by_ends(str(fold), split.by_place(table, fold)) for fold in range(split.FOLDS)]


def countries(table: pd.DataFrame) -> list[HeldOut]:
    """Five folds of countries."""
    return [_by_ends(str(fold), split.by_country(table, fold)) for fold in range(split.FOLDS)]


def pairs(table: pd.DataFrame) -> list[HeldOut]:
    """Five folds of pairs of known places."""
    folds = [split.by_pair(table, fold) for fold in range(split.FOLDS)]
    return [HeldOut(str(fold), masks.train, np.where(masks.c1, "C1", "")) for fold, masks in enumerate(folds)]


def sets(table: pd.DataFrame) -> list[HeldOut]:
    """Each data set, predicted from the others."""
    names = sorted(table["dataset"].unique())
    own = {name: (table["dataset"] == name).to_numpy() for name in names}
    return [HeldOut(name, ~own[name], np.where(own[name], FROM_OTHERS, "")) for name in names if len(names) > 1]


def _by_ends(name: str, masks: split.EndSplit) -> HeldOut:
    return HeldOut(name, masks.train, np.select([masks.c2, masks.c3], ["C2", "C3"], ""))


def nested_offsets(
    table: pd.DataFrame, recipes: Sequence[xgb.Recipe], report: Report | None = None
) -> list[list[calibration.Offset]]:
    """Conformal offsets for each fold of places from models and rows that never saw the fold's places.

    For each fold and each other one, a fit with the fold's recipe leaves both out and is asked about the other.
    """
    masks = [split.by_place(table, fold) for fold in range(split.FOLDS)]
    weight, distance_km = paths.row_weights(table), paths.floor_distance_km(table)
    fits: dict[tuple[frozenset[int], xgb.Recipe], Fit] = {}
    found = []
    for judged, recipe in enumerate(recipes):
        # The offset of the median is zero whatever its trees say: one of them will do.
        outputs = tuple(
            replace(output, rounds=1) if output.quantile == xgb.MEDIAN else output for output in recipe.outputs
        )
        quick = replace(recipe, outputs=outputs)
        parts = []
        for asked in (fold for fold in range(split.FOLDS) if fold != judged):
            key = (frozenset((judged, asked)), quick)
            if key not in fits:
                if report:
                    report(f"calibrating without folds {judged + 1} and {asked + 1}")
                fits[key] = paths.fit_paths(table[masks[judged].train & masks[asked].train], quick)
            rows = masks[judged].train & ~masks[asked].train
            actual = to_target_space(fits[key].schema, table.loc[rows, "rtt_ms"])
            parts.append((fits[key].margins(table[rows]), actual, weight[rows], distance_km[rows]))
        found.append(calibration.offsets(outputs, *(np.concatenate(column) for column in zip(*parts, strict=True))))
    return found


def predict(table: pd.DataFrame, held: HeldOut, fitted: Fit, hide_labels: bool = False) -> pd.DataFrame:
    """What a fit to the training rows, and each baseline, say about the rows held out.

    One row per row asked: `fold`, `case`, `dataset`, `src`, `dst` (places), coordinates, the strata, `actual`, one
    column per method with its p50, the model's `low_ms`, `high_ms`, `p90_ms`, `p99_ms`, what `reliability` needs, and
    with `hide_labels` three columns per entry of `HIDDEN`.
    """
    asked = held.case != ""
    train, test = table[held.train], table[asked]
    predictor = Predictor(fitted.to_bytes(), sessions=1)
    known = known_labels(train, test)
    answer = predictor.predict_batch(known[FIELDS])
    result = pd.DataFrame(
        {
            "fold": held.name,
            "case": held.case[asked],
            "dataset": test["dataset"],
            **{end: split.places(test[f"{end}_lat"], test[f"{end}_lon"]).to_numpy() for end in ENDS},
            **{name: test[name] for name in tidy.COORDINATES},
            "kind": path_kind(test),
            "below_p90": expected_below(test, answer["p90_ms"]),
            "below_p99": expected_below(test, answer["p99_ms"]),
            "p95_below_p99": p95_below(test, answer["p99_ms"]),
            "actual": test["rtt_ms"],
            **{name: answer[name].astype(float) for name in NUMBERS},
            MODEL: answer["p50_ms"].astype(float),
            QUICK: baselines.quick_model(train, known),
        }
    ).join(strata.describe(test))
    for name, rule in baselines.RULES.items():
        # Rules are fitted per data set where they can be: each is as good as it can be.
        for dataset, rows in test.groupby("dataset"):
            own = train[train["dataset"] == dataset]
            result.loc[rows.index, name] = rule(own if len(own) else train, rows)
    if hide_labels:
        for name, labels in HIDDEN.items():
            unlabelled = predictor.predict_batch(known[[field for field in FIELDS if field not in labels]])
            result[name] = unlabelled["p50_ms"].astype(float)
            for end in ("low_ms", "high_ms"):
                result[f"{name} {end}"] = unlabelled[end].astype(float)
    return result.reset_index(drop=True)


def known_labels(train: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """The rows asked, without the labels that no training row has at either end: a caller who reads the model's warning
    about an unseen label leaves it out.
    """
    shown = asked.copy()
    for word in ("access", "provider", "tier"):
        columns = [f"{end}_{word}" for end in ENDS]
        seen = set().union(*(train[column].dropna() for column in columns))
        for column in columns:
            shown[column] = asked[column].where(asked[column].isin(seen))
    return shown
