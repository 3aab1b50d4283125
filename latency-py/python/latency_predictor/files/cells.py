"""Columns of text → what a predictor reads. A cell that cannot be read is a fault of its row, not of the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InvalidInputError

MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""Cells that say that there is nothing: the words of pandas."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SHOWN = 60

Faults = dict[int, InvalidInputError]
"""The error of each row at fault; rows count from 0."""


def read(column: Any, name: str, kind: str, words: tuple[str, ...] = ()) -> tuple[Any, Faults]:
    """A column of a field of this kind, with nulls for missing cells, and the faults.

    Columns of numbers are as they came; so is what is no text. `words` are categories of the field, which are not
    missing whatever they look like.
    """
    if not is_text(column.type):
        return column, {}
    column, faults = utf8(column, name)
    missing = pa.array([word for word in MISSING if word not in words])
    column = pc.if_else(pc.is_in(column, missing), pa.scalar(None, pa.string()), column)
    return (_numbers(column, name, faults) if kind == "number" else column), faults


def missing(column: Any) -> list[int]:
    """The rows whose number is null or NaN."""
    if not column.null_count and not pa.types.is_floating(column.type):
        return []
    return pc.indices_nonzero(pc.is_null(column, nan_is_null=True)).to_pylist()  # type: ignore[no-any-return]


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this Arrow type are text, or bytes that may be text."""
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind) in (
        "string", "large_string", "string_view", "binary", "large_binary", "binary_view",
    )  # fmt: skip


def utf8(column: Any, name: str) -> tuple[Any, Faults]:
    """A column of bytes as text, and the faults."""
    try:
        return column.cast(pa.string()), {}
    except pa.ArrowInvalid:
        return _each(column, name, pa.string(), _decoded, "text in UTF-8")


def _numbers(column: Any, name: str, faults: Faults) -> Any:
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        numbers, found = _each(column, name, pa.float64(), _parsed, "a number such as 51.5")
        faults.update(found)
        return numbers


def _each(column: Any, name: str, kind: pa.DataType, convert: Callable[[Any], Any], allowed: str) -> tuple[Any, Faults]:
    """Cell by cell: slow, but only for a chunk that has a cell at fault."""
    cells, faults = column.to_pylist(), Faults()
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            cells[row] = convert(cell)
        except ValueError:
            faults[row] = InvalidInputError(
                f"{name}: found {_shown(cell)}; allowed: {allowed}", "INVALID_FIELD", name, row
            )
            cells[row] = None
    return pa.array(cells, kind), faults


def _decoded(cell: bytes) -> str:
    return cell.decode()


def _parsed(cell: str) -> float:
    text = cell.strip()
    if not text or text in MISSING:
        return np.nan
    if not NUMBER.fullmatch(text) and text.lower().lstrip("+-") not in ("inf", "infinity"):
        # `float` takes more: 1_000, digits of other scripts.
        raise ValueError(text)
    return float(text)


def _shown(cell: str | bytes) -> str:
    return f"`{cell[:SHOWN]}`" if isinstance(cell, str) else f"the bytes {cell[:SHOWN]!r}"
