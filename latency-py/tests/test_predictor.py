"""What a user of the package meets: answers to the bit, every form of input, errors that name what is wrong."""

import copy
import doctest
import importlib
import math
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import latency_predictor as lp
from latency_predictor import Predictor, _core, errors

OK: dict[str, Any] = {"src_lat": 51.5, "src_lon": -0.12, "dst_lat": 48.85, "dst_lon": 2.35}
BATCH = {name: [value, value + 1] for name, value in OK.items()}
NUMBERS = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"]


def numbers(prediction: lp.Prediction) -> dict[str, float]:
    return {name: getattr(prediction, name) for name in NUMBERS}


def bits(values: Any) -> list[int]:
    as_bits: list[int] = np.asarray(values, dtype=np.float32).view(np.uint32).tolist()
    return as_bits


# The same answer everywhere


def test_the_golden_vectors_belong_to_the_bundled_model(predictor: Predictor, golden: dict[str, Any]) -> None:
    assert golden["model"]["sha256"] == predictor.model_info["sha256"]
    assert len(golden["rows"]) == len(golden["predictions"]) == 1000


def test_single_predictions_equal_the_golden_vectors_to_the_bit(predictor: Predictor, golden: dict[str, Any]) -> None:
    for row, expected in zip(golden["rows"], golden["predictions"], strict=True):
        found = numbers(predictor.predict(**row))
        assert bits([found[name] for name in NUMBERS]) == bits([expected[name] for name in NUMBERS]), row
        # Shortest form: the same digits as in the file, not those of a widened float32.
        assert found == expected


@pytest.fixture(scope="module")
def golden_frame(golden: dict[str, Any]) -> pd.DataFrame:
    """The golden rows as a table, with an index of its own and missing values as pandas makes them."""
    return pd.DataFrame(golden["rows"]).set_index(pd.Index([f"row {i}" for i in range(1000)]))


def assert_golden(answer: Any, golden: dict[str, Any]) -> None:
    assert list(answer) == NUMBERS
    for name in NUMBERS:
        column = np.asarray(answer[name])
        assert column.dtype == np.float32
        assert bits(column) == bits([prediction[name] for prediction in golden["predictions"]])


def test_a_dict_of_columns_equals_the_golden_vectors_to_the_bit(
    predictor: Predictor, golden: dict[str, Any], golden_frame: pd.DataFrame
) -> None:
    columns = {name: [row.get(name) for row in golden["rows"]] for name in golden_frame}
    answer = predictor.predict_batch(columns)
    assert isinstance(answer, dict)
    assert_golden(answer, golden)


def test_a_shuffled_dataframe_equals_the_golden_vectors_and_keeps_its_index(
    predictor: Predictor, golden: dict[str, Any], golden_frame: pd.DataFrame
) -> None:
    answer = predictor.predict_batch(golden_frame[sorted(golden_frame)[::-1]])
    assert isinstance(answer, pd.DataFrame)
    assert answer.index.equals(golden_frame.index)
    assert_golden(answer, golden)
    part = golden_frame.sample(200, random_state=1)
    pd.testing.assert_frame_equal(predictor.predict_batch(part), answer.loc[part.index])


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_text_columns_of_any_type_are_the_same(
    predictor: Predictor, golden: dict[str, Any], golden_frame: pd.DataFrame, dtype: str
) -> None:
    words = [name for name in golden_frame if name not in OK]
    assert_golden(predictor.predict_batch(golden_frame.astype(dict.fromkeys(words, dtype))), golden)


def test_number_columns_of_any_type_are_the_same(predictor: Predictor) -> None:
    whole = {name: [10 * position, 10] for position, name in enumerate(OK, start=1)}
    expected = predictor.predict_batch({name: np.array(values, float) for name, values in whole.items()})
    for variant in (
        whole,
        {name: tuple(values) for name, values in whole.items()},
        {name: np.array(values, np.int16) for name, values in whole.items()},
        {name: np.array(values, np.float32) for name, values in whole.items()},
        {name: np.array(values, float)[::-1][::-1] for name, values in whole.items()},
        {name: np.repeat(np.array(values, float), 2)[::2] for name, values in whole.items()},
        {name: np.array([np.int64(values[0]), np.float32(values[1])], object) for name, values in whole.items()},
        {name: pd.array(values, dtype="Int64") for name, values in whole.items()},
        {name: pd.Series(values, index=[7, 3]) for name, values in whole.items()},
        {name: pa.array(values) for name, values in whole.items()},
    ):
        answer = predictor.predict_batch(variant)
        assert {name: bits(column) for name, column in answer.items()} == {
            name: bits(column) for name, column in expected.items()
        }


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, np.float32("nan")])
def test_missing_values_have_many_forms(predictor: Predictor, missing: Any) -> None:
    known = predictor.predict(**OK, src_access="wifi")
    unknown = predictor.predict(**OK)
    assert known != unknown
    answer = predictor.predict_batch({**{k: [v, v] for k, v in OK.items()}, "src_access": ["wifi", missing]})
    for row, expected in enumerate((known, unknown)):
        assert bits([answer[name][row] for name in NUMBERS]) == bits(list(numbers(expected).values()))


