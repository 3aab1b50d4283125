"""Predict network latency (RTT) before a connection is made.

>>> import latency_predictor as lp
>>> prediction = lp.predict("London", "Tokyo")
>>> prediction.low_ms < prediction.p50_ms < prediction.high_ms
True
"""

from ._core import Place, __version__
from .bundled import judge, predict, predict_batch, rank, timeout
from .errors import (
    DataError,
    InferenceError,
    InvalidInputError,
    LatencyError,
    ModelError,
    RuntimeLoadError,
    TrainingError,
)
from .prediction import BatchNotes, Judgement, Prediction, PredictionWarning, Ranked, Timeout
from .predictor import Predictor

__all__ = [
    "BatchNotes",
    "DataError",
    "InferenceError",
    "InvalidInputError",
    "Judgement",
    "LatencyError",
    "ModelError",
    "Place",
    "Prediction",
    "PredictionWarning",
    "Predictor",
    "Ranked",
    "RuntimeLoadError",
    "Timeout",
    "TrainingError",
    "__version__",
    "judge",
    "predict",
    "predict_batch",
    "rank",
    "timeout",
]
