"""Predictions and training on Apache Spark: one predictor per Python process of an executor.

Needs `pip install 'latency-predictor[spark]'` on the driver and on every executor. Nothing else of this package
imports it.
"""

from ..errors import LatencyError

try:
    import pyarrow
    import pyspark
except ModuleNotFoundError as error:
    raise LatencyError(
        f"predictions on Spark need the package {error.name}: pip install 'latency-predictor[spark]', on the driver "
        "and on every executor",
        "MISSING_PACKAGE",
    ) from error

from .errors import ClusterError, readable_errors
from .predict import predict, udf
from .train import train

__all__ = ["ClusterError", "predict", "readable_errors", "train", "udf"]

del pyarrow, pyspark