def test_a_masked_array_hides_its_values(predictor: Predictor) -> None:
    columns = {**BATCH, "src_lat": np.ma.masked_array([51.5, 12.0], mask=[False, True])}
    with pytest.raises(lp.InvalidInputError, match="row 1: src_lat: found NaN"):
        predictor.predict_batch(columns)


def test_inputs_are_left_as_they_were(predictor: Predictor) -> None:
    end = {"lat": 1.0, "lon": 2.0}
    frame = pd.DataFrame(BATCH)
    before = frame.copy()
    predictor.predict(end, "Tokyo")
    predictor.predict_batch(frame)
    assert end == {"lat": 1.0, "lon": 2.0}
    pd.testing.assert_frame_equal(frame, before)


# Every form of input


def test_all_forms_of_an_end_mean_the_same(predictor: Predictor) -> None:
    plain = predictor.predict(src_lat=51.51, src_lon=-0.13, dst_lat=35.68, dst_lon=139.69, dst_access="wifi")
    for src in ("51.51,-0.13", {"lat": 51.51, "lon": -0.13}, MappingProxyType({"lat": 51.51, "lon": -0.13})):
        assert predictor.predict(src, {"lat": 35.68, "lon": 139.69, "access": "wifi"}) == plain
        assert predictor.predict(src=src, dst="35.68,139.69", dst_access="wifi") == plain
    for number in (np.float64, Decimal, str):
        value = number("51.51") if number is not str else None
        if value is not None:
            assert predictor.predict({"lat": value, "lon": -0.13}, "35.68,139.69", dst_access="wifi") == plain
    assert predictor.predict(src_lat=Fraction(103, 2), src_lon=0, dst_lat=np.int32(1), dst_lon=np.array(2.0)) == (
        predictor.predict(src_lat=51.5, src_lon=0.0, dst_lat=1.0, dst_lon=2.0)
    )


def test_places_have_names(predictor: Predictor) -> None:
    distances = {
        src: predictor.predict(src, "Tokyo").distance_km
        for src in ("London", "London, GB", "LHR", "aws:eu-west-2", "London, CA")
    }
    assert all(distance is not None for distance in distances.values())
    near = [distances[src] or 0 for src in ("London", "London, GB", "LHR", "aws:eu-west-2")]
    assert max(near) - min(near) < 50
    assert abs((distances["London, CA"] or 0) - near[0]) > 500


def test_the_name_of_a_region_implies_its_provider(predictor: Predictor) -> None:
    region = predictor.predict("aws:eu-west-2", "Tokyo")
    said = predictor.predict({"place": "aws:eu-west-2", "provider": "aws"}, "Tokyo")
    other = predictor.predict({"place": "aws:eu-west-2", "provider": "gcp"}, "Tokyo")
    assert region == said != other


def test_a_batch_takes_names_of_places(predictor: Predictor) -> None:
    answer = predictor.predict_batch({"src": ["London", "aws:eu-west-2"], "dst": ["Tokyo", "LHR"]})
    for row, ends in enumerate((("London", "Tokyo"), ("aws:eu-west-2", "LHR"))):
        assert bits([answer[name][row] for name in NUMBERS]) == bits(list(numbers(predictor.predict(*ends)).values()))


def test_an_empty_batch_gives_an_empty_answer(predictor: Predictor) -> None:
    empty: dict[str, list[float]] = {name: [] for name in OK}
    for rows in ({}, empty):
        answer = predictor.predict_batch(rows)
        assert [(name, len(column)) for name, column in answer.items()] == [(name, 0) for name in NUMBERS]
    frame = predictor.predict_batch(pd.DataFrame({name: [] for name in OK}))
    assert frame.shape == (0, len(NUMBERS))
    assert predictor.predict_batch(pd.DataFrame()).shape == (0, len(NUMBERS))


