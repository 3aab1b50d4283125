"""How far a figure would move with other places: bootstrap over places, not rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

ROUNDS = 200
SEED = 3
LEVEL = 0.90


@dataclass(frozen=True)
class Interval:
    """A 90 % interval of a figure."""

    low: float
    high: float

    def as_list(self) -> list[float]:
        """For JSON."""
        return [self.low, self.high]


def interval(folds: Sequence[pd.DataFrame], figures: Sequence[Callable[[Floats], float]]) -> Interval:
    """90 % interval of the mean of a figure over folds, resampling the places `src` and `dst` of each fold's rows.

    `figures` has a function per fold from row weights to the figure. A row counts as often as both its places are
    drawn: rows of one place rise and fall together, as they would with other places.
    """
    random = np.random.default_rng(SEED)
    ends = []
    for fold in folds:
        codes, places = pd.factorize(pd.concat([fold["src"], fold["dst"]]))
        ends.append((codes[: len(fold)], codes[len(fold) :], len(places)))
    means = []
    for _ in range(ROUNDS):
        values = []
        for (src, dst, places), figure in zip(ends, figures, strict=True):
            drawn = np.bincount(random.integers(places, size=places), minlength=places)
            weight = (drawn[src] * drawn[dst]).astype(float)
            if weight.any():
                values.append(figure(weight))
        if values:
            means.append(np.mean(values))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if means else (np.nan, np.nan)
    return Interval(float(low), float(high))
