"""What the access at both ends does to the RTT along the cables: a factor and some ms per end, by access kind.

The first guess that the trees correct: RTT ≈ cable RTT · factor · factor + ms + ms. Fitted to the logarithms by least
absolute deviation, smoothed near zero so that L-BFGS can follow it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize

from ..data import table as tidy

Floats = npt.NDArray[np.float64]

FIELDS = ("src_access", "dst_access")
MISSING = "missing"
KINDS = (*tidy.ACCESS, MISSING)
ADD_MS = 1.0
"""Added to the first guess, so that its logarithm is steady where it is small."""

SMOOTH = 0.02
RIDGE = 0.01
START_MS = 2.0
BOUNDS_LOG_FACTOR, BOUNDS_MS = (-1.0, 1.5), (0.0, 150.0)
ITERATIONS = 200


def fit(rows: pd.DataFrame, cable_ms: Floats, weight: Floats) -> dict[str, Any]:
    """The `last_mile` part of a schema, from tidy rows and their RTT along the cables, ms.

    A kind that no row has is taken for a missing one.
    """
    counts = _counts(rows)
    target = np.log(rows["rtt_ms"].to_numpy(float))
    share = weight / weight.sum()
    kinds = len(KINDS)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        log_factor, ms = parameters[:kinds], parameters[kinds:]
        stretched = cable_ms * np.exp(counts @ log_factor)
        guess = stretched + counts @ ms + ADD_MS
        error = np.log(guess) - target
        size = np.sqrt(error**2 + SMOOTH**2)
        slope = share * error / size
        gradient = np.concatenate(
            [counts.T @ (slope * stretched / guess) + 2 * RIDGE * log_factor, counts.T @ (slope / guess)]
        )
        return float(share @ size + RIDGE * (log_factor**2).sum()), gradient

    start = np.concatenate([np.zeros(kinds), np.full(kinds, START_MS)])
    found = scipy.optimize.minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[BOUNDS_LOG_FACTOR] * kinds + [BOUNDS_MS] * kinds,
        options={"maxiter": ITERATIONS},
    ).x
    stretches = {
        kind: {"factor": round(float(np.exp(found[index])), 4), "ms": round(float(found[kinds + index]), 3)}
        for index, kind in enumerate(KINDS)
    }
    missing = stretches.pop(MISSING)
    seen = counts.any(axis=0)
    stretches = {kind: stretch if seen[KINDS.index(kind)] else missing for kind, stretch in stretches.items()}
    return {"fields": list(FIELDS), "kinds": stretches, "missing": missing}


def _counts(rows: pd.DataFrame) -> Floats:
    """How many ends of each row are of each kind."""
    ends = [rows[field].astype(object).where(rows[field].notna(), MISSING).to_numpy() for field in FIELDS]
    counts: Floats = np.stack([sum((end == kind).astype(float) for end in ends) for kind in KINDS], axis=1)
    return counts