@pytest.mark.parametrize(
    "extra",
    [
        [1, 2],
        ["a", None],
        [True, False],
        pd.date_range("2024-01-01", periods=2),
        np.zeros((2, 3)),
        [{"a": 1}, object()],
        [10**400, 1],
    ],
    ids=["numbers", "text", "booleans", "dates", "matrix", "objects", "huge"],
)
def test_extra_columns_of_any_kind_are_ignored_with_one_warning(predictor: Predictor, extra: Any) -> None:
    with pytest.warns(UserWarning, match="columns that the model does not use: note, other") as caught:
        answer = predictor.predict_batch({"note": extra, **BATCH, "other": [0, 0]})
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning must point at the caller"
    assert bits(answer["p50_ms"]) == bits(predictor.predict_batch(BATCH)["p50_ms"])


# Errors


@pytest.mark.parametrize("code", _core.ERROR_CODES)
def test_every_code_has_a_class(code: str) -> None:
    """The table of `docs/python.md`: what is not listed there is no input's fault."""
    model = {"MODEL_NOT_READABLE", "INVALID_MODEL", "INVALID_SCHEMA", "GOLDEN_MISMATCH"}
    runtime = {
        "RUNTIME_NOT_LOADED": errors.RuntimeLoadError,
        "INFERENCE_FAILED": errors.InferenceError,
        "CANCELLED": errors.InferenceError,
    }
    documented = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text()
    (line,) = [line for line in documented.splitlines() if f"`{code}`" in line and line.startswith("| `")]
    name = line.split("|")[1].strip().strip("`")
    kind = getattr(errors, name)
    assert issubclass(kind, errors.LatencyError)
    expected = errors.ModelError if code in model else runtime.get(code, errors.InvalidInputError)
    assert kind is expected
    assert kind("message", code).code == code


def test_each_class_is_also_what_python_would_raise() -> None:
    assert issubclass(lp.InvalidInputError, ValueError)
    assert issubclass(lp.RuntimeLoadError, OSError)
    assert issubclass(lp.InferenceError, RuntimeError)
    for name in ("DataError", "InferenceError", "InvalidInputError", "ModelError", "RuntimeLoadError", "TrainingError"):
        assert issubclass(getattr(lp, name), lp.LatencyError)


Ask = Callable[[Predictor], Any]


def single(src: Any = None, dst: Any = "Tokyo", **fields: Any) -> Ask:
    return lambda predictor: predictor.predict(src, dst, **fields)


def flat(**fields: Any) -> Ask:
    return lambda predictor: predictor.predict(**{**OK, **fields})


def batch(**columns: Any) -> Ask:
    return lambda predictor: predictor.predict_batch({**BATCH, **columns})


def table(rows: Any) -> Ask:
    return lambda predictor: predictor.predict_batch(rows)


def rank(src: Any, candidates: Any, **options: Any) -> Ask:
    return lambda predictor: predictor.rank(src, candidates, **options)


