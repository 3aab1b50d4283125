"""Tables → the columns that the native module takes: f64 arrays, and lists of strings or None."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInputError

CELLS = "numbers or strings, with None for a missing value"


def columns(table: Mapping[str, Any] | Any, known: Collection[str] | None = None) -> dict[str, Any]:
    """The columns of a dict of sequences, of a DataFrame, or of an Arrow table.

    Numbers become f64 arrays (f64 arrays are passed on without a copy), with NaN for a missing value; text
    becomes a list of strings, with None for a missing value. Columns that are not `known` may hold anything:
    only their length is passed on.
    """
    if isinstance(table, Mapping):
        names = list(table)
    elif hasattr(table, "column_names"):
        names = list(table.column_names)
    elif hasattr(table, "columns"):
        names = list(table.columns)
    else:
        raise InvalidInputError(
            f"found a {type(table).__name__}; allowed: a dict of columns or a DataFrame", "INVALID_BATCH"
        )
    if not names and len(table) > 0:
        raise InvalidInputError(f"found {len(table)} rows without a column", "INVALID_BATCH")
    return {
        str(name): column(table[name], str(name))
        if known is None or str(name) in known
        else _unread(table[name], str(name))
        for name in names
    }


def column(values: Any, name: str) -> Any:
    """One column; see `columns`."""
    array = _array(values, name)
    if array.dtype.kind in "fiu":
        return np.ascontiguousarray(array, dtype=np.float64)
    if array.dtype.kind == "U":
        return array.tolist()
    if array.dtype.kind in "mM":
        # As numbers they would be nanoseconds, which no caller means.
        raise InvalidInputError(f"{name}: found {array.dtype}; allowed: {CELLS}", "INVALID_FIELD", name)
    cells = [None if _missing(cell) else cell for cell in array.tolist()]
    if all(cell is None or (isinstance(cell, Real) and not isinstance(cell, bool)) for cell in cells):
        return np.array([_number(cell, row, name) for row, cell in enumerate(cells)], dtype=np.float64)
    odd = [(row, cell) for row, cell in enumerate(cells) if cell is not None and not isinstance(cell, str)]
    for row, cell in odd:
        if isinstance(cell, bool) or not isinstance(cell, Real):
            raise _invalid(f"a {type(cell).__name__}", row, name)
    if odd:
        raise _invalid("a number beside text", odd[0][0], name)
    return cells


def _array(values: Any, name: str) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        # Not `filled(None)`, which fills in NumPy's own "?".
        mask, values = np.ma.getmaskarray(values), np.array(values, dtype=object)
        values[mask] = None
    try:
        array = np.asarray(values)
        if isinstance(values, list | tuple) and array.ndim == 1 and _mixed(values, array.dtype.kind):
            array = np.asarray(values, dtype=object)
    except ValueError as error:
        raise InvalidInputError(
            f"{name}: found rows of different lengths; allowed: one value per row", "INVALID_BATCH", name
        ) from error
    if array.ndim == 0:
        raise InvalidInputError(
            f"{name}: found a {type(values).__name__}; allowed: a list or an array, one value per row",
            "INVALID_BATCH",
            name,
        )
    if array.ndim > 1:
        raise InvalidInputError(
            f"{name}: found {array.ndim} dimensions; allowed: one value per row", "INVALID_BATCH", name
        )
    return array


def _mixed(values: list[Any] | tuple[Any, ...], kind: str) -> bool:
    """Whether NumPy made one type of several: text of a NaN beside words, a number of True beside numbers."""
    if kind == "U":
        return not all(isinstance(value, str) for value in values)
    return kind in "fiu" and any(isinstance(value, bool | np.bool_) for value in values)


def _unread(values: Any, name: str) -> Any:
    """A column that nobody reads, but whose length must be that of the others."""
    return np.zeros(len(values)) if hasattr(values, "__len__") else column(values, name)


def _number(cell: Any, row: int, name: str) -> float:
    try:
        return np.nan if cell is None else float(cell)
    except OverflowError as error:
        raise _invalid("a number above all that 64 bits can hold", row, name) from error


def _missing(cell: Any) -> bool:
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    # NaN is the one number that differs from itself.
    return isinstance(cell, Real) and bool(cell != cell)


def _invalid(found: str, row: int, name: str) -> InvalidInputError:
    return InvalidInputError(f"row {row}: {name}: found {found}; allowed: {CELLS}", "INVALID_FIELD", name, row)
