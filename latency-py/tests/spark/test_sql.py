"""SQL: our function, and MLflow's `spark_udf` of a logged model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

import latency_predictor.spark as latency_spark
from latency_predictor import InvalidInputError, Predictor


def float32(value: float | None) -> np.float32:
    return np.float32(value)


def test_a_function_in_sql_gives_the_bits_of_predict(spark: SparkSession, predictor: Predictor) -> None:
    spark.udf.register("predict_rtt", latency_spark.udf())
    row = spark.sql(
        "SELECT p.p50_ms, p.p99_ms FROM "
        "(SELECT predict_rtt(src, dst) AS p FROM VALUES ('London', 'Tokyo') AS t(src, dst))"
    ).first()
    single = predictor.predict("London", "Tokyo")
    assert (float32(row["p50_ms"]), float32(row["p99_ms"])) == (float32(single.p50_ms), float32(single.p99_ms))


def test_several_predictions_of_a_row_are_computed_once(spark: SparkSession) -> None:
    spark.udf.register("predict_rtt", latency_spark.udf())
    found = spark.sql(
        "SELECT predict_rtt(src, dst).p50_ms, predict_rtt(src, dst).p99_ms "
        "FROM VALUES ('London', 'Tokyo') AS t(src, dst)"
    )
    assert found._jdf.queryExecution().executedPlan().toString().count("ArrowEvalPython [") == 1


def test_literals_with_a_point_are_numbers(spark: SparkSession, predictor: Predictor) -> None:
    fields = ["src_lat", "src_lon", "dst_lat", "dst_lon", "src_access"]
    spark.udf.register("predict_path", latency_spark.udf(fields=fields, columns=["p50_ms"]))
    row = spark.sql("SELECT predict_path(48.14, 11.58, 51.51, -0.13D, 'wifi') AS p").first()
    single = predictor.predict(src_lat=48.14, src_lon=11.58, dst_lat=51.51, dst_lon=-0.13, src_access="wifi")
    assert row["p"].asDict() == {"p50_ms": float32(single.p50_ms)}


def test_bad_rows_are_told_in_the_struct(spark: SparkSession) -> None:
    spark.udf.register("predict_or_null", latency_spark.udf(errors="null"))
    row = spark.sql("SELECT predict_or_null('Nowhereville', 'London') AS p").first()["p"]
    assert row["p50_ms"] is None
    assert row["error"].startswith("UNKNOWN_PLACE src: found `Nowhereville`")


def test_too_few_arguments_name_those_that_are_meant(spark: SparkSession) -> None:
    spark.udf.register("predict_rtt", latency_spark.udf())
    message = "found 1 columns; allowed: 2, in this order: src, dst"
    with pytest.raises(InvalidInputError, match=message), latency_spark.readable_errors():
        spark.sql("SELECT predict_rtt(id) FROM VALUES ('London') AS t(id)").collect()


def test_arguments_of_a_wrong_type_are_named(spark: SparkSession) -> None:
    spark.udf.register("predict_rtt", latency_spark.udf())
    with pytest.raises(InvalidInputError) as caught, latency_spark.readable_errors():
        spark.sql("SELECT predict_rtt(id, 'London') FROM range(1)").collect()
    assert caught.value.field == "src"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["src"], "MISSING_FIELD"),
        (["src", "to"], "UNKNOWN_FIELD"),
        (["src", "src", "dst"], "UNKNOWN_FIELD"),
        ("src", "UNKNOWN_FIELD"),
        ([], "MISSING_FIELD"),
    ],
)
def test_fields_that_the_model_cannot_be_asked_by_are_refused(fields: Any, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        latency_spark.udf(fields=fields)
    assert caught.value.code == code


def test_mlflow_scores_a_logged_model_with_the_same_bits(
    spark: SparkSession, radio_model: bytes, tmp_path: Path
) -> None:
    """MLflow's own way to Spark, on the model that `latency_predictor.mlflow` writes."""
    import mlflow

    from latency_predictor.mlflow import signature

    path, saved = tmp_path / "radio.onnx", tmp_path / "saved"
    path.write_bytes(radio_model)
    predictor = Predictor(radio_model)
    mlflow.pyfunc.save_model(
        saved,
        loader_module="latency_predictor.mlflow",
        data_path=str(path),
        signature=signature(predictor, strict=True),
        pip_requirements=["mlflow"],
    )
    numbers = ["p50_ms", "p99_ms"]
    kinds = ", ".join(f"{name} float" for name in numbers)
    predict = mlflow.pyfunc.spark_udf(spark, str(saved), result_type=kinds, env_manager="local")
    df = spark.sql("SELECT 'n78' AS band, 0.5D AS load, -90D AS rsrp UNION ALL SELECT NULL, 0.25D, -80D")
    found = df.withColumn("mlflow", predict("band", "load", "rsrp"))
    rows = latency_spark.predict(found, radio_model, columns=numbers).collect()
    assert len(rows) == 2
    assert all(row["mlflow"][name] == row[name] > 0 for row in rows for name in numbers)