INVALID: list[tuple[str, Ask, str, str | None, int | None, str]] = [
    ("nothing", single(dst=None), "MISSING_FIELD", "src_lat", None, "required, but not given"),
    ("one end", single("London", None), "MISSING_FIELD", "dst.lat", None, "required"),
    ("out of range", single({"lat": 91, "lon": 0}), "INVALID_FIELD", "src.lat", None, "-90 to 90"),
    ("flat", flat(src_lat=91), "INVALID_FIELD", "src_lat", None, "found 91"),
    ("nan", flat(src_lat=math.nan), "INVALID_FIELD", "src_lat", None, "found NaN"),
    ("infinite", flat(src_lat=math.inf), "INVALID_FIELD", "src_lat", None, "found inf"),
    ("text", flat(src_lat="51.5"), "INVALID_FIELD", "src_lat", None, "without quotes"),
    ("large", flat(src_lat=10**30), "INVALID_FIELD", "src_lat", None, "-90 to 90"),
    ("bool", flat(src_lat=True), "INVALID_FIELD", "src_lat", None, "type bool"),
    ("list", flat(src_lat=[1]), "INVALID_FIELD", "src_lat", None, "type list"),
    ("bytes", single(b"London"), "INVALID_FIELD", "src", None, "type bytes"),
    ("set", single({1}), "INVALID_FIELD", "src", None, "type set"),
    ("complex", flat(src_lat=1j), "INVALID_FIELD", "src_lat", None, "type complex"),
    ("too deep", single({"lat": {"a": 1}, "lon": 1}), "INVALID_FIELD", "src.lat", None, "dict"),
    ("number for a place", single(5), "INVALID_FIELD", "src", None, 'such as "London"'),
    (
        "place twice",
        single({"place": "London", "lat": 1, "lon": 1}),
        "INVALID_FIELD",
        "src.place",
        None,
        "leave one out",
    ),
    ("flat twice", single("London", src_lat=5), "INVALID_FIELD", "src_lat", None, "found twice"),
    ("category", single("London", src_access="WIFI"), "INVALID_FIELD", "src_access", None, "server, wired, wifi"),
    ("number for a word", single("London", src_access=5), "INVALID_FIELD", "src_access", None, "found the number 5"),
    (
        "typing error",
        single("London", src_acess="wifi"),
        "UNKNOWN_FIELD",
        "src_acess",
        None,
        "did you mean `src_access`",
    ),
    ("no such place", single("Nowhereville"), "UNKNOWN_PLACE", "src", None, "Nowhereville"),
    ("many such places", single("London", "Springfield"), "AMBIGUOUS_PLACE", "dst", None, "Springfield, IL"),
    ("empty place", single(""), "UNKNOWN_PLACE", "src", None, "empty name"),
    ("batch: value", batch(dst_lon=[1, 181]), "INVALID_FIELD", "dst_lon", 1, "found 181"),
    ("batch: word", batch(src_tier=[None, "x"]), "INVALID_FIELD", "src_tier", 1, "premium"),
    ("batch: hole", batch(src_lat=[1, None]), "INVALID_FIELD", "src_lat", 1, "found NaN"),
    ("batch: no column", table({"src_lat": [1]}), "MISSING_FIELD", "src_lon", None, "required"),
    ("batch: lengths", batch(src_lat=[1]), "INVALID_BATCH", "src_lon", None, "equal length"),
    ("batch: scalar", batch(src_lat=1.0), "INVALID_BATCH", "src_lat", None, "found a float"),
    ("batch: text", batch(src_lat="12"), "INVALID_BATCH", "src_lat", None, "found a str"),
    ("batch: set", batch(src_lat={1, 2}), "INVALID_BATCH", "src_lat", None, "found a set"),
    ("batch: ragged", batch(src_lat=[[1], [1, 2]]), "INVALID_BATCH", "src_lat", None, "one value per row"),
    ("batch: matrix", batch(src_lat=np.ones((2, 2))), "INVALID_BATCH", "src_lat", None, "2 dimensions"),
    ("batch: bools", batch(src_lat=[True, False]), "INVALID_FIELD", "src_lat", 0, "found a bool"),
    ("batch: bool among numbers", batch(src_lat=[1.5, True]), "INVALID_FIELD", "src_lat", 1, "found a bool"),
    (
        "batch: number among words",
        batch(src_access=["wifi", 1.0]),
        "INVALID_FIELD",
        "src_access",
        1,
        "found the number 1.0 beside text",
    ),
    ("batch: numbers for words", batch(src_access=[1, 2]), "INVALID_FIELD", "src_access", 0, "found the number 1"),
    ("batch: huge", batch(src_lat=[1, 10**400]), "INVALID_FIELD", "src_lat", 1, "64 bits"),
    ("batch: bytes", batch(src_access=[b"wifi", None]), "INVALID_FIELD", "src_access", 0, "found a bytes"),
    (
        "batch: arrays in cells",
        batch(src_lat=np.array([np.ones(2), 1.0], object)),
        "INVALID_FIELD",
        "src_lat",
        0,
        "found a ndarray",
    ),
    (
        "batch: dates",
        batch(src_lat=np.array(["2024", "2025"], "M8[ns]")),
        "INVALID_FIELD",
        "src_lat",
        None,
        "datetime64",
    ),
    ("batch: durations", batch(src_lat=np.array([1, 2], "m8[ns]")), "INVALID_FIELD", "src_lat", None, "timedelta64"),
    (
        "batch: place",
        table({"src": ["London", "Nowhereville"], "dst": ["Tokyo"] * 2}),
        "UNKNOWN_PLACE",
        "src",
        1,
        "Nowhereville",
    ),
    ("batch: place and coordinates", batch(src=["London"] * 2), "INVALID_BATCH", "src", None, "not both"),
    (
        "batch: column twice",
        table(pd.DataFrame([[1, 2]], columns=["src_lat", "src_lat"])),
        "INVALID_BATCH",
        "src_lat",
        None,
        "dimensions",
    ),
    ("a list", table([OK]), "INVALID_BATCH", None, None, "found a list; allowed: a dict of columns"),
    ("batch: text among numbers", batch(src_lat=[1.5, "x"]), "INVALID_FIELD", "src_lat", 1, "found the text 'x'"),
    ("a matrix", table(np.ones((2, 4))), "INVALID_BATCH", None, None, "a name for each column"),
    (
        "Arrow: bools",
        table(pa.table({**BATCH, "src_lat": [True, False]})),
        "INVALID_FIELD",
        "src_lat",
        None,
        "true and false",
    ),
    (
        "Arrow: dates",
        table(pa.table({**BATCH, "src_lat": pa.array([1, 2], pa.date32())})),
        "INVALID_FIELD",
        "src_lat",
        None,
        "found Arrow's Date32; allowed: numbers or strings",
    ),
    (
        "Arrow: column twice",
        table(pa.table([[1.0], [1.0]], names=["src_lat", "src_lat"])),
        "INVALID_BATCH",
        "src_lat",
        None,
        "found twice",
    ),
    ("Arrow: no column", table(pa.table({"src_lat": [1.0]})), "MISSING_FIELD", "src_lon", None, "required"),
    ("Arrow: none known", table(pa.table({"x": [1.0]})), "MISSING_FIELD", "src_lat", None, "required"),
    ("Arrow: null", table(pa.table({**BATCH, "src_lat": [1.0, None]})), "INVALID_FIELD", "src_lat", 1, "found NaN"),
    ("Arrow: word", table(pa.table({**BATCH, "src_tier": ["premium", "x"]})), "INVALID_FIELD", "src_tier", 1, "found"),
    ("Arrow: rows alone", table(pa.table({"x": [1]}).select([])), "INVALID_BATCH", None, None, "1 rows without"),
    ("Polars: lazy", table(pl.LazyFrame(BATCH)), "INVALID_BATCH", None, None, "collect it first"),
    ("rank: place", rank("London", ["Paris", "Nowhereville"]), "UNKNOWN_PLACE", "dst", 1, "Nowhereville"),
    ("rank: number", rank("London", ["Paris", 5]), "INVALID_FIELD", "dst", 1, 'such as "London"'),
    ("rank: value", rank("London", [{"lat": 91, "lon": 0}]), "INVALID_FIELD", "dst.lat", 0, "-90 to 90"),
    ("rank: one", rank("London", "Paris"), "INVALID_FIELD", "candidates", None, "a list of ends"),
    ("rank: budget", rank("London", ["Paris"], budget_ms=-1), "INVALID_FIELD", "budget_ms", None, "above 0"),
    ("rank: text", rank("London", ["Paris"], budget_ms="80"), "INVALID_FIELD", "budget_ms", None, "found a str"),
    (
        "timeout: text",
        lambda p: p.timeout("London", "Paris", quantile="0.9"),
        "INVALID_FIELD",
        "quantile",
        None,
        "found a str; allowed: a number",
    ),
    (
        "judge: bool",
        lambda p: p.judge("London", "Paris", measured_ms=True),
        "INVALID_FIELD",
        "measured_ms",
        None,
        "found a bool",
    ),
    ("a series", table(pd.Series([1.0])), "INVALID_BATCH", None, None, "found a Series that is no table"),
    ("Polars: a series", table(pl.Series([1.0])), "INVALID_BATCH", None, None, "found a Series that is no table"),
    ("Arrow: an array", table(pa.array([1.0])), "INVALID_BATCH", None, None, "that is no table with named columns"),
    (
        "matrix: column twice",
        lambda p: p.predict_batch(np.ones((2, 2)), columns=["src_lat", "src_lat"]),
        "INVALID_BATCH",
        "src_lat",
        None,
        "found twice",
    ),
    ("timeout", lambda p: p.timeout("London", "Paris", quantile=1), "INVALID_FIELD", "quantile", None, "0.5 to 0.999"),
    ("judge", lambda p: p.judge("London", "Paris", measured_ms=0), "INVALID_FIELD", "measured_ms", None, "above 0"),
    (
        "judge: uncertainty",
        lambda p: p.judge({"place": "London", "uncertainty_km": -1}, "Paris", measured_ms=1),
        "INVALID_FIELD",
        "src.uncertainty_km",
        None,
        "0 to 20100",
    ),
    ("nothing at all", table(None), "INVALID_BATCH", None, None, "found a NoneType"),
    ("rows without columns", table(pd.DataFrame(index=[1, 2])), "INVALID_BATCH", None, None, "2 rows without a column"),
]


