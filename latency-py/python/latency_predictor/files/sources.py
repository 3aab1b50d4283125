"""CSV and Parquet files as chunks of rows. CSV cells stay the bytes that they are."""

from __future__ import annotations

import csv
import gzip
import itertools
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..errors import DataError
from . import names
from .blocks import Block, blocks, lines, records
from .chunks import Chunk, Reject

Load = Callable[[], Chunk]
"""Parses a chunk, in any thread."""

UTF8_MARK = b"\xef\xbb\xbf"


class Source:
    """A file that is read once, in chunks. `unit` is what its rows are counted by; `total` what `position` grows to,
    in bytes for CSV and in rows for Parquet, if that is known."""

    unit: str
    schema: Any
    total: int | None

    def chunks(self) -> Iterator[Load]:
        """The chunks in their order, not parsed yet."""
        raise NotImplementedError

    def position(self) -> int:
        """How far it is read."""
        raise NotImplementedError


class CsvSource(Source):
    """CSV from a stream of bytes; its first row holds the names of the columns."""

    unit = "line"

    def __init__(self, path: Path, stream: BinaryIO, raw: BinaryIO, total: int | None, rows: int) -> None:
        delimiter = names.kind(path).delimiter
        assert delimiter is not None  # noqa: S101  only files of text come here
        self._path, self._raw, self._delimiter, self.total = path, raw, delimiter, total
        self._blocks = blocks(stream, rows, delimiter)
        self._first, header = self._header()
        self.schema = pa.schema([(name, pa.binary()) for name in header])

    def chunks(self) -> Iterator[Load]:
        for block in itertools.chain([self._first], self._blocks):
            yield partial(self._load, block)

    def position(self) -> int:
        return self._raw.tell() if self.total is not None else 0

    def _header(self) -> tuple[Block, list[str]]:
        """The names of the columns, and the rest of the block that they are in."""
        for block in self._blocks:
            if block.data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise DataError(f"{self._path}: found text in UTF-16; allowed: UTF-8: save it as CSV UTF-8")
            if block.unclosed:
                break
            data = block.data.removeprefix(UTF8_MARK)
            for _, end, cells in self._records(data, 1):
                return Block(data[end:], block.line + lines(data[:end])), self._names(cells)
        raise DataError(
            f"{self._path}: found no row with the names of the columns; allowed: CSV text that begins with one"
        )

    def _names(self, cells: list[str]) -> list[str]:
        try:
            header = [cell.encode("latin-1").decode() for cell in cells]
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: found names of columns that are no text; allowed: text in UTF-8") from error
        unique(self._path, header)
        return header

    def _load(self, block: Block) -> Chunk:
        if block.unclosed:
            message = "found a quote that is never closed; allowed: quotes in pairs, and two for one inside of quotes"
            whole = [block.data.rstrip(b"\r\n")] + [b""] * (len(self.schema) - 1)
            return self._chunk([], [Reject(block.line, "", "INVALID_LINE", message, whole)], [])
        width = len(self.schema)
        try:
            batch = _parse(block.data, self.schema, self._delimiter)
        except pa.ArrowInvalid:
            # Not every line has as many cells as there are names: find out which.
            return self._load_by_line(block, width)
        return Chunk(batch, lambda: [block.line + line for line, _, _ in self._records(block.data, block.line)])

    def _records(self, data: bytes, line: int) -> Iterator[tuple[int, int, list[str]]]:
        """The records of a block that begins at this line."""
        try:
            yield from records(data, self._delimiter)
        except csv.Error as error:
            # A cell as long as a block and, in Python 3.10, a NUL.
            raise DataError(f"{self._path}: at line {line} or soon after: {error}; is it a text file?") from error

    def _load_by_line(self, block: Block, width: int) -> Chunk:
        good, numbers, rejects = [], [], []
        for line, _, cells in self._records(block.data, block.line):
            row = [cell.encode("latin-1") for cell in cells]
            if len(row) == width:
                good.append(row)
                numbers.append(block.line + line)
                continue
            message = self._ragged(row, width)
            padded = row[:width] + [b""] * (width - len(row))
            rejects.append(Reject(block.line + line, "", "INVALID_LINE", message, padded))
        return self._chunk(good, rejects, numbers)

    def _ragged(self, row: list[bytes], width: int) -> str:
        surplus = self._delimiter.encode().join(row[width:]).decode(errors="replace")
        more = f"; without a name: `{surplus}`" if surplus else ""
        # A stray quote takes in all rows up to the next one.
        several = "; the row has several lines: perhaps a quote is never closed" if lines(b"".join(row)) else ""
        return f"found {_cells(len(row))}{more}{several}; allowed: {_cells(width)}, as many as there are names"

    def _chunk(self, rows: list[list[bytes]], rejects: list[Reject], numbers: list[int]) -> Chunk:
        columns = zip(*rows, strict=True) if rows else [()] * len(self.schema)
        batch = pa.record_batch([pa.array(column, pa.binary()) for column in columns], schema=self.schema)
        return Chunk(batch, lambda: numbers, rejects)


class ParquetSource(Source):
    """A Parquet file; rows count from 1."""

    unit = "row"

    def __init__(self, path: Path, rows: int) -> None:
        try:
            # Row groups may be as large as the file: pages are read as they are needed.
            self._file = pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path}: no Parquet file: {error}") from error
        self._path, self._rows, self._read = path, rows, 0
        self.total, self.schema = self._file.metadata.num_rows, self._file.schema_arrow
        unique(path, self.schema.names)

    def chunks(self) -> Iterator[Load]:
        batches = self._file.iter_batches(batch_size=self._rows)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{self._path}: cannot be read after row {self._read}: {error}") from error
            if batch is None:
                return
            numbers = range(self._read + 1, self._read + 1 + batch.num_rows)
            self._read += batch.num_rows
            yield partial(_numbered, batch, numbers)

    def position(self) -> int:
        return self._read


@contextmanager
def opened(path: Path, rows: int) -> Iterator[Source]:
    """The file, by what its name ends with, in chunks of about so many rows; `-` is CSV from standard input.

    Raises `DataError` for what cannot be read as that, and `OSError` if there is no such file.
    """
    kind = names.kind(path)
    if kind.delimiter is None:
        with path.open("rb"):
            yield ParquetSource(path, rows)
    elif path == names.STREAM:
        yield CsvSource(path, sys.stdin.buffer, sys.stdin.buffer, None, rows)
    else:
        with path.open("rb") as raw:
            stream: Any = gzip.GzipFile(fileobj=raw) if kind.gzip else raw
            try:
                yield CsvSource(path, stream, raw, path.stat().st_size, rows)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise DataError(f"{path}: no whole gzip file: {error}") from error


def unique(path: Path, header: list[str]) -> None:
    """Raises `DataError` for a name that two columns have."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: found several columns named {', '.join(map(repr, twice))}; allowed: one of each name")


def _numbered(batch: Any, numbers: range) -> Chunk:
    return Chunk(batch, lambda: numbers)


def _parse(data: bytes, schema: Any, delimiter: str) -> Any:
    table = pa.csv.read_csv(
        pa.py_buffer(data),
        pa.csv.ReadOptions(column_names=schema.names, use_threads=False, block_size=len(data) + 1),
        pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pa.csv.ConvertOptions(column_types=schema, strings_can_be_null=False),
    )
    # Blank lines alone give no batch.
    return pa.record_batch([column.combine_chunks() for column in table.columns], schema=schema)


def _cells(number: int) -> str:
    return f"{number} cell{'' if number == 1 else 's'}"
