"""Training on a Spark DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import LatencyError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FOLDS = 5


def train(
    df: DataFrame,
    target: str = "rtt_ms",
    *,
    drop: Sequence[str] = (),
    name: str = "custom",
    workers: int | None = None,
    folds: int = FOLDS,
) -> bytes:
    """Trains a model on every column but `target` and `drop`, as `latency train --data` does on one machine, and
    returns the bytes of its ONNX file. The rows never meet on one machine.

    Features are computed on the executors by the code that serves predictions, trees are grown there by
    `xgboost.spark` with `workers` tasks at a time (default: every task slot), offsets come from `folds` of five
    held-out parts (from 1,000,000 of their rows where there are more), and the file passes the same gate on the driver.
    Its `held_out_metrics` are in `Predictor(content).model_info["provenance"]`. The same rows and the same number of
    workers give the same trees, however the rows are partitioned.

    Raises `TrainingError` for a table that cannot be trained on, before anything is trained, `ParityError` if ONNX
    Runtime does not give XGBoost's bits, and `ClusterError` for more workers than task slots.
    """
    try:
        from . import distributed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("latency_predictor"):
            raise
        raise LatencyError(
            f"training on Spark needs the package {error.name}: pip install 'latency-predictor[spark,train]', on the "
            "driver and on every executor",
            "MISSING_PACKAGE",
        ) from error
    return distributed.train(df, target, tuple(drop), name, workers, folds)