@pytest.mark.parametrize(
    ("ask", "code", "field", "row", "message"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_bad_input_is_named(
    predictor: Predictor, ask: Ask, code: str, field: str | None, row: int | None, message: str
) -> None:
    with pytest.raises(lp.InvalidInputError) as caught:
        ask(predictor)
    error = caught.value
    assert (error.code, error.field, error.row) == (code, field, row)
    assert message in str(error)
    if field is not None:
        assert str(error).startswith(f"{field}: " if row is None else f"row {row}: {field}: ")


UNREADABLE: list[tuple[str, Ask, str]] = [
    ("an integer above all floats", flat(src_lat=10**400), "src_lat"),
    ("an array of several", flat(src_lat=np.array([1.0, 2.0])), "src_lat"),
    ("numpy's True", flat(src_lat=np.True_), "src_lat"),
    ("half a character", single("\ud800"), "src"),
    ("a key that is no string", single({1: 2.0}), "src"),
]


@pytest.mark.parametrize(("ask", "field"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE])
def test_values_that_the_native_module_cannot_hold_are_named(predictor: Predictor, ask: Ask, field: str) -> None:
    with pytest.raises(lp.InvalidInputError) as caught:
        ask(predictor)
    assert (caught.value.code, caught.value.field) == ("INVALID_FIELD", field)


def test_errors_survive_pickling(predictor: Predictor) -> None:
    with pytest.raises(lp.InvalidInputError) as caught:
        predictor.predict_batch({**BATCH, "dst_lon": [1, 181]})
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(again) is lp.InvalidInputError
    assert (str(again), again.code, again.field, again.row) == (str(caught.value), "INVALID_FIELD", "dst_lon", 1)


def test_a_value_outside_of_training_is_answered_with_a_warning(predictor: Predictor) -> None:
    south = predictor.predict("-89.0,0", "Tokyo")
    warning = south.warnings[0]
    assert (warning.code, warning.field) == ("OUT_OF_RANGE", "src_lat")
    assert "found -89; training saw" in warning.message
    assert predictor.predict("London", "Tokyo").warnings == ()


def test_a_place_far_from_all_data_is_answered_with_a_warning(predictor: Predictor) -> None:
    (warning,) = predictor.predict("Paris", "22.8,5.5").warnings
    assert (warning.code, warning.field) == ("OUT_OF_RANGE", "dst")
    assert "found 22.8,5.5; training saw no place within about 1000 km" in warning.message


def test_technologies_never_seen_together_are_answered_with_a_warning(predictor: Predictor) -> None:
    (warning,) = predictor.predict("Paris", "London", src_access="wifi", dst_access="wifi").warnings
    assert (warning.code, warning.field) == ("OUT_OF_RANGE", "src_access")
    assert "found wifi with wifi at the other end; training saw wifi with server" in warning.message
    assert predictor.predict("Paris", "London", src_access="wifi").warnings == ()


def test_a_prediction_names_the_optional_fields_that_were_not_given(predictor: Predictor) -> None:
    prediction = predictor.predict("aws:us-east-1", "Tokyo", dst_access="wifi")
    assert prediction.missing == ("src_access", "dst_provider", "src_tier", "dst_tier")


# Model files


def test_a_model_loads_from_bytes_and_from_any_path(tmp_path: Path, predictor: Predictor) -> None:
    content = _core.Predictor.bundled_model()
    path = tmp_path / "modell für alle.onnx"
    path.write_bytes(content)
    expected = predictor.predict("London", "Tokyo")
    for model in (content, path, str(path), None):
        loaded = Predictor(model)
        assert loaded.predict("London", "Tokyo") == expected
        assert loaded.model_info == predictor.model_info
    assert predictor.model_info["bytes"] == len(content)
    assert predictor.model_info["version"] == predictor.model_info["sha256"][:12]
    assert repr(predictor) == f"<Predictor latency {predictor.model_info['version']} on onnxruntime>"


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_from_string(_core.Predictor.bundled_model())
    change(model)
    content: bytes = model.SerializeToString()
    return content


def with_other_leaves(model: onnx.ModelProto) -> None:
    (weights,) = [a for a in model.graph.node[0].attribute if a.name == "target_weights"]
    weights.floats[0] += 0.5


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (lambda: b"", "INVALID_MODEL", "0 bytes"),
        (lambda: b"no model at all", "INVALID_MODEL", "latency train"),
        (lambda: _core.Predictor.bundled_model()[:5000], "INVALID_MODEL", "cut short"),
        (lambda: changed(lambda m: m.ClearField("metadata_props")), "INVALID_SCHEMA", "no metadata `latency.schema`"),
        (lambda: changed(lambda m: setattr(m.metadata_props[0], "value", "{}")), "INVALID_SCHEMA", "format"),
        (lambda: changed(lambda m: m.graph.node[0].ClearField("domain")), "INVALID_MODEL", "ONNX Runtime"),
        (lambda: changed(with_other_leaves), "GOLDEN_MISMATCH", "golden row 0"),
    ],
    ids=["empty", "no model", "truncated", "no schema", "empty schema", "no operator", "other leaves"],
)
def test_a_broken_model_is_refused(content: Callable[[], bytes], code: str, message: str) -> None:
    with pytest.raises(lp.ModelError, match=message) as caught:
        Predictor(content())
    assert caught.value.code == code


