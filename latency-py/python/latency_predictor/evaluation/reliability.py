"""Whether `p90_ms` and `p99_ms` hold on paths that training never saw.

No source has single measurements. From a path's median and scale follows what share of its measurements stays below
a time, if they are exponential in log space as `spread` has it; beside that stands what was measured: on how many
paths the 95 % quantile stays below `p99_ms`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..training import spread

Floats = npt.NDArray[np.float64]


def expected_below(rows: pd.DataFrame, ms: npt.ArrayLike) -> Floats:
    """For each row of the tidy table, the share of its path's measurements that stays below a time.

    NaN where the source does not say how measurements scatter.
    """
    scales = spread.path_scales(rows).to_numpy(float)
    share: Floats = 1 - spread.exceedance(np.log(np.asarray(ms, dtype=float) / rows["rtt_ms"].to_numpy(float)), scales)
    return share


def p95_below(rows: pd.DataFrame, ms: npt.ArrayLike) -> Floats:
    """1 where the 95 % quantile of more than three measurements is at most this time, else 0; NaN without one."""
    p95 = rows["rtt_p95_ms"].where(rows["n"] > 3).to_numpy(float)
    below: Floats = np.where(np.isnan(p95), np.nan, p95 <= np.asarray(ms, dtype=float))
    return below


def reliability(rows: pd.DataFrame) -> dict[str, Any]:
    """Means over rows with `kind`, `below_p90`, `below_p99` and `p95_below_p99`, per kind of path.

    `p95_below_p99` is None for kinds whose sources have no 95 % quantile.
    """
    known = rows[rows["below_p90"].notna()]

    def summary(group: pd.DataFrame) -> dict[str, Any]:
        checked = group["p95_below_p99"].dropna()
        return {
            "rows": len(group),
            "below_p90": float(group["below_p90"].mean()),
            "below_p99": float(group["below_p99"].mean()),
            "p95_rows": len(checked),
            "p95_below_p99": float(checked.mean()) if len(checked) else None,
        }

    return {str(name): summary(group) for name, group in known.groupby("kind", observed=True)}
