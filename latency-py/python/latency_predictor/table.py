"""Tables of all kinds → what the native module reads, and its answer back into a table of the same kind.

The native module reads f64 arrays, lists of strings or None, pairs of codes and words, columns of a matrix, and
everything with the Arrow PyCapsule interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInputError

CELLS = "numbers or strings, with None for a missing value"
TABLES = "a dict of columns, a pandas or Polars DataFrame, or an Arrow table"

Kinds = Mapping[str, str]
"""The columns that a model reads: `number`, `category` or `place` by name."""

Fault = Callable[[InvalidInputError], None]
"""Takes the error of one cell; if it returns, the cell counts as missing."""


def columns(table: Any, known: Kinds | None = None, names: Sequence[str] | None = None) -> Any:
    """The columns of a table. `names` are those of a matrix.

    Numbers become f64 arrays (f64 arrays are passed on without a copy), with NaN for a missing value; text becomes
    strings, with None for a missing value. Columns that are not `known` may hold anything: only their length counts.

    Raises `InvalidInputError` for the first cell that is neither a number nor text, and for what is no table.
    """
    return _columns(table, known, names, _raise)


def columns_with_faults(
    table: Any, known: Kinds, names: Sequence[str] | None = None
) -> tuple[Any, list[InvalidInputError]]:
    """Likewise, with an error for each cell that is neither a number nor text instead of failing at the first."""
    faults: list[InvalidInputError] = []
    return _columns(table, known, names, faults.append), faults


def merge_faults(
    faults: list[InvalidInputError], errors: list[InvalidInputError], answer: dict[str, npt.NDArray[np.float32]]
) -> tuple[InvalidInputError, ...]:
    """One error for each row at fault, in their order; takes the numbers of such rows out of the answer."""
    first: dict[int, InvalidInputError] = {}
    for error in (*faults, *errors):
        if error.row is not None:
            first.setdefault(error.row, error)
    unreadable = [error.row for error in faults if error.row is not None]
    for numbers in answer.values():
        numbers[unreadable] = np.nan
    return tuple(first[row] for row in sorted(first))


def like(table: Any, answer: dict[str, npt.NDArray[np.float32]]) -> Any:
    """The answer as a table of the kind that came in; a dict of arrays where there is none."""
    if _is_pandas(table):
        return type(table)(answer, index=table.index)
    if _comes_from(table, "polars"):
        return type(table)(answer)
    if _comes_from(table, "pyarrow") and hasattr(type(table), "from_pydict"):
        return type(table).from_pydict(answer)
    return answer


def _columns(table: Any, known: Kinds | None, names: Sequence[str] | None, fault: Fault) -> Any:
    if isinstance(table, np.ndarray):
        return _of_array(table, names, known, fault)
    if names is not None:
        raise InvalidInputError(
            f"columns: found names for a {type(table).__name__}, whose columns have names; leave them out",
            "INVALID_BATCH",
            "columns",
        )
    if isinstance(table, Mapping):
        found = {str(name): table[name] for name in table}
    elif _is_pandas(table):
        if not len(table.columns) and len(table):
            raise InvalidInputError(f"found {len(table)} rows without a column", "INVALID_BATCH")
        found = {str(name): table[name] for name in table.columns}
    elif _is_arrow(table):
        if not getattr(table, "column_names", True) and len(table):
            raise InvalidInputError(f"found {len(table)} rows without a column", "INVALID_BATCH")
        return table
    else:
        lazy = "; collect it first" if hasattr(table, "collect") else ""
        raise InvalidInputError(f"found a {type(table).__name__}; allowed: {TABLES}{lazy}", "INVALID_BATCH")
    kinds = known or dict.fromkeys(found, "category")
    return {
        name: column(values, name, kinds[name], fault) if name in kinds else _unread(values, name)
        for name, values in found.items()
    }


def _of_array(
    array: npt.NDArray[Any], names: Sequence[str] | None, known: Kinds | None, fault: Fault
) -> dict[str, Any]:
    if array.dtype.names is not None:
        return _columns({name: array[name] for name in array.dtype.names}, known, names, fault)  # type: ignore[no-any-return]
    if names is None or array.ndim != 2 or len(names) != array.shape[1]:
        found = f"an array of shape {array.shape}" + ("" if names is None else f" with {len(names)} names")
        raise InvalidInputError(
            f"found {found}; allowed: a matrix of shape (rows, columns) with a name for each column, as in "
            "`columns=['src_lat', …]`",
            "INVALID_BATCH",
        )
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise InvalidInputError(f"{twice}: found twice; give each column once", "INVALID_BATCH", twice)
    if array.dtype.kind not in "fiu":
        return _columns({name: array[:, index] for index, name in enumerate(names)}, known, None, fault)  # type: ignore[no-any-return]
    matrix = np.asarray(array, dtype=np.float64)
    return {name: (matrix, index) for index, name in enumerate(names)}


def _is_pandas(table: Any) -> bool:
    return hasattr(table, "iloc") and hasattr(table, "columns")


def _is_arrow(table: Any) -> bool:
    return hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__")


def _comes_from(table: Any, library: str) -> bool:
    return any(kind.__module__.partition(".")[0] == library for kind in type(table).__mro__)


def column(values: Any, name: str, kind: str, fault: Fault | None = None) -> Any:
    """One column of a field of this kind; see `columns`."""
    fault = fault or _raise
    if _is_arrow(values) and not _comes_from(values, "pandas"):
        return values
    words = _words(values)
    if words is not None:
        return words
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
        return np.array([_number(cell, row, name, fault) for row, cell in enumerate(cells)], dtype=np.float64)
    return _mixture(cells, name, kind, fault)


def _mixture(cells: list[Any], name: str, kind: str, fault: Fault) -> Any:
    """Cells of several types: those that this kind of field has none of are at fault."""
    number = kind == "number"
    for row, cell in enumerate(cells):
        if cell is None or (isinstance(cell, str) and not number):
            continue
        if isinstance(cell, str):
            fault(_invalid(f"the text {cell[:60]!r} beside numbers", row, name))
        elif isinstance(cell, bool) or not isinstance(cell, Real):
            fault(_invalid(f"a {type(cell).__name__}", row, name))
        elif not number:
            fault(_invalid(f"the number {cell} beside text", row, name))
        else:
            continue
        cells[row] = None
    if not number:
        return cells
    return np.array([_number(cell, row, name, fault) for row, cell in enumerate(cells)], dtype=np.float64)


def _words(values: Any) -> tuple[npt.NDArray[np.int64], list[str]] | None:
    """A column of pandas as codes and words, if it holds nothing but strings: each word is then read once."""
    if not hasattr(values, "factorize") or getattr(values.dtype, "kind", "O") != "O":
        return None
    try:
        codes, words = values.factorize()
    except TypeError:
        # What cannot be hashed is no text.
        return None
    if not len(words) or not all(isinstance(word, str) for word in words):
        return None
    return np.asarray(codes, dtype=np.int64), list(words)


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
    return np.zeros(len(values)) if hasattr(values, "__len__") else _array(values, name)


def _number(cell: Any, row: int, name: str, fault: Fault) -> float:
    try:
        return np.nan if cell is None else float(cell)
    except OverflowError:
        fault(_invalid("a number above all that 64 bits can hold", row, name))
        return np.nan


def _missing(cell: Any) -> bool:
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    # NaN is the one number that differs from itself.
    return isinstance(cell, Real) and bool(cell != cell)


def _invalid(found: str, row: int, name: str) -> InvalidInputError:
    return InvalidInputError(f"row {row}: {name}: found {found}; allowed: {CELLS}", "INVALID_FIELD", name, row)


def _raise(error: InvalidInputError) -> None:
    raise error
