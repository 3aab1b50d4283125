"""Groups of rows that figures are broken down by."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data.geo import floor_ms
from ..training.fit import columns
from ..training.paths import floor_distance_km
from ..training.schemas import CONTINENTS, COORDINATES_ALONE

DISTANCES_KM = (300, 1000, 3000, 8000)
"""Upper ends of the distance bins; the last bin has none."""

STRATA = ("case", "dataset", "access", "distance", "continents")


def describe(rows: pd.DataFrame) -> pd.DataFrame:
    """Per row of a tidy table: `distance_km`, `floor_ms`, `distance` (a bin), `continents` (a pair) and `access`."""
    distance_km = floor_distance_km(rows)
    return pd.DataFrame(
        {
            "distance_km": distance_km,
            "floor_ms": floor_ms(rows),
            "distance": distance_bin(distance_km),
            "continents": continent_pair(rows),
            "access": access(rows),
        },
        index=rows.index,
    )


def access(rows: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The access kind that decides: the end that is no server, if one is."""
    src, dst = rows["src_access"].fillna("unknown"), rows["dst_access"].fillna("unknown")
    kinds: npt.NDArray[np.object_] = src.where(src != "server", dst).to_numpy(dtype=object)
    return kinds


def distance_bin(distance_km: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """The bin of each distance, as words."""
    names = [f"below {DISTANCES_KM[0]:,} km"]
    names += [f"{low:,} to {high:,} km" for low, high in itertools.pairwise(DISTANCES_KM)]
    names.append(f"above {DISTANCES_KM[-1]:,} km")
    bins: npt.NDArray[np.object_] = np.array(names, dtype=object)[np.digitize(distance_km, DISTANCES_KM)]
    return bins


def distance_bins() -> list[str]:
    """All bins, nearest first."""
    middles = np.array([0, *DISTANCES_KM], dtype=float) + 1
    return list(distance_bin(middles))


def continent_pair(rows: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The continents of both ends in alphabetical order, such as `AS–EU`."""
    src, dst = (continent(rows[f"{end}_lat"], rows[f"{end}_lon"]) for end in ("src", "dst"))
    first, second = np.where(src <= dst, src, dst), np.where(src <= dst, dst, src)
    pairs: npt.NDArray[np.object_] = np.array([f"{a}–{b}" for a, b in zip(first, second, strict=True)], dtype=object)
    return pairs


def continent(lat: pd.Series, lon: pd.Series) -> npt.NDArray[np.str_]:
    """The continent of each point, from the core: `AF`, `AS`, `EU`, `NA`, `OC`, `SA`."""
    points = pd.DataFrame({"src_lat": lat, "src_lon": lon, "dst_lat": lat, "dst_lon": lon})
    distinct = points.drop_duplicates()
    # Asked for a path from a point to itself, the count of the point's continent is 2.
    counts = columns(
        COORDINATES_ALONE, [{"kind": "continent_count", "continent": name} for name in CONTINENTS], distinct
    )
    found = pd.Series(np.array(CONTINENTS)[np.argmax(counts, axis=1)], pd.MultiIndex.from_frame(distinct))
    names: npt.NDArray[np.str_] = found.loc[pd.MultiIndex.from_frame(points)].to_numpy(dtype=str)
    return names
