"""What travels through: some rows of a file with their places in it, and the rows that are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not predicted: its line or row number in the file, from 1, what is wrong, and its cells."""

    number: int
    field: str
    code: str
    message: str
    cells: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows in an Arrow record batch; `numbers` gives the line or row numbers of these rows when asked."""

    batch: Any
    numbers: Callable[[], Sequence[int]]
    rejects: Sequence[Reject] = ()
