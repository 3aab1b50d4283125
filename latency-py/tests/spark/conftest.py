"""A Spark of two cores in this machine, shared by all tests here."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Java and the Python workers read these when they start.
os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ["OMP_NUM_THREADS"] = "1"

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

HOST = "127.0.0.1"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Local mode with two task slots: one JVM, real Python workers."""
    folder: Path = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local[2]")
        .appName("latency-predictor tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", HOST)
        .config("spark.driver.bindAddress", HOST)
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.local.dir", str(folder / "local"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def frame(spark: SparkSession) -> Callable[[pd.DataFrame], DataFrame]:
    """A pandas table as a DataFrame of several partitions; NaN and None become null."""

    def make(table: pd.DataFrame) -> DataFrame:
        cells = table.astype(object).where(table.notna(), None)
        return spark.createDataFrame(cells.to_records(index=False).tolist(), list(table.columns)).repartition(3)

    return make
