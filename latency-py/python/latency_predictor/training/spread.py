"""How single measurements scatter around a path's median, learned from the sources' min/avg/max and p95.

On one path the excess over the median is exponential in log space: `ln(x / median) = scale · (E − ln 2)` with
E ~ Exp(1). A path's scale follows from whatever statistic a source has, by the expected order statistics of n
exponentials:

- 95 % quantile: `ln(p95 / p50) ≈ scale · gap(n)`, where `gap(n)` tends to ln 10;
- largest of n pings: `ln(max / avg) ≈ scale · (H_n − 1)`, since the expected maximum is the n-th harmonic number
  H_n and the mean is 1.

Paths of one kind differ, so that the 90 % and the 99 % quantile of a measurement on one of them, drawn at random, are
no quantiles of one exponential: each is fitted on its own, as a time plus a share of the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize
import scipy.special

from ..data import table as tidy
from ..errors import TrainingError

Floats = npt.NDArray[np.float64]

ENDS = ("src", "dst")
MIN_PATHS = 20
MIN_SCALE = 1e-4
LEVELS = {"p90": 0.90, "p99": 0.99}
DIGITS = 5


@dataclass(frozen=True)
class Kind:
    """A kind of end: how it is connected, and who hosts it if that counts."""

    name: str
    access: str
    providers: tuple[str, ...] = ()


CLOUD, RENTED = Kind("cloud server", "server", ("aws", "azure", "gcp")), Kind("rented server", "server")
KINDS = (CLOUD, RENTED, *(Kind(access, access) for access in tidy.ACCESS if access != "server"))
"""The first one that fits an end counts, and of a path's two ends the later one."""


def path_scales(rows: pd.DataFrame) -> pd.Series:
    """The scale of each row's path; NaN where the source has no statistic to learn it from."""
    pings = rows["n"].where(rows["n"] > 3)
    by_p95 = np.log(rows["rtt_p95_ms"] / rows["rtt_ms"]) / (
        _expected_quantile(0.95, pings) - _expected_quantile(0.5, pings)
    )
    by_max = np.log(rows["rtt_max_ms"] / rows["rtt_ms"]) / (_harmonic(pings) - 1)
    return by_p95.fillna(by_max).clip(lower=MIN_SCALE)


def _expected_quantile(level: float, count: pd.Series) -> pd.Series:
    """Expected quantile of so many exponentials with mean 1, interpolated between order statistics as usual."""
    at = (count - 1) * level
    below = np.floor(at)

    def order(rank: pd.Series) -> pd.Series:
        return _harmonic(count) - _harmonic(count - 1 - rank)

    return order(below) + (at - below) * (order(below + 1) - order(below))


def _harmonic(n: pd.Series) -> pd.Series:
    return pd.Series(scipy.special.digamma(n.to_numpy() + 1) + np.euler_gamma, index=n.index)


def path_kind(rows: pd.DataFrame) -> pd.Series:
    """The name of the kind that decides, the later one of both ends; missing if an end is not known."""
    src, dst = (_end_kind(rows, end) for end in ENDS)
    kind = np.where((src < 0) | (dst < 0), -1, np.maximum(src, dst))
    return pd.Series(pd.Categorical.from_codes(kind, [kind.name for kind in KINDS]), index=rows.index)


def _end_kind(rows: pd.DataFrame, end: str) -> npt.NDArray[np.int64]:
    """The index of each row's kind at one end, -1 if it is not known."""
    access, provider = rows[f"{end}_access"], rows[f"{end}_provider"]
    fits = [access.eq(kind.access) & (provider.isin(kind.providers) if kind.providers else True) for kind in KINDS]
    return np.select(fits, range(len(KINDS)), -1)


