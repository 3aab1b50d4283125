"""What runs on the executors: Arrow columns in, one struct of predictions per row out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InvalidInputError, LatencyError
from ..predictor import Predictor
from .errors import marked, without_row
from .shipped import ShippedModel

ERROR_COLUMN = "error"
_CURE = "; errors='null' goes on and names each bad row in a column `error`"


def scorer(model: ShippedModel, fields: Sequence[str], outputs: Sequence[str], nulls: bool) -> Callable[..., pa.Array]:
    """The function of a Spark UDF: one Arrow array for each of `fields` in, structs of float32 `outputs` out; with
    `nulls` also `error`, and null numbers in rows at fault.
    """

    def score(*columns: pa.Array) -> pa.Array:
        try:
            predictor, batch = model.predictor(), _batch(fields, columns)
            if nulls:
                return _structs(*_with_errors(predictor, batch), outputs)
            return _structs(predictor.predict_batch(batch), None, outputs)
        except InvalidInputError as error:
            raise marked(error, "" if nulls or error.row is None else _CURE) from None
        except LatencyError as error:
            raise marked(error) from None

    return score


def _batch(fields: Sequence[str], columns: Sequence[pa.Array]) -> pa.RecordBatch:
    if len(columns) != len(fields):
        raise InvalidInputError(
            f"found {len(columns)} columns; allowed: {len(fields)}, in this order: {', '.join(fields)}", "INVALID_BATCH"
        )
    # A number with a point in SQL is a decimal.
    plain = [pc.cast(column, pa.float64()) if pa.types.is_decimal(column.type) else column for column in columns]
    return pa.RecordBatch.from_arrays(plain, list(fields))


def _with_errors(predictor: Predictor, batch: pa.RecordBatch) -> tuple[Any, list[str | None]]:
    answer, notes = predictor.predict_batch_with_notes(batch)
    texts: list[str | None] = [None] * batch.num_rows
    for error in notes.errors:
        if error.row is not None:
            texts[error.row] = f"{error.code} {without_row(error)}"
    return answer, texts


def _structs(answer: Any, errors: list[str | None] | None, outputs: Sequence[str]) -> pa.Array:
    bad: npt.NDArray[np.bool_] | None = None
    if errors is not None:
        bad = np.array([error is not None for error in errors], dtype=bool)
    arrays = [pa.array(np.asarray(answer[name]), pa.float32(), mask=bad) for name in outputs]
    names = list(outputs)
    if errors is not None:
        arrays.append(pa.array(errors, pa.string()))
        names.append(ERROR_COLUMN)
    return pa.StructArray.from_arrays(arrays, names)
