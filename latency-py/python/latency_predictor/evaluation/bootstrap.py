"""How far a figure would move with other places: Bayesian bootstrap over places, not rows (Rubin 1981).

Drawing places with replacement would leave out a third of them, and more than half of the pairs: with few places that
shows another set, not another draw. Here each place gets a random weight instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

ROUNDS = 200
SEED = 3
LEVEL = 0.90


def interval(folds: Sequence[pd.DataFrame], figures: Sequence[Callable[[Floats], float]]) -> list[float]:
    """90 % interval of the mean of a figure over folds, weighing the places `src` and `dst` of each fold's rows.

    `figures` has a function per fold from row weights to the figure. A row's weight is the product of its places'
    (exponential with mean 1): rows of one place rise and fall together, as they would with other places.
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
            drawn = random.exponential(size=places)
            values.append(figure(drawn[src] * drawn[dst]))
        means.append(np.mean(values))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]
