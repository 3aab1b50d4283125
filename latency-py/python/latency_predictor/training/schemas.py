"""Schemas as dicts: for the bundled model's fields, and for tables of your own."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data import table as tidy
from ..data.geo import great_circle_km
from ..errors import TrainingError
from .cables import Cables
from .last_mile import ADD_MS as LAST_MILE_ADD_MS

FORMAT = 1
ENDS = ("src", "dst")
DETOUR_HUB_NAMES = (
    "London", "Amsterdam", "Madrid", "Moscow", "New York", "Miami", "Chicago", "San Jose", "Tokyo", "Singapore",
    "Mumbai", "Johannesburg", "Fortaleza", "Nairobi", "Seoul", "Djibouti",
)  # fmt: skip
"""The hubs whose detours are features."""
CABLE_ADD_MS = 5.0
"""Added to the RTT along the cables where that is the first guess: near pairs have a last mile too."""

LONGITUDE_LIMIT = 180.0
CONTINENTS = ("AF", "AS", "EU", "NA", "OC", "SA")
CLOUDS = ("aws", "azure", "gcp")
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{4}")
MAX_CATEGORIES = 64
REGION_DEGREES = 5.0
"""The side of a cell of the grid of regions, as `schema.rs` reads it."""
REGION_WITHIN_KM = 1000.0
"""Far enough that a continent with data has no holes, near enough that Greenland's ice and the Sahara are outside."""

COORDINATE_NAMES = {
    "src_lat": {"src_lat", "src_latitude", "source_lat", "source_latitude", "client_lat", "client_latitude"},
    "src_lon": {"src_lon", "src_lng", "src_longitude", "source_lon", "source_lng", "source_longitude",
                "client_lon", "client_lng", "client_longitude"},
    "dst_lat": {"dst_lat", "dst_latitude", "dest_lat", "dest_latitude", "destination_lat", "destination_latitude",
                "server_lat", "server_latitude"},
    "dst_lon": {"dst_lon", "dst_lng", "dst_longitude", "dest_lon", "dest_lng", "dest_longitude", "destination_lon",
                "destination_lng", "destination_longitude", "server_lon", "server_lng", "server_longitude"},
}  # fmt: skip
"""Column names, in lower case, that are recognised as coordinates."""


def paths_schema(cables: Cables, last_mile: dict[str, Any] | None = None) -> dict[str, Any]:
    """The bundled model's schema, without outputs, provenance and golden rows.

    Without `last_mile` the trees correct the RTT along the cables itself.
    """
    parts = cables.schema_parts()
    fields = [coordinate_field(f"{end}_{axis}", axis) for end in ENDS for axis in ("lat", "lon")]
    for attribute, categories, description in (
        ("access", tidy.ACCESS, "how this end is connected"),
        ("provider", tidy.PROVIDERS, "who hosts this end"),
        ("tier", tidy.TIERS, "the cloud's network tier at this end"),
    ):
        fields += [
            {
                "name": f"{end}_{attribute}",
                "type": "category",
                "categories": list(categories),
                "description": description,
            }
            for end in ENDS
        ]
    features = geography(parts["hubs"])
    features.append({"kind": "cable_ms"})
    base = {"feature": len(features) - 1, "add": CABLE_ADD_MS}
    if last_mile:
        parts["last_mile"] = last_mile
        features.append({"kind": "path_ms"})
        base = {"feature": len(features) - 1, "add": LAST_MILE_ADD_MS}
    counted: dict[str, tuple[str, ...]] = {
        "access": tidy.ACCESS,
        "provider": tidy.PROVIDERS,
        "tier": ("standard",),
    }
    for attribute, words in counted.items():
        both = [f"{end}_{attribute}" for end in ENDS]
        features += [{"kind": "count", "fields": both, "category": word} for word in words]
        if attribute != "tier":
            features.append({"kind": "count_missing", "fields": both})
    features.append({"kind": "same", "fields": [f"{end}_provider" for end in ENDS], "categories": list(CLOUDS)})
    return {
        "format": FORMAT,
        "name": "latency",
        "fields": fields,
        "coordinates": {name: name for name in COORDINATE_NAMES},
        **parts,
        "features": features,
        "target": {"name": "rtt_ms", "unit": "ms", "transform": "log", "base": base},
    }