def test_a_missing_file_is_named_with_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "none.onnx"
    with pytest.raises(lp.ModelError, match=f"cannot read the model file {path}") as caught:
        Predictor(path)
    assert caught.value.code == "MODEL_NOT_READABLE"
    assert "No such file" in str(caught.value.__cause__)


@pytest.mark.parametrize("model", [5, ["a.onnx"], bytearray(b"x")])
def test_a_model_of_another_type_is_a_type_error(model: Any) -> None:
    with pytest.raises(TypeError):
        Predictor(model)


# Copies, processes, threads


def ask(predictor: Predictor) -> lp.Prediction:
    """What a worker process runs."""
    return predictor.predict("London", "Tokyo", src_access="wifi")


def ask_bundled(_: int) -> lp.Prediction:
    """Forked with a session in memory, as a web server's workers are."""
    return lp.predict("London", "Tokyo", src_access="wifi")


def test_copies_answer_the_same(tmp_path: Path, predictor: Predictor, radio_model: bytes) -> None:
    expected = ask(predictor)
    path = tmp_path / "copy.onnx"
    path.write_bytes(_core.Predictor.bundled_model())
    for original in (
        predictor,
        Predictor(path, sessions=1),
        Predictor(path.read_bytes(), threads=1),
        Predictor(path, engine="native"),
    ):
        for again in (copy.copy(original), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):  # noqa: S301
            assert again is not original
            assert ask(again) == expected
            assert again.model_info["engine"] == original.model_info["engine"]
    own = pickle.loads(pickle.dumps(Predictor(radio_model)))  # noqa: S301
    assert own.model_info["name"] == "radio"


