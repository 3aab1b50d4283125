"""What the access at both ends adds to the RTT along the cables: some ms per end, by access kind.

The first guess that the trees correct: RTT ≈ cable RTT + ms + ms. Fitted to the logarithms by least absolute deviation,
smoothed near zero so that L-BFGS can follow it.
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
START_MS = 2.0
BOUNDS_MS = (0.0, 150.0)
ITERATIONS = 200


def fit(rows: pd.DataFrame, cable_ms: Floats, weight: Floats) -> dict[str, Any]:
    """The `last_mile` part of a schema, from tidy rows and their RTT along the cables, ms.

    A kind that no row has is taken for a missing one.
    """
    counts = count_ends(rows, KINDS)
    target = np.log(rows["rtt_ms"].to_numpy(float))
    share = weight / weight.sum()

    def loss(ms: Floats) -> tuple[float, Floats]:
        guess = cable_ms + counts @ ms + ADD_MS
        error = np.log(guess) - target
        size = np.sqrt(error**2 + SMOOTH**2)
        return float(share @ size), counts.T @ (share * error / size / guess)

    start = np.full(len(KINDS), START_MS)
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[BOUNDS_MS] * len(KINDS), options={"maxiter": ITERATIONS}
    ).x
    seen = [total > 0 for total in counts.sum(axis=0)]
    ms = {kind: round(float(found[index]), 3) for index, kind in enumerate(KINDS)}
    known = {kind: ms[kind] if seen[index] else ms[MISSING] for index, kind in enumerate(KINDS)}
    missing_ms = known.pop(MISSING)
    return {"fields": list(FIELDS), "ms": known, "missing_ms": missing_ms}


def count_ends(rows: pd.DataFrame, kinds: tuple[str, ...]) -> Floats:
    """How many ends of each row are of each kind of access, one column per kind; `missing` counts as one."""
    ends = [rows[field].astype(object).where(rows[field].notna(), MISSING).to_numpy() for field in FIELDS]
    counts: Floats = np.stack([sum((end == kind).astype(float) for end in ends) for kind in kinds], axis=1)
    return counts
