"""Great circle and floor for cleaning measurements.

Model features are computed by the Rust core alone; nothing here may be used to train or predict.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_KM = 6371.0088
"""Mean Earth radius, km."""

LIGHT_IN_VACUUM_KM_PER_MS = 299.792458
LIGHT_IN_FIBRE_KM_PER_MS = LIGHT_IN_VACUUM_KM_PER_MS * 2 / 3
FLOOR_MS_PER_KM = 2 / LIGHT_IN_FIBRE_KM_PER_MS
"""RTT of light in fibre per km of great circle, there and back, ms."""


def great_circle_km(
    src_lat: npt.ArrayLike, src_lon: npt.ArrayLike, dst_lat: npt.ArrayLike, dst_lon: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Great-circle distance in km between points in degrees (haversine). For cleaning only."""
    a_lat, a_lon, b_lat, b_lon = (
        np.radians(np.asarray(x, dtype=np.float64)) for x in (src_lat, src_lon, dst_lat, dst_lon)
    )
    h = np.sin((b_lat - a_lat) / 2) ** 2 + np.cos(a_lat) * np.cos(b_lat) * np.sin((b_lon - a_lon) / 2) ** 2
    # Rounding can push antipodes a hair above 1, where arcsin is not defined.
    km: npt.NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(h, 1.0)))
    return km


def floor_ms(frame: Any) -> npt.NDArray[np.float64]:
    """RTT in ms of light in fibre along the great circle between the ends of each row, there and back."""
    km = great_circle_km(frame["src_lat"], frame["src_lon"], frame["dst_lat"], frame["dst_lon"])
    return km * FLOOR_MS_PER_KM
