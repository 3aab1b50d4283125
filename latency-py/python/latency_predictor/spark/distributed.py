"""The steps of training on Spark: features and trees on the executors, offsets and the gate on the driver."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost
from pyspark import SparkContext, StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's users give it
from xgboost.spark import SparkXGBRegressor
from xgboost.spark.utils import _get_max_num_concurrent_tasks

from ..data import split
from ..errors import LatencyError, TrainingError
from ..training import boosters as xgb
from ..training import calibration, tables
from ..training.fit import Fit, featurize, to_target_space
from . import summary
from .columns import quoted
from .errors import ClusterError, marked, readable_errors

Floats = npt.NDArray[np.float64]
Batches = Iterator[pa.RecordBatch]

MAX_HELD_OUT = 1_000_000
"""Held-out rows that come to the driver: 48 MB, and a share of 1 % of them is known to 0.01 %."""
SAMPLE_SEED = 3
HASH = "latency_predictor row hash"


def train(df: DataFrame, target: str, drop: tuple[str, ...], name: str, workers: int | None, folds: int) -> bytes:
    """See `latency_predictor.spark.train`."""
    if not 1 <= folds <= split.FOLDS:
        raise TrainingError(f"folds: found {folds}; allowed: 1 to {split.FOLDS}")
    _quieten()
    context = df.sparkSession.sparkContext
    workers = _workers(context, workers)
    with readable_errors():
        table = summary.read(df, target, drop, name)
        outputs = tables.RECIPE.outputs
        schema = table.schema | {"outputs": calibration.schema_outputs(outputs)}
        # By content, so that the same rows meet in the same order wherever they were before.
        by_content = table.rows.withColumn(HASH, F.xxhash64(*map(quoted, table.rows.columns)))
        sorted_rows = by_content.repartition(workers, HASH).sortWithinPartitions(HASH)
        matrix = sorted_rows.mapInArrow(
            _featurizer(schema, target), "features array<float>, label double, src_fold tinyint, dst_fold tinyint"
        ).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            margins, actual = _held_out(matrix, folds, workers)
            offsets = calibration.offsets(outputs, margins, actual, np.ones(len(actual)))
            boosters = _grow(matrix, workers)
        finally:
            matrix.unpersist()
    held_out = margins + np.array([offset.constant for offset in offsets])
    arguments = f"target={target!r}, drop={list(drop)!r}, name={name!r}, workers={workers}, folds={folds}"
    provenance = {
        "command": f"latency_predictor.spark.train(df, {arguments})",
        "rows": table.count,
        "rows_without_target": table.without_target,
        "held_out_metrics": tables.held_out_metrics(schema, held_out, actual),
    }
    fitted = Fit(schema, boosters, tables.RECIPE).with_offsets(offsets).with_provenance(provenance)
    return fitted.to_bytes()


def _quieten() -> None:
    """Without a level of the user's, XGBoost logs several lines for each output of each fold."""
    logger = logging.getLogger("XGBoost-PySpark")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


def _workers(context: SparkContext, wanted: int | None) -> int:
    """As many tasks at a time as are wanted or possible: XGBoost's workers wait for each other, so all must run."""
    slots = max(1, int(_get_max_num_concurrent_tasks(context)))
    if wanted is None:
        return slots
    elastic = context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true"
    if wanted < 1 or (wanted > slots and not elastic):
        raise ClusterError(
            f"workers: found {wanted}; allowed: 1 to {slots}, the cluster's task slots; add executors, or ask for fewer"
        )
    return wanted


def _featurizer(schema: dict[str, Any], target: str) -> Callable[[Batches], Batches]:
    def features(batches: Batches) -> Batches:
        for batch in batches:
            rows = {field: np.asarray(batch.column(field)) for field in batch.schema.names}
            try:
                matrix = featurize(schema, {name: column for name, column in rows.items() if name != HASH})
            except LatencyError as error:
                raise marked(error) from None
            ends = _folds(schema, rows)
            yield pa.RecordBatch.from_arrays(
                [
                    _lists(matrix),
                    pa.array(to_target_space(schema, rows[target])),
                    *(pa.array(fold, pa.int8()) for fold in ends),
                ],
                ["features", "label", "src_fold", "dst_fold"],
            )

    return features


