"""The model in MLflow: what is logged, and what MLflow then loads, to the bit."""

import hashlib
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import latency_predictor
from latency_predictor import InvalidInputError, ModelError, Predictor
from latency_predictor.mlflow import (
    ArtifactError,
    RegistryError,
    ScoringInputError,
    load_predictor,
    load_pyfunc,
    log_model,
    register,
)

pytestmark = pytest.mark.usefixtures("tracking")

PLACES = pd.DataFrame({"src": ["London", "aws:us-east-1"], "dst": ["Tokyo", "51.51,-0.13"]})


@pytest.fixture(scope="module")
def bundled_uri(mlflow_server: str) -> str:
    """The bundled model, logged once."""
    mlflow.set_tracking_uri(mlflow_server)
    mlflow.set_experiment("tests")
    return str(log_model().model_uri)


@pytest.fixture
def bundled(bundled_uri: str) -> Any:
    """It, loaded by MLflow."""
    return mlflow.pyfunc.load_model(bundled_uri)


def bits(table: pd.DataFrame) -> bytes:
    assert all(dtype == np.float32 for dtype in table.dtypes)
    return table.to_numpy().tobytes()


def coordinates(**columns: Any) -> pd.DataFrame:
    values = {"src_lat": [48, 51], "src_lon": [11, 0], "dst_lat": [35, 40], "dst_lon": [139, -74]}
    return pd.DataFrame(values | columns)


def test_what_is_logged_is_the_file_and_no_code(bundled_uri: str, predictor: Predictor, tmp_path: Path) -> None:
    local = Path(mlflow.artifacts.download_artifacts(bundled_uri, dst_path=str(tmp_path)))
    files = {str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()}
    assert "data/model.onnx" in files
    assert not any(name.endswith((".pkl", ".py", ".pickle")) for name in files)
    described = mlflow.models.Model.load(str(local))
    flavour = described.flavors["python_function"]
    assert flavour["loader_module"] == "latency_predictor.mlflow"
    assert flavour["data"] == "data/model.onnx"
    assert flavour["code"] is None
    sha256 = hashlib.sha256((local / "data" / "model.onnx").read_bytes()).hexdigest()
    assert sha256 == predictor.model_info["sha256"] == described.metadata["latency.sha256"]
    assert MlflowClient().get_logged_model(described.model_id).tags["latency.sha256"] == sha256
    pinned = (local / "requirements.txt").read_text().splitlines()
    assert f"latency-predictor=={latency_predictor.__version__}" in pinned
    assert {line.split("==")[0] for line in pinned} == {"latency-predictor", "mlflow", "numpy", "onnxruntime", "pandas"}


def test_the_signature_names_every_field_and_both_ways_to_give_an_end(bundled: Any, predictor: Predictor) -> None:
    inputs = bundled.metadata.get_input_schema()
    assert inputs.input_names() == [field["name"] for field in predictor.schema["fields"]] + ["src", "dst"]
    assert inputs.required_input_names() == []
    outputs = bundled.metadata.get_output_schema()
    assert outputs.input_names() == list(predictor.predict_batch(PLACES).columns)
    assert {column.type.name for column in outputs.inputs} == {"float"}


def test_a_model_without_coordinates_takes_its_own_fields_alone(radio_model: bytes) -> None:
    loaded = mlflow.pyfunc.load_model(log_model(radio_model).model_uri)
    assert loaded.metadata.get_input_schema().input_names() == ["band", "load", "rsrp"]
    rows = pd.DataFrame({"band": ["n1", None], "load": [0, 1]})
    assert bits(loaded.predict(rows)) == bits(Predictor(radio_model).predict_batch(rows))


def test_the_pyfunc_gives_the_golden_vectors_to_the_bit(bundled: Any, golden: dict[str, Any]) -> None:
    fields = [field["name"] for field in Predictor.bundled().schema["fields"]]
    answer = bundled.predict(pd.DataFrame(golden["rows"], columns=fields))
    expected = pd.DataFrame(golden["predictions"]).astype(np.float32)
    assert len(answer) == len(golden["rows"]) > 100
    assert bits(answer[list(expected.columns)]) == bits(expected)


def test_the_input_example_can_be_predicted(bundled: Any, predictor: Predictor) -> None:
    rows = [entry["row"] for entry in predictor.schema["golden"][: len(bundled.input_example)]]
    expected = np.array([predictor.predict(**row).p50_ms for row in rows], dtype=np.float32)
    assert bundled.predict(bundled.input_example)["p50_ms"].to_numpy().tobytes() == expected.tobytes()


def test_an_end_is_a_place_or_coordinates(bundled: Any, predictor: Predictor) -> None:
    assert bundled.predict(PLACES)["p50_ms"][0] == predictor.predict("London", "Tokyo").p50_ms
    mixed = pd.DataFrame({"src_lat": [48.1], "src_lon": [11.6], "dst": ["Tokyo"], "src_access": ["wifi"]})
    alone = predictor.predict({"lat": 48.1, "lon": 11.6, "access": "wifi"}, "Tokyo")
    assert bundled.predict(mixed)["p90_ms"][0] == alone.p90_ms


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "Int64", "float32", "object"])
def test_columns_of_integers_do_for_numbers(bundled: Any, kind: str) -> None:
    rows = coordinates()
    rows[["src_lat", "dst_lat"]] = rows[["src_lat", "dst_lat"]].astype(kind)
    assert bits(bundled.predict(rows)) == bits(bundled.predict(coordinates().astype(float)))


