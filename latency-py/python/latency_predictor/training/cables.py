"""A map of cables and land lines between hub cities, each link's RTT learned from measurements.

RTT along the map = constant + access · (km from each end to its hub) + the links on the fastest way. Two ends with the
same nearest hub may also go straight: constant + access · (km between them). In the fit
alone, each end that is no server adds some ms by its kind of access: so homes tell of the cables too. Ways and
RTTs depend on each other, so the fit goes back and forth: find the fastest ways, solve exactly for the RTTs by
bounded ridge regression, weighted for relative absolute error (iteratively reweighted least squares), and step
towards the solution only as far as the error really falls, since the ways change with the RTTs. Until it no
longer falls. No sampling, no random numbers: the same rows give the same map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg
import scipy.sparse
from scipy.sparse.csgraph import shortest_path

from ..data.geo import FLOOR_MS_PER_KM, great_circle_km
from ..data.sources import data_dir
from ..errors import DataError
from .last_mile import KINDS, count_ends

Floats = npt.NDArray[np.float64]

NEAREST = 3
MAX_ITERATIONS = 40
MIN_FALL = 0.001
"""The fit ends when a step lowers the loss by a smaller share."""
STEPS = (1.0, 0.5, 0.25, 0.12, 0.06)
"""How far to go towards a solution: the best of these, tried until one is worse than the one before."""
RIDGE = 0.1
RIDGE_ACCESS, RIDGE_CONSTANT, RIDGE_HOME = 0.1, 0.01, 0.01
SMALL_ERROR = 0.03
"""Relative errors below it count squared, above it absolutely (Huber)."""
SCALE = 0.1
"""Weight of the rows against the ridge."""
MAX_SWAPS = 60
HOMES = tuple(kind for kind in KINDS if kind != "server")
"""Kinds of access that add some ms to the RTT along the cables."""

# Where no measurement says otherwise: multiples of the floor's RTT per km, and ms.
PRIOR_LINK, PRIOR_ACCESS, PRIOR_CONSTANT_MS, PRIOR_HOME_MS = 1.35, 1.5, 3.0, 0.0
BOUNDS_LINK, BOUNDS_ACCESS, BOUNDS_CONSTANT_MS, BOUNDS_HOME_MS = (1.0, 6.0), (1.0, 6.0), (0.0, 20.0), (0.0, 80.0)


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


def fit(paths: pd.DataFrame, hubs: HubMap, weight: Floats | None = None) -> Cables:
    """Fits the RTTs to rows with coordinates, `rtt_ms` and access kinds, best between ends far apart."""
    return _Fit(paths, hubs, np.ones(len(paths)) if weight is None else weight).run()


class _Fit:
    """The unknowns are one vector: a multiple of the floor per link, access, constant, then ms per kind of home."""

    def __init__(self, paths: pd.DataFrame, hubs: HubMap, weight: Floats) -> None:
        self.hubs = hubs
        self.rtt = paths["rtt_ms"].to_numpy(float)
        self.row_weight = weight
        count, links = len(hubs.names), len(hubs.links)
        self.floor_ms = hubs.link_km * FLOOR_MS_PER_KM
        self.link_of = np.full((count, count), -1)
        a, b = hubs.links.T
        self.link_of[a, b] = self.link_of[b, a] = np.arange(links)
        # Per row and end: the nearest hubs, and the floor's RTT to them.
        self.near, self.near_ms = [], []
        for end in ("src", "dst"):
            km = hubs.km_from(paths[f"{end}_lat"].to_numpy(float), paths[f"{end}_lon"].to_numpy(float))
            near = np.argsort(km, axis=1, kind="stable")[:, :NEAREST]
            self.near.append(near)
            self.near_ms.append(np.take_along_axis(km, near, axis=1) * FLOOR_MS_PER_KM)
        # Between ends with the same nearest hub: the floor's RTT.
        straight = great_circle_km(*(paths[f"{end}_{axis}"] for end in ("src", "dst") for axis in ("lat", "lon")))
        neighbours = self.near[0][:, 0] == self.near[1][:, 0]
        self.straight_ms = np.where(neighbours, straight * FLOOR_MS_PER_KM, np.inf)
        # Per row and kind of home: how many ends are of that kind.
        self.homes = count_ends(paths, HOMES)
        self.links, homes = slice(0, links), len(HOMES)
        self.access, self.constant, self.home_ms = links, links + 1, slice(links + 2, None)
        self.prior = np.concatenate(
            [np.full(links, PRIOR_LINK), [PRIOR_ACCESS, PRIOR_CONSTANT_MS], np.full(homes, PRIOR_HOME_MS)]
        )
        self.low, self.high = (
            np.concatenate(
                [
                    np.full(links, BOUNDS_LINK[side]),
                    [BOUNDS_ACCESS[side], BOUNDS_CONSTANT_MS[side]],
                    np.full(homes, BOUNDS_HOME_MS[side]),
                ]
            )
            for side in (0, 1)
        )
        self.ridge = np.concatenate(
            [RIDGE * np.sqrt(hubs.link_km / 30_000), [RIDGE_ACCESS, RIDGE_CONSTANT], np.full(homes, RIDGE_HOME)]
        )

    def run(self) -> Cables:
        x, loss = self.prior.copy(), np.inf
        for _ in range(MAX_ITERATIONS):
            target = solve_in_box(*self._normal_equations(x), self.low, self.high, x)
            best, best_loss = x, np.inf
            for step in STEPS:
                tried = (1 - step) * x + step * target
                tried_loss = self._loss(tried)
                if tried_loss > best_loss:
                    break
                best, best_loss = tried, tried_loss
            if best_loss >= loss * (1 - MIN_FALL):
                break
            x, loss = best, best_loss
        link_ms = self.floor_ms * x[self.links]
        return Cables(self.hubs, link_ms, float(x[self.access]) * FLOOR_MS_PER_KM, float(x[self.constant]))

    def _enter(self, x: Floats, ways_ms: Floats) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
        """Of the fastest way of each row: its RTT, the hubs at its ends, and the floor's RTT to reach them."""
        # Going straight leads from a hub to itself: over no link.
        rtt, access = x[self.access] * self.straight_ms, self.straight_ms
        src, dst = self.near[0][:, 0], self.near[0][:, 0]
        for i in range(NEAREST):
            for j in range(NEAREST):
                a, b = self.near[0][:, i], self.near[1][:, j]
                reach = self.near_ms[0][:, i] + self.near_ms[1][:, j]
                total = x[self.access] * reach + ways_ms[a, b]
                better = total < rtt
                rtt, access = np.where(better, total, rtt), np.where(better, reach, access)
                src, dst = np.where(better, a, src), np.where(better, b, dst)
        return rtt + x[self.constant] + self.homes @ x[self.home_ms], src, dst, access

    def _loss(self, x: Floats) -> float:
        ways_ms, _ = fastest_ways(self.hubs, self.floor_ms * x[self.links])
        error = np.abs(self.rtt - self._enter(x, ways_ms)[0]) / self.rtt
        huber = np.where(error < SMALL_ERROR, error**2 / (2 * SMALL_ERROR), error - SMALL_ERROR / 2)
        return float(SCALE * (self.row_weight * huber).sum() + 0.5 * ((self.ridge * (x - self.prior)) ** 2).sum())

    def _normal_equations(self, x: Floats) -> tuple[Floats, Floats]:
        """The ridge regression on the ways that are fastest now, as G and c of `min ½ x'Gx − c'x`.

        What the links contribute is the same for all rows between the same two hubs: one line per pair of hubs.
        """
        links, count = len(self.floor_ms), len(self.hubs.names)
        ways_ms, before = fastest_ways(self.hubs, self.floor_ms * x[self.links])
        rtt, src, dst, access = self._enter(x, ways_ms)
        weight = self.row_weight * SCALE / self.rtt**2 / np.maximum(np.abs(self.rtt - rtt) / self.rtt, SMALL_ERROR)
        pairs, pair_of = np.unique(src * count + dst, return_inverse=True)
        start, here = pairs // count, pairs % count
        lines, columns = [], []
        walking = np.flatnonzero(start != here)
        while len(walking):
            previous = before[start[walking], here[walking]]
            lines.append(walking)
            columns.append(self.link_of[previous, here[walking]])
            here[walking] = previous
            walking = walking[start[walking] != previous]
        line, column = np.concatenate([[], *lines]).astype(int), np.concatenate([[], *columns]).astype(int)
        design = scipy.sparse.csr_matrix((self.floor_ms[column], (line, column)), shape=(len(pairs), links))

        def by_pair(values: Floats) -> Floats:
            total: Floats = np.bincount(pair_of, weight * values, len(pairs)).astype(np.float64)
            return total

        ones = np.ones(len(rtt))
        rest = [access, ones, *self.homes.T]
        matrix = np.empty((len(x), len(x)))
        matrix[:links, :links] = (design.T @ scipy.sparse.diags(by_pair(ones)) @ design).toarray()
        for i, one in enumerate(rest):
            matrix[:links, links + i] = matrix[links + i, :links] = design.T @ by_pair(one)
            for j, other in enumerate(rest):
                matrix[links + i, links + j] = (weight * one * other).sum()
        right = np.concatenate([design.T @ by_pair(self.rtt), [(weight * one * self.rtt).sum() for one in rest]])
        matrix[np.diag_indices_from(matrix)] += self.ridge**2
        return matrix, right + self.ridge**2 * self.prior