def _lists(matrix: npt.NDArray[np.float32]) -> pa.Array:
    rows, columns = matrix.shape
    offsets = np.arange(0, rows * columns + 1, columns, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ravel(matrix)))


def _folds(schema: dict[str, Any], rows: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[np.int8]]:
    """The fold of each end's place; without places, twice the fold of the row."""
    if "coordinates" in schema:
        names = schema["coordinates"]
        return [
            split.folds(split.places(rows[names[f"{end}_lat"]], rows[names[f"{end}_lon"]])) for end in ("src", "dst")
        ]
    return [(rows[HASH] % split.FOLDS).astype(np.int8)] * 2


def _held_out(matrix: DataFrame, folds: int, workers: int) -> tuple[Floats, Floats]:
    """What models without a fold say about its rows, one column per output, and the truth; in target space."""
    counts = {
        (row["src_fold"], row["dst_fold"]): row["count"]
        for row in matrix.groupBy("src_fold", "dst_fold").count().collect()
    }
    total = sum(counts.values())
    sizes = [sum(count for ends, count in counts.items() if fold in ends) for fold in range(split.FOLDS)]
    # Few places can leave a fold without rows to test, or without rows to train on.
    usable = [fold for fold, size in enumerate(sizes) if size and total - size >= tables.MIN_ROWS // 2][:folds]
    if not usable:
        raise TrainingError(
            "all rows touch the same few places, so that none can be held out; measure between more places"
        )
    share = min(1.0, MAX_HELD_OUT / sum(sizes[fold] for fold in usable))
    margins, actual = [], []
    for fold in usable:
        test = (F.col("src_fold") == fold) | (F.col("dst_fold") == fold)
        boosters = _grow(matrix.where(~test), workers)
        found = _predict(matrix.where(test), boosters, share)
        margins.append(np.column_stack([found.column(output.name) for output in tables.RECIPE.outputs]))
        actual.append(np.asarray(found.column("label")))
    return np.concatenate(margins), np.concatenate(actual)


def _grow(matrix: DataFrame, workers: int) -> list[xgboost.Booster]:
    """One booster per output."""
    return [_grow_one(matrix, output, workers) for output in tables.RECIPE.outputs]


def _grow_one(matrix: DataFrame, output: xgb.Output, workers: int) -> xgboost.Booster:
    parameters = output.parameters(threads=1)
    # Spark sets it, from spark.task.cpus.
    del parameters["nthread"]
    estimator = SparkXGBRegressor(
        features_col="features",
        label_col="label",
        num_workers=workers,
        n_estimators=output.rounds,
        # Nobody looks at the figures on the training rows.
        disable_default_eval_metric=True,
        **parameters,
    )
    booster: xgboost.Booster = estimator.fit(matrix).get_booster()
    return booster


def _predict(matrix: DataFrame, boosters: Sequence[xgboost.Booster], share: float) -> pa.Table:
    names = [output.name for output in tables.RECIPE.outputs]
    rows = matrix if share >= 1 else matrix.sample(share, SAMPLE_SEED)

    def predictions(batches: Batches) -> Batches:
        for batch in (batch for batch in batches if batch.num_rows):
            lists = batch.column("features")
            features = np.asarray(lists.flatten(), dtype=np.float32).reshape(len(lists), -1)
            columns = [pa.array(column) for column in xgb.margins(boosters, features).T]
            yield pa.RecordBatch.from_arrays([*columns, batch.column("label")], [*names, "label"])

    kinds = ", ".join(f"{name} double" for name in [*names, "label"])
    return rows.mapInArrow(predictions, kinds).toArrow()
