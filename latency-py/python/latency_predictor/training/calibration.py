"""Conformal offsets: how far each quantile must move, in target space, to hold on unseen places.

Conformalised quantile regression (Romano, Patterson, Candès 2019), each side on its own: the offset of an
upper quantile q is the q-quantile of `actual − predicted` over held-out rows, with the finite-sample
correction (n + 1) / n; of a lower one, likewise downwards. The median is left as it is.

Near pairs are missed by more than far ones, so that one offset for all would hold on the average alone. Where there are
distances, each bin of them has its own (Mondrian conformal prediction: Vovk, Gammerman, Shafer 2005), and between the
bins' middles the offset is linear in the logarithm of the distance, so that no interval jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .boosters import MEDIAN, Output

Floats = npt.NDArray[np.float64]


BIN_ENDS_KM = (300.0, 1000.0, 3000.0, 8000.0)
KNOTS_KM = (150.0, 550.0, 1700.0, 5000.0, 12_000.0)
MIN_BIN_ROWS = 50
"""A bin with fewer rows takes the offset of all rows."""


@dataclass(frozen=True)
class Offset:
    """What is added to an output in target space: a number, and one more by distance (km, offset)."""

    constant: float = 0.0
    by_distance: tuple[tuple[float, float], ...] = ()

    def at(self, distance_km: Floats) -> Floats:
        """The offset at each distance, as the core has it."""
        if not self.by_distance:
            return np.full(len(distance_km), self.constant)
        knots, values = zip(*self.by_distance, strict=True)
        found: Floats = self.constant + np.interp(np.log(np.maximum(distance_km, 1.0)), np.log(knots), values)
        return found


def offsets(
    outputs: tuple[Output, ...], predicted: Floats, actual: Floats, weight: Floats, distance_km: Floats | None = None
) -> list[Offset]:
    """One offset per output, from held-out rows in target space (`predicted`: one column per output)."""
    found = []
    for column, output in enumerate(outputs):
        error = actual - predicted[:, column]
        everywhere = round(_offset(output.quantile, error, weight), 6)
        if distance_km is None or output.quantile == MEDIAN:
            found.append(Offset(everywhere))
            continue
        bins = np.digitize(distance_km, BIN_ENDS_KM)
        knots = []
        for position, knot in enumerate(KNOTS_KM):
            own = bins == position
            enough = own.sum() >= MIN_BIN_ROWS
            offset = round(_offset(output.quantile, error[own], weight[own]), 6) if enough else everywhere
            knots.append((knot, offset))
        found.append(Offset(0.0, tuple(knots)))
    return found


def average(found: Sequence[Offset]) -> Offset:
    """The mean of offsets with the same knots."""
    values = np.mean([[value for _, value in offset.by_distance] for offset in found], axis=0)
    knots = [knot for knot, _ in found[0].by_distance]
    constant = float(np.mean([offset.constant for offset in found]))
    return Offset(constant, tuple(zip(knots, values.tolist(), strict=True)))


def _offset(quantile: float, error: Floats, weight: Floats) -> float:
    if quantile == MEDIAN:
        return 0.0
    correction = (len(error) + 1) / len(error)
    if quantile > MEDIAN:
        return weighted_quantile(error, weight, min(1.0, quantile * correction))
    return -weighted_quantile(-error, weight, min(1.0, (1 - quantile) * correction))


def weighted_quantile(values: Floats, weight: Floats, level: float) -> float:
    """The smallest value with at least `level` of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    position = int(np.searchsorted(total, level * total[-1], side="left"))
    return float(values[order][min(position, len(values) - 1)])


def schema_outputs(outputs: tuple[Output, ...], found: list[Offset] | None = None) -> list[dict[str, Any]]:
    """The `outputs` part of a schema."""
    return [
        {"name": output.name, "quantile": output.quantile, "offset": offset.constant}
        | ({"offset_by_distance": [list(knot) for knot in offset.by_distance]} if offset.by_distance else {})
        for output, offset in zip(outputs, found or [Offset()] * len(outputs), strict=True)
    ]
