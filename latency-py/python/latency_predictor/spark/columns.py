"""A DataFrame's columns against a model's fields, on the driver, before any job starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql.types import DataType, NullType, NumericType, StringType

from ..errors import InvalidInputError
from ..predictor import Predictor

PLACES = ("src", "dst")


def find(df: DataFrame, predictor: Predictor) -> dict[str, Column]:
    """The columns that the model reads, by field, as doubles or strings.

    Raises `InvalidInputError` with its code and the field for a column that is missing, there twice or of a wrong
    type.
    """
    kinds, fold = _kinds(predictor), _folding(df)
    types = {field.name: field.dataType for field in df.schema.fields}
    found: dict[str, Column] = {}
    for name, kind in kinds.items():
        same = [column for column in df.columns if fold(column) == fold(name)]
        if len(same) > 1:
            raise InvalidInputError(
                f"{name}: found {len(same)} columns of this name; allowed: one; rename or drop the others",
                "INVALID_BATCH",
                name,
            )
        if same:
            _check_type(name, kind, types[same[0]])
            found[name] = df[quoted(same[0])].cast("double" if kind["type"] == "number" else "string")
    if not found:
        raise InvalidInputError(
            f"found none of the model's columns: {', '.join(kinds)}; the table has: {', '.join(df.columns) or 'none'}",
            "MISSING_FIELD",
        )
    try:
        outputs(predictor, list(found))
    except InvalidInputError as error:
        raise InvalidInputError(f"{error}; the table has: {', '.join(df.columns)}", error.code, error.field) from None
    return found


def check_fields(predictor: Predictor, fields: Sequence[str]) -> None:
    """Raises `InvalidInputError` for fields that the model does not have, names twice, or cannot do without."""
    known = _kinds(predictor)
    for name in fields:
        if isinstance(fields, str) or name not in known or list(fields).count(name) > 1:
            raise InvalidInputError(
                f"fields: found {fields!r}; allowed: a list of {', '.join(known)}, each once", "UNKNOWN_FIELD", name
            )
    if not fields:
        raise InvalidInputError(f"fields: found none; allowed: {', '.join(known)}", "MISSING_FIELD")
    outputs(predictor, fields)


def outputs(predictor: Predictor, fields: Sequence[str]) -> list[str]:
    """The predictions that the model gives for a table with these columns.

    Asks the model itself about one made-up row, so that what may be left out is said in one place.
    """
    kinds = _kinds(predictor)
    answer: dict[str, Any] = predictor.predict_batch({name: [_plausible(kinds[name])] for name in fields})
    return list(answer)


def check_free(df: DataFrame, names: Iterable[str]) -> None:
    """Raises `InvalidInputError` if the DataFrame already has one of these columns."""
    fold = _folding(df)
    taken = {fold(column) for column in df.columns}
    clash = [name for name in names if fold(name) in taken]
    if clash:
        raise InvalidInputError(
            f"the table already has the column {', '.join(f'`{name}`' for name in clash)}; rename it "
            f"(df.withColumnRenamed), drop it, or choose other predictions with columns=[…]",
            "INVALID_BATCH",
            clash[0],
        )


def unused_name(df: DataFrame) -> str:
    """A name that no column has."""
    name = "prediction"
    taken = {column.lower() for column in df.columns}
    while name in taken:
        name += "_"
    return name


def quoted(name: str) -> str:
    """A name as Spark takes it literally, whatever dots it has."""
    return "`" + name.replace("`", "``") + "`"


def _kinds(predictor: Predictor) -> dict[str, dict[str, Any]]:
    fields: list[dict[str, Any]] = predictor.schema["fields"]
    known = {field["name"]: field for field in fields}
    if "coordinates" in predictor.schema:
        known |= {name: {"name": name, "type": "place"} for name in PLACES}
    return known


def _plausible(kind: dict[str, Any]) -> float | str:
    if kind["type"] == "place":
        return "0,0"
    if kind["type"] == "category":
        return str(kind["categories"][0])
    low, high = kind.get("min", float("-inf")), kind.get("max", float("inf"))
    return float(min(max(0.0, low), high))


def _check_type(name: str, kind: dict[str, Any], found: DataType) -> None:
    number = kind["type"] == "number"
    if isinstance(found, NullType | (NumericType if number else StringType)):
        return
    if number:
        allowed, cure = "numbers", f"df.withColumn({name!r}, df[{name!r}].cast('double'))"
    elif kind["type"] == "place":
        allowed, cure = "names of places as strings", "give coordinates in columns of their own"
    else:
        words = ", ".join(kind["categories"])
        allowed, cure = f"strings ({words})", f"df.withColumn({name!r}, df[{name!r}].cast('string'))"
    raise InvalidInputError(
        f"{name}: found a column of type {found.simpleString()}; allowed: {allowed}; {cure}", "INVALID_FIELD", name
    )


def _folding(df: DataFrame) -> Callable[[str], str]:
    """What makes names equal that are equal to Spark."""
    return str if df.sparkSession.conf.get("spark.sql.caseSensitive") == "true" else str.lower