def test_a_pickle_of_the_bundled_model_is_small(predictor: Predictor) -> None:
    assert len(pickle.dumps(predictor)) < 300


def test_a_subclass_stays_one(predictor: Predictor) -> None:
    assert type(pickle.loads(pickle.dumps(Subclass()))) is Subclass  # noqa: S301


class Subclass(Predictor):
    """What a user may derive."""


@pytest.mark.parametrize("method", ["spawn", "fork"])
# Python 3.12 warns of every fork beside threads; that it works is what is tested.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_worker_processes_answer_the_same(predictor: Predictor, method: str) -> None:
    expected = ask(predictor)
    assert lp.predict("London", "Tokyo", src_access="wifi") == expected
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(ask, [predictor] * 4).get(timeout=60) == [expected] * 4
        assert pool.map_async(ask_bundled, range(4)).get(timeout=60) == [expected] * 4


@pytest.mark.parametrize("engine", ["onnxruntime", "native"])
def test_threads_share_a_predictor(golden: dict[str, Any], engine: lp.predictor.Engine) -> None:
    predictor = Predictor(engine=engine, sessions=2)
    rows, expected = golden["rows"][:200], golden["predictions"][:200]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: numbers(predictor.predict(**row)), rows))
    assert found == expected


# Engines and ONNX Runtime


