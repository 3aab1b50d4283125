"""What a prediction must beat: rules that need no model, and a plain untuned XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize
import xgboost

from ..data import table as tidy
from ..data.geo import floor_ms
from ..training import boosters, calibration, schemas, tables
from ..training.fit import featurize
from ..training.paths import floor_distance_km, merge_directions
from . import strata

Floats = npt.NDArray[np.float64]

FLOOR_MULTIPLE = 2.1
"""Bozkurt et al. 2018: the median RTT is 2.1 times the great circle at the speed of light in fibre."""


def constant(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    """The median of the training rows."""
    return np.full(len(test), float(train["rtt_ms"].median()))


def floor_rule(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    """2.1 × floor."""
    rule: Floats = FLOOR_MULTIPLE * floor_ms(test)
    return rule


def line(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    """A line in distance with the least absolute deviation."""
    distance, rtt = floor_distance_km(train), train["rtt_ms"].to_numpy(float)
    start = np.polyfit(distance, rtt, 1)[::-1]
    found = scipy.optimize.minimize(
        lambda line: np.abs(rtt - line[0] - line[1] * distance).mean(), start, method="Nelder-Mead"
    ).x
    predicted: Floats = found[0] + found[1] * floor_distance_km(test)
    return predicted


def continent_ratio(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    """The floor times the median of RTT / floor between the same two continents; over all rows for a new pair."""
    floor = floor_ms(train)
    far = floor > 0
    ratio = pd.Series(train["rtt_ms"].to_numpy(float)[far] / floor[far])
    by_pair = ratio.groupby(strata.continent_pair(train[far])).median()
    own = pd.Series(strata.continent_pair(test)).map(by_pair).fillna(ratio.median())
    predicted: Floats = own.to_numpy(float) * floor_ms(test)
    return predicted


RULES = {
    "constant": constant,
    "2.1 × floor": floor_rule,
    "line in distance": line,
    "ratio by continents": continent_ratio,
}


def quick_model(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    """XGBoost as it comes (300 rounds, eta 0.1, depth 6, squared error of the log) on distance, coordinates,
    continents and one column per label: what an afternoon gives.
    """
    schema = _quick_schema()
    rows = merge_directions(train)
    data = xgboost.DMatrix(featurize(schema, rows), np.log(rows["rtt_ms"].to_numpy()))
    parameters = {"max_depth": 6, "eta": 0.1, "seed": boosters.SEED, "nthread": boosters.THREADS}
    booster = xgboost.train(parameters, data, 300)
    predicted: Floats = np.exp(booster.inplace_predict(featurize(schema, test)).astype(np.float64))
    return np.maximum(predicted, floor_ms(test))


def _quick_schema() -> dict[str, Any]:
    fields = [schemas.coordinate_field(f"{end}_{axis}", axis) for end in ("src", "dst") for axis in ("lat", "lon")]
    features = [feature for feature in schemas.geography([]) if feature["kind"] != "cartesian"]
    for name, categories in tidy.CATEGORIES.items():
        fields.append({"name": name, "type": "category", "categories": list(categories)})
        features += [{"kind": "category", "field": name, "category": category} for category in categories]
    return {
        "format": schemas.FORMAT,
        "name": "quick",
        "fields": fields,
        "coordinates": {name: name for name in schemas.COORDINATE_NAMES},
        "features": features,
        "target": {"name": "rtt_ms", "unit": "ms", "transform": "log"},
        # Never exported, but a schema is checked as a whole.
        "outputs": calibration.schema_outputs(tables.RECIPE.outputs),
    }
