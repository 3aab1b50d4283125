"""`Predictor`: a loaded model that answers."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from numbers import Real
from os import PathLike, fspath
from typing import Any, Literal, TypeAlias

from . import _core, runtime, table
from ._core import Place
from .errors import InvalidInputError
from .prediction import BatchNotes, Judgement, Prediction, PredictionWarning, Ranked, Timeout

End: TypeAlias = str | Place | Mapping[str, Any]
"""One end of a path: `"London"`, `"aws:eu-west-2"`, `"LHR"`, `"51.51,-0.13"`, a `Place`, or a dict with `lat` and
`lon`, or `place`, and optionally `access`, `provider`, `tier` and `uncertainty_km`."""

Engine: TypeAlias = Literal["onnxruntime", "native"]
"""What evaluates the trees of a model. Both give the same bits."""


class Predictor:
    """A loaded model. Safe to use from several threads; the GIL is released while it works.

    >>> import latency_predictor as lp
    >>> predictor = lp.Predictor.bundled()
    >>> prediction = predictor.predict("London", "Tokyo", src_access="wifi")
    >>> prediction.floor_ms < prediction.p50_ms < prediction.p90_ms
    True
    """

    def __init__(
        self,
        model: str | PathLike[str] | bytes | None = None,
        *,
        library: str | PathLike[str] | None = None,
        engine: Engine | None = None,
        sessions: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Loads `model`, a path or the bytes of an ONNX file; the bundled model by default.

        `engine` is what evaluates the trees: `"onnxruntime"`, the default unless `LATENCY_ENGINE` says otherwise, or
        `"native"`, this package's own code, which gives the same bits faster and needs no library. `library` is the
        absolute path of an ONNX Runtime library; by default the one of the installed `onnxruntime`. `sessions` is how
        many calls can run at once, by default one per core, and without limit for the native engine; `threads` how
        many threads one call uses: with ONNX Runtime leave it at 1 for the same bits everywhere.

        >>> Predictor(engine="native").predict("London", "Tokyo") == Predictor.bundled().predict("London", "Tokyo")
        True

        Raises `ModelError` for a file that is no model of ours or fails its own golden rows, `RuntimeLoadError` if
        there is no ONNX Runtime, and `InvalidInputError` for an engine that is not known.
        """
        self._model = model if isinstance(model, bytes) or model is None else fspath(model)
        self._options = (None if library is None else fspath(library), engine, sessions, threads)
        self._core = _core.Predictor(
            self._model,
            library=self._options[0],
            library_folder=runtime.library_folder(),
            engine=engine,
            sessions=sessions,
            threads=threads,
        )

    @classmethod
    def bundled(cls) -> Predictor:
        """The model that ships inside this package.

        >>> Predictor.bundled().model_info["name"]
        'latency'
        """
        return cls()

    def predict(self, src: End | None = None, dst: End | None = None, **fields: Any) -> Prediction:
        """Predicts one path.

        `src` and `dst` are ends: see `End`. Fields can also be given by their flat names (`src_lat=51.51`);
        models of your own take all their fields that way.

        >>> Predictor.bundled().predict({"lat": 48.14, "lon": 11.58, "access": "wifi"}, "LHR").distance_km
        938.6048

        Raises `InvalidInputError`, naming the field, for a value that is missing, unknown or not allowed.
        """
        return Prediction(**_answer(self._core.predict(_values(src, dst, fields))))

    def predict_batch(self, rows: Any, *, columns: Sequence[str] | None = None) -> Any:
        """Predicts many paths: a table with the flat names of the fields as columns, in any order, or `src` and
        `dst` with names of places.

        `rows` is a dict of columns, a pandas or Polars DataFrame, a PyArrow Table or RecordBatch, anything else with
        the Arrow PyCapsule interface, a structured NumPy array, or a NumPy matrix of shape (rows, columns) whose
        columns are named by `columns`. Arrays and Arrow columns of 64-bit floats are read where they lie. Whole
        numbers count as floats; None, NaN, null and NA are missing values.

        Returns float32 columns of shape (rows,): `p50_ms`, `low_ms`, `high_ms`, `p90_ms`, `p99_ms`, in milliseconds,
        and for models with coordinates `floor_ms` and `distance_km`; in a table of the kind that came in (a pandas
        DataFrame keeps its index), else in a dict of arrays. Row i equals the same path alone, to the bit. Columns
        that the model does not know are ignored with one Python warning, whatever they hold.

        >>> Predictor.bundled().predict_batch({"src": ["London", "Paris"], "dst": ["Tokyo", "Tokyo"]})["p50_ms"].shape
        (2,)

        Raises `InvalidInputError`, naming the first row at fault and its field; see `predict_batch_with_notes`.
        """
        answer, ignored = self._core.predict_batch(table.columns(rows, self._kinds, columns))
        if ignored:
            warnings.warn(f"columns that the model does not use: {', '.join(ignored)}", stacklevel=2)
        return table.like(rows, answer)

    def predict_batch_with_notes(self, rows: Any, *, columns: Sequence[str] | None = None) -> tuple[Any, BatchNotes]:
        """Likewise, but a row at fault does not fail the others: it has NaN in every number, and its error in the
        notes, which also hold warnings and which values were missing.

        >>> answer, notes = Predictor.bundled().predict_batch_with_notes({"src": ["London", "?"], "dst": ["Tokyo"] * 2})
        >>> [(error.row, error.code) for error in notes.errors]
        [(1, 'UNKNOWN_PLACE')]

        Raises `InvalidInputError` for what concerns all rows: columns of different lengths, a required one missing.
        """
        prepared, unreadable = table.columns_with_faults(rows, self._kinds, columns)
        answer, ignored, errors, told, missing = self._core.predict_batch_with_notes(prepared)
        notes = BatchNotes(
            errors=table.merge_faults(unreadable, errors, answer),
            warnings=tuple(PredictionWarning(*warning) for warning in told),
            missing=missing,
            ignored_columns=tuple(ignored),
        )
        return table.like(rows, answer), notes

    def rank(
        self, src: End, candidates: Iterable[End], *, budget_ms: float | None = None, **fields: Any
    ) -> list[Ranked]:
        """Orders candidates by their predicted median RTT from `src`, the lowest first, each with the probability
        that it is the best and, with `budget_ms`, that one measurement stays within it. `fields` by their flat names
        hold for every path.

        >>> regions = ["aws:us-east-1", "aws:eu-west-2", "aws:eu-central-1"]
        >>> [ranked.candidate for ranked in Predictor.bundled().rank("Lisbon", regions)]
        ['aws:eu-west-2', 'aws:eu-central-1', 'aws:us-east-1']

        Raises `InvalidInputError`, with the candidate's index as `row`; its code is `UNSUPPORTED` for models without
        coordinates.
        """
        if isinstance(candidates, str | Mapping | Place):
            raise InvalidInputError(
                f"candidates: found one {type(candidates).__name__}; allowed: a list of ends",
                "INVALID_FIELD",
                "candidates",
            )
        listed = list(candidates)
        budget = None if budget_ms is None else _number("budget_ms", budget_ms)
        ranked = self._core.rank([_values(src, dst, fields) for dst in listed], budget)
        return [
            Ranked(candidate=listed[index], index=index, p_best=p_best, p_within_budget=within, **_answer(answer))
            for index, p_best, within, answer in ranked
        ]

    def timeout(
        self, src: End | None = None, dst: End | None = None, *, quantile: float = 0.99, **fields: Any
    ) -> Timeout:
        """How long to wait for an answer: the RTT that one measurement stays below with probability `quantile`, 0.5
        to 0.999. It is one round trip; add what the other side needs to answer.

        >>> timeout = Predictor.bundled().timeout("London", "Tokyo", quantile=0.99)
        >>> timeout.timeout_ms == timeout.p99_ms
        True

        Raises `InvalidInputError` for other quantiles, and as `predict`.
        """
        timeout_ms, answer = self._core.timeout(_values(src, dst, fields), _number("quantile", quantile))
        return Timeout(timeout_ms=timeout_ms, quantile=quantile, **_answer(answer))

    def judge(self, src: End | None = None, dst: End | None = None, *, measured_ms: float, **fields: Any) -> Judgement:
        """Whether a measured RTT can be true for this path: plausible, slow, suspicious or impossible. How far off a
        position may be is allowed for: by the kind of place, or by `uncertainty_km` in a dict.

        >>> Predictor.bundled().judge("London", "Tokyo", measured_ms=30).verdict
        'impossible'

        Raises `InvalidInputError` if the measurement is no number above 0, and as `predict`.
        """
        verdict, quantile, message, answer = self._core.judge(
            _values(src, dst, fields), _number("measured_ms", measured_ms)
        )
        return Judgement(verdict=verdict, quantile=quantile, message=message, **_answer(answer))

    @functools.cached_property
    def _kinds(self) -> dict[str, str]:
        """The columns that the model reads, as `latency_predictor.table` knows them."""
        return {"src": "place", "dst": "place"} | {field["name"]: field["type"] for field in self.schema["fields"]}

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """What the model takes and gives, as in its file.

        >>> [field["name"] for field in Predictor.bundled().schema["fields"]][:4]
        ['src_lat', 'src_lon', 'dst_lat', 'dst_lon']
        """
        schema: dict[str, Any] = json.loads(self._core.schema_json())
        return schema

    @functools.cached_property
    def model_info(self) -> dict[str, Any]:
        """What is loaded: name, version, engine, SHA-256, size in bytes, provenance.

        >>> Predictor.bundled().model_info["engine"]
        'onnxruntime'
        """
        info: dict[str, Any] = json.loads(self._core.model_info_json())
        return info

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (type(self), self._model, *self._options)

    def __repr__(self) -> str:
        info = self.model_info
        return f"<Predictor {info['name']} {info['version']} on {info['engine']}>"

    def _repr_html_(self) -> str:
        """The model and its fields, for notebooks."""
        rows = "".join(
            f"<tr><td>{escape(field['name'])}</td><td>{escape(_allowed(field))}</td>"
            f"<td>{'required' if field.get('required') else 'optional'}</td></tr>"
            for field in self.schema["fields"]
        )
        return f"<p>{escape(repr(self))}</p><table>{rows}</table>"


def _allowed(field: Mapping[str, Any]) -> str:
    if field["type"] == "category":
        return ", ".join(field["categories"])
    limits = [f"{field[end]:g}" for end in ("min", "max") if end in field]
    return " to ".join(limits) + f" {field.get('unit', '')}" if limits else "any finite number"


def _number(name: str, value: Any) -> float:
    """What the native module takes for a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        found = f"{name}: found a {type(value).__name__}; allowed: a number"
        raise InvalidInputError(found, "INVALID_FIELD", name)
    return float(value)


def _values(src: Any, dst: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """A row as the native module takes it."""
    values = {name: end for name, end in (("src", src), ("dst", dst)) if end is not None} | fields
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _answer(numbers: dict[str, Any]) -> dict[str, Any]:
    """What every answer has, from what the native module gives."""
    numbers["warnings"] = tuple(PredictionWarning(*warning) for warning in numbers["warnings"])
    return numbers


def _load(
    kind: type[Predictor],
    model: str | bytes | None,
    library: str | None,
    engine: Engine | None,
    sessions: int | None,
    threads: int | None,
) -> Predictor:
    return kind(model, library=library, engine=engine, sessions=sessions, threads=threads)