def test_the_native_engine_gives_the_golden_bits(golden: dict[str, Any], golden_frame: pd.DataFrame) -> None:
    native = Predictor(engine="native")
    assert native.model_info["engine"] == "native"
    assert "on native" in repr(native)
    assert [numbers(native.predict(**row)) for row in golden["rows"]] == golden["predictions"]
    assert_golden(native.predict_batch(golden_frame), golden)


def test_a_large_table_may_be_shared_out_to_the_same_bits(golden_frame: pd.DataFrame) -> None:
    table = pd.concat([golden_frame] * 5)
    one, three = (Predictor(engine="native", threads=threads).predict_batch(table) for threads in (1, 3))
    pd.testing.assert_frame_equal(one, three, check_exact=True)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(
        lp.InvalidInputError, match=r'^engine: found "xgboost"; allowed: onnxruntime, native$'
    ) as caught:
        Predictor(engine="xgboost")  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.field) == ("INVALID_FIELD", "engine")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: a process loads ONNX Runtime once."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("ORT_DYLIB_PATH")}
    return subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=False
    )


REPORT = """
import latency_predictor as lp
try:
    print(lp.predict("London", "Tokyo").p50_ms)
except lp.RuntimeLoadError as error:
    print(error.code, isinstance(error, OSError), error)
"""
HIDDEN = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "onnxruntime":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "onnxruntime" else found(name, package)
"""


def test_a_wrong_library_path_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "libonnxruntime.so"
    done = run(REPORT, LATENCY_ORT_DYLIB_PATH=str(missing))
    assert done.stdout.startswith(f"RUNTIME_NOT_LOADED True LATENCY_ORT_DYLIB_PATH names {missing}"), done
    assert "pip install onnxruntime" in done.stdout


def test_a_file_that_is_no_library_is_named(tmp_path: Path) -> None:
    fake = tmp_path / "libonnxruntime.so"
    fake.write_bytes(b"no library")
    done = run(REPORT, LATENCY_ORT_DYLIB_PATH=str(fake))
    assert done.stdout.startswith("RUNTIME_NOT_LOADED True"), done
    assert str(fake) in done.stdout


def test_without_onnxruntime_the_cure_is_named() -> None:
    done = run(HIDDEN + REPORT)
    assert done.stdout.startswith("RUNTIME_NOT_LOADED True found no ONNX Runtime library"), done
    assert "pip install onnxruntime" in done.stdout


def test_the_native_engine_needs_no_onnxruntime() -> None:
    expected = repr(lp.predict("London", "Tokyo").p50_ms)
    assert run(HIDDEN + REPORT, LATENCY_ENGINE="native").stdout.strip() == expected
    code = "import latency_predictor as lp\nprint(lp.Predictor(engine='native').predict('London', 'Tokyo').p50_ms)"
    assert run(HIDDEN + code).stdout.strip() == expected


def test_an_explicit_library_wins(tmp_path: Path) -> None:
    folder = Path(importlib.import_module("latency_predictor.runtime").library_folder())
    (library,) = folder.glob("libonnxruntime.so.*")
    code = HIDDEN + f"import latency_predictor as lp\nprint(lp.Predictor(library={str(library)!r}))"
    done = run(code, LATENCY_ORT_DYLIB_PATH=str(tmp_path / "none.so"))
    assert done.stdout.startswith("<Predictor latency "), done


def test_importing_the_package_loads_no_more_than_numpy() -> None:
    """The first import must be quick, and must not need the extras."""
    heavy = ("pandas", "onnx", "onnxruntime", "xgboost", "typer", "rich", "pyarrow", "scipy")
    done = run(f"import sys, latency_predictor; print([m for m in {heavy!r} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done


# The examples in the docstrings


@pytest.mark.parametrize("name", ["latency_predictor", "latency_predictor.predictor"])
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 1
    assert found.failed == 0


def test_the_examples_in_the_docstrings_of_places_hold() -> None:
    example = doctest.DocTestParser().get_doctest(lp.Place.__doc__ or "", {}, "Place", None, None)
    assert len(example.examples) > 2
    assert doctest.DocTestRunner().run(example).failed == 0
