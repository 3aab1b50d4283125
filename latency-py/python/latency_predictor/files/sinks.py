"""Where predictions and rejects go: files of the kinds that their names say, whole or not at all."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ..errors import DataError
from . import names
from .chunks import Reject

ROW_GROUP = 1 << 18
"""Rows of a row group: many small ones make a Parquet file large and slow to read."""


class CsvSink:
    """CSV text. Cells are quoted where they must be, and stay as they came elsewhere."""

    def __init__(self, path: Path, schema: Any, source: Path) -> None:
        self._delimiter = names.kind(path).delimiter or ","
        for field in schema:
            if not _has_text(field.type):
                raise DataError(
                    f"{source}: column `{field.name}` holds {field.type}, which a CSV file cannot hold; write Parquet "
                    "instead: --out with a name that ends in .parquet"
                )
        self._schema = schema

    def encode(self, batch: Any) -> Any:
        """The lines of some rows, in any thread."""
        return csv_lines(batch.columns, self._delimiter)

    @contextmanager
    def writer(self, stream: BinaryIO) -> Iterator[Callable[[Any], None]]:
        """Takes what `encode` gives, in its order."""
        stream.write(csv_header(self._schema.names, self._delimiter))
        yield lambda encoded: _write(stream, encoded)


class ParquetSink:
    """Parquet, in row groups of a fixed size."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def encode(self, batch: Any) -> Any:
        """The rows themselves."""
        return batch

    @contextmanager
    def writer(self, stream: BinaryIO) -> Iterator[Callable[[Any], None]]:
        """Takes what `encode` gives, in its order."""
        waiting: list[Any] = []
        with pa.parquet.ParquetWriter(stream, self._schema) as writer:

            def flush() -> None:
                if waiting:
                    writer.write_table(pa.Table.from_batches(waiting, self._schema))
                    waiting.clear()

            def write(batch: Any) -> None:
                waiting.append(batch)
                if sum(one.num_rows for one in waiting) >= ROW_GROUP:
                    flush()

            yield write
            flush()


class Rejects:
    """The side file (CSV) of rows that are not predicted: it is begun by the first of them."""

    def __init__(self, path: Path, unit: str, columns: Sequence[str]) -> None:
        self.path = path
        own: list[str] = []
        for name in (unit, "field", "code", "message"):
            while name in columns:
                name = f"reject_{name}"
            own.append(name)
        self._names = [*own, *columns]
        self._stream: BinaryIO | None = None

    @staticmethod
    def encode(rejects: Sequence[Reject]) -> Any:
        """Their lines, in any thread."""
        rows = [
            (str(one.number).encode(), one.field.encode(), one.code.encode(), one.message.encode(), *one.cells)
            for one in rejects
        ]
        return csv_lines([pa.array(column, pa.binary()) for column in zip(*rows, strict=True)], ",")

    def write(self, encoded: Any) -> None:
        """Takes what `encode` gives, in its order."""
        if self._stream is None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._part.open("wb")
            self._stream.write(csv_header(self._names, ","))
        _write(self._stream, encoded)

    def finish(self) -> None:
        """Gives the file its name; one of an earlier run goes if there is nothing to say."""
        if self._stream is None:
            self.path.unlink(missing_ok=True)
        else:
            self._stream.close()
            self._part.replace(self.path)

    def discard(self) -> None:
        """Leaves nothing half written; after `finish`, does nothing."""
        if self._stream is not None:
            self._stream.close()
            self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return part(self.path)


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file under its final name only if all went well; `-` is standard output."""
    if path == names.STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part(path).open("wb") as raw:
            if names.kind(path).gzip:
                # Without a name and a time, so that the same rows give the same bytes.
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield raw
        part(path).replace(path)
    finally:
        with suppress(FileNotFoundError):
            part(path).unlink()


def part(path: Path) -> Path:
    """The name of a file that is being written."""
    return path.with_name(path.name + ".part")


def csv_header(header: Sequence[str], delimiter: str) -> bytes:
    """The line with the names of the columns."""
    return bytes(csv_lines([pa.array([name.encode()], pa.binary()) for name in header], delimiter))


def csv_lines(columns: Sequence[Any], delimiter: str) -> Any:
    """Columns of the same length as lines of CSV, in an Arrow buffer.

    PyArrow's own writer quotes every cell of text or none: numbers that came as text would not stay as they are.
    """
    cells = [_quoted(text(column), delimiter) for column in columns]
    if not len(cells[0]):
        return b""
    rows = pc.binary_join_element_wise(*cells, pa.scalar(delimiter.encode(), pa.large_binary()))
    ends = pc.binary_join_element_wise(rows, pa.scalar(b"", pa.large_binary()), pa.scalar(b"\n", pa.large_binary()))
    # The cells of an array follow each other in memory.
    return ends.buffers()[2].slice(0, pc.sum(pc.binary_length(ends)).as_py())


def text(column: Any) -> Any:
    """A column as bytes of text; what is null is empty."""
    if not pa.types.is_large_binary(column.type):
        if not pa.types.is_binary(column.type):
            column = column.cast(pa.string())
        column = column.cast(pa.large_binary())
    return pc.fill_null(column, b"")


def _quoted(column: Any, delimiter: str) -> Any:
    special = pc.match_substring_regex(column, f'[{delimiter}"\r\n]')
    if not pc.any(special).as_py():
        return column
    quote, nothing = pa.scalar(b'"', pa.large_binary()), pa.scalar(b"", pa.large_binary())
    quoted = pc.binary_join_element_wise(quote, pc.replace_substring(column, '"', '""'), quote, nothing)
    return pc.if_else(special, quoted, column)


def _has_text(kind: Any) -> bool:
    try:
        text(pa.nulls(0, kind))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return False
    return True


def _write(stream: BinaryIO, encoded: Any) -> None:
    stream.write(memoryview(encoded))
