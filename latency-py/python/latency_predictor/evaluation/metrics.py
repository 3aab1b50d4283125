"""Metrics of RTT predictions, each with weights of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..training.calibration import weighted_quantile

Floats = npt.NDArray[np.float64]
Metric = Callable[[Floats, Floats, Floats], float]


def relative_error(actual: Floats, predicted: Floats) -> Floats:
    """|predicted − actual| / actual."""
    error: Floats = np.abs(predicted - actual) / actual
    return error


def median_relative_error(actual: Floats, predicted: Floats, weight: Floats) -> float:
    """Median of |predicted − actual| / actual."""
    return weighted_quantile(relative_error(actual, predicted), weight, 0.5)


def p90_relative_error(actual: Floats, predicted: Floats, weight: Floats) -> float:
    """90 % quantile of |predicted − actual| / actual."""
    return weighted_quantile(relative_error(actual, predicted), weight, 0.9)


def within_20_percent(actual: Floats, predicted: Floats, weight: Floats) -> float:
    """Share of rows whose relative error is at most 0.2."""
    return float(np.average(np.abs(predicted - actual) <= 0.2 * actual, weights=weight))


def mean_absolute_error(actual: Floats, predicted: Floats, weight: Floats) -> float:
    """Mean of |predicted − actual|, ms."""
    return float(np.average(np.abs(predicted - actual), weights=weight))


def mean_log_error(actual: Floats, predicted: Floats, weight: Floats) -> float:
    """Mean of |ln(predicted / actual)|: steadier than the median, fair to both sides."""
    return float(np.average(np.abs(np.log(predicted / actual)), weights=weight))


def r_squared(actual: Floats, predicted: Floats, weight: Floats) -> float:
    """Share of the variance explained."""
    mean = np.average(actual, weights=weight)
    residual = np.average((actual - predicted) ** 2, weights=weight)
    return float(1 - residual / np.average((actual - mean) ** 2, weights=weight))


METRICS: dict[str, Metric] = {
    "median_relative_error": median_relative_error,
    "p90_relative_error": p90_relative_error,
    "within_20_percent": within_20_percent,
    "mae_ms": mean_absolute_error,
    "mean_log_error": mean_log_error,
    "r2": r_squared,
}


def pinball(actual: Floats, predicted: Floats, quantile: float) -> float:
    """Mean pinball loss of a quantile of ln RTT (Koenker and Bassett 1978); in logarithms, so that far paths do not
    drown near ones.
    """
    above = np.log(actual / predicted)
    return float(np.mean(np.maximum(quantile * above, (quantile - 1) * above)))


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Share of rows inside their interval."""
    return float(np.mean((low <= actual) & (actual <= high)))


def width_ratio(low: Floats, high: Floats) -> float:
    """Median of high / low."""
    return float(np.median(high / low))
