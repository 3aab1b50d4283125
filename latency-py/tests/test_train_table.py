"""Models on tables of one's own: what becomes a field, what is refused with a cure, what the model then answers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import radio_table
from latency_predictor import InvalidInputError, Predictor, TrainingError
from latency_predictor.data.geo import great_circle_km
from latency_predictor.training import cables, schemas, tables

HUBS = [{"name": name, "lat": 0.0, "lon": 0.0} for name in cables.load_hub_map().names]
NUMBERS = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms"]


def schema_of(table: pd.DataFrame, target: str = "rtt_ms", drop: tuple[str, ...] = ()) -> dict[str, Any]:
    return schemas.table_schema(table, target, drop, HUBS, "log", "mine")


def fields_of(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in schema_of(table)["fields"]}


@pytest.fixture(scope="module")
def radio(radio_model: bytes) -> Predictor:
    """A model of numbers and a category."""
    return Predictor(radio_model)


def globe_table(rows: int = 400) -> pd.DataFrame:
    """A made-up table with coordinates under other names, and a number beside them."""
    random = np.random.default_rng(3)
    places = np.column_stack([random.uniform(-60, 60, 30), random.uniform(-180, 180, 30)]).round(2)
    src, dst = random.integers(0, 30, rows), random.integers(0, 30, rows)
    hops = random.integers(3, 20, rows)
    chord = np.hypot(*(places[src] - places[dst]).T)
    return pd.DataFrame(
        {
            "Client_Latitude": places[src, 0], "client_lng": places[src, 1],
            "server_lat": places[dst, 0], "server_longitude": places[dst, 1],
            "hops": hops, "latency": 5 + chord + hops * random.uniform(0.5, 1.5, rows),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def globe() -> Predictor:
    """A model with coordinates under names of its own."""
    return Predictor(tables.train(globe_table(), "latency", name="globe").fit.to_bytes())


# What becomes a field


def test_numbers_and_words_become_fields() -> None:
    fields = fields_of(radio_table())
    assert fields["band"] == {"name": "band", "type": "category", "categories": ["n1", "n28", "n78"]}
    assert fields["load"] == {"name": "load", "type": "number"}
    assert set(fields) == {"band", "load", "rsrp"}


@pytest.mark.parametrize(
    "names",
    [
        ("src_lat", "src_lon", "dst_lat", "dst_lon"),
        ("client_latitude", "client_longitude", "server_latitude", "server_longitude"),
        ("Source_Lat", "source_lng", "DEST_LAT", "dest_lng"),
        ("src_latitude", "src_longitude", "destination_latitude", "destination_longitude"),
    ],
)
def test_coordinates_are_recognised_by_name(names: tuple[str, ...]) -> None:
    table = pd.DataFrame({"x": [1.0]} | {name: [1.0] for name in names} | {"rtt_ms": [1.0]})
    schema = schema_of(table)
    assert tuple(schema["coordinates"][role] for role in ("src_lat", "src_lon", "dst_lat", "dst_lon")) == names
    required = {field["name"] for field in schema["fields"] if field.get("required")}
    assert required == set(names)
    kinds = {feature["kind"] for feature in schema["features"]}
    assert {"distance_km", "number"} <= kinds
    # A coordinate is not a plain number besides.
    assert {feature["field"] for feature in schema["features"] if feature["kind"] == "number"} == {"x"}


def test_three_coordinates_are_plain_numbers() -> None:
    table = pd.DataFrame({"src_lat": [1.0], "src_lon": [2.0], "dst_lat": [3.0], "rtt_ms": [1.0]})
    schema = schema_of(table)
    assert "coordinates" not in schema
    assert [feature["kind"] for feature in schema["features"]] == ["number"] * 3


def test_dropped_columns_are_no_fields() -> None:
    schema = schema_of(radio_table().assign(when="2024-05-01"), drop=("when", "rsrp"))
    assert [field["name"] for field in schema["fields"]] == ["band", "load"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.date_range("2024-01-01", periods=100), "neither a number nor a category.* 100 different values"),
        ([f"free text number {i}" for i in range(100)], "at most 64 different words"),
        (["one", 2.0] * 50, "neither a number nor a category"),
        ([True, False] * 50, "holds true and false; write it as 0 and 1"),
        ([1.0, float("inf")] * 50, "holds infinities; leave those rows out"),
        ([None] * 100, "has no values"),
        ([1 + 2j] * 100, "neither a number nor a category"),
        (["3"] * 99 + ["3x"], "holds numbers beside '3x'; correct that"),
        (["2026-01-02", "2026-01-03"] * 50, "holds dates such as '2026-01-02'; turn them into numbers"),
    ],
    ids=["dates", "free text", "mixed", "booleans", "infinities", "empty", "complex", "misspelt", "dates as text"],
)
def test_a_column_that_fits_nowhere_is_named_with_the_cure(values: Any, message: str) -> None:
    table = pd.DataFrame({"odd": values, "load": np.arange(100.0), "rtt_ms": np.arange(1.0, 101.0)})
    with pytest.raises(TrainingError, match=f"column `odd`.*{message}") as caught:
        tables.train(table, "rtt_ms")
    if "infinities" not in message:
        assert "--drop odd" in str(caught.value)


def test_sixty_four_words_are_a_category_and_sixty_five_are_not() -> None:
    words = [f"w{i:02}" for i in range(65)]
    assert len(schemas.table_field("word", pd.Series(words[:64]))["categories"]) == 64
    with pytest.raises(TrainingError, match="holds 65 different values such as 'w00'"):
        schemas.table_field("word", pd.Series(words))


# What is refused


@pytest.mark.parametrize("column", ["rtt", "RTT_MS"])
def test_an_unknown_target_lists_the_columns(column: str) -> None:
    with pytest.raises(TrainingError, match=f"no column `{column}`; it has: band, load, rsrp, rtt_ms"):
        tables.train(radio_table(), column)


def test_an_unknown_column_to_drop_is_an_error() -> None:
    with pytest.raises(TrainingError, match="no column `when`"):
        tables.train(radio_table(), "rtt_ms", ("when",))


def test_too_few_rows_are_an_error() -> None:
    with pytest.raises(TrainingError, match=r"found 49 rows with a `rtt_ms`; at least 50 are needed; measure more"):
        tables.train(radio_table(49), "rtt_ms")


def test_a_target_of_words_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"the target `band` holds .*; allowed: numbers"):
        tables.train(radio_table(), "band")


def test_a_target_alone_is_not_enough() -> None:
    with pytest.raises(TrainingError, match="no column beside the target `rtt_ms`"):
        tables.train(radio_table()[["rtt_ms"]], "rtt_ms")


def test_a_column_twice_is_an_error() -> None:
    table = radio_table()
    with pytest.raises(TrainingError, match="column `load` twice"):
        tables.train(pd.concat([table, table[["load"]]], axis=1), "rtt_ms")


@pytest.mark.parametrize("column", ["src", "dst"])
def test_names_that_mean_places_are_refused(column: str) -> None:
    """A model with such a field could be trained, but not asked: `src` and `dst` are places."""
    with pytest.raises(TrainingError, match=f"column `{column}` .*; rename it"):
        tables.train(radio_table().rename(columns={"band": column}), "rtt_ms")


@pytest.mark.parametrize(("value", "shown"), [(91.0, "91.0"), (float("nan"), "nan"), (-90.5, "-90.5")])
def test_a_coordinate_out_of_range_names_the_row_of_the_table(value: float, shown: str) -> None:
    table = globe_table()
    table.loc[3, "latency"] = np.nan  # left out: the row's number must still be the table's
    table.loc[7, "Client_Latitude"] = value
    with pytest.raises(TrainingError, match=rf"row 7: Client_Latitude: found {shown}; allowed: -90 to 90") as caught:
        tables.train(table, "latency")
    assert (caught.value.row, caught.value.field) == (7, "Client_Latitude")


def test_coordinates_of_text_are_an_error() -> None:
    table = globe_table()
    table["server_lat"] = table["server_lat"].astype(str) + "N"
    with pytest.raises(TrainingError, match=r"column `server_lat` holds .*; allowed: degrees as numbers"):
        tables.train(table, "latency")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "cannot read .*missing.csv"),
        ("empty.csv", b"", "cannot read .*empty.csv"),
        ("bytes.csv", b"\xff\xfe\x00x", "cannot read .*bytes.csv"),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00", "cannot read .*cut.csv.gz"),
        ("no.parquet", b"PAR1", "cannot read .*no.parquet"),
        ("table.xlsx", b"PK", "ends in `.xlsx`; allowed: .csv, .csv.gz, .tsv or .parquet"),
    ],
)
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=message):
        tables.read_table(path)


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.tsv", "table.tsv.gz", "table.parquet"])
def test_tables_are_read_in_every_form(tmp_path: Path, name: str) -> None:
    table, path = radio_table(20), tmp_path / name
    if name.endswith(".parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    pd.testing.assert_frame_equal(tables.read_table(path), table, check_dtype=False)


# What the model answers


def test_a_model_without_coordinates_answers_by_named_fields(radio: Predictor) -> None:
    busy, idle = (radio.predict(band="n78", load=load, rsrp=-90) for load in (0.9, 0.1))
    slow = radio.predict(band="n28", load=0.1, rsrp=-90)
    assert busy.p50_ms == pytest.approx(12 * 1.9 * 2**0.1, rel=0.1)
    assert idle.p50_ms < busy.p50_ms < slow.p50_ms
    for prediction in (busy, idle, slow):
        assert prediction.low_ms <= prediction.p50_ms <= prediction.high_ms
        assert prediction.p50_ms <= prediction.p90_ms <= prediction.p99_ms
        assert prediction.floor_ms is None
        assert prediction.distance_km is None
        assert prediction.warnings == ()


def test_its_batch_has_no_floor_and_orders_its_quantiles(radio: Predictor) -> None:
    table = radio_table().drop(columns="rtt_ms")
    answer = radio.predict_batch(table)
    assert list(answer) == NUMBERS
    assert (answer["low_ms"] <= answer["p50_ms"]).all()
    assert (answer["p50_ms"] <= answer["p90_ms"]).all()
    assert (answer["p90_ms"] <= answer["p99_ms"]).all()
    given = {name: value for name, value in table.loc[10].items() if not pd.isna(value)}
    single = radio.predict(**given)
    assert [np.float32(getattr(single, name)) for name in NUMBERS] == answer.loc[10].tolist()


def test_missing_values_are_allowed(radio: Predictor) -> None:
    known, unknown = radio.predict(band="n78", load=0.5), radio.predict(load=0.5)
    assert known.high_ms - known.low_ms < unknown.high_ms - unknown.low_ms
    assert radio.predict(load=0.5, band=None, rsrp=None) == unknown
    assert radio.predict().p50_ms > 0


def test_numbers_that_training_never_saw_are_answered_with_a_warning(radio: Predictor) -> None:
    (warning,) = radio.predict(band="n78", load=5).warnings
    assert (warning.code, warning.field) == ("OUT_OF_RANGE", "load")
    assert "found 5; training saw 0.0" in warning.message


def test_a_word_that_training_never_saw_is_an_error(radio: Predictor) -> None:
    with pytest.raises(InvalidInputError, match='band: found "n3"; allowed: n1, n28, n78') as caught:
        radio.predict(band="n3", load=0.5)
    assert (caught.value.code, caught.value.field) == ("INVALID_FIELD", "band")


def test_a_field_of_another_model_is_an_error(radio: Predictor) -> None:
    with pytest.raises(InvalidInputError, match="allowed: band, load, rsrp") as caught:
        radio.predict(src_lat=1.0)
    assert caught.value.code == "UNKNOWN_FIELD"


def test_the_held_out_figures_are_those_of_unseen_rows() -> None:
    model = tables.train(radio_table(), "rtt_ms")
    assert model.metrics["held_out_rows"] == model.rows == 600
    assert model.metrics["interval_coverage"] == pytest.approx(0.9, abs=0.04)
    assert model.metrics["below_p90"] == pytest.approx(0.9, abs=0.04)
    # What was made up scatters by exp(Exp(0.1)): no model can be exact, and a good one is near.
    assert 0.03 < model.metrics["median_relative_error"] < 0.12


def test_a_model_with_coordinates_knows_its_floor(globe: Predictor) -> None:
    fields: dict[str, Any] = {
        "Client_Latitude": 10,
        "client_lng": 20,
        "server_lat": 30,
        "server_longitude": 60,
        "hops": 5,
    }
    prediction = globe.predict(**fields)
    assert prediction.distance_km is not None
    assert prediction.floor_ms is not None
    assert prediction.distance_km == pytest.approx(great_circle_km(10, 20, 30, 60), rel=1e-4)
    assert prediction.floor_ms < prediction.low_ms <= prediction.p50_ms
    with pytest.raises(InvalidInputError, match="Client_Latitude: required") as caught:
        globe.predict(hops=5)
    assert caught.value.code == "MISSING_FIELD"
    with pytest.raises(InvalidInputError, match="server_lat: found 95") as caught:
        globe.predict(**{**fields, "server_lat": 95})


def test_the_export_of_a_servers_observations_is_such_a_table(tmp_path: Path) -> None:
    """As `GET /observations/export` writes it: a column for each field with values, and `rtt_ms`."""
    table = globe_table(300).set_axis(["src_lat", "src_lon", "dst_lat", "dst_lon", "hops", "rtt_ms"], axis=1)
    random = np.random.default_rng(4)
    table["src_access"] = random.choice(["wifi", "wired", None], len(table))
    path = tmp_path / "observed.csv"
    columns = ["src_lat", "src_lon", "dst_lat", "dst_lon", "src_access", "rtt_ms"]
    table[columns].to_csv(path, index=False)
    model = tmp_path / "observed.onnx"
    command = ["train", "--data", str(path), "--name", "latency", "--out", str(model)]
    subprocess.run([sys.executable, "-m", "latency_predictor", *command], check=True, capture_output=True)
    predictor = Predictor(model)
    assert predictor.predict("London", "Tokyo", src_access="wifi").p50_ms > 0
    assert predictor.schema["histograms"]["src_access"]["words"] == ["wifi", "wired"]


def test_the_schema_says_how_training_was_spread() -> None:
    table = pd.DataFrame(
        {
            "src_lat": [1.26, *range(1, 100)], "load": [None, *range(99)], "same": [5.0] * 100,
            "link": ["radio"] * 30 + ["fibre"] * 68 + [None] * 2,
        }
    )  # fmt: skip
    fields = [
        schemas.coordinate_field("src_lat", "lat"),
        {"name": "load", "type": "number"},
        {"name": "same", "type": "number"},
        {"name": "link", "type": "category", "categories": ["fibre", "radio"]},
    ]
    found = schemas.histograms({"fields": fields}, table)
    assert all(sum(histogram["counts"]) == 100 for histogram in found.values())
    # No coordinate of training can be read from it.
    assert all(cut == round(cut) for cut in found["src_lat"]["cuts"])
    # Each cut belongs to the bin below it.
    assert found["load"]["cuts"][1:] == [9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0, 98.0]
    assert found["load"]["counts"] == [1, 0, 0, *[10] * 9, 9, 0]
    # Where all are the same, any other can be told from them.
    assert found["same"] == {"cuts": [np.nextafter(5.0, 0.0), 5.0], "counts": [0, 0, 0, 100, 0]}
    assert found["link"] == {"words": ["fibre", "radio"], "counts": [2, 0, 68, 30, 0]}


def test_a_target_with_zero_or_below_is_predicted_as_it_is() -> None:
    table = radio_table()
    table["drift"] = np.where(table["load"] > 0.5, 10.0, -10.0) + table.pop("rtt_ms") * 0.01
    table.loc[0, "drift"] = 0.0
    model = tables.train(table, "drift", drop=("rsrp",))
    assert model.fit.schema["target"] == {"name": "drift", "unit": "", "transform": "identity"}
    predictor = Predictor(model.fit.to_bytes())
    assert predictor.predict(load=0.2).p50_ms == pytest.approx(-9.8, abs=0.5)
    assert predictor.predict(load=0.8).p50_ms == pytest.approx(10.3, abs=0.5)


def test_a_target_that_is_mostly_zero_has_figures_that_json_knows() -> None:
    table = radio_table(200).drop(columns="band")
    table["lost"] = np.where(np.arange(200) % 5 == 0, 1.0, 0.0)
    model = tables.train(table, "lost", drop=("rtt_ms",))
    assert all(np.isfinite(value) for value in model.metrics.values())
    assert Predictor(model.fit.with_provenance({"m": model.metrics}).to_bytes()).predict(load=0.5).p50_ms < 0.5


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    table = radio_table(120)
    table.loc[[1, 5, 50], "rtt_ms"] = [np.nan, np.inf, -np.inf]
    model = tables.train(table, "rtt_ms")
    assert (model.rows, model.rows_without_target) == (117, 3)


def test_columns_that_are_numbered_get_names() -> None:
    table = radio_table(80)[["load", "rtt_ms"]].set_axis([0, 1], axis=1)
    model = tables.train(table, "1")
    assert [field["name"] for field in model.fit.schema["fields"]] == ["0"]


def test_the_same_table_gives_the_same_bytes_in_another_process(tmp_path: Path, radio_model: bytes) -> None:
    """What Python seeds at random, such as the order of sets, must not reach the file."""
    path = tmp_path / "radio.parquet"
    radio_table().to_parquet(path)
    code = (
        "import sys; from pathlib import Path; from latency_predictor.training import tables\n"
        "model = tables.train(tables.read_table(Path(sys.argv[1])), 'rtt_ms', name='radio')\n"
        "Path(sys.argv[2]).write_bytes(model.fit.to_bytes())"
    )
    again = tmp_path / "again.onnx"
    subprocess.run([sys.executable, "-c", code, path, again], check=True)
    assert again.read_bytes() == radio_model
