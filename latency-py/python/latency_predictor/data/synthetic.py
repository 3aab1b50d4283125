"""A made-up table in the tidy schema, for tests and first steps without the measurements. Not real data.

Run: python -m latency_predictor.data.synthetic synthetic.parquet --places 60 --seed 7
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from .errors import DataError
from .geo import floor_ms
from .table import tidy, validate, write

DATASET = "synthetic"

ACCESS_MS = {
    "server": 0.4,
    "wired": 6.0,
    "wifi": 9.0,
    "residential": 14.0,
    "cellular": 42.0,
    "starlink": 40.0,
}
"""Typical RTT in ms that an access kind adds at its end: what the real sets show, rounded."""

SHARES = {"server": 0.5, "wired": 0.1, "wifi": 0.1, "residential": 0.1, "cellular": 0.1, "starlink": 0.1}


def make(places: int = 60, seed: int = 7) -> pd.DataFrame:
    """All ordered pairs of `places` random places: places · (places - 1) rows, the same for the same seed.

    RTT = floor · inflation of the pair + access of both ends + noise; both directions share the inflation. A
    place keeps its access kind; servers have a provider, and those of gcp a tier.
    """
    if places < 2:
        raise DataError(f"places: found {places}; at least 2 are needed to make a pair.")
    random = np.random.default_rng(seed)
    # Uniform on the sphere between 55 degrees south and 70 north, where people live.
    low, high = np.sin(np.radians((-55.0, 70.0)))
    lat = np.round(np.degrees(np.arcsin(random.uniform(low, high, places))), 4)
    lon = np.round(random.uniform(-180.0, 180.0, places), 4)
    access = random.choice(list(ACCESS_MS), places, p=list(SHARES.values()))
    provider = random.choice(["aws", "azure", "gcp", "other"], places).astype(object)
    provider[access != "server"] = None
    tier = random.choice(["premium", "standard"], places).astype(object)
    tier[provider != "gcp"] = None
    name = np.array([f"synthetic place {i}" for i in range(places)])

    src, dst = (index.ravel() for index in np.indices((places, places)))
    src, dst = src[src != dst], dst[src != dst]
    frame = pd.DataFrame(
        {
            "dataset": DATASET,
            **{
                f"{end}_{word}": values[index]
                for end, index in (("src", src), ("dst", dst))
                for word, values in (
                    ("name", name),
                    ("lat", lat),
                    ("lon", lon),
                    ("access", access),
                    ("provider", provider),
                    ("tier", tier),
                )
            },
        }
    )
    # Real routes take at least 1.1 times the great circle, about twice in the median.
    inflation = 1.1 + random.lognormal(-0.2, 0.5, (places, places))
    pair = inflation[np.minimum(src, dst), np.maximum(src, dst)]
    added = np.array([ACCESS_MS[kind] for kind in access])
    ends = added[src] + added[dst]
    best = floor_ms(frame) * pair + ends
    jitter = 0.05 + random.exponential(0.2 + 0.05 * ends)
    frame["rtt_min_ms"] = best
    frame["rtt_ms"] = best + jitter
    frame["rtt_max_ms"] = best + 3 * jitter
    frame["rtt_mdev_ms"] = jitter / 2
    frame["n"] = 10.0
    return validate(tidy(frame))


def main() -> None:
    """Writes a synthetic table to the path given."""
    parser = argparse.ArgumentParser(description="Write a made-up table in the tidy schema. Not real data.")
    parser.add_argument("out", type=Path, help="the Parquet file to write")
    parser.add_argument("--places", type=int, default=60, help="number of places (default 60)")
    parser.add_argument("--seed", type=int, default=7, help="random seed (default 7)")
    wanted = parser.parse_args()
    try:
        table = make(wanted.places, wanted.seed)
        write(table, wanted.out)
    except DataError as error:
        parser.exit(1, f"{error}\n")
    print(f"{wanted.out}: {len(table):,} synthetic rows between {wanted.places} places")


if __name__ == "__main__":
    main()
