"""Every kind of table goes in by the names of its columns, comes out as it came, and has the bits of its rows alone."""

import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import latency_predictor as lp
from latency_predictor import Predictor

NUMBERS = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"]
COORDINATES = ["src_lat", "src_lon", "dst_lat", "dst_lon"]


@pytest.fixture(scope="module")
def frame(golden: dict[str, Any]) -> pd.DataFrame:
    """The golden rows; missing words as pandas has them."""
    return pd.DataFrame(golden["rows"])


@pytest.fixture(scope="module")
def arrow(frame: pd.DataFrame) -> pa.Table:
    """The same as an Arrow table, its columns in another order."""
    return pa.Table.from_pandas(frame[sorted(frame)], preserve_index=False)


@pytest.fixture(scope="module")
def expected(golden: dict[str, Any]) -> dict[str, np.ndarray]:
    """The golden answers."""
    return {name: np.array([row[name] for row in golden["predictions"]], np.float32) for name in NUMBERS}


def assert_same(answer: Any, expected: dict[str, np.ndarray], kind: type) -> None:
    """An answer of this kind, float32 and equal to the bit."""
    assert type(answer) is kind
    names = (
        answer.schema.names
        if isinstance(answer, pa.Table | pa.RecordBatch)
        else list(getattr(answer, "columns", answer))
    )
    assert names == NUMBERS
    for name in NUMBERS:
        column = np.asarray(answer[name])
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column.view(np.uint32), expected[name].view(np.uint32))


