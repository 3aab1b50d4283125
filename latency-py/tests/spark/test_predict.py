"""`latency_predictor.spark.predict`: the same bits as in process, columns kept, errors that name the field."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

import latency_predictor.spark as latency_spark
from latency_predictor import InvalidInputError, LatencyError, ModelError, Predictor, __version__
from latency_predictor.spark import shipped
from latency_predictor.spark.errors import marked

Frame = Callable[[pd.DataFrame], DataFrame]
NUMBERS = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"]


def golden_frame(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    """The golden rows, numbered, with nulls for what they leave out."""
    names = sorted({name for row in rows for name in row})
    kinds = [StructField(name, DoubleType() if name[4:] in ("lat", "lon") else StringType()) for name in names]
    cells = [(*(row.get(name) for name in names), float(i)) for i, row in enumerate(rows)]
    return spark.createDataFrame(cells, StructType([*kinds, StructField("number", DoubleType())])).repartition(3)


def sorted_by(df: DataFrame, name: str) -> pa.Table:
    return df.orderBy(name).toArrow()


def bits(values: Any) -> list[int]:
    return np.asarray(values, dtype=np.float32).view(np.int32).tolist()


@pytest.fixture
def places(spark: SparkSession) -> DataFrame:
    """Paths by name, the last of them from nowhere."""
    rows = [("London", "Tokyo", 1), ("Paris", "aws:us-east-1", 2), ("Nowhereville", "London", 3)]
    return spark.createDataFrame(rows, ["src", "dst", "n"])


# The same numbers


def test_the_golden_rows_have_their_bits(spark: SparkSession, golden: dict[str, Any], predictor: Predictor) -> None:
    rows = golden["rows"]
    found = sorted_by(latency_spark.predict(golden_frame(spark, rows)), "number")
    assert found.num_rows == len(rows) > 100
    for i, row in enumerate(rows):
        single = predictor.predict(**row)
        assert bits([found[name][i].as_py() for name in NUMBERS]) == bits([getattr(single, name) for name in NUMBERS])


def test_places_and_holes_give_the_bits_of_a_batch(frame: Frame, predictor: Predictor) -> None:
    names = ["London", "Paris", "Tokyo", "aws:us-east-1", "LHR", "51.51,-0.13", "Sydney"]
    table = pd.DataFrame(
        [(i, src, dst, access) for i, src in enumerate(names) for dst in names for access in ("wifi", None)],
        columns=["i", "src", "dst", "src_access"],
    )
    table["key"] = range(len(table))
    table["dst_access"] = None
    expected = predictor.predict_batch({name: table[name].tolist() for name in ("src", "dst", "src_access")})
    found = sorted_by(latency_spark.predict(frame(table.drop(columns="dst_access"))), "key")
    for name in NUMBERS:
        assert found[name].type == pa.float32()
        assert bits(found[name]) == bits(expected[name])


def test_a_model_of_ones_own_travels_as_path_bytes_and_predictor(
    frame: Frame, radio_rows: pd.DataFrame, radio_model: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "radio.onnx"
    path.write_bytes(radio_model)
    predictor = Predictor(path)
    table = radio_rows.assign(key=range(len(radio_rows)))
    expected = predictor.predict_batch(radio_rows.drop(columns="rtt_ms"))
    assert radio_rows[["band", "rsrp"]].isna().any().all()
    df = frame(table)
    for model in (path, str(path), radio_model, predictor):
        found = sorted_by(latency_spark.predict(df, model), "key")
        assert found.column_names == [*table.columns, *expected.columns]
        assert all(bits(found[name]) == bits(expected[name]) for name in expected.columns)


def test_whole_numbers_decimals_and_nulls_are_numbers(spark: SparkSession, radio_model: bytes) -> None:
    df = spark.sql("SELECT 'n78' AS band, 1 AS load, -90.5BD AS rsrp UNION ALL SELECT NULL, 0, NULL")
    found = latency_spark.predict(df, radio_model).orderBy("load").toArrow()
    predictor = Predictor(radio_model)
    singles = [predictor.predict(load=0), predictor.predict(band="n78", load=1, rsrp=-90.5)]
    assert bits(found["p50_ms"]) == bits([single.p50_ms for single in singles])


def test_a_batch_with_nothing_but_nulls_in_a_category_is_answered(spark: SparkSession, radio_model: bytes) -> None:
    df = spark.sql("SELECT CAST(NULL AS STRING) AS band, 0.5D AS load, NULL AS rsrp")
    found = latency_spark.predict(df, radio_model).first()["p50_ms"]
    assert bits([found]) == bits([Predictor(radio_model).predict(load=0.5).p50_ms])


def test_no_rows_give_no_rows(places: DataFrame) -> None:
    none = latency_spark.predict(places.limit(0))
    assert none.columns == ["src", "dst", "n", *NUMBERS]
    assert none.count() == 0


# Columns


def test_the_callers_columns_stay_as_they_are(spark: SparkSession) -> None:
    df = spark.sql(
        "SELECT 'London' AS src, 'Tokyo' AS dst, map('a', 1) AS m, named_struct('x', DATE'2024-05-01') AS `a.b`"
    )
    found = latency_spark.predict(df, columns=["p99_ms", "p50_ms"])
    assert found.schema[:4] == df.schema[:4]
    assert found.columns[4:] == ["p99_ms", "p50_ms"]
    row = found.first()
    assert row["m"] == {"a": 1}
    assert row["p99_ms"] > row["p50_ms"] > 0


def test_only_what_the_model_reads_leaves_the_jvm_and_once(places: DataFrame) -> None:
    """A filter on a prediction would otherwise compute it twice."""
    found = latency_spark.predict(places, errors="null").where("p50_ms > 100 AND p99_ms > 1")
    plan = found._jdf.queryExecution().executedPlan().toString()
    assert plan.count("ArrowEvalPython [score(src#") == 1
    assert "n#" not in plan.split("ArrowEvalPython [")[1].split("]")[0]
    assert [row["src"] for row in found.collect()] == ["London"]


@pytest.mark.parametrize("name", ["p50_ms", "P50_MS"])
def test_a_column_that_is_there_already_is_refused_on_the_driver(places: DataFrame, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"already has the column `p50_ms`; rename it") as caught:
        latency_spark.predict(places.withColumn(name, F.lit(1.0)))
    assert (caught.value.code, caught.value.field) == ("INVALID_BATCH", "p50_ms")


def test_other_predictions_get_round_a_clash(places: DataFrame) -> None:
    df = places.where("n < 3").withColumn("p50_ms", F.lit(1.0))
    assert latency_spark.predict(df, columns=["low_ms"]).columns == ["src", "dst", "n", "p50_ms", "low_ms"]


def test_a_column_called_error_clashes_only_where_errors_are_told(places: DataFrame) -> None:
    df = places.withColumn("error", F.lit("mine"))
    assert "error" in latency_spark.predict(df).columns
    with pytest.raises(InvalidInputError, match="already has the column `error`"):
        latency_spark.predict(df, errors="null")


def test_columns_are_found_as_spark_finds_them(spark: SparkSession, places: DataFrame) -> None:
    shouting = places.where("n = 1").withColumnsRenamed({"src": "SRC", "dst": "Dst"})
    found = latency_spark.predict(shouting)
    assert found.columns[:2] == ["SRC", "Dst"]
    assert found.first()["p50_ms"] == pytest.approx(Predictor.bundled().predict("London", "Tokyo").p50_ms)
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        with pytest.raises(InvalidInputError, match="found none of the model's columns"):
            latency_spark.predict(shouting)
    finally:
        spark.conf.unset("spark.sql.caseSensitive")


# Refused on the driver, before any job


@pytest.mark.parametrize(
    ("select", "code", "field", "message"),
    [
        ("src, n", "MISSING_FIELD", "dst_lat", r"required.*the table has: src, n$"),
        ("n", "MISSING_FIELD", None, "found none of the model's columns: .*the table has: n$"),
        ("src, dst, n AS src_access", "INVALID_FIELD", "src_access", "column of type bigint; allowed: strings"),
        ("n AS src, dst", "INVALID_FIELD", "src", "found a column of type bigint; allowed: names of places"),
        ("src AS src_lat, 1D AS src_lon, dst", "INVALID_FIELD", "src_lat", r"of type string.*cast\('double'\)"),
        ("src, dst, 1D AS src_lat, 2D AS src_lon", "INVALID_BATCH", "src", "found both `src` and `src_lat`"),
        ("src, dst, dst AS dst", "INVALID_BATCH", "dst", "found 2 columns of this name"),
        ("src, array(dst) AS dst", "INVALID_FIELD", "dst", "found a column of type array<string>"),
    ],
)  # fmt: skip
def test_the_schema_is_checked_on_the_driver(
    places: DataFrame, select: str, code: str, field: str | None, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        latency_spark.predict(places.selectExpr(*select.split(", ")))
    assert (caught.value.code, caught.value.field) == (code, field)


@pytest.mark.parametrize("columns", [["p75_ms"], [], "p50_ms", ["p50_ms", "p50_ms"]])
def test_unknown_predictions_are_refused(places: DataFrame, columns: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"columns: found .*; allowed: a list of p50_ms, low_ms") as caught:
        latency_spark.predict(places, columns=columns)
    assert caught.value.field == "columns"


def test_unknown_ways_with_errors_are_refused(places: DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="errors: found 'ignore'; allowed: 'raise', 'null'"):
        latency_spark.predict(places, errors="ignore")  # type: ignore[arg-type]


def test_a_predictor_whose_file_was_changed_since_is_refused(
    places: DataFrame, radio_model: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(radio_model)
    predictor = Predictor(path)
    path.write_bytes(radio_model + b"\0")
    with pytest.raises(ModelError, match="no longer the file that this predictor was loaded from"):
        latency_spark.predict(places, predictor)


@pytest.mark.parametrize(("model", "code"), [("missing.onnx", "MODEL_NOT_READABLE"), (b"no model", "INVALID_MODEL")])
def test_a_model_that_cannot_be_loaded_is_refused_on_the_driver(places: DataFrame, model: Any, code: str) -> None:
    with pytest.raises(ModelError) as caught:
        latency_spark.predict(places, model)
    assert caught.value.code == code


# Bad values in rows, on the executors


def test_a_bad_value_fails_the_job_with_its_field(places: DataFrame) -> None:
    message = r"^src: found `Nowhereville`.*allowed: .*; errors='null' goes on"
    with pytest.raises(InvalidInputError, match=message) as caught, latency_spark.readable_errors():
        latency_spark.predict(places).collect()
    assert (caught.value.code, caught.value.field, caught.value.row) == ("UNKNOWN_PLACE", "src", None)
    # One line, and no page of Java.
    assert "\n" not in str(caught.value)
    assert "org.apache" not in str(caught.value)


def test_errors_as_null_go_on_and_name_each_bad_row(places: DataFrame, predictor: Predictor) -> None:
    rows = {row["n"]: row for row in latency_spark.predict(places, errors="null").collect()}
    assert [rows[n]["error"] for n in (1, 2)] == [None, None]
    assert rows[3]["error"].startswith("UNKNOWN_PLACE src: found `Nowhereville`")
    assert [rows[3][name] for name in NUMBERS] == [None] * len(NUMBERS)
    assert bits([rows[1]["p50_ms"]]) == bits([predictor.predict("London", "Tokyo").p50_ms])


def test_a_hole_in_a_required_column_is_an_error_of_that_row(spark: SparkSession) -> None:
    df = spark.sql("SELECT 'London' AS src, 'Tokyo' AS dst UNION ALL SELECT NULL, 'Tokyo'")
    told = [row["error"] for row in latency_spark.predict(df, errors="null").orderBy(F.col("src").desc()).collect()]
    assert told[0] is None
    assert told[1].startswith("MISSING_FIELD src")
    with pytest.raises(InvalidInputError), latency_spark.readable_errors():
        latency_spark.predict(df).collect()


def test_errors_of_others_pass_unchanged(spark: SparkSession) -> None:
    df = spark.range(1).select(F.raise_error(F.lit("InvalidInputError: not ours")))
    with pytest.raises(Exception, match="not ours") as caught, latency_spark.readable_errors():
        df.collect()
    assert not isinstance(caught.value, LatencyError)


@pytest.mark.parametrize("field", ["src_lat", "a {strange} name", None])
def test_an_error_keeps_its_text_on_the_way(spark: SparkSession, field: str | None) -> None:
    text = 'naïve: found "x {"code": "A", "field": "b"}"; allowed: −90 to 90\nand more'
    error = marked(InvalidInputError(f"row 7: {text}", "INVALID_FIELD", field, 7))

    @F.udf("string")
    def fail(_: Any) -> str:
        raise error

    with pytest.raises(InvalidInputError) as caught, latency_spark.readable_errors():
        spark.range(1).select(fail("id")).collect()
    assert (str(caught.value), caught.value.code, caught.value.field) == (text, "INVALID_FIELD", field)


def test_an_executor_without_the_package_is_told_with_its_cure(spark: SparkSession) -> None:
    @F.udf("string")
    def fail(_: Any) -> str:
        raise ModuleNotFoundError("No module named 'latency_predictor'")

    message = "no package `latency_predictor`; install"
    with pytest.raises(latency_spark.ClusterError, match=message) as caught, latency_spark.readable_errors():
        spark.range(1).select(fail("id")).collect()
    assert caught.value.code == "CLUSTER_ERROR"


def test_another_version_on_the_executors_is_noticed(spark: SparkSession, places: DataFrame, monkeypatch: Any) -> None:
    monkeypatch.setattr(shipped, "__version__", "0.0.1")  # on the driver alone
    message = f"the driver has latency-predictor 0.0.1, an executor {__version__}"
    with pytest.raises(latency_spark.ClusterError, match=message), latency_spark.readable_errors():
        latency_spark.predict(places).collect()


def test_another_bundled_model_on_the_executors_is_noticed() -> None:
    model = shipped.ShippedModel("0" * 64, __version__, None)
    with pytest.raises(latency_spark.ClusterError, match="the driver's bundled model is 000000000000, an executor's "):
        model.predictor()


# One predictor per process


def test_a_process_loads_a_model_once(radio_model: bytes) -> None:
    ours, _ = shipped.ship(radio_model)
    again: shipped.ShippedModel = pickle.loads(pickle.dumps(ours))  # noqa: S301  our own bytes
    assert again is not ours
    assert again.predictor() is ours.predictor()
    other, _ = shipped.ship(None)
    assert other.predictor() is not ours.predictor()
    assert "content" not in repr(other)


def test_executors_load_a_model_once_for_all_their_tasks(spark: SparkSession, radio_model: bytes) -> None:
    """Counted where it happens: in the Python processes of the executors, over many tasks."""
    ours, _ = shipped.ship(radio_model)

    @F.udf("string")
    def loads(_: Any) -> str:
        import os

        from latency_predictor.spark import shipped

        ours.predictor()
        return f"{os.getpid()} {shipped._load.cache_info().misses}"

    before: set[str] = {row[0] for row in spark.range(0, 8, 1, 8).select(loads("id")).collect()}
    after: set[str] = {row[0] for row in spark.range(0, 8, 1, 8).select(loads("id")).collect()}
    assert 1 <= len({text.split()[0] for text in before | after}) <= 2
    assert after == before


# Streams


def test_a_stream_is_predicted_as_it_comes(spark: SparkSession, places: DataFrame, tmp_path: Path) -> None:
    arriving = tmp_path / "arriving"
    places.write.json(str(arriving))
    stream = latency_spark.predict(spark.readStream.schema(places.schema).json(str(arriving)), errors="null")
    query = (
        stream.writeStream.format("memory").queryName("predicted").trigger(availableNow=True)
        .option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    )  # fmt: skip
    try:
        assert query.awaitTermination(120)
    finally:
        query.stop()
    found = {row["n"]: row["error"] is None for row in spark.table("predicted").collect()}
    assert found == {1: True, 2: True, 3: False}
