"""A map of cables and land lines between hub cities, each link's RTT learned from server measurements.

RTT along the map = constant + access · (km from each end to its hub) + the links on the fastest way. Ways and
RTTs depend on each other, so the fit goes back and forth: find the fastest ways, solve for the RTTs by
bounded ridge regression, weighted for relative absolute error (iteratively reweighted least squares), and
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize
import scipy.sparse

from ..data.geo import great_circle_km
from ..data.sources import data_dir
from ..errors import DataError

Floats = npt.NDArray[np.float64]

NEAREST = 3
FLOOR_MS_PER_KM = 2 / (2 / 3 * 299.792458)
ITERATIONS = 6
RIDGE = 0.3
MAX_PATHS = 9000
SAMPLE_SEED = 1
# Where no measurement says otherwise: multiples of the floor's RTT per km, and ms.
PRIOR_LINK, PRIOR_ACCESS, PRIOR_CONSTANT_MS = 1.35, 1.5, 3.0
BOUNDS_LINK, BOUNDS_ACCESS, BOUNDS_CONSTANT_MS = (1.0, 6.0), (1.0, 6.0), (0.0, 20.0)


@dataclass(frozen=True)
class HubMap:
    """The hubs (names, degrees) and which of them are linked: pairs of indices."""

    names: list[str]
    lat: Floats
    lon: Floats
    links: npt.NDArray[np.int64]

    @property
    def link_km(self) -> Floats:
        """Great-circle length of each link, km."""
        a, b = self.links.T
        return great_circle_km(self.lat[a], self.lon[a], self.lat[b], self.lon[b])

    def km_from(self, lat: Floats, lon: Floats) -> Floats:
        """Great-circle distance of each point to each hub, km."""
        return great_circle_km(lat[:, None], lon[:, None], self.lat[None], self.lon[None])


def load_hub_map() -> HubMap:
    """The map in `data/tables/hubs.csv` and `cable_links.csv`, typed by hand."""
    tables = data_dir() / "tables"
    hubs = pd.read_csv(tables / "hubs.csv")
    links = pd.read_csv(tables / "cable_links.csv")
    index = {name: position for position, name in enumerate(hubs["name"])}
    unknown = sorted((set(links["from"]) | set(links["to"])) - set(index))
    if unknown:
        raise DataError(f"cable_links.csv names {', '.join(unknown)}, which hubs.csv does not have; add them there")
    pairs = np.column_stack([links["from"].map(index), links["to"].map(index)]).astype(np.int64)
    return HubMap(hubs["name"].tolist(), hubs["lat"].to_numpy(float), hubs["lon"].to_numpy(float), pairs)


@dataclass(frozen=True)
class Cables:
    """A fitted map."""

    hubs: HubMap
    link_ms: Floats
    access_ms_per_km: float
    constant_ms: float

    def schema_parts(self) -> dict[str, Any]:
        """`hubs` and `cables` as the model's schema has them."""
        hubs = [
            {"name": name, "lat": float(lat), "lon": float(lon)}
            for name, lat, lon in zip(self.hubs.names, self.hubs.lat, self.hubs.lon, strict=True)
        ]
        links = [
            [int(a), int(b), round(float(ms), 3)] for (a, b), ms in zip(self.hubs.links, self.link_ms, strict=True)
        ]
        cables = {
            "links": links,
            "nearest": NEAREST,
            "access_ms_per_km": round(self.access_ms_per_km, 6),
            "constant_ms": round(self.constant_ms, 3),
        }
        return {"hubs": hubs, "cables": cables}


def fit(paths: pd.DataFrame, hubs: HubMap) -> Cables:
    """Fits the RTTs to rows with coordinates and `rtt_ms`, best from servers far apart.

    At most `MAX_PATHS` rows are used, drawn with a fixed seed.
    """
    if len(paths) > MAX_PATHS:
        chosen = np.random.default_rng(SAMPLE_SEED).choice(len(paths), MAX_PATHS, replace=False)
        paths = paths.iloc[np.sort(chosen)]
    rtt = paths["rtt_ms"].to_numpy(float)
    src_km = hubs.km_from(paths["src_lat"].to_numpy(float), paths["src_lon"].to_numpy(float))
    dst_km = hubs.km_from(paths["dst_lat"].to_numpy(float), paths["dst_lon"].to_numpy(float))
    floor_ms = hubs.link_km * FLOOR_MS_PER_KM
    link, access, constant = np.full(len(hubs.links), PRIOR_LINK), PRIOR_ACCESS, PRIOR_CONSTANT_MS
    for iteration in range(ITERATIONS):
        ways_ms, next_hub = fastest_ways(hubs, floor_ms * link)
        src_hub, dst_hub = _enter(src_km, dst_km, ways_ms, access * FLOOR_MS_PER_KM)
        design = _design(hubs, next_hub, src_hub, dst_hub, src_km, dst_km, floor_ms)
        fitted = _solve(design, rtt, np.concatenate([link, [access, constant]]), hubs.link_km)
        # Half steps until the last: ways jump when links change, and full steps swing between two maps.
        last = iteration == ITERATIONS - 1
        link = fitted[:-2] if last else 0.5 * link + 0.5 * fitted[:-2]
        access, constant = float(fitted[-2]), float(fitted[-1])
    return Cables(hubs, floor_ms * link, access * FLOOR_MS_PER_KM, constant)


