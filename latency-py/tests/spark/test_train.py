"""Training on Spark: schema, figures and gate of one machine; the same bytes however rows are partitioned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

import latency_predictor.spark as latency_spark
from latency_predictor import Predictor, TrainingError
from latency_predictor.spark import summary
from latency_predictor.training import parity, tables

Frame = Callable[[pd.DataFrame], DataFrame]


def globe_table(rows: int = 400) -> pd.DataFrame:
    """A made-up table with coordinates, kinds of access and a whole number."""
    random = np.random.default_rng(3)
    places = np.column_stack([random.uniform(-60, 60, 30), random.uniform(-180, 180, 30)]).round(2)
    places[0] = -0.5, 179.5  # halves round to even
    src, dst = random.integers(0, 30, rows), random.integers(0, 30, rows)
    hops = random.integers(3, 20, rows)
    access = random.choice(np.array(["wifi", "wired", None], dtype=object), (2, rows))
    return pd.DataFrame(
        {
            "client_lat": places[src, 0], "client_lng": places[src, 1], "server_lat": places[dst, 0],
            "server_lng": places[dst, 1], "src_access": access[0], "dst_access": access[1], "hops": hops,
            "rtt_ms": 5 + np.hypot(*(places[src] - places[dst]).T) + hops * random.uniform(0.5, 1.5, rows),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def big_radio(radio_rows: pd.DataFrame) -> pd.DataFrame:
    """The table of a data scientist, with unusual cells."""
    table = radio_rows.copy()
    table["when"] = [f"2024-05-01T00:00:{i}" for i in range(len(table))]
    table.loc[[3, 30], "rtt_ms"] = [np.nan, np.inf]
    return table


@pytest.fixture(scope="module")
def on_spark(frame: Frame, big_radio: pd.DataFrame) -> bytes:
    """Trained by two workers, one part held out."""
    return latency_spark.train(frame(big_radio), drop=["when"], name="radio", workers=2, folds=1)


# The same as one machine


@pytest.mark.parametrize("make", ["radio", "globe"])
def test_a_schema_is_that_of_one_machine(make: str, frame: Frame, radio_rows: pd.DataFrame) -> None:
    table = radio_rows if make == "radio" else globe_table()
    alone = tables.train(table, "rtt_ms", name=make).fit.schema
    found = summary.read(frame(table), "rtt_ms", (), make).schema
    assert found == {name: part for name, part in alone.items() if name != "outputs"}
    # In the same order too, so that files look alike.
    assert list(found) == [name for name in alone if name != "outputs"]


def test_the_figures_are_near_those_of_one_machine(on_spark: bytes, big_radio: pd.DataFrame) -> None:
    origin = Predictor(on_spark).model_info["provenance"]
    alone = tables.train(big_radio, "rtt_ms", drop=("when",))
    found = origin["held_out_metrics"]
    assert (origin["rows"], origin["rows_without_target"]) == (alone.rows, alone.rows_without_target) == (598, 2)
    # One part of five is held out here, all five there.
    assert 90 <= found["held_out_rows"] <= 150
    assert found["median_relative_error"] == pytest.approx(alone.metrics["median_relative_error"], abs=0.03)
    assert found["interval_coverage"] == pytest.approx(0.9, abs=0.04)


def test_the_predictions_are_near_those_of_one_machine(
    on_spark: bytes, radio_model: bytes, radio_rows: pd.DataFrame
) -> None:
    rows = radio_rows.drop(columns="rtt_ms")
    ours, alone = (Predictor(model).predict_batch(rows)["p50_ms"] for model in (on_spark, radio_model))
    assert np.median(np.abs(ours / alone - 1)) < 0.03


def test_the_file_passed_the_gate_and_answers_by_its_fields(on_spark: bytes) -> None:
    predictor = Predictor(on_spark)
    assert [field["name"] for field in predictor.schema["fields"]] == ["band", "load", "rsrp"]
    assert len(predictor.schema["golden"]) == 16
    quiet, busy = predictor.predict(band="n78", load=0.1), predictor.predict(band="n28", load=0.9)
    assert quiet.p50_ms < busy.p50_ms <= busy.p90_ms <= busy.p99_ms
    assert "drop=['when']" in predictor.model_info["provenance"]["command"]


def test_no_file_is_made_when_the_gate_is_shut(frame: Frame, big_radio: pd.DataFrame, monkeypatch: Any) -> None:
    """The same gate: what one machine's export refuses, this refuses."""
    from latency_predictor.training import export

    right = export.Ensemble.add_tree

    def wrong(self: Any, target: int, tree: dict[str, Any]) -> None:
        right(self, target, tree)
        self.leaf_values[-1] = float(np.nextafter(np.float32(self.leaf_values[-1]), np.float32(np.inf)))

    monkeypatch.setattr(export.Ensemble, "add_tree", wrong)
    with pytest.raises(parity.ParityError):
        latency_spark.train(frame(big_radio), drop=["when"], workers=1, folds=1)


