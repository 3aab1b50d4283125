"""The bundled model's recipe, and the recipes that its folds are judged with: as `latency tune` found them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..data import split
from . import boosters as xgb

_ENDS = xgb.Output("", 0.0, rounds=90, eta=0.15, max_depth=5, colsample=0.5, max_bin=64)
UNTUNED = xgb.Recipe(
    outputs=(
        replace(_ENDS, name="low_ms", quantile=0.05),
        xgb.Output("p50_ms", xgb.MEDIAN, rounds=300, eta=0.07, max_depth=6, colsample=0.5, max_bin=64),
        replace(_ENDS, name="high_ms", quantile=0.95),
    )
)
"""Where the search starts. Only the median is tuned: the ends of the interval are moved to where they hold anyway."""

TUNED = Path(__file__).with_name("tuned.json")
SETTINGS = ("max_depth", "rounds", "eta", "min_child_weight", "subsample", "colsample", "reg_lambda", "max_bin")
"""What is searched for the median."""

EVERYTHING = "all places"


def search_name(fold: int | None) -> str:
    """The name of the search without a fold of places, or of the one on all rows."""
    return EVERYTHING if fold is None else f"without fold {fold + 1}"


def settings_of(recipe: xgb.Recipe) -> dict[str, Any]:
    """The median's settings by name."""
    everything = asdict(median(recipe))
    return {name: everything[name] for name in SETTINGS}


def with_settings(recipe: xgb.Recipe, settings: dict[str, Any]) -> xgb.Recipe:
    """The recipe with other settings of the median."""
    outputs = tuple(
        replace(output, **settings) if output.quantile == xgb.MEDIAN else output for output in recipe.outputs
    )
    return replace(recipe, outputs=outputs)


def median(recipe: xgb.Recipe) -> xgb.Output:
    """The output that predicts the median."""
    return next(output for output in recipe.outputs if output.quantile == xgb.MEDIAN)


def tuned(fold: int | None = None) -> xgb.Recipe:
    """The recipe that a search found."""
    search = json.loads(TUNED.read_text())["searches"][search_name(fold)]
    return with_settings(UNTUNED, search["settings"])


BUNDLED = tuned()
"""The recipe of the bundled model."""

FOLDS = [tuned(fold) for fold in range(split.FOLDS)]
"""The recipe that each fold of places is judged with: chosen without any row that touches the fold."""
