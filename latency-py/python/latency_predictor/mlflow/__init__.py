"""MLflow 3: log models, load them, promote them. Needs `pip install 'latency-predictor[mlflow]'`.

>>> from latency_predictor.mlflow import log_model  # doctest: +SKIP
>>> logged = log_model("model.onnx", registered_model_name="latency")  # doctest: +SKIP
"""

from .errors import ArtifactError, PromotionRefused, RegistryError, TrackingError
from .model import load_predictor, log_model
from .pyfunc import PyfuncModel, ScoringInputError, load_pyfunc
from .registry import promote, register, rollback, status
from .signature import signature

# The name that MLflow calls, given this module as the model's `loader_module`.
_load_pyfunc = load_pyfunc

__all__ = [
    "ArtifactError",
    "PromotionRefused",
    "PyfuncModel",
    "RegistryError",
    "ScoringInputError",
    "TrackingError",
    "load_predictor",
    "load_pyfunc",
    "log_model",
    "promote",
    "register",
    "rollback",
    "signature",
    "status",
]
