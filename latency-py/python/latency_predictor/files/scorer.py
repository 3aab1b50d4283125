"""One chunk of paths → its predictions and rejects, ready to be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import DataError, InvalidInputError
from ..predictor import Predictor
from . import cells, names
from .chunks import Chunk, Reject
from .sinks import CsvSink, ParquetSink, Rejects, text
from .sources import Load, Source


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk ready to be written."""

    predicted: int
    lines: Any
    rejected: int
    rejects: Any
    warnings: Counter[tuple[str, str]]


class Scorer:
    """Predicts the chunks of one source for one sink.

    Raises `DataError` if the file has no column for the model, or one whose name a prediction needs, and
    `InvalidInputError` if it lacks a required one.
    """

    def __init__(self, predictor: Predictor, source: Source, path: Path, out: Path) -> None:
        self._predictor = predictor
        header = source.schema.names
        kinds = {"src": "place", "dst": "place"} if predictor.schema.get("coordinates") else {}
        fields = {one["name"]: one for one in predictor.schema["fields"]}
        kinds |= {name: one["type"] for name, one in fields.items()}
        self._kinds = {name: kind for name, kind in kinds.items() if name in header}
        self._required = {name for name, one in fields.items() if one.get("required") and one["type"] == "number"}
        self._words = {name: tuple(one.get("categories", ())) for name, one in fields.items()}
        self.ignored_columns = tuple(name for name in header if name not in kinds)
        found = f"{path}: found the columns {', '.join(header)}"
        if not self._kinds:
            raise DataError(f"{found}; allowed: {', '.join(kinds)}, and others beside them")
        self._answers = self._probe(found)
        clash = [name for name in self._answers if name in header]
        if clash:
            raise DataError(
                f"{path}: found columns named as predictions are: {', '.join(clash)}; rename or remove them"
            )
        self._retype = names.kind(out).delimiter is None and names.kind(path).delimiter is not None
        schema = pa.schema(self._carried(source.schema), source.schema.metadata)
        for name in self._answers:
            schema = schema.append(pa.field(name, pa.float32()))
        self._schema = schema
        self.sink = CsvSink(out, schema, path) if names.kind(out).delimiter else ParquetSink(schema)

    def score(self, load: Load) -> Scored:
        """One chunk, in any thread."""
        chunk = load()
        columns, faults = self._read(chunk.batch)
        answer: Mapping[str, Any] = {name: np.empty(0, np.float32) for name in self._answers}
        warnings: Counter[tuple[str, str]] = Counter()
        if chunk.batch.num_rows:
            answer, notes = self._predictor.predict_batch_with_notes({name: columns[name] for name in self._kinds})
            for error in notes.errors:
                faults.setdefault(_row(error), error)
            warnings.update(
                key for key, row in {((one.code, one.field), one.row) for one in notes.warnings} if row not in faults
            )
        rejects = sorted([*chunk.rejects, *self._rejects(chunk, faults)], key=lambda reject: reject.number)
        whole_rows = self._output(chunk.batch, columns, answer, faults)
        return Scored(
            predicted=whole_rows.num_rows,
            lines=self.sink.encode(whole_rows),
            rejected=len(rejects),
            rejects=Rejects.encode(rejects) if rejects else None,
            warnings=warnings,
        )

    def _probe(self, found: str) -> tuple[str, ...]:
        """What is predicted; asks for one row, so that the model says what it lacks before anything is written."""
        easy = {"number": np.zeros(1), "place": ["0,0"], "category": pa.nulls(1, pa.string())}
        try:
            answer, _ = self._predictor.predict_batch_with_notes(
                {name: easy[kind] for name, kind in self._kinds.items()}
            )
        except InvalidInputError as error:
            raise InvalidInputError(f"{found}; {error}", error.code, error.field) from error
        return tuple(answer)

    def _carried(self, schema: Any) -> list[Any]:
        """The columns of the file as they are written: Parquet gets its types where CSV has bytes."""
        if not self._retype:
            return list(schema)
        numbers = [name for name, kind in self._kinds.items() if kind == "number"]
        return [pa.field(name, pa.float64() if name in numbers else pa.string()) for name in schema.names]

    def _read(self, batch: Any) -> tuple[dict[str, Any], cells.Faults]:
        columns, faults = {}, cells.Faults()
        for name in batch.schema.names if self._retype else self._kinds:
            column = batch.column(batch.schema.get_field_index(name))
            if name in self._kinds:
                columns[name], found = cells.read(column, name, self._kinds[name], self._words.get(name, ()))
            else:
                columns[name], found = cells.utf8(column, name)
            for row, error in found.items():
                faults.setdefault(row, error)
            if name in self._required:
                for row in cells.missing(columns[name]):
                    message = f"{name}: found nothing; required: a number such as 51.5"
                    faults.setdefault(row, InvalidInputError(message, "MISSING_FIELD", name, row))
        return columns, faults

    def _output(
        self, batch: Any, columns: Mapping[str, Any], answer: Mapping[str, Any], faults: Mapping[int, Any]
    ) -> Any:
        carried = [columns[name] for name in batch.schema.names] if self._retype else batch.columns
        arrays = [*carried, *(pa.array(numbers) for numbers in answer.values())]
        rows = pa.record_batch(arrays, schema=self._schema)
        if not faults:
            return rows
        good = np.ones(batch.num_rows, np.bool_)
        good[list(faults)] = False
        return rows.filter(pa.array(good))

    def _rejects(self, chunk: Chunk, faults: cells.Faults) -> Iterator[Reject]:
        if not faults:
            return
        rows, numbers = sorted(faults), chunk.numbers()
        taken = chunk.batch.take(pa.array(rows, pa.int64()))
        columns = [_texts(column) for column in taken.columns]
        for place, row in enumerate(rows):
            error = faults[row]
            # The row of an error counts in its chunk.
            message = str(error).removeprefix(f"row {row}: ")
            yield Reject(numbers[row], error.field or "", error.code, message, [column[place] for column in columns])


def _row(error: InvalidInputError) -> int:
    if error.row is None:
        raise error
    return error.row


def _texts(column: Any) -> Sequence[bytes]:
    try:
        return text(column).to_pylist()  # type: ignore[no-any-return]
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return [str(cell).encode() for cell in column.to_pylist()]
