"""How single measurements scatter around a path's median, learned from the sources' min/avg/max and p95.

In log space the excess is exponential: `ln(x / median) = scale · (E − ln 2)` with E ~ Exp(1). A path's scale
follows from whatever statistic a source has:

- 95 % quantile: `ln(p95 / p50) = scale · ln 10`;
- largest of n pings: `ln(max / avg) ≈ scale · (H_n − 1)`, since the expected maximum of n exponentials is the
  n-th harmonic number H_n and their mean is 1.

Paths differ, so one scale per access kind is chosen such that the 90 % quantile of the mixture over its paths
is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize

from ..data import table as tidy
from ..errors import TrainingError

FIELDS = ("src_access", "dst_access")
MIN_PATHS = 20
MIN_SCALE = 1e-4
P90 = 0.90


def path_scales(rows: pd.DataFrame) -> pd.Series:
    """The scale of each row's path; NaN where the source has no statistic to learn it from."""
    pings = rows["n"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_p95 = np.log(rows["rtt_p95_ms"] / rows["rtt_ms"]) / np.log(10)
        harmonic = np.log(pings) + np.euler_gamma + 0.5 / pings
        by_max = np.log(rows["rtt_max_ms"] / rows["rtt_ms"]) / (harmonic - 1)
    by_p95 = by_p95.where(pings > 3)
    by_max = by_max.where(pings > 3)
    return by_p95.fillna(by_max).clip(lower=MIN_SCALE)


def path_kind(rows: pd.DataFrame) -> pd.Series:
    """The access kind that decides: the end that is no server, if one is; missing if an end is unknown."""
    src, dst = rows[FIELDS[0]], rows[FIELDS[1]]
    return src.where(src.ne("server") | dst.isna(), dst).where(src.notna() & dst.notna())


def fit(rows: pd.DataFrame) -> dict[str, Any]:
    """The `spread` part of a schema.

    A kind with fewer than 20 measured paths takes the scale of the known kind that it resembles most:
    `residential` is the mean of wired and Wi-Fi homes, anything else the mean over all paths.
    """
    scales, kinds = path_scales(rows), path_kind(rows)
    known = scales.notna()
    if known.sum() < MIN_PATHS:
        raise TrainingError(
            f"only {int(known.sum())} rows say how measurements scatter (rtt_max_ms or rtt_p95_ms, with n above "
            f"3); allowed: at least {MIN_PATHS}"
        )
    fitted = {
        kind: mixture_scale(scales[known & (kinds == kind)].to_numpy())
        for kind in tidy.ACCESS
        if (known & (kinds == kind)).sum() >= MIN_PATHS
    }
    overall = float(np.mean(list(fitted.values()))) if fitted else mixture_scale(scales[known].to_numpy())
    homes = [fitted[kind] for kind in ("wired", "wifi") if kind in fitted]
    residential = float(np.mean(homes)) if homes else overall
    substitutes = {"residential": residential}
    scale = {kind: round(fitted.get(kind, substitutes.get(kind, overall)), 5) for kind in tidy.ACCESS}
    return {"fields": list(FIELDS), "scale": scale, "missing": round(overall, 5)}


def mixture_scale(scales: npt.NDArray[np.float64]) -> float:
    """The one scale whose 90 % quantile is that of a measurement on a path drawn at random."""
    top = float(scales.max()) * 10

    def excess(x: float) -> float:
        # P(E > x / scale + ln 2), averaged over paths.
        return float(np.mean(np.exp(-x / scales - np.log(2)))) - (1 - P90)

    quantile = scipy.optimize.brentq(excess, 0.0, top)
    return float(quantile / (np.log(10) - np.log(2)))
