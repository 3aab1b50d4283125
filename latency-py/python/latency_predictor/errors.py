"""The exceptions of this package; `code` is the same stable word as in Rust, Node.js and over HTTP."""

from __future__ import annotations


class LatencyError(Exception):
    """The root of all errors of this package."""

    default_code = "ERROR"

    def __init__(self, message: str, code: str | None = None, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.field = field
        self.row = row

    def __reduce__(self) -> tuple[type[LatencyError], tuple[object, ...]]:
        return type(self), (*self.args, self.code, self.field, self.row)


class InvalidInputError(LatencyError, ValueError):
    """The caller's input: a value, a field, a place, a table."""


class ModelError(LatencyError):
    """The model file: unreadable, not ONNX, without a usable schema, or failing its golden rows."""


class RuntimeLoadError(LatencyError, OSError):
    """No usable ONNX Runtime library was found."""

    __str__ = Exception.__str__


class InferenceError(LatencyError, RuntimeError):
    """ONNX Runtime failed while predicting."""


class DataError(LatencyError):
    """A data set: missing, changed, or not of the expected form."""

    default_code = "DATA_ERROR"


class TrainingError(LatencyError):
    """A table or a model that cannot be trained or written."""

    default_code = "TRAINING_ERROR"