def fit(rows: pd.DataFrame) -> dict[str, Any]:
    """The `spread` part of a schema.

    A kind with fewer than 20 measured paths takes what the kinds that it resembles most have. That is a choice, not a
    measurement: `residential` is the mean of wired and Wi-Fi homes, a server of one kind is as one of the other, and
    anything else, like an end that is not known, the mean over all kinds.
    """
    scales, kinds = path_scales(rows), path_kind(rows)
    known = scales.notna()
    if known.sum() < MIN_PATHS:
        raise TrainingError(
            f"only {int(known.sum())} rows say how measurements scatter (rtt_max_ms or rtt_p95_ms, with n above "
            f"3); allowed: at least {MIN_PATHS}"
        )

    def measure(chosen: pd.Series) -> dict[str, dict[str, float]]:
        medians = rows["rtt_ms"][chosen].to_numpy(float)
        paths = scales[chosen].to_numpy(float)
        return {name: mixture_excess(medians, paths, level) for name, level in LEVELS.items()}

    fitted = {
        kind.name: measure(known & (kinds == kind.name))
        for kind in KINDS
        if (known & (kinds == kind.name)).sum() >= MIN_PATHS
    }
    overall = _mean(list(fitted.values())) if fitted else measure(known)
    alike = {"residential": ("wired", "wifi"), CLOUD.name: (RENTED.name,), RENTED.name: (CLOUD.name,)}

    def excesses(kind: str) -> dict[str, dict[str, float]]:
        similar = [fitted[other] for other in alike.get(kind, ()) if other in fitted]
        return fitted.get(kind, _mean(similar) if similar else overall)

    return {
        "ends": [{"access": f"{end}_access", "provider": f"{end}_provider"} for end in ENDS],
        "kinds": [
            {
                "name": kind.name,
                "access": [kind.access],
                **({"provider": list(kind.providers)} if kind.providers else {}),
                **_rounded(excesses(kind.name)),
            }
            for kind in KINDS
        ],
        "unknown": _rounded(overall),
    }


def mixture_excess(medians: Floats, scales: Floats, level: float) -> dict[str, float]:
    """How far above the median a quantile of one measurement lies, on a path drawn at random: `ms` and `relative`.

    Of all mixtures of a time and a share of the median that the right part of the measurements stays below, it is the
    one with the least quantile loss in log space: the one that is right on slow and fast paths alike.
    """

    def exceeded(excess: Floats) -> float:
        return float(np.mean(exceedance(excess, scales))) - (1 - level)

    def calibrated(shape: Floats) -> float:
        """The multiple of the shape, an excess per path, that is exceeded as often as it should be."""
        top = float(np.expm1(scales.max() * np.log(1 / (1 - level))) / shape.min())
        return float(scipy.optimize.brentq(lambda times: exceeded(np.log1p(times * shape)), 0.0, top))

    alone = {"ms": calibrated(1 / medians), "relative": calibrated(np.ones_like(medians))}

    def mixture(share: float) -> tuple[float, float, Floats]:
        """Times, shares of the median, and the excess in log space; `share` of it is a time."""
        ms, relative = share * alone["ms"], (1 - share) * alone["relative"]
        times = calibrated(ms / medians + relative)
        return times * ms, times * relative, np.log1p(times * (ms / medians + relative))

    def loss(share: float) -> float:
        excess = mixture(share)[2]
        beyond = scales * exceedance(excess, scales)
        return float(np.mean(beyond + (1 - level) * (excess - scales * (1 - np.log(2)))))

    between = float(scipy.optimize.minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)
    ms, relative, _ = mixture(min((0.0, 1.0, between), key=loss))
    return {"ms": ms, "relative": relative}


def exceedance(excess: npt.ArrayLike, scales: npt.ArrayLike) -> Floats:
    """The share of a path's measurements further above its median than this, in log space."""
    share: Floats = np.exp(-np.maximum(np.asarray(excess) / np.asarray(scales) + np.log(2), 0.0))
    return share


def _mean(kinds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {part: float(np.mean([kind[name][part] for kind in kinds])) for part in ("ms", "relative")}
        for name in LEVELS
    }


def _rounded(kind: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: {part: round(value, DIGITS) for part, value in excess.items()} for name, excess in kind.items()}