def geography(hubs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Features from coordinates alone, over the detour hubs that `hubs` has."""
    index = {hub["name"]: position for position, hub in enumerate(hubs)}
    return [
        {"kind": "distance_km"},
        *({"kind": kind, "end": end} for end in ("west", "east") for kind in ("latitude", "longitude")),
        *({"kind": "cartesian", "end": end, "axis": axis} for end in ("west", "east") for axis in "xyz"),
        *({"kind": "continent_count", "continent": continent} for continent in CONTINENTS),
        *({"kind": "detour", "hub": index[name]} for name in DETOUR_HUB_NAMES if name in index),
    ]


def coordinate_field(name: str, axis: str) -> dict[str, Any]:
    """A required coordinate in degrees."""
    limit = 90.0 if axis == "lat" else LONGITUDE_LIMIT
    return {
        "name": name,
        "type": "number",
        "unit": "degree",
        "min": -limit,
        "max": limit,
        "required": True,
        "description": f"{'latitude' if axis == 'lat' else 'longitude'}, WGS 84",
    }


COORDINATES_ALONE: dict[str, Any] = {
    "format": FORMAT,
    "name": "coordinates",
    "fields": [coordinate_field(f"{end}_{axis}", axis) for end in ENDS for axis in ("lat", "lon")],
    "coordinates": {name: name for name in COORDINATE_NAMES},
    "target": {"name": "rtt_ms", "unit": "ms", "transform": "log"},
}
"""A schema of the coordinates and nothing else, without features and outputs."""


def table_schema(
    rows: pd.DataFrame,
    target: str,
    drop: tuple[str, ...],
    hubs: list[dict[str, Any]],
    transform: str,
    name: str,
) -> dict[str, Any]:
    """A schema for any table: numbers and categories become fields by name, coordinates are recognised by name.

    Raises TrainingError naming a column that is neither.
    """
    columns = [column for column in rows.columns if column != target and column not in drop]
    coordinates = find_coordinates([str(column) for column in columns])
    fields, features = [], []
    for column in map(str, columns):
        if column in ENDS:
            raise TrainingError(
                f"column `{column}` has a name that means a place in a question to a model; rename it, for example to "
                f"`{column}_name`"
            )
        if column in coordinates.values():
            axis = next(role for role, found in coordinates.items() if found == column)[-3:]
            fields.append(coordinate_field(column, axis))
            continue
        field = table_field(column, rows[column])
        fields.append(field)
        if field["type"] == "number":
            features.append({"kind": "number", "field": column})
        else:
            features += [
                {"kind": "category", "field": column, "category": category} for category in field["categories"]
            ]
    schema: dict[str, Any] = {"format": FORMAT, "name": name, "fields": fields}
    if coordinates:
        used = [hub for hub in hubs if hub["name"] in DETOUR_HUB_NAMES]
        schema |= {"coordinates": coordinates, "hubs": used}
        features = geography(used) + features
    if not features:
        raise TrainingError(f"found no column beside the target `{target}`; give at least one number or category")
    unit = "ms" if target.endswith("_ms") else ""
    return schema | {"features": features, "target": {"name": target, "unit": unit, "transform": transform}}


def find_coordinates(columns: list[str]) -> dict[str, str]:
    """Which columns hold the four coordinates, by role; empty unless all four are there."""
    found = {role: column for role, names in COORDINATE_NAMES.items() for column in columns if column.lower() in names}
    return found if len(found) == len(COORDINATE_NAMES) else {}


def table_field(column: str, values: pd.Series) -> dict[str, Any]:
    """A field for a column of a table."""
    present = values.dropna()
    if len(present) == 0:
        raise TrainingError(f"column `{column}` has no values; leave it out with --drop {column}")
    if pd.api.types.is_bool_dtype(present):
        raise TrainingError(
            f"column `{column}` holds true and false; write it as 0 and 1, or leave it out with --drop {column}"
        )
    if pd.api.types.is_numeric_dtype(present) and not pd.api.types.is_complex_dtype(present):
        if not np.isfinite(present.to_numpy(dtype=np.float64)).all():
            raise TrainingError(f"column `{column}` holds infinities; leave those rows out")
        return {"name": column, "type": "number"}
    categories = sorted({value for value in present if isinstance(value, str)})
    if len(categories) < present.nunique() or len(categories) > MAX_CATEGORIES:
        raise TrainingError(
            f"column `{column}` is neither a number nor a category: it holds {present.nunique()} different values such "
            f"as {present.iloc[0]!r}; allowed: numbers, or at most {MAX_CATEGORIES} different words; leave it out with "
            f"--drop {column}"
        )
    check_words(column, categories)
    return {"name": column, "type": "category", "categories": categories}


def check_words(column: str, words: list[str]) -> None:
    """Refuses what was meant as something else: a number that is misspelt in one row, dates."""
    numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").notna()
    if numbers.any() and not numbers.all():
        word = next(word for word, number in zip(words, numbers, strict=True) if not number)
        raise TrainingError(
            f"column `{column}` holds numbers beside {word!r}; correct that, leave those rows out or write the numbers "
            f"so that they are words; or leave it out with --drop {column}"
        )
    if words and all(DATE.match(word) for word in words):
        raise TrainingError(
            f"column `{column}` holds dates such as {words[0]!r}; turn them into numbers, such as the hour or the day "
            f"of the week, or leave it out with --drop {column}"
        )


def describe_seen(schema: dict[str, Any], rows: pd.DataFrame, distances_km: Any = None) -> None:
    """Writes into the schema what training saw: ranges of numbers, categories, pairs of them, regions, distances."""
    describe_fields(schema, rows)
    if {"src_access", "dst_access"} <= {field["name"] for field in schema["fields"] if field["type"] == "category"}:
        schema["seen_pairs"] = seen_pairs(rows, ("src_access", "dst_access"))
    if "coordinates" in schema:
        names = schema["coordinates"]
        ends = [rows[[names[f"{end}_lat"], names[f"{end}_lon"]]].to_numpy(float) for end in ENDS]
        schema["coordinates"] = names | {"seen_regions": seen_regions(np.concatenate(ends))}
    if "coordinates" in schema and distances_km is not None:
        schema["coordinates"] |= {
            "seen_distance_km": [round(float(distances_km.min()), 1), round(float(distances_km.max()), 1)]
        }


def describe_fields(schema: dict[str, Any], rows: pd.DataFrame) -> None:
    """The part of it that is about one field at a time: ranges of numbers, and categories."""
    for field in schema["fields"]:
        present = rows[field["name"]].dropna()
        if field["type"] == "number":
            low, high = float(present.min()), float(present.max())
            if field.get("unit") == "degree":
                if field["max"] == LONGITUDE_LIMIT:
                    # A circle has no smallest and largest; the regions tell where there were places.
                    continue
                # People read it in warnings; a hundredth of a degree is a kilometre.
                low, high = math.floor(low * 100) / 100, math.ceil(high * 100) / 100
            field["seen"] = [low, high]
        else:
            field["seen"] = [word for word in field["categories"] if (present == word).any()]


def histograms(schema: dict[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    """How the values of each field are spread, as `monitoring.rs` reads it: what later values are compared with."""
    found = {}
    for field in schema["fields"]:
        values = rows[field["name"]]
        missing, present = int(values.isna().sum()), values.dropna()
        if field["type"] == "category":
            words = field["categories"]
            counts = [int((present == word).sum()) for word in words]
            found[field["name"]] = {"words": words, "counts": [missing, 0, *counts, 0]}
            continue
        numbers = np.sort(present.to_numpy(dtype=np.float64))
        cuts = histogram_cuts(field, numbers[0], numbers[decile_places(len(numbers))], numbers[-1])
        counts = np.bincount(np.searchsorted(cuts, numbers), minlength=len(cuts) + 1).tolist()
        found[field["name"]] = {"cuts": cuts.tolist(), "counts": [missing, 0, *counts]}
    return found


def decile_places(count: int) -> list[int]:
    """Where the nine deciles stand among so many sorted numbers."""
    return [tenth * count // 10 for tenth in range(1, 10)]


def histogram_cuts(
    field: dict[str, Any], smallest: float, deciles: npt.NDArray[np.float64], largest: float
) -> npt.NDArray[np.float64]:
    """The numbers at which the bins of a field's histogram end, each in the bin that it ends."""
    # What comes later may lie below the smallest or beyond the largest, also where all are the same.
    below, last = np.nextafter(smallest, -np.inf), largest
    if field.get("unit") == "degree":
        # To whole degrees: no place can be read from them.
        deciles, below, last = deciles.round(), np.ceil(smallest) - 1, np.ceil(last)
    return np.unique([below, *deciles, last])


def seen_pairs(rows: pd.DataFrame, fields: tuple[str, str]) -> dict[str, Any]:
    """Which categories of two fields occur together, whichever end has which."""
    together = rows[list(fields)].dropna()
    pairs = {tuple(sorted(pair)) for pair in together.drop_duplicates().itertuples(index=False, name=None)}
    return {"fields": list(fields), "pairs": [list(pair) for pair in sorted(pairs)]}


def seen_regions(places: npt.NDArray[np.float64]) -> dict[str, Any]:
    """The cells whose middle lies near one of these places (latitude, longitude), one bit each: no place can be read
    from them.
    """
    middles = np.arange(REGION_DEGREES / 2, 360, REGION_DEGREES)
    lat, lon = np.meshgrid(middles[middles < 180] - 90, middles - 180, indexing="ij")
    near = np.zeros(lat.shape, dtype=bool)
    # To whole degrees: a large table has more places than that matters.
    for place in np.unique(places.round(), axis=0):
        near |= great_circle_km(lat, lon, *place) <= REGION_WITHIN_KM
    return {"within_km": REGION_WITHIN_KM, "cells": np.packbits(near).tobytes().hex()}
