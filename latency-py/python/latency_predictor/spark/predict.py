"""`predict` for DataFrames and `udf` for SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pyspark.sql import DataFrame
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import FloatType, StringType, StructField, StructType

from ..errors import InvalidInputError
from . import columns as table_columns
from .scoring import ERROR_COLUMN, scorer
from .shipped import Model, ShippedModel, ship

Errors = Literal["raise", "null"]


def predict(
    df: DataFrame, model: Model = None, *, errors: Errors = "raise", columns: Sequence[str] | None = None
) -> DataFrame:
    """Adds predictions to a DataFrame that has the model's fields as columns, by their flat names (or `src` and `dst`
    with names of places). Lazy, like every transformation of Spark; works on streaming DataFrames too.

    `model` is the bundled model (None), the path of a file on the driver, the bytes of one, or a `Predictor`; it
    travels with the job. `columns` names the predictions wanted, by default all that the model gives: `p50_ms`,
    `low_ms`, `high_ms`, `p90_ms`, `p99_ms`, and with coordinates `floor_ms` and `distance_km`; 32-bit floats, times
    in milliseconds, equal to `Predictor.predict_batch` to the bit. The caller's columns stay as they are, and those
    that the model does not use never leave the JVM. Columns are found as Spark finds them: with
    `spark.sql.caseSensitive` off, in capitals or not.

    A bad value in a row fails the job, with `readable_errors()` as `InvalidInputError`; with `errors="null"` its
    predictions are null, and a column `error` says why (null in good rows).

    Raises `InvalidInputError` at once, before any job, for columns that are missing, of a wrong type or there already,
    and `ModelError` for a model that cannot be loaded.
    """
    _check_errors(errors)
    shipped, predictor = ship(model)
    found = table_columns.find(df, predictor)
    outputs = _outputs(table_columns.outputs(predictor, list(found)), columns)
    added = [*outputs, ERROR_COLUMN] if errors == "null" else outputs
    table_columns.check_free(df, added)
    # Non-deterministic for the optimizer alone: it would compute the predictions again for each filter on them.
    score = _spark_udf(shipped, list(found), outputs, errors).asNondeterministic()
    holder = table_columns.unused_name(df)
    return df.select("*", score(*found.values()).alias(holder)).select("*", f"{holder}.*").drop(holder)


def udf(
    model: Model = None,
    *,
    fields: Sequence[str] = ("src", "dst"),
    errors: Errors = "raise",
    columns: Sequence[str] | None = None,
) -> Any:
    """A function for SQL that takes `fields` in this order and returns a struct of predictions:

        spark.udf.register("predict_rtt", latency_predictor.spark.udf())
        spark.sql("SELECT predict_rtt(src, dst).p50_ms FROM paths")

    The other arguments are those of `predict`. With `errors="null"` the struct has the field `error` too.

    Raises `InvalidInputError` if the model cannot be asked by these fields, and `ModelError` as `predict`.
    """
    _check_errors(errors)
    shipped, predictor = ship(model)
    table_columns.check_fields(predictor, fields)
    outputs = _outputs(table_columns.outputs(predictor, fields), columns)
    return _spark_udf(shipped, fields, outputs, errors)


def _spark_udf(shipped: ShippedModel, fields: Sequence[str], outputs: Sequence[str], errors: Errors) -> Any:
    nulls = errors == "null"
    kinds = [StructField(name, FloatType()) for name in outputs]
    if nulls:
        kinds.append(StructField(ERROR_COLUMN, StringType()))
    # Its stubs do not know that the type of function may be left to its annotations.
    as_udf: Any = arrow_udf
    return as_udf(scorer(shipped, fields, outputs, nulls), StructType(kinds))


def _check_errors(errors: str) -> None:
    if errors not in ("raise", "null"):
        raise InvalidInputError(f"errors: found {errors!r}; allowed: 'raise', 'null'", "INVALID_FIELD", "errors")


def _outputs(known: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    if wanted is None:
        return list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted or isinstance(wanted, str) or len(set(wanted)) < len(wanted):
        raise InvalidInputError(
            f"columns: found {wanted!r}; allowed: a list of {', '.join(known)}, each once", "INVALID_FIELD", "columns"
        )
    return list(wanted)
