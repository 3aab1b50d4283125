"""RIPE Atlas access 2023: home and office probes to cloud regions, by access technology."""

from pathlib import Path

import pandas as pd

from ..table import ACCESS, PROVIDERS
from .cleaning import Cleaner, Converted, read_csv

UNLABELLED = "wired_or_unlabelled"
"""The set's word for "not Starlink": nothing is known, so the access is missing."""


def convert(pairs: Path) -> Converted:
    """Probe to cloud server. Probe positions are blurred; hosts are better connected than the average home.

    Most pairs were measured once: their p95 is their p50 again and is left out.
    """
    rows = Cleaner(
        read_csv(
            pairs,
            {
                **dict.fromkeys(
                    ("src_id", "dst_id", "access_tech", "src_country", "dst_country", "dst_provider"), "str"
                ),
                **dict.fromkeys(("src_lat", "src_lon", "dst_lat", "dst_lon"), "float64"),
                **dict.fromkeys(("n", "rtt_min_ms", "rtt_p50_ms", "rtt_p95_ms"), "float64"),
            },
        )
    )
    technology = rows.frame["access_tech"]
    rows.drop(~technology.isin([*ACCESS, UNLABELLED]), "unknown access technology")
    rows.drop(
        rows.frame[["src_lat", "src_lon", "dst_lat", "dst_lon"]].isna().any(axis=1),
        "an end without coordinates",
    )
    rows.drop(rows.frame["rtt_p50_ms"].isna(), "no RTT")
    frame = rows.frame
    rows.frame = pd.DataFrame(
        {
            "src_name": frame["src_id"],
            "dst_name": frame["dst_id"],
            "src_country": frame["src_country"],
            "dst_country": frame["dst_country"],
            "src_lat": frame["src_lat"],
            "src_lon": frame["src_lon"],
            "dst_lat": frame["dst_lat"],
            "dst_lon": frame["dst_lon"],
            "src_access": frame["access_tech"].where(frame["access_tech"] != UNLABELLED),
            "dst_access": "server",
            "dst_provider": frame["dst_provider"].where(frame["dst_provider"].isin(PROVIDERS), "other"),
            "rtt_ms": frame["rtt_p50_ms"],
            "rtt_min_ms": frame["rtt_min_ms"],
            "rtt_p95_ms": frame["rtt_p95_ms"].where(frame["n"] > 1),
            "n": frame["n"],
        }
    )
    return rows.finish("ripe")