def test_strict_types_are_mlflows_own(mlflow_server: str) -> None:
    loaded = mlflow.pyfunc.load_model(log_model(strict_types=True).model_uri)
    assert str(loaded.metadata.get_input_schema().input_dict()["src_lat"].type) == "DataType.double"
    rows = coordinates().astype(float)
    assert bits(loaded.predict(rows)) == bits(Predictor.bundled().predict_batch(rows))
    with pytest.raises(MlflowException, match="int64"):
        loaded.predict(coordinates())


def test_columns_without_a_value_are_as_good_as_none(bundled: Any) -> None:
    empty = {"src_tier": [np.nan, np.nan], "dst_access": [None, None], "src": [None, None]}
    assert bits(bundled.predict(coordinates(**empty))) == bits(bundled.predict(coordinates()))


def test_no_rows_give_no_rows_with_all_columns(bundled: Any) -> None:
    answer = bundled.predict(PLACES.iloc[:0])
    assert len(answer) == 0
    assert list(answer.columns) == list(bundled.predict(PLACES).columns)


def test_rows_keep_their_index(bundled: Any) -> None:
    assert bundled.predict(PLACES.set_axis(["a", "b"])).index.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "code", "field"),
    [
        (coordinates(src_lat=[48, 91]), "INVALID_FIELD", "src_lat"),
        (coordinates().drop(columns="dst_lon"), "MISSING_FIELD", "dst_lon"),
        (PLACES.assign(dst="Nowhereville"), "UNKNOWN_PLACE", "dst"),
        # MLflow drops columns that it does not know: three rows of nothing must not become no rows.
        (pd.DataFrame({"lat": [1.0, 2.0, 3.0]}), "INVALID_BATCH", None),
    ],
)
def test_bad_input_is_refused_with_our_words_and_for_mlflow(
    bundled: Any, rows: pd.DataFrame, code: str, field: str | None
) -> None:
    with pytest.raises(ScoringInputError) as raised:
        bundled.predict(rows)
    assert isinstance(raised.value, InvalidInputError)
    assert isinstance(raised.value, MlflowException)
    assert (raised.value.code, raised.value.field) == (code, field)
    assert raised.value.get_http_status_code() == 400
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  our own; Spark sends it like this
    assert (str(copy), copy.code, copy.error_code) == (str(raised.value), code, "INVALID_PARAMETER_VALUE")


def test_a_process_loads_the_same_content_once(radio_model: bytes, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one.onnx", "two.onnx")]
    for path in paths:
        path.write_bytes(radio_model)
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda path: load_pyfunc(str(path)).get_raw_model(), paths * 4))
    assert len({id(predictor) for predictor in loaded}) == 1
    assert load_pyfunc(str(paths[0]), {"sessions": 1}).get_raw_model() is not loaded[0]


def test_threads_get_the_same_bits(bundled: Any) -> None:
    expected = bits(bundled.predict(PLACES))
    with ThreadPoolExecutor(8) as pool:
        assert {bits(answer) for answer in pool.map(lambda _: bundled.predict(PLACES), range(40))} == {expected}


def test_model_config_takes_the_options_of_a_predictor_alone(bundled_uri: str) -> None:
    plain, narrow = (mlflow.pyfunc.load_model(bundled_uri, model_config=config) for config in (None, {"sessions": 1}))
    assert narrow.model_config == {"engine": None, "sessions": 1, "threads": None}
    assert narrow.get_raw_model() is not plain.get_raw_model()
    native = mlflow.pyfunc.load_model(bundled_uri, model_config={"engine": "native"})
    assert native.get_raw_model().model_info["engine"] == "native"
    assert bits(narrow.predict(PLACES)) == bits(plain.predict(PLACES)) == bits(native.predict(PLACES))
    with pytest.raises(InvalidInputError, match="found session; allowed: engine, sessions, threads"):
        load_pyfunc("any.onnx", {"session": 1})


def test_a_predictor_comes_straight_from_mlflow(bundled_uri: str, predictor: Predictor) -> None:
    assert load_predictor(bundled_uri).model_info == predictor.model_info


def test_a_file_that_was_changed_in_the_store_is_refused(mlflow_folder: Path, radio_model: bytes) -> None:
    logged = log_model(radio_model)
    stored = next((mlflow_folder / "artifacts").rglob(f"{logged.model_id}/artifacts/data/model.onnx"))
    stored.write_bytes(radio_model[:-1] + bytes([radio_model[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"SHA-256 .* was logged"):
        load_predictor(logged.model_uri)
    stored.unlink()
    with pytest.raises(ArtifactError, match="is missing from the artifact store"):
        load_predictor(logged.model_uri)


def test_a_registered_version_carries_the_sha256_and_is_challenger(radio_model: bytes) -> None:
    log_model(radio_model, registered_model_name="from-log-model")
    version = MlflowClient().get_model_version_by_alias("from-log-model", "challenger")
    assert version.tags["latency.sha256"] == hashlib.sha256(radio_model).hexdigest()


def test_models_of_others_are_refused(csv: Callable[..., Path]) -> None:
    with mlflow.start_run():
        other = mlflow.pyfunc.log_model(
            name="other",
            loader_module="latency_predictor.mlflow",
            data_path=str(csv("m.txt", "x")),
            pip_requirements=[],
        )
    with pytest.raises(RegistryError, match="was not logged by"):
        register("others", other.model_uri)
    with pytest.raises(ArtifactError, match="was not logged by"):
        load_predictor(other.model_uri)


def test_a_file_that_is_no_model_is_not_logged(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError):
        log_model(path)
    with pytest.raises(ModelError, match="cannot read"):
        log_model(tmp_path / "absent.onnx")
