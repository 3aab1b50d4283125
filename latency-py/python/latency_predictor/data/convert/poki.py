"""poki 2026: median RTT between web players at home, by country or by region of ten countries."""

from pathlib import Path

import pandas as pd

from ..sources import Reference
from .cleaning import ZERO_RTT, Cleaner, Converted, read_csv


def convert(latencies: Path, reference: Reference) -> Converted:
    """Home to home. An end is a country or a US state, placed at its population-weighted centroid.

    The two directions of a pair differ by 7 ms in the median: that is the noise of the set.
    """
    rows = Cleaner(
        read_csv(
            latencies,
            {
                **dict.fromkeys(("from_country", "from_region", "to_country", "to_region"), "str"),
                "latency_ms_p50": "float64",
            },
        )
    )
    areas = pd.concat([reference.countries, reference.states.assign(name=reference.states["name"] + ", US")])
    for end, word in (("src", "from"), ("dst", "to")):
        region = rows.frame[f"{word}_region"]
        rows.frame[end] = region.where(region != "", rows.frame[f"{word}_country"])
    known = rows.frame["src"].isin(areas.index) & rows.frame["dst"].isin(areas.index)
    rows.drop(~known, "an end is neither a country nor a US state")
    rows.drop(rows.frame["latency_ms_p50"] <= 0, ZERO_RTT)
    # Its centroid says nothing of how far apart two players in the same country are.
    rows.drop(rows.frame["src"] == rows.frame["dst"], "both ends in the same country or state")
    columns: dict[str, pd.Series | str] = {}
    for end, word in (("src", "from"), ("dst", "to")):
        area = rows.frame[end]
        columns |= {
            f"{end}_name": area.map(areas["name"]),
            f"{end}_country": rows.frame[f"{word}_country"],
            f"{end}_lat": area.map(areas["lat"]),
            f"{end}_lon": area.map(areas["lon"]),
            f"{end}_access": "residential",
        }
    rows.frame = pd.DataFrame({**columns, "rtt_ms": rows.frame["latency_ms_p50"]})
    return rows.finish("poki")
