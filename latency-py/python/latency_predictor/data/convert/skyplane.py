"""Skyplane 2022: virtual machines in the three clouds that pinged each other's public addresses."""

from pathlib import Path

import pandas as pd

from ..geo import floor_ms
from ..sources import Reference
from .cleaning import Cleaner, Converted, read_csv

PINGS = 10
"""Every row is one `ping -c 10`."""

STEADY_MS = 5.0
"""A row from Google Cloud is trusted only if its pings differ by no more than this."""


def convert(latency: Path, reference: Reference) -> Converted:
    """Cloud server to cloud server, with the network tier of both ends.

    Rows whose source is Google Cloud are partly corrupt (173 are faster than light in vacuum): such a row
    stays only if its pings are steady and none is below the floor. Two machines in one zone with different
    tiers are not a self pair: the path between them was measured.
    """
    rows = Cleaner(
        read_csv(
            latency,
            {
                **dict.fromkeys(("src_region", "dst_region", "src_tier", "dst_tier"), "str"),
                **dict.fromkeys(("min_rtt", "avg_rtt", "max_rtt", "mdev_rtt"), "float64"),
            },
        )
    )
    for end in ("src", "dst"):
        # Google Cloud is listed by zone (`us-west1-a`), the others by region.
        rows.frame[end] = rows.frame[f"{end}_region"].str.replace(r"^(gcp:.*)-[a-z]$", r"\1", regex=True)
    known = rows.frame["src"].isin(reference.regions.index) & rows.frame["dst"].isin(reference.regions.index)
    rows.drop(~known, "a region without known coordinates")
    same = (rows.frame["src_region"] == rows.frame["dst_region"]) & (rows.frame["src_tier"] == rows.frame["dst_tier"])
    rows.drop(same, "a machine to itself")
    columns: dict[str, pd.Series | str] = {}
    for end in ("src", "dst"):
        region = rows.frame[end]
        columns |= {
            f"{end}_name": region,
            f"{end}_country": region.map(reference.regions["country"]),
            f"{end}_lat": region.map(reference.regions["lat"]),
            f"{end}_lon": region.map(reference.regions["lon"]),
            f"{end}_access": "server",
            f"{end}_provider": region.str.partition(":")[0],
            f"{end}_tier": rows.frame[f"{end}_tier"].str.lower(),
        }
    rows.frame = pd.DataFrame(
        {
            **columns,
            "rtt_ms": rows.frame["avg_rtt"],
            "rtt_min_ms": rows.frame["min_rtt"],
            "rtt_max_ms": rows.frame["max_rtt"],
            "rtt_mdev_ms": rows.frame["mdev_rtt"],
            "n": PINGS,
        }
    )
    from_gcp = rows.frame["src_provider"] == "gcp"
    rows.drop(from_gcp & (rows.frame["rtt_min_ms"] < floor_ms(rows.frame)), "source gcp, below light in fibre")
    spread = rows.frame["rtt_max_ms"] - rows.frame["rtt_min_ms"]
    rows.drop(
        (rows.frame["src_provider"] == "gcp") & (spread > STEADY_MS),
        f"source gcp, pings differ by more than {STEADY_MS:g} ms",
    )
    return rows.finish("skyplane")
