"""Tables → the columns that the native module takes: f64 arrays, and lists of strings or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import InvalidInputError


def columns(table: Mapping[str, Any] | Any) -> dict[str, Any]:
    """The columns of a dict of sequences, or of anything with `columns` and `[name]`, such as a pandas DataFrame.

    Numbers become f64 arrays (f64 arrays are passed on without a copy), with NaN for a missing value; text becomes a
    list of strings, with None for a missing value.
    """
    names = list(table) if isinstance(table, Mapping) else list(getattr(table, "columns", ()))
    if not names and not isinstance(table, Mapping) and not hasattr(table, "columns"):
        raise InvalidInputError(
            f"found a {type(table).__name__}; allowed: a dict of columns or a DataFrame", "INVALID_BATCH"
        )
    return {str(name): column(table[name], str(name)) for name in names}


def column(values: Any, name: str) -> Any:
    """One column; see `columns`."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise InvalidInputError(
            f"{name}: found {array.ndim} dimensions; allowed: one value per row", "INVALID_BATCH", name
        )
    if array.dtype.kind in "fiu":
        return np.ascontiguousarray(array, dtype=np.float64)
    if array.dtype.kind == "U":
        return array.tolist()
    cells = [None if _missing(cell) else cell for cell in array.tolist()]
    if all(cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) for cell in cells):
        return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    for row, cell in enumerate(cells):
        if cell is not None and not isinstance(cell, str):
            raise InvalidInputError(
                f"row {row}: {name}: found a {type(cell).__name__}; allowed: a number, a string or None",
                "INVALID_FIELD",
                name,
                row,
            )
    return cells


def _missing(cell: Any) -> bool:
    # NaN is the one value that differs from itself; pandas' NA answers with neither True nor False.
    return cell is None or type(cell).__name__ == "NAType" or cell != cell