def fastest_ways(hubs: HubMap, link_ms: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """RTT of the fastest way between each two hubs, and the next hub on it (Floyd–Warshall)."""
    count = len(hubs.names)
    ways = np.full((count, count), np.inf)
    np.fill_diagonal(ways, 0.0)
    a, b = hubs.links.T
    ways[a, b] = ways[b, a] = link_ms
    next_hub = np.where(np.isfinite(ways), np.arange(count)[None, :], -1)
    for over in range(count):
        detour = ways[:, over : over + 1] + ways[over]
        shorter = detour < ways
        ways = np.where(shorter, detour, ways)
        next_hub = np.where(shorter, next_hub[:, over : over + 1], next_hub)
    return ways, next_hub


def _enter(
    src_km: Floats, dst_km: Floats, ways_ms: Floats, access_ms_per_km: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The hubs at which the fastest way enters and leaves the map."""
    rows = np.arange(len(src_km))
    src_near = np.argsort(src_km, axis=1, kind="stable")[:, :NEAREST]
    dst_near = np.argsort(dst_km, axis=1, kind="stable")[:, :NEAREST]
    fastest = np.full(len(rows), np.inf)
    src_hub, dst_hub = src_near[:, 0].copy(), dst_near[:, 0].copy()
    for i in range(NEAREST):
        for j in range(NEAREST):
            a, b = src_near[:, i], dst_near[:, j]
            rtt = (src_km[rows, a] + dst_km[rows, b]) * access_ms_per_km + ways_ms[a, b]
            better = rtt < fastest
            fastest = np.where(better, rtt, fastest)
            src_hub, dst_hub = np.where(better, a, src_hub), np.where(better, b, dst_hub)
    return src_hub, dst_hub


def _design(
    hubs: HubMap,
    next_hub: npt.NDArray[np.int64],
    src_hub: npt.NDArray[np.int64],
    dst_hub: npt.NDArray[np.int64],
    src_km: Floats,
    dst_km: Floats,
    floor_ms: Floats,
) -> scipy.sparse.csr_matrix:
    """One row per path: what each link, the access and the constant contribute."""
    link_of = {}
    for position, (a, b) in enumerate(hubs.links):
        link_of[a, b] = link_of[b, a] = position
    row_ids, columns = [], []
    for row, (hub, goal) in enumerate(zip(src_hub, dst_hub, strict=True)):
        while hub != goal:
            onward = next_hub[hub, goal]
            row_ids.append(row)
            columns.append(link_of[hub, onward])
            hub = onward
    rows = np.arange(len(src_hub))
    links = scipy.sparse.csr_matrix((floor_ms[columns], (row_ids, columns)), shape=(len(rows), len(hubs.links)))
    access = (src_km[rows, src_hub] + dst_km[rows, dst_hub]) * FLOOR_MS_PER_KM
    return scipy.sparse.hstack([links, access[:, None], np.ones((len(rows), 1))]).tocsr()


def _solve(design: Any, rtt: Floats, current: Floats, link_km: Floats) -> Floats:
    """Bounded ridge regression towards the priors; the weights make squares relative absolute errors."""
    error = np.abs(rtt - design @ current) / rtt
    weight = 1 / rtt / np.sqrt(np.maximum(error, 0.03) / 0.1)
    ridge = np.concatenate([RIDGE * np.sqrt(link_km / 30_000), [0.1, 0.01]])
    prior = np.concatenate([np.full(len(link_km), PRIOR_LINK), [PRIOR_ACCESS, PRIOR_CONSTANT_MS]])
    lower, upper = (
        np.concatenate([np.full(len(link_km), BOUNDS_LINK[side]), [BOUNDS_ACCESS[side], BOUNDS_CONSTANT_MS[side]]])
        for side in (0, 1)
    )
    solution = scipy.optimize.lsq_linear(
        scipy.sparse.vstack([scipy.sparse.diags(weight) @ design, scipy.sparse.diags(ridge)]).tocsr(),
        np.concatenate([weight * rtt, ridge * prior]),
        bounds=(lower, upper),
        max_iter=30,
        lsmr_tol="auto",
    )
    x: Floats = solution.x
    return x
