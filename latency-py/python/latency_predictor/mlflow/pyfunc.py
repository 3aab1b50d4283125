"""What MLflow loads: a predictor behind `predict(table)`."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from ..errors import InvalidInputError
from ..predictor import Predictor
from .signature import ENDS, example_answer

OPTIONS = ("engine", "sessions", "threads")
KEPT_MODELS = 4
"""Loaded models that a process keeps. Spark loads a model anew for each task; a server that rolls forward needs two."""

_loaded: dict[tuple[Any, ...], Predictor] = {}
_loading = threading.Lock()


class ScoringInputError(InvalidInputError, MlflowException):
    """An `InvalidInputError` that MLflow's servers answer with 400 and its message, instead of a stack trace."""

    def __init__(self, message: str, code: str | None = None, field: str | None = None, row: int | None = None) -> None:
        MlflowException.__init__(self, message, error_code=INVALID_PARAMETER_VALUE)
        self.code = code or self.default_code
        self.field = field
        self.row = row


class PyfuncModel:
    """The object behind `mlflow.pyfunc.load_model(...).predict(table)`; safe to use from several threads."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The predictions for a table, as `Predictor.predict_batch` gives them: float32 columns, times in ms.

        Raises `ScoringInputError`, an `InvalidInputError`, naming the row and the field.
        """
        # A column for names of places without one is as good as none, and coordinates may stand beside it.
        table = model_input.drop(columns=[end for end in ENDS if end in model_input and model_input[end].isna().all()])
        if len(model_input) == 0 and len(model_input.columns):
            return example_answer(self._predictor).iloc[:0].set_index(model_input.index)
        if len(table.columns) == 0:
            # MLflow hands on only the columns of the signature: rows without any would be answered by no rows.
            fields = ", ".join(field["name"] for field in self._predictor.schema["fields"])
            raise ScoringInputError(f"found none of the model's columns; allowed: {fields}", "INVALID_BATCH")
        try:
            answer: pd.DataFrame = self._predictor.predict_batch(table)
        except InvalidInputError as error:
            raise ScoringInputError(str(error), error.code, error.field, error.row) from error
        return answer

    def get_raw_model(self) -> Predictor:
        """The predictor itself, for single predictions with their warnings."""
        return self._predictor


def load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> PyfuncModel:
    """Loads a model file for MLflow. A process loads the same file once, however often it is asked.

    `model_config` may hold `engine`, `sessions` and `threads`, as `Predictor` takes them.
    """
    options = dict(model_config or {})
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise InvalidInputError(
            f"model_config: found {', '.join(unknown)}; allowed: {', '.join(OPTIONS)}", "INVALID_FIELD", unknown[0]
        )
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    key = (sha256, *(options.get(name) for name in OPTIONS))
    with _loading:
        if key not in _loaded:
            if len(_loaded) >= KEPT_MODELS:
                del _loaded[next(iter(_loaded))]
            _loaded[key] = Predictor(path, **options)
        return PyfuncModel(_loaded[key])
