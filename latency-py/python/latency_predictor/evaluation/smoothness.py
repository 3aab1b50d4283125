"""How often a prediction falls as the other end moves away: trees are steps, physics is not.

XGBoost's monotone constraint does not hold for quantile objectives, and a constraint in distance alone would be wrong:
the way to a place further off can be faster, where a cable lands. So it is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..data.geo import EARTH_RADIUS_KM
from ..predictor import Predictor

RAYS = 400
STEP_KM = 50.0
FARTHEST_KM = 12_000.0
SEED = 21
NOTABLE = 0.05


def falls(predictor: Predictor, starts: pd.DataFrame) -> dict[str, Any]:
    """Along rays from random places (`lat`, `lon`), in random directions, in steps of 50 km up to 12,000 km.

    Returns the share of steps where p50 falls at all and by more than 5 %, the median fall, and the share of p50
    below the floor or outside low..high (both must be 0).
    """
    random = np.random.default_rng(SEED)
    start = starts.iloc[random.integers(len(starts), size=RAYS)].to_numpy(float)
    bearing = random.uniform(0, 2 * np.pi, RAYS)
    distances = np.arange(STEP_KM, FARTHEST_KM + STEP_KM, STEP_KM)
    lat, lon = _along(start, bearing, distances)
    rows = pd.DataFrame(
        {
            "src_lat": np.repeat(start[:, 0], len(distances)),
            "src_lon": np.repeat(start[:, 1], len(distances)),
            "dst_lat": lat.ravel(),
            "dst_lon": lon.ravel(),
            "src_access": "server",
            "dst_access": "server",
        }
    )
    answer = predictor.predict_batch(rows).astype(float)
    p50 = answer["p50_ms"].to_numpy().reshape(RAYS, -1)
    step = p50[:, 1:] / p50[:, :-1] - 1
    down = -step[step < 0]
    low, middle, high, floor = (answer[name].to_numpy() for name in ("low_ms", "p50_ms", "high_ms", "floor_ms"))
    return {
        "steps": int(step.size),
        "step_km": STEP_KM,
        "falls": float(np.mean(step < 0)),
        "falls_above_5_percent": float(np.mean(step < -NOTABLE)),
        "median_fall": float(np.median(down)) if down.size else 0.0,
        "below_the_floor": float(np.mean(middle < floor)),
        "crossings": float(np.mean((low > middle) | (middle > high))),
    }


def _along(start: np.ndarray, bearing: np.ndarray, distances_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points at distances along great circles, degrees (the direct problem on a sphere)."""
    lat, lon = np.radians(start[:, :1]), np.radians(start[:, 1:])
    angle, course = distances_km[None, :] / EARTH_RADIUS_KM, bearing[:, None]
    sine = np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(course)
    east = np.arctan2(np.sin(course) * np.sin(angle) * np.cos(lat), np.cos(angle) - np.sin(lat) * sine)
    there_lat = np.degrees(np.arcsin(np.clip(sine, -1, 1)))
    there_lon = (np.degrees(lon + east) + 540) % 360 - 180
    return there_lat, there_lon
