"""Conformal offsets: how far each quantile must move, in target space, to hold on unseen places.

Conformalised quantile regression (Romano, Patterson, Candès 2019), each side on its own: the offset of an
upper quantile q is the q-quantile of `actual − predicted` over held-out rows, with the finite-sample
correction (n + 1) / n; of a lower one, likewise downwards. The median is left as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .boosters import Output

Floats = npt.NDArray[np.float64]


def offsets(outputs: tuple[Output, ...], predicted: Floats, actual: Floats, weight: Floats) -> list[float]:
    """One offset per output, from held-out rows in target space (`predicted`: one column per output)."""
    return [
        round(_offset(output.quantile, actual - predicted[:, column], weight), 6)
        for column, output in enumerate(outputs)
    ]


def _offset(quantile: float, error: Floats, weight: Floats) -> float:
    if quantile == 0.5:
        return 0.0
    correction = (len(error) + 1) / len(error)
    if quantile > 0.5:
        return weighted_quantile(error, weight, min(1.0, quantile * correction))
    return -weighted_quantile(-error, weight, min(1.0, (1 - quantile) * correction))


def weighted_quantile(values: Floats, weight: Floats, level: float) -> float:
    """The smallest value with at least `level` of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    position = int(np.searchsorted(total, level * total[-1], side="left"))
    return float(values[order][min(position, len(values) - 1)])


def schema_outputs(outputs: tuple[Output, ...], found: list[float] | None = None) -> list[dict[str, Any]]:
    """The `outputs` part of a schema."""
    return [
        {"name": output.name, "quantile": output.quantile, "offset": offset}
        for output, offset in zip(outputs, found or [0.0] * len(outputs), strict=True)
    ]
