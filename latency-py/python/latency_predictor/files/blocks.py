"""A stream of CSV text → blocks of whole records, which can be parsed side by side and know their lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import DataError

PIECE = 1 << 16
BLOCK_LIMIT = 16 << 20
"""A block is no longer than this, however long its lines are, and neither is a line."""
QUOTE_LIMIT = 1 << 20
"""A quote that is still open after so many bytes was opened by mistake."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records. `line` is that of the first one, as an editor counts, from 1. An `unclosed` block is one line
    with a quote that nothing closes, and holds no record."""

    data: bytes
    line: int
    unclosed: bool = False


def blocks(stream: BinaryIO, rows: int, delimiter: str) -> Iterator[Block]:
    """Cuts a stream into blocks of about so many rows, behind line breaks that are not quoted.

    Raises `DataError` for a line that is too long to be one.
    """
    quoted = re.compile(rb'(?<![^\r\n%b])"[^"]*(?:""[^"]*)*("|\Z)' % re.escape(delimiter.encode()))
    data, line, more = b"", 1, True
    while more or data:
        data, more = _fill(stream, data, rows)
        cut, opened = _cut(data, quoted, more)
        if opened is not None and (not more or len(data) - opened > QUOTE_LIMIT):
            end = _line_end(data, opened)
            found = [Block(data[:cut], line), Block(data[cut:end], line + lines(data[:cut]), unclosed=True)]
            cut = end
        elif not cut and len(data) >= BLOCK_LIMIT:
            raise DataError(
                f"line {line}: found {BLOCK_LIMIT >> 20} MiB without a line break; allowed: CSV text, one row per line"
            )
        else:
            found = [Block(data[:cut], line)]
        yield from (block for block in found if block.data)
        line += lines(data[:cut])
        data = data[cut:]


def lines(data: bytes) -> int:
    """How many line breaks there are: `\\n`, `\\r\\n` or `\\r`."""
    return data.count(b"\n") + (data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0)


def records(data: bytes, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Each record that is no blank line: its first line, from 0, the number of bytes up to its end, and its cells.

    Cells are read as Latin-1, so that each character is a byte of the file.
    """
    # The limit of the module guards against unclosed quotes, which do not come here.
    csv.field_size_limit(BLOCK_LIMIT)
    source = io.StringIO(data.decode("latin-1"), newline="")
    read = 0

    def counted() -> Iterator[str]:
        nonlocal read
        for text in source:
            read += len(text)
            yield text

    reader = csv.reader(counted(), delimiter=delimiter)
    first = 0
    for cells in reader:
        if cells:
            yield first, read, cells
        first = reader.line_num


def _fill(stream: BinaryIO, data: bytes, rows: int) -> tuple[bytes, bool]:
    """Reads on until there are so many lines; also says whether there may be more."""
    pieces, size, found = [data], len(data), lines(data)
    while True:
        # At least one piece: what is left over may be a record that has no end yet.
        piece = stream.read(PIECE)
        pieces.append(piece)
        size += len(piece)
        found += lines(piece)
        if not piece or found >= rows or size >= BLOCK_LIMIT:
            return b"".join(pieces), bool(piece)


def _cut(data: bytes, quoted: re.Pattern[bytes], more: bool) -> tuple[int, int | None]:
    """Where the last whole record ends, and where a quote was opened that is not closed."""
    cut = plain = 0
    for cell in quoted.finditer(data) if b'"' in data else ():
        cut = _after_last_break(data, plain, cell.start()) or cut
        plain = cell.end()
        if not cell[1]:
            return cut, cell.start()
    if not more:
        return len(data), None
    return _after_last_break(data, plain, len(data)) or cut, None


def _after_last_break(data: bytes, start: int, end: int) -> int:
    # A carriage return at the very end may be half of a line break.
    return max(data.rfind(b"\n", start, end), data.rfind(b"\r", start, min(end, len(data) - 1))) + 1


def _line_end(data: bytes, start: int) -> int:
    end = re.compile(rb"\r\n|\n|\r").search(data, start)
    return end.end() if end else len(data)
