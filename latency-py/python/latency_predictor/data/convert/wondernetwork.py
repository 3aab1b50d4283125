"""WonderNetwork 2020: rented servers that pinged each other every hour for two days."""

from pathlib import Path

import pandas as pd

from ..errors import DataError
from ..sources import Reference
from .cleaning import Cleaner, Converted, read_csv

MISLOCATED = (204, 220)
"""Belfast and La Ceiba: most of their pairs are below the floor, so they are not where the list says."""

PINGS = 30
"""`ping -c 30`, every hour."""

OTHER_NAMES = {"Czech Republic": "Czechia", "Netherlands": "The Netherlands"}
"""The set's country names where GeoNames uses another."""


def convert(servers: Path, pings: Path, reference: Reference) -> Converted:
    """Server to server over hired machines. Each statistic is a median over hours of `PINGS` pings.

    `min` is a median of hourly minima. The list's continents merge Europe and Asia and are not read.
    """
    places = read_csv(
        servers,
        {"id": "int64", "title": "str", "country": "str", "latitude": "float64", "longitude": "float64"},
    ).set_index("id")
    codes = pd.Series(reference.countries.index, index=reference.countries["name"])
    country = places["country"].replace(OTHER_NAMES).map(codes)
    if country.isna().any():
        unknown = sorted(set(places["country"][country.isna()]))
        raise DataError(f"{servers}: no ISO-2 code is known for {', '.join(unknown)}. Add it to OTHER_NAMES.")
    rows = Cleaner(
        read_csv(
            pings,
            {
                "source": "int64",
                "destination": "int64",
                "min": "float64",
                "avg": "float64",
                "max": "float64",
                "mdev": "float64",
            },
        )
    )
    rows.drop(rows.frame["source"] == rows.frame["destination"], "a server to itself")
    known = rows.frame["source"].isin(places.index) & rows.frame["destination"].isin(places.index)
    rows.drop(~known, "an end is not in the server list")
    wrong = rows.frame["source"].isin(MISLOCATED) | rows.frame["destination"].isin(MISLOCATED)
    rows.drop(wrong, "an end is mislocated (servers 204 and 220)")
    src, dst = rows.frame["source"], rows.frame["destination"]
    rows.frame = pd.DataFrame(
        {
            "src_name": src.map(places["title"]),
            "dst_name": dst.map(places["title"]),
            "src_country": src.map(country),
            "dst_country": dst.map(country),
            "src_lat": src.map(places["latitude"]),
            "src_lon": src.map(places["longitude"]),
            "dst_lat": dst.map(places["latitude"]),
            "dst_lon": dst.map(places["longitude"]),
            "src_access": "server",
            "dst_access": "server",
            "src_provider": "other",
            "dst_provider": "other",
            "rtt_ms": rows.frame["avg"],
            "rtt_min_ms": rows.frame["min"],
            "rtt_max_ms": rows.frame["max"],
            "rtt_mdev_ms": rows.frame["mdev"],
            "n": PINGS,
        }
    )
    return rows.finish("wondernetwork")
