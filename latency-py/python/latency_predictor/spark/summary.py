"""What a schema says of a table, from aggregates over a Spark DataFrame: equal to what one machine reads from its rows.

The aggregates are small: the smallest and largest number, deciles, at most 64 words, places to whole degrees. Only the
deciles of tables with many rows differ, by at most one row in 10,000: they are where the bins of histograms end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's users give it
from pyspark.sql.types import BooleanType, NumericType, StringType

from ..errors import TrainingError
from ..training import schemas, tables
from .columns import quoted

ABOUT_TOO_MANY = 2 * schemas.MAX_CATEGORIES
"""So many words by an approximate count are more than are allowed, without collecting them."""
DECILE_ACCURACY = 10_000


@dataclass(frozen=True)
class Table:
    """A table to train on: numbers as doubles with nulls for holes, words as strings, all rows with a target."""

    rows: DataFrame
    schema: dict[str, Any]
    """Without outputs."""
    count: int
    without_target: int


def read(df: DataFrame, target: str, drop: tuple[str, ...], name: str) -> Table:
    """Checks a DataFrame, and describes it as a schema. Reads it a few times.

    Raises TrainingError naming the column that cannot be used.
    """
    _check_names(df, target, drop)
    plain = df.select(*(_plain(df, column) for column in df.columns if column not in drop))
    rows = plain.where(F.col(quoted(target)).isNotNull() & ~_infinite(target))
    fields = [column for column in rows.columns if column != target]
    numbers = [column for column in (target, *fields) if not _is_text(rows, column)]
    words = [column for column in fields if _is_text(rows, column)]
    found = _aggregates(rows, numbers, words)
    count = found["count"]
    if count < tables.MIN_ROWS:
        raise TrainingError(
            f"found {count} rows with a `{target}`; at least {tables.MIN_ROWS} are needed; measure more"
        )
    for column in fields:
        _check_values(column, found, column in words)
    listed = _words(rows, words)
    series = {
        column: pd.Series(listed[column] if column in words else [found[f"min {column}"], found[f"max {column}"]])
        for column in rows.columns
    }
    # Rows that never were: only what stands in one column counts here.
    summary = pd.DataFrame(series)
    transform = "log" if found[f"min {target}"] > 0 else "identity"
    schema = schemas.table_schema(summary, target, (), tables.hubs(), transform, name)
    _check_coordinates(schema, rows)
    schemas.describe_fields(schema, summary)
    _describe_combinations(schema, rows)
    schema["histograms"] = _histograms(schema, rows, found)
    return Table(rows, schema, count, df.count() - count)


def _check_names(df: DataFrame, target: str, drop: tuple[str, ...]) -> None:
    twice = [column for column in df.columns if df.columns.count(column) > 1]
    if twice:
        raise TrainingError(f"the table has the column `{twice[0]}` twice; rename one of them")
    for column in (target, *drop):
        if column not in df.columns:
            raise TrainingError(f"the table has no column `{column}`; it has: {', '.join(df.columns)}")
    if not isinstance(df.schema[target].dataType, NumericType):
        found = df.schema[target].dataType.simpleString()
        raise TrainingError(f"the target `{target}` holds {found}; allowed: numbers")


def _plain(df: DataFrame, name: str) -> Column:
    kind = df.schema[name].dataType
    column = F.col(quoted(name))
    if isinstance(kind, NumericType):
        number = column.cast("double")
        return F.when(~F.isnan(number), number).alias(name)
    if isinstance(kind, StringType):
        return column.cast("string").alias(name)
    cure = "write it as 0 and 1" if isinstance(kind, BooleanType) else "turn it into one of these"
    raise TrainingError(
        f"column `{name}` holds {kind.simpleString()}; allowed: numbers, or at most {schemas.MAX_CATEGORIES} different "
        f"words; {cure}, or leave it out with drop=[{name!r}]",
        field=name,
    )


def _is_text(rows: DataFrame, name: str) -> bool:
    return isinstance(rows.schema[name].dataType, StringType)


def _infinite(name: str) -> Column:
    return F.abs(F.col(quoted(name))) == float("inf")


def _aggregates(rows: DataFrame, numbers: list[str], words: list[str]) -> Row:
    wanted = [F.count("*").alias("count")]
    for name in numbers:
        column = F.col(quoted(name))
        wanted += [F.min(column).alias(f"min {name}"), F.max(column).alias(f"max {name}")]
    for name in words:
        column = F.col(quoted(name))
        wanted += [F.approx_count_distinct(column).alias(f"words {name}"), F.first(column, True).alias(f"word {name}")]
    return _aggregate(rows, wanted)


def _aggregate(rows: DataFrame, wanted: list[Column]) -> Row:
    found = rows.agg(*wanted).first()
    assert found is not None, "an aggregate has one row"  # noqa: S101  by Spark's definition
    return found


def _check_values(name: str, found: Row, text: bool) -> None:
    empty = found[f"word {name}"] is None if text else found[f"min {name}"] is None
    if empty:
        raise TrainingError(f"column `{name}` has no values; leave it out with drop=[{name!r}]", field=name)
    if text and found[f"words {name}"] > ABOUT_TOO_MANY:
        raise _too_many(name, f"about {found[f'words {name}']}", found[f"word {name}"])
    if not text and not np.isfinite([found[f"min {name}"], found[f"max {name}"]]).all():
        raise TrainingError(f"column `{name}` holds infinities; leave those rows out", field=name)


def _words(rows: DataFrame, names: list[str]) -> dict[str, list[str]]:
    if not names:
        return {}
    found = _aggregate(rows, [F.collect_set(quoted(name)).alias(f"words {name}") for name in names])
    words = {name: sorted(found[f"words {name}"]) for name in names}
    for name, listed in words.items():
        if len(listed) > schemas.MAX_CATEGORIES:
            raise _too_many(name, str(len(listed)), listed[0])
        schemas.check_words(name, listed)
    return words


def _too_many(name: str, count: str, example: str) -> TrainingError:
    return TrainingError(
        f"column `{name}` is neither a number nor a category: it holds {count} different values such as {example!r}; "
        f"allowed: numbers, or at most {schemas.MAX_CATEGORIES} different words; leave it out with drop=[{name!r}]",
        field=name,
    )


def _check_coordinates(schema: dict[str, Any], rows: DataFrame) -> None:
    required = [field for field in schema["fields"] if field.get("required")]
    for field in required:
        name = field["name"]
        if _is_text(rows, name):
            raise TrainingError(
                f"column `{name}` holds string; allowed: degrees as numbers; correct it, or rename the column if it is "
                "no coordinate",
                field=name,
            )
        column = F.col(quoted(name))
        bad = rows.where(column.isNull() | ~column.between(field["min"], field["max"]))
        example = bad.select(column).first()
        if example is not None:
            value = "no value" if example[0] is None else f"{example[0]:g}"
            raise TrainingError(
                f"{name}: found {value}; allowed: {field['min']:g} to {field['max']:g} degrees; correct the "
                f"{bad.count()} rows, or leave them out",
                field=name,
            )


def _histograms(schema: dict[str, Any], rows: DataFrame, found: Row) -> dict[str, Any]:
    """As `schemas.histograms`, in three readings of the table: how many values there are, deciles, then what lies up to
    each end of a bin.
    """
    fields = schema["fields"]
    present = _aggregate(rows, [F.count(quoted(field["name"])).alias(field["name"]) for field in fields])
    cuts = _cuts([field for field in fields if field["type"] == "number"], rows, found, present)
    wanted = []
    for field in fields:
        name = field["name"]
        column = F.col(quoted(name))
        bins = (
            [column <= float(cut) for cut in cuts[name]] if name in cuts else [column == w for w in field["categories"]]
        )
        wanted += [F.count_if(condition).alias(f"{place} {name}") for place, condition in enumerate(bins)]
    counted = _aggregate(rows, wanted)
    histograms: dict[str, Any] = {}
    for field in fields:
        name = field["name"]
        missing = found["count"] - present[name]
        if name in cuts:
            upto = [counted[f"{place} {name}"] for place in range(len(cuts[name]))]
            counts = np.diff([0, *upto, present[name]]).tolist()
            histograms[name] = {"cuts": cuts[name].tolist(), "counts": [missing, 0, *counts]}
        else:
            counts = [counted[f"{place} {name}"] for place in range(len(field["categories"]))]
            histograms[name] = {"words": field["categories"], "counts": [missing, 0, *counts, 0]}
    return histograms


def _cuts(
    fields: list[dict[str, Any]], rows: DataFrame, found: Row, present: Row
) -> dict[str, npt.NDArray[np.float64]]:
    """Where the bins of number fields end."""
    wanted = []
    for field in fields:
        name, count = field["name"], present[field["name"]]
        # Half a row further, so that rounding finds no other place.
        shares = [(place + 0.5) / count for place in schemas.decile_places(count)]
        wanted.append(F.percentile_approx(quoted(name), shares, DECILE_ACCURACY).alias(name))
    if not wanted:
        return {}
    deciles = _aggregate(rows, wanted)
    cuts = {}
    for field in fields:
        name = field["name"]
        smallest, largest = found[f"min {name}"], found[f"max {name}"]
        cuts[name] = schemas.histogram_cuts(field, smallest, np.array(deciles[name], dtype=np.float64), largest)
    return cuts


def _describe_combinations(schema: dict[str, Any], rows: DataFrame) -> None:
    """What `describe_seen` reads from several columns at once."""
    categories = {field["name"] for field in schema["fields"] if field["type"] == "category"}
    pair = ("src_access", "dst_access")
    if categories.issuperset(pair):
        found = rows.select(*pair).dropna().distinct().collect()
        schema["seen_pairs"] = schemas.seen_pairs(pd.DataFrame(found, columns=list(pair)), pair)
    if "coordinates" in schema:
        names = schema["coordinates"]
        ends = [
            rows.select(*(F.rint(quoted(names[f"{end}_{axis}"])).alias(axis) for axis in ("lat", "lon")))
            for end in schemas.ENDS
        ]
        places = ends[0].union(ends[1]).distinct().collect()
        schema["coordinates"] = names | {"seen_regions": schemas.seen_regions(np.array(places, dtype=np.float64))}
