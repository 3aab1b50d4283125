"""`Predictor`: a loaded model that answers."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from . import _core, runtime, table


@dataclass(frozen=True, slots=True)
class PredictionWarning:
    """Something to know about a prediction: a stable `code`, the `field` it is about, and a sentence."""

    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is predicted for one path. Times in milliseconds.

    `p50_ms` is the path's median RTT, `low_ms`..`high_ms` its 90 % interval on places that training never
    saw. `p90_ms` and `p99_ms` are about one measurement on the path; p99 is an extrapolation: no training
    source holds one. `floor_ms` and `distance_km` are None for models without coordinates. `missing` names the
    optional fields that were not given.
    """

    p50_ms: float
    low_ms: float
    high_ms: float
    p90_ms: float
    p99_ms: float
    floor_ms: float | None = None
    distance_km: float | None = None
    warnings: tuple[PredictionWarning, ...] = ()
    missing: tuple[str, ...] = ()


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
        sessions: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Loads `model`, a path or the bytes of an ONNX file; the bundled model by default.

        `library` is the absolute path of an ONNX Runtime library; by default the one of the installed
        `onnxruntime`.
        """
        self._model = model if isinstance(model, bytes) or model is None else fspath(model)
        self._options = (None if library is None else fspath(library), sessions, threads)
        self._core = _core.Predictor(
            self._model,
            library=self._options[0],
            library_folder=runtime.library_folder(),
            sessions=sessions,
            threads=threads,
        )

    @classmethod
    def bundled(cls) -> Predictor:
        """The model that ships inside this package."""
        return cls()

    def predict(
        self,
        src: str | Mapping[str, Any] | None = None,
        dst: str | Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Prediction:
        """Predicts one path.

        `src` and `dst` are places (`"London"`, `"aws:eu-west-2"`, `"LHR"`, `"51.51,-0.13"`) or dicts with
        `lat` and `lon`, or `place`, and optionally `access`, `provider`, `tier`. Fields can also be given by
        their flat names (`src_lat=51.51`); models of your own take all their fields that way.

        Raises `InvalidInputError`, naming the field, for a value that is missing, unknown or not allowed.
        """
        ends = {"src": src, "dst": dst}
        values = {end: value for end, value in ends.items() if value is not None} | fields
        values = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
        answer = self._core.predict(values)
        told = tuple(PredictionWarning(*warning) for warning in answer.pop("warnings"))
        return Prediction(**answer, warnings=told)

    def predict_batch(self, rows: Any) -> Any:
        """Predicts many paths: a dict of columns, a pandas DataFrame or an Arrow table, by the flat names of
        the fields (or `src` and `dst` with names of places).

        Returns f32 columns of the same length (`p50_ms`, `low_ms`, `high_ms`, `p90_ms`, `p99_ms`, and for
        models with coordinates `floor_ms`, `distance_km`): a dict of arrays, or a DataFrame with the index of
        `rows`. Columns that the model does not know are ignored with one Python warning, whatever they hold.
        Missing values are None, NaN or pandas' NA.

        Raises `InvalidInputError`, naming the row and the field.
        """
        answer, _, ignored = self._core.predict_batch(table.columns(rows, self._column_names))
        if ignored:
            warnings.warn(f"columns that the model does not use: {', '.join(ignored)}", stacklevel=2)
        if hasattr(rows, "columns") and hasattr(rows, "index"):
            return type(rows)(answer, index=rows.index)
        return answer

    @functools.cached_property
    def _column_names(self) -> frozenset[str]:
        return frozenset({"src", "dst", *(field["name"] for field in self.schema["fields"])})

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """What the model takes and gives, as in its file."""
        schema: dict[str, Any] = json.loads(self._core.schema_json())
        return schema

    @functools.cached_property
    def model_info(self) -> dict[str, Any]:
        """What is loaded: name, version, engine, SHA-256, size in bytes, provenance."""
        info: dict[str, Any] = json.loads(self._core.model_info_json())
        return info

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (type(self), self._model, *self._options)

    def __repr__(self) -> str:
        info = self.model_info
        return f"<Predictor {info['name']} {info['version']} on {info['engine']}>"


def _load(
    kind: type[Predictor],
    model: str | bytes | None,
    library: str | None,
    sessions: int | None,
    threads: int | None,
) -> Predictor:
    return kind(model, library=library, sessions=sessions, threads=threads)


@functools.cache
def _bundled() -> Predictor:
    return Predictor.bundled()


def predict(
    src: str | Mapping[str, Any] | None = None,
    dst: str | Mapping[str, Any] | None = None,
    **fields: Any,
) -> Prediction:
    """`Predictor.bundled().predict(...)`; the model is loaded once, at the first call."""
    return _bundled().predict(src, dst, **fields)