class OnlyArrow:
    """Any library's table, of which only the Arrow PyCapsule interface is known."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


KINDS: dict[str, tuple[Callable[[pa.Table], Any], type]] = {
    "pandas": (lambda table: table.to_pandas(), pd.DataFrame),
    "pandas with Arrow columns": (lambda table: table.to_pandas(types_mapper=pd.ArrowDtype), pd.DataFrame),
    "polars": (pl.from_arrow, pl.DataFrame),
    "pyarrow table": (lambda table: table, pa.Table),
    "pyarrow table in chunks": (
        lambda table: pa.concat_tables([table.slice(0, 300), table.slice(300, 1), table.slice(301)]),
        pa.Table,
    ),
    "pyarrow record batch": (lambda table: table.combine_chunks().to_batches()[0], pa.RecordBatch),
    "pyarrow reader": (lambda table: table.to_reader(max_chunksize=128), dict),
    "another library": (OnlyArrow, dict),
    "dict of Arrow arrays": (lambda table: {name: table[name] for name in table.column_names}, dict),
    "dict of Polars series": (lambda table: {s.name: s for s in pl.from_arrow(table).get_columns()}, dict),
    "dict of lists": (lambda table: table.to_pydict(), dict),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_comes_out_as_it_came_in(
    predictor: Predictor, arrow: pa.Table, expected: dict[str, np.ndarray], kind: str
) -> None:
    make, out = KINDS[kind]
    assert_same(predictor.predict_batch(make(arrow)), expected, out)


@pytest.mark.parametrize(
    "text", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
@pytest.mark.parametrize("chunk", [1000, 7])
def test_text_of_any_arrow_type_is_the_same(
    predictor: Predictor, arrow: pa.Table, expected: dict[str, np.ndarray], text: pa.DataType, chunk: int
) -> None:
    fields = [field if field.name in COORDINATES else field.with_type(text) for field in arrow.schema]
    table = pa.Table.from_batches(arrow.cast(pa.schema(fields)).to_batches(max_chunksize=chunk))
    assert_same(predictor.predict_batch(table), expected, pa.Table)


@pytest.mark.parametrize(
    "number",
    [
        pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(),
        pa.float32(), pa.decimal128(6, 2), pa.decimal256(40, 3), pa.dictionary(pa.int32(), pa.float64()),
    ],
)  # fmt: skip
def test_numbers_of_any_arrow_type_are_the_same(predictor: Predictor, number: pa.DataType) -> None:
    whole = {"src_lat": [10, 11], "src_lon": [20, 21], "dst_lat": [30, 31], "dst_lon": [40, 41]}
    expected = predictor.predict_batch(whole)
    for columns in (whole, {name: [*values, None] for name, values in whole.items()}):
        arrays = {
            name: pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(6, 2)).cast(number)
            if pa.types.is_decimal(number)
            else pa.array(values, pa.int64()).cast(pa.float64()).cast(number.value_type).dictionary_encode()
            if pa.types.is_dictionary(number)
            else pa.array(values, pa.int64()).cast(number)
            for name, values in columns.items()
        }
        answer, notes = predictor.predict_batch_with_notes(pa.table(arrays))
        np.testing.assert_array_equal(np.asarray(answer["p50_ms"])[:2], expected["p50_ms"])
        # A null is missing, and coordinates are required.
        assert [(error.row, error.field) for error in notes.errors] == [(2, "src_lat")] * (len(columns["src_lat"]) - 2)


def test_a_dictionary_without_words_is_missing(predictor: Predictor) -> None:
    ends = {"src": ["London"], "dst": ["Tokyo"]}
    expected = predictor.predict_batch(pa.table(ends))
    words = pa.DictionaryArray.from_arrays(pa.nulls(1, pa.int8()), pa.array([], pa.string()))
    numbers = pa.DictionaryArray.from_arrays(pa.nulls(1, pa.int8()), pa.array([], pa.float64()))
    assert predictor.predict_batch(pa.table({**ends, "src_access": words})) == expected
    with pytest.raises(lp.InvalidInputError, match="row 0: dst_lat: found"):
        predictor.predict_batch(pa.table({"src": ["London"], "dst_lat": numbers, "dst_lon": [1.0]}))


def test_a_column_of_nulls_is_missing(predictor: Predictor) -> None:
    ends = {"src": ["London"], "dst": ["Tokyo"]}
    answer = predictor.predict_batch(pa.table({**ends, "src_access": pa.nulls(1)}))
    assert answer["p50_ms"][0].as_py() == np.float32(predictor.predict("London", "Tokyo").p50_ms)
    with pytest.raises(lp.InvalidInputError, match="row 0: src: found no place"):
        predictor.predict_batch(pa.table({"src": pa.nulls(1), "dst": ["Tokyo"]}))


def test_a_matrix_has_its_names_beside_it(predictor: Predictor, frame: pd.DataFrame) -> None:
    matrix = frame[COORDINATES].to_numpy()
    wanted = predictor.predict_batch({name: matrix[:, index].copy() for index, name in enumerate(COORDINATES)})
    for variant in (np.ascontiguousarray(matrix), np.asfortranarray(matrix), matrix[::-1][::-1], matrix.astype(object)):
        assert_same(predictor.predict_batch(variant, columns=COORDINATES), wanted, dict)
    shuffled = [2, 0, 3, 1]
    answer = predictor.predict_batch(matrix[:, shuffled], columns=[COORDINATES[index] for index in shuffled])
    assert_same(answer, wanted, dict)
    structured = np.rec.fromarrays(matrix.T, names=COORDINATES)
    assert_same(predictor.predict_batch(structured), wanted, dict)
    for names in (COORDINATES[:3], None):
        with pytest.raises(lp.InvalidInputError, match="a name for each column"):
            predictor.predict_batch(matrix, columns=names)
    with pytest.raises(lp.InvalidInputError, match="columns: found names for a DataFrame"):
        predictor.predict_batch(frame, columns=COORDINATES)


def test_arrays_and_arrow_columns_are_read_where_they_lie(predictor: Predictor) -> None:
    rows = 2_000_000
    matrix = np.empty((rows, 4))
    matrix[:] = [51.5, -0.1, 35.7, 139.7]
    matrix[-1, 0] = 91
    # The peak is one of the whole process until it is taken back.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_mb()
    with pytest.raises(lp.InvalidInputError, match="src_lat: found 91"):
        predictor.predict_batch(matrix, columns=COORDINATES)
    # The encoded rows alone are 10 columns; a copy of four would add 64 MB to the 160 MB of those.
    assert _peak_mb() - before < 185


def _resident_mb() -> float:
    return _status("VmRSS")


def _peak_mb() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    with open("/proc/self/status") as status:
        return next(float(line.split()[1]) / 1024 for line in status if line.startswith(key))


# Rows at fault


def test_rows_at_fault_are_named_and_the_others_predicted(predictor: Predictor) -> None:
    rows = pd.DataFrame(
        {
            "src": ["London", "Nowhereville", "Paris", None, "-89,0"],
            "dst": ["Tokyo"] * 5,
            "src_access": ["wifi", None, "pigeon", None, None],
            "weather": 0,
        },
        index=list("abcde"),
    )
    answer, notes = predictor.predict_batch_with_notes(rows)
    assert list(answer.index) == list("abcde")
    assert answer["p50_ms"].isna().tolist() == [False, True, True, True, False]
    assert answer.loc[["b", "c", "d"]].isna().all().all()
    assert [(error.row, error.field, error.code) for error in notes.errors] == [
        (1, "src", "UNKNOWN_PLACE"),
        (2, "src_access", "INVALID_FIELD"),
        (3, "src", "MISSING_FIELD"),
    ]
    assert all(isinstance(error, lp.InvalidInputError) for error in notes.errors)
    assert answer["p50_ms"]["a"] == np.float32(predictor.predict("London", "Tokyo", src_access="wifi").p50_ms)
    assert {(warning.row, warning.code, warning.field) for warning in notes.warnings} == {
        (4, "OUT_OF_RANGE", "src_lat")
    }
    assert notes.ignored_columns == ("weather",)
    assert notes.missing["src_access"].tolist() == [False, False, False, False, True]
    assert notes.missing["dst_access"].tolist() == [True, False, False, False, True]


def test_cells_that_are_neither_numbers_nor_text_are_faults_of_their_rows(predictor: Predictor) -> None:
    rows = {
        "src_lat": [51.5, "51.5", b"x", None, 10**400, 91.0, 48.0],
        "src_lon": [0.0] * 7,
        "dst": ["Tokyo"] * 7,
        "src_tier": ["premium", None, None, None, None, None, 3.5],
    }
    answer, notes = predictor.predict_batch_with_notes(rows)
    assert [error.row for error in notes.errors] == [1, 2, 3, 4, 5, 6]
    messages = [str(error) for error in notes.errors]
    assert messages[0].startswith("row 1: src_lat: found the text '51.5' beside numbers; allowed:")
    assert messages[1].startswith("row 2: src_lat: found a bytes; allowed:")
    assert messages[3].startswith("row 4: src_lat: found a number above all")
    assert messages[5].startswith("row 6: src_tier: found the number 3.5 beside text; allowed:")
    assert np.isnan(answer["p50_ms"]).tolist() == [False] + [True] * 6


def test_what_concerns_all_rows_is_an_error(predictor: Predictor) -> None:
    for rows, message in (
        ({"src": ["London"]}, "dst_lat: required"),
        ({"src": ["London"], "dst": ["Tokyo", "Paris"]}, "dst: found a column of length 2"),
        (5, "found a int; allowed: a dict of columns"),
    ):
        with pytest.raises(lp.InvalidInputError, match=message):
            predictor.predict_batch_with_notes(rows)


def test_nothing_at_fault_gives_the_same_answer(predictor: Predictor, arrow: pa.Table) -> None:
    answer, notes = predictor.predict_batch_with_notes(arrow)
    assert answer.equals(predictor.predict_batch(arrow))
    assert notes.errors == ()
    empty, notes = predictor.predict_batch_with_notes(arrow.slice(0, 0))
    assert empty.num_rows == 0
    assert empty.column_names == NUMBERS
    assert notes.errors == ()


def test_an_own_model_takes_every_kind_of_table(radio_model: bytes) -> None:
    predictor = Predictor(radio_model)
    rows = {"band": ["n1", None, "n78"], "load": [0.1, 0.5, None], "rsrp": [-90, -80, -70]}
    expected = predictor.predict_batch(rows)
    assert list(expected) == NUMBERS[:5]
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        answer = predictor.predict_batch(make(rows))
        for name in NUMBERS[:5]:
            np.testing.assert_array_equal(np.asarray(answer[name]), expected[name])
    assert not any(math.isnan(number) for number in expected["p50_ms"])
