"""Rows per second of `latency_predictor.spark.predict` against cores, in local mode; prints a table, asserts nothing.

    python latency-py/benches/spark_scaling.py [--rows 1000000] [--turns 5] [--cores 1 2 4]

Each number of cores has a JVM of its own. Rows are made by Spark while it goes, and predictions are thrown away
(`noop`), so that no disk is measured. The fastest of the turns is taken: what else runs on a machine only slows.
`in process` is `Predictor.predict_batch` on 100,000 rows in one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ["OMP_NUM_THREADS"] = "1"

ROWS_IN_PROCESS = 100_000


def coordinates(low: float, high: float, seed: int) -> str:
    """SQL for a number from low to high that looks random and is the same each time."""
    return f"{low} + {high - low} * (pmod(xxhash64(id, {seed}), 1000000) / 1000000D)"


def spark_seconds(cores: int, rows: int, turns: int) -> dict[str, float]:
    """Seconds to start, for the first job, and for the fastest of the later ones."""
    from pyspark.sql import SparkSession

    import latency_predictor.spark as latency_spark

    started = time.perf_counter()
    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    up = time.perf_counter() - started
    # Four partitions per core, so that no core waits long for another at the end.
    paths = session.range(0, rows, 1, 4 * cores).selectExpr(
        f"{coordinates(-60, 70, 1)} AS src_lat", f"{coordinates(-180, 180, 2)} AS src_lon",
        f"{coordinates(-60, 70, 3)} AS dst_lat", f"{coordinates(-180, 180, 4)} AS dst_lon",
    )  # fmt: skip

    def job() -> float:
        begun = time.perf_counter()
        latency_spark.predict(paths).write.format("noop").mode("overwrite").save()
        return time.perf_counter() - begun

    first, *later = [job() for _ in range(turns + 1)]
    session.stop()
    return {"start": up, "first": first, "later": min(later)}


def in_process_seconds(turns: int) -> float:
    """Seconds for one batch without Spark, the fastest."""
    import numpy as np

    from latency_predictor import Predictor

    random = np.random.default_rng(1)
    rows = {
        name: random.uniform(-60 if axis == "lat" else -180, 70 if axis == "lat" else 180, ROWS_IN_PROCESS)
        for axis in ("lat", "lon")
        for name in (f"src_{axis}", f"dst_{axis}")
    }
    predictor = Predictor(sessions=1)
    times = []
    for _ in range(turns + 1):
        begun = time.perf_counter()
        predictor.predict_batch(rows)
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def main() -> None:
    """Runs each measurement in a process of its own, one after the other."""
    most = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--cores", type=int, nargs="+", default=[2**n for n in range(most.bit_length()) if 2**n <= most]
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        seconds = spark_seconds(options.one, options.rows, options.turns)
        print(json.dumps(seconds))
        return
    alone = ROWS_IN_PROCESS / in_process_seconds(options.turns)
    print(
        f"{options.rows:,} rows; later job: the fastest of {options.turns}; in process: {alone:,.0f} rows per second\n"
    )
    print("| | start, s | first job, s | later job, s | rows per second | / one core | / in process | with start |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    base = None
    for cores in options.cores:
        arguments = [sys.executable, __file__, "--rows", str(options.rows), "--turns", str(options.turns)]
        done = subprocess.run([*arguments, "--one", str(cores)], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        found = json.loads(done.stdout.splitlines()[-1])
        rate = options.rows / found["later"]
        base = base or rate
        whole = options.rows / (found["start"] + found["first"])
        print(
            f"| local[{cores}] | {found['start']:.1f} | {found['first']:.1f} | {found['later']:.1f} | {rate:,.0f} "
            f"| {rate / base:.2f} | {rate / alone:.2f} | {whole:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