def test_the_same_rows_give_the_same_bytes_however_they_are_partitioned(
    on_spark: bytes, frame: Frame, big_radio: pd.DataFrame
) -> None:
    turned = frame(big_radio.sample(frac=1, random_state=1)).repartition(5)
    assert latency_spark.train(turned, drop=["when"], name="radio", workers=2, folds=1) == on_spark


def test_a_table_with_coordinates_holds_out_places(frame: Frame) -> None:
    table = globe_table()
    predictor = Predictor(latency_spark.train(frame(table), name="globe", workers=1, folds=1))
    metrics = predictor.model_info["provenance"]["held_out_metrics"]
    assert metrics["held_out_rows"] == int(tables.fold_masks(predictor.schema, table)[0].sum())
    answer = predictor.predict_batch(table.drop(columns="rtt_ms"))
    assert (answer["floor_ms"] <= answer["low_ms"]).all()
    assert np.median(np.abs(answer["p50_ms"] / table["rtt_ms"] - 1)) < 0.2


# What is refused, before anything is trained


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("current_date()", r"column `odd` holds date; allowed: numbers, or .*leave it out with drop=\['odd'\]"),
        ("true", "column `odd` holds boolean.*write it as 0 and 1"),
        ("array(load)", "column `odd` holds array<double>"),
        ("double('inf')", "column `odd` holds infinities; leave those rows out"),
        ("CAST(NULL AS DOUBLE)", r"column `odd` has no values; leave it out with drop=\['odd'\]"),
        ("double('NaN')", "column `odd` has no values"),
        ("CAST(NULL AS STRING)", "column `odd` has no values"),
        ("string(monotonically_increasing_id())", "column `odd` .* it holds about [0-9]+ different values"),
        (
            "string(row_number() OVER (ORDER BY load) % 65)",
            "column `odd` .* it holds 65 different values such as '0'; allowed: numbers, or at most 64 different words",
        ),
    ],
    ids=["date", "boolean", "array", "infinity", "empty", "nan", "empty text", "free text", "65 words"],
)
def test_a_column_that_fits_nowhere_is_named_with_the_cure(
    frame: Frame, radio_rows: pd.DataFrame, column: str, message: str
) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        latency_spark.train(frame(radio_rows).withColumn("odd", F.expr(column)))
    assert caught.value.field == "odd"


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda df: df, {"target": "rtt"}, "no column `rtt`; it has: band, load, rsrp, rtt_ms"),
        (lambda df: df, {"drop": ["when"]}, "no column `when`"),
        (lambda df: df, {"target": "band"}, "the target `band` holds string; allowed: numbers"),
        (lambda df: df.limit(49), {}, "found 49 rows with a `rtt_ms`; at least 50 are needed; measure more"),
        (lambda df: df.select("rtt_ms"), {}, "no column beside the target `rtt_ms`"),
        (lambda df: df.select("*", "load"), {}, "column `load` twice"),
        (lambda df: df.withColumnRenamed("band", "src"), {}, "column `src` has a name that means a place"),
        (lambda df: df, {"folds": 6}, "folds: found 6; allowed: 1 to 5"),
    ],
    ids=["target", "drop", "words", "few", "alone", "twice", "src", "folds"],
)
def test_a_table_that_cannot_be_trained_on_is_refused(
    frame: Frame, radio_rows: pd.DataFrame, change: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        latency_spark.train(change(frame(radio_rows)), **options)


@pytest.mark.parametrize(("value", "shown"), [(91.0, "91"), (None, "no value")])
def test_a_coordinate_out_of_range_is_named(frame: Frame, value: float | None, shown: str) -> None:
    table = globe_table(60)
    table.loc[7, "client_lat"] = value
    with pytest.raises(
        TrainingError, match=f"client_lat: found {shown}; allowed: -90 to 90 degrees; correct the 1 rows"
    ):
        latency_spark.train(frame(table))


def test_more_workers_than_slots_are_refused_at_once(
    spark: SparkSession, frame: Frame, radio_rows: pd.DataFrame
) -> None:
    """Spark itself would wait ten minutes for slots that never come."""
    with pytest.raises(
        latency_spark.ClusterError, match=r"workers: found 3; allowed: 1 to 2, the cluster's task slots"
    ):
        latency_spark.train(frame(radio_rows), workers=3)