def solve_in_box(matrix: Floats, right: Floats, low: Floats, high: Floats, start: Floats) -> Floats:
    """The x in a box that minimises ½ x'Gx − c'x for a positive definite G.

    Active sets: solve with some unknowns held at a bound, hold those that leave the box, release those that the
    gradient pulls inside, until neither happens.
    """
    gradient = matrix @ start - right
    at_low, at_high = (start <= low) & (gradient > 0), (start >= high) & (gradient < 0)
    x = start
    for _ in range(MAX_SWAPS):
        held = at_low | at_high
        x = np.where(at_low, low, np.where(at_high, high, 0.0))
        free = np.flatnonzero(~held)
        x[free] = scipy.linalg.solve(
            matrix[np.ix_(free, free)], right[free] - matrix[np.ix_(free, held)] @ x[held], assume_a="pos"
        )
        gradient = matrix @ x - right
        to_low = (~held & (x < low)) | (at_low & (gradient > 0))
        to_high = (~held & (x > high)) | (at_high & (gradient < 0))
        if (to_low == at_low).all() and (to_high == at_high).all():
            break
        at_low, at_high = to_low, to_high
    clipped: Floats = np.clip(x, low, high)
    return clipped


def fastest_ways(hubs: HubMap, link_ms: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """RTT of the fastest way between each two hubs, and [from, to] → the hub before `to` on it (Floyd–Warshall)."""
    count = len(hubs.names)
    ways = np.full((count, count), np.inf)
    a, b = hubs.links.T
    ways[a, b] = ways[b, a] = link_ms
    ways_ms, before = shortest_path(ways, method="FW", directed=False, return_predecessors=True)
    return ways_ms, before.astype(np.int64)
