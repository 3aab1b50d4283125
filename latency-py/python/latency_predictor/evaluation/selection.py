"""Choosing the nearest of ten servers for a client that was never seen: what predictions are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

SERVERS = 10
DRAWS = 20
SEED = 9
CLOSE_MS = 5.0
TOP = 3
NEAREST = "nearest by distance"


def best_of_ten(rows: pd.DataFrame, methods: Sequence[str]) -> dict[str, Any]:
    """How well each method picks one of ten servers, over clients that no training row touched.

    `rows` are C2 rows: an end `new` is the client; its known partners are the servers. Each client draws ten servers
    twenty times. Per method: `top_1` (the best one was picked), `within_5_ms` (or one at most 5 ms slower),
    `top_3` (the best one was among the three predicted fastest), `mean_stretch` (picked / best),
    `mean_penalty_ms` and `p90_penalty_ms` (picked − best).
    """
    chances = _draw(rows)
    if len(chances) == 0:
        return {}
    actual = rows["actual"].to_numpy()[chances]
    best = actual.min(axis=1)
    distance = rows["distance_km"].to_numpy()
    scores = {NEAREST: distance} | {method: rows[method].to_numpy() for method in methods}
    return {
        "clients": int(rows["client"].nunique()),
        "choices": len(chances),
        "methods": {name: _judge(score[chances], actual, best) for name, score in scores.items()},
    }


def with_client(rows: pd.DataFrame, seen: Sequence[set[str]]) -> pd.DataFrame:
    """C2 rows with `client`, the place that training never saw, and `server`; the two directions of a pair become one
    row, the mean of both.

    `seen` has the places of the training rows per fold.
    """
    parts = []
    for fold, places in enumerate(seen):
        part = rows[(rows["fold"] == str(fold)) & (rows["case"] == "C2")]
        new_src = ~part["src"].isin(places)
        part = part.assign(
            client=part["src"].where(new_src, part["dst"]), server=part["dst"].where(new_src, part["src"])
        )
        parts.append(part)
    numeric = rows.select_dtypes("number").columns
    return (
        pd.concat(parts).groupby(["dataset", "fold", "client", "server"], sort=True)[list(numeric)].mean().reset_index()
    )


def _draw(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Positions of ten rows of one client per line."""
    random = np.random.default_rng(SEED)
    drawn = [
        random.choice(positions, SERVERS, replace=False)
        for positions in rows.groupby("client", sort=True).indices.values()
        if len(positions) >= SERVERS
        for _ in range(DRAWS)
    ]
    return np.array(drawn, dtype=np.int64).reshape(-1, SERVERS)


def _judge(score: Floats, actual: Floats, best: Floats) -> dict[str, float]:
    line = np.arange(len(score))
    order = np.argsort(score, axis=1, kind="stable")
    picked = actual[line, order[:, 0]]
    top = np.take_along_axis(actual, order[:, :TOP], axis=1).min(axis=1)
    penalty = picked - best
    return {
        "top_1": float(np.mean(penalty <= 0)),
        "within_5_ms": float(np.mean(penalty <= CLOSE_MS)),
        "top_3": float(np.mean(top <= best)),
        "mean_stretch": float(np.mean(picked / best)),
        "mean_penalty_ms": float(np.mean(penalty)),
        "p90_penalty_ms": float(np.quantile(penalty, 0.9)),
    }
