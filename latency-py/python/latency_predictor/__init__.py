"""Predict network latency (RTT) before a connection is made.

>>> import latency_predictor as lp
>>> prediction = lp.predict("London", "Tokyo")
>>> prediction.low_ms < prediction.p50_ms < prediction.high_ms
True
"""

from ._core import __version__
from .errors import (
    DataError,
    InferenceError,
    InvalidInputError,
    LatencyError,
    ModelError,
    RuntimeLoadError,
    TrainingError,
)
from .predictor import Prediction, PredictionWarning, Predictor, predict

__all__ = [
    "DataError",
    "InferenceError",
    "InvalidInputError",
    "LatencyError",
    "ModelError",
    "Prediction",
    "PredictionWarning",
    "Predictor",
    "RuntimeLoadError",
    "TrainingError",
    "__version__",
    "predict",
]
