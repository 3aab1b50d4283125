"""A million rows from every kind of table, and one row alone, beside XGBoost and ONNX Runtime on the same matrix.

    python benches/throughput.py [--rows 1000000] [--table data/cache/paths.parquet]

Trains the trees first (seconds), so that XGBoost's boosters and the model file are the same model, and says so only
after it compared their answers to the bit. The peers start from a matrix of features that is ready, and give margins;
the package starts from coordinates and words, and gives predictions. Ratios are within one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa

from latency_predictor import Predictor
from latency_predictor.data import synthetic
from latency_predictor.data import table as tidy
from latency_predictor.training import boosters as xgb
from latency_predictor.training import fit, paths

SINGLE_SECONDS = 5.0
TURN = 100


def main() -> None:
    """Runs both comparisons."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--table", type=Path, default=Path("data/cache/paths.parquet"))
    given = arguments.parse_args()
    measured = tidy.read(given.table) if given.table.exists() else synthetic.make(places=200, seed=1)
    fitted = paths.fit_paths(measured)
    model = fitted.to_bytes()
    predictor = Predictor(model)
    rows = random_paths(given.rows)
    matrix = fit.featurize(fitted.schema, rows)
    check = slice(0, 10_000)
    same = np.array_equal(
        session(model, 1).run(None, {"features": matrix[check]})[0],
        xgb.margins(fitted.boosters, matrix[check]).astype(np.float32),
    )
    trees = sum(booster.num_boosted_rounds() for booster in fitted.boosters)
    print(f"{len(measured):,} measurements, {trees} trees, {len(fitted.schema['features'])} features")
    print(f"ONNX Runtime equals XGBoost on {check.stop:,} rows to the bit: {same}\n")
    batches(predictor, fitted, model, rows, matrix)
    single(predictor, fitted, model)


def random_paths(count: int) -> pd.DataFrame:
    """Paths between places that training knows, with words as tables have them."""
    random = np.random.default_rng(1)
    lat, lon = random.uniform(-40, 60, (2, count)), random.uniform(-120, 140, (2, count))
    words = random.choice(np.array(["wifi", "server", "wired"], object), count)
    words[random.random(count) < 0.3] = None
    return pd.DataFrame(
        {"src_lat": lat[0], "src_lon": lon[0], "dst_lat": lat[1], "dst_lon": lon[1], "src_access": words}
    )


def session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime as its users have it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def batches(predictor: Predictor, fitted: fit.Fit, model: bytes, rows: pd.DataFrame, matrix: np.ndarray) -> None:
    """Rows per second of one call with all rows, in one thread, and in two."""
    arrow = pa.Table.from_pandas(rows, preserve_index=False)
    numbers = ["src_lat", "src_lon", "dst_lat", "dst_lon"]
    coordinates = rows[numbers].to_numpy()
    tables: dict[str, Any] = {
        "dict of NumPy arrays": {name: rows[name].to_numpy() for name in rows},
        "pandas": rows,
        "Polars": pl.from_arrow(arrow),
        "PyArrow": arrow,
    }
    calls: dict[str, Callable[[], Any]] = {
        f"latency_predictor, {kind}": (lambda table=table: predictor.predict_batch(table))
        for kind, table in tables.items()
    }
    calls["latency_predictor, NumPy matrix of coordinates"] = lambda: predictor.predict_batch(
        coordinates, columns=numbers
    )
    halves = [arrow.slice(0, len(arrow) // 2), arrow.slice(len(arrow) // 2)]
    with ThreadPoolExecutor(2) as pool:
        calls["latency_predictor, PyArrow, halves in two threads"] = lambda: list(
            pool.map(predictor.predict_batch, halves)
        )
        for threads in (1, 2):
            bare = session(model, threads)
            calls[f"onnxruntime on the matrix, {threads} thread(s)"] = lambda bare=bare: bare.run(
                None, {"features": matrix}
            )
        for threads in (1, 2):
            calls[f"xgboost inplace_predict on the matrix, {threads} thread(s)"] = lambda threads=threads: boosted(
                fitted, matrix, threads
            )
        seconds = {name: timed(call) for name, call in calls.items()}
    reference = seconds["onnxruntime on the matrix, 1 thread(s)"]
    print(
        f"{len(rows):,} rows in one call\n\n| | rows per second | time / onnxruntime, 1 thread |\n| --- | ---: | ---: |"
    )
    for name, taken in seconds.items():
        print(f"| {name} | {len(rows) / taken:,.0f} | {taken / reference:.2f} |")


def boosted(fitted: fit.Fit, matrix: np.ndarray, threads: int) -> None:
    """What XGBoost needs for the same outputs: one call per booster."""
    for booster in fitted.boosters:
        booster.set_param({"nthread": threads})
        booster.inplace_predict(matrix, missing=np.nan)


def single(predictor: Predictor, fitted: fit.Fit, model: bytes) -> None:
    """Microseconds of one call with one row.

    All take turns, a hundred calls at a time after some that are not counted, so that none finds the caches of another;
    the medians over all turns are compared.
    """
    flat = {"src_lat": 51.51, "src_lon": -0.13, "dst_lat": 35.69, "dst_lon": 139.69, "src_access": "wifi"}
    matrix = fit.featurize(fitted.schema, pd.DataFrame([flat]))
    src = {"lat": 51.51, "lon": -0.13, "access": "wifi"}
    bare, one = session(model, 1), {"features": matrix}
    calls: dict[str, Callable[[], Any]] = {
        "onnxruntime on the matrix": lambda: bare.run(None, one),
        "xgboost inplace_predict on the matrix": lambda: boosted(fitted, matrix, 1),
        "latency_predictor, flat names": lambda: predictor.predict(**flat),
        "latency_predictor, a dict and a name": lambda: predictor.predict(src, "Tokyo"),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    until = time.perf_counter() + SINGLE_SECONDS * len(calls)
    while time.perf_counter() < until:
        for name, call in calls.items():
            for _ in range(TURN // 5):
                call()
            times[name].append(timed(lambda call=call: [call() for _ in range(TURN)]) / TURN)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    reference = medians["onnxruntime on the matrix"]
    print("\n1 row in one call\n\n| | µs | time / onnxruntime |\n| --- | ---: | ---: |")
    for name, taken in medians.items():
        print(f"| {name} | {1e6 * taken:.1f} | {taken / reference:.2f} |")


def timed(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
