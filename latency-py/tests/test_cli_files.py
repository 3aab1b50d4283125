"""`latency predict --file`: every row comes out predicted or rejected, in order, in files that are whole."""

import gzip
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from latency_predictor import Predictor
from latency_predictor.files import blocks as cutting
from latency_predictor.files.blocks import blocks, records
from test_cli import blocked, failed, latency, program, wide

__all__ = ["wide"]
NUMBERS = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"]
COORDINATES = ["src_lat", "src_lon", "dst_lat", "dst_lon"]
Csv = Callable[..., Path]


def good(result: Result, code: int = 0) -> Result:
    """A run without tracebacks that exits so."""
    assert result.exit_code == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


def table(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV file, every cell as its text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, **options)


def assert_predicted(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The prediction columns, equal to the bit."""
    for name in NUMBERS:
        np.testing.assert_array_equal(found[name].to_numpy().astype(np.float32), expected[name].to_numpy())


@pytest.fixture(scope="module")
def paths() -> pd.DataFrame:
    """Rows with all kinds of columns."""
    random = np.random.default_rng(3)
    rows = 2000
    frame = pd.DataFrame({"id": [f"{n:05d}" for n in range(rows)]})
    for name in COORDINATES:
        frame[name] = random.uniform(-60, 60, rows).round(6)
    frame["src_access"] = random.choice(["wifi", "server", None], rows)
    frame["note"] = random.choice(["plain", "with, comma", 'with "quotes"', "two\nlines", "é", " 007 ", ""], rows)
    return frame


@pytest.fixture(scope="module")
def expected(predictor: Predictor, paths: pd.DataFrame) -> pd.DataFrame:
    """What the API predicts of them."""
    known: pd.DataFrame = predictor.predict_batch(paths[[*COORDINATES, "src_access"]])
    return known


# Kinds of files


@pytest.mark.parametrize("name", ["paths.csv", "paths.csv.gz", "paths.tsv", "paths.tsv.gz", "paths.parquet"])
@pytest.mark.parametrize("out", [None, "o.csv", "o.tsv.gz", "o.parquet"])
@pytest.mark.parametrize("rows", [100, 100_000])
def test_a_file_comes_out_with_its_columns_first_and_the_bits_of_the_api(
    tmp_path: Path, paths: pd.DataFrame, expected: pd.DataFrame, name: str, out: str | None, rows: int
) -> None:
    source = tmp_path / name
    if name.endswith(".parquet"):
        paths.to_parquet(source, index=False, row_group_size=700)
    else:
        paths.to_csv(source, index=False, sep="\t" if ".tsv" in name else ",")
    output = tmp_path / (out or name.replace("paths", "paths.predicted"))
    options = () if out is None else ("--out", output)
    result = good(latency("predict", "--file", source, "--chunk-rows", rows, *options))
    assert result.stdout == ""
    assert "2,000 rows = 2,000 predicted + 0 rejected" in result.stderr
    assert "columns that the model does not use: id, note" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, output.name])
    if output.name.endswith(".parquet"):
        found = pd.read_parquet(output)
        assert [str(found[column].dtype) for column in COORDINATES] == ["float64"] * 4
        assert [str(found[column].dtype) for column in NUMBERS] == ["float32"] * 7
        assert found["src_access"].isna().tolist() == paths["src_access"].isna().tolist()
    else:
        found = table(output, sep="\t" if ".tsv" in output.name else ",")
    assert list(found.columns) == [*paths.columns, *NUMBERS]
    assert found["id"].tolist() == paths["id"].tolist()
    assert found["note"].tolist() == paths["note"].tolist()
    assert_predicted(found, expected)


def test_cells_stay_the_bytes_that_they_are(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    head = b"\xef\xbb\xbfnumber,src,dst,caf\xc3\xa9,empty\r\n"
    row = b'1.50e+0,London,Tokyo,caf\xe9 5" x,\r\n'
    path.write_bytes(head + b"007,London,Paris,  x ,\r\n" + row)
    good(latency("predict", "--file", path))
    first, second, third = (tmp_path / "odd.predicted.csv").read_bytes().splitlines()
    assert first == head.removeprefix(b"\xef\xbb\xbf").strip() + b"," + ",".join(NUMBERS).encode()
    assert second.startswith(b"007,London,Paris,  x ,,")
    # A quote inside of a cell is written as CSV has it; the byte that is no UTF-8 stays.
    assert third.startswith(b'1.50e+0,London,Tokyo,"caf\xe9 5"" x",,')


def test_numbers_are_read_as_people_write_them(tmp_path: Path, csv: Csv, predictor: Predictor) -> None:
    path = csv(
        "numbers.csv",
        "src_lat,src_lon,dst,dst_tier",
        "+51.5, -0.10 ,Tokyo,NA",
        "5.15e1,-.1,Tokyo,",
        "51.5,-0.1,Tokyo,null",
    )
    good(latency("predict", "--file", path))
    found = table(tmp_path / "numbers.predicted.csv")
    one = predictor.predict(src_lat=51.5, src_lon=-0.1, dst="Tokyo").p50_ms
    assert found["p50_ms"].astype(np.float32).tolist() == [np.float32(one)] * 3


def test_parquet_keeps_types_and_what_csv_cannot_hold(tmp_path: Path) -> None:
    source = tmp_path / "typed.parquet"
    rows = pa.table(
        {
            "src": pa.array(["London", "Nowhereville", "Oslo"]).dictionary_encode(),
            "dst_lat": pa.array(["35.7", "35.7", "35.7"]),
            "dst_lon": pa.array([139, 139, 139], pa.int16()),
            "when": pa.array([1, 2, 3], pa.timestamp("us", "UTC")),
            "hops": pa.array([[1, 2], None, []], pa.list_(pa.int8())),
        }
    ).replace_schema_metadata({"made by": "hand"})
    pq.write_table(rows, source)
    good(latency("predict", "--file", source), 3)
    found = pq.read_table(tmp_path / "typed.predicted.parquet")
    assert found.select(rows.column_names).equals(rows.take([0, 2]))
    assert found.schema.metadata[b"made by"] == b"hand"
    rejects = table(tmp_path / "typed.predicted.rejects.csv")
    assert rejects.loc[0, ["row", "field", "src", "hops"]].tolist() == ["2", "src", "Nowhereville", "None"]
    prose = failed(latency("predict", "--file", source, "--out", tmp_path / "o.csv"))
    assert "column `hops` holds list<" in prose
    assert not (tmp_path / "o.csv").exists()


def test_a_model_of_ones_own_reads_its_own_columns(tmp_path: Path, csv: Csv, radio_model: bytes) -> None:
    model = tmp_path / "radio.onnx"
    model.write_bytes(radio_model)
    path = csv("radio.csv", "band,load,src", "n1,0.1,x", "n5,0.1,y", ",,z")
    good(latency("predict", "--file", path, "--model", model), 3)
    found = table(tmp_path / "radio.predicted.csv")
    assert list(found.columns) == ["band", "load", "src", *NUMBERS[:5]]
    assert found["src"].tolist() == ["x", "z"]
    one = Predictor(radio_model).predict(band="n1", load=0.1).p50_ms
    assert np.float32(found["p50_ms"][0]) == np.float32(one)


# Rows at fault


def test_bad_rows_are_rejected_by_their_lines_and_the_others_predicted(tmp_path: Path, csv: Csv) -> None:
    path = csv(
        "bad.csv",
        "id,src,dst_lat,dst_lon,note",
        'a,London,35.7,139.7,"two',
        'lines"',
        "",
        "b,Nowhereville,35.7,139.7,x",
        "c,London,35.7",
        "d,London,35.7,139.7,y,surplus,é",
        "e,London,thirty,139.7,z",
        "f,London,91,139.7,",
        "g,London,,139.7,",
        "h,London,35.7,139.7,end",
    )
    result = good(latency("predict", "--file", path), 3)
    assert "8 rows = 2 predicted + 6 rejected" in result.stderr
    assert "bad.predicted.rejects.csv" in result.stderr
    assert table(tmp_path / "bad.predicted.csv")["id"].tolist() == ["a", "h"]
    rejects = table(tmp_path / "bad.predicted.rejects.csv")
    assert list(rejects.columns) == ["line", "field", "code", "message", "id", "src", "dst_lat", "dst_lon", "note"]
    assert [tuple(row) for row in rejects[["line", "field", "code", "id"]].to_numpy()] == [
        ("5", "src", "UNKNOWN_PLACE", "b"),
        ("6", "", "INVALID_LINE", "c"),
        ("7", "", "INVALID_LINE", "d"),
        ("8", "dst_lat", "INVALID_FIELD", "e"),
        ("9", "dst_lat", "INVALID_FIELD", "f"),
        ("10", "dst_lat", "MISSING_FIELD", "g"),
    ]
    messages = rejects["message"].tolist()
    assert messages[1] == "found 3 cells; allowed: 5 cells, as many as there are names"
    assert "found 7 cells; without a name: `surplus,é`; allowed: 5 cells" in messages[2]
    assert messages[3] == "dst_lat: found `thirty`; allowed: a number such as 51.5"
    assert messages[4].startswith("dst_lat: found 91; allowed")
    assert rejects["note"].tolist() == ["x", "", "y", "z", "", ""]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_lines_count_as_in_an_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, rows: int) -> None:
    # Small pieces, so that blocks end everywhere.
    monkeypatch.setattr(cutting, "PIECE", 13)
    lines = ["src,dst,note"]
    bad = []
    for row in range(60):
        if row % 7 == 3:
            lines.append("")
        place = "Nowhereville" if row % 5 == 2 else "London"
        if row % 5 == 2:
            bad.append(len(lines) + 1)
        lines += [f'{place},Tokyo,"first, ""of"" two', 'lines"'] if row % 3 == 1 else [f"{place},Tokyo,{row}"]
    path = tmp_path / "lines.csv"
    path.write_bytes(ending.join([*lines, ""]).encode())
    good(latency("predict", "--file", path, "--chunk-rows", rows), 3)
    rejects = table(tmp_path / "lines.predicted.rejects.csv")
    assert rejects["line"].tolist() == [str(line) for line in bad]
    assert len(table(tmp_path / "lines.predicted.csv")) == 60 - len(bad)


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path: Path, csv: Csv) -> None:
    path = csv("quote.csv", "src,dst,note", "London,Tokyo,a", 'London,Tokyo,"b', "London,Paris,c", "London,Rome,d")
    good(latency("predict", "--file", path), 3)
    assert table(tmp_path / "quote.predicted.csv")["note"].tolist() == ["a", "c", "d"]
    rejects = table(tmp_path / "quote.predicted.rejects.csv")
    assert rejects[["line", "code", "src"]].to_numpy().tolist() == [["3", "INVALID_LINE", 'London,Tokyo,"b']]
    assert "a quote that is never closed" in rejects["message"][0]


def test_text_that_is_not_utf8_is_rejected_where_it_must_be_text(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("src,dst,note\nLondon,Tokyo,é\nMünchen,Tokyo,x\nLondon,Tokyo,y\n".encode("latin-1"))
    good(latency("predict", "--file", path), 3)
    assert (tmp_path / "latin.predicted.csv").read_bytes().splitlines()[1].startswith(b"London,Tokyo,\xe9,")
    rejects = (tmp_path / "latin.predicted.rejects.csv").read_bytes().splitlines()[1]
    assert rejects.startswith(rb"3,src,INVALID_FIELD,src: found the bytes b'M\xfcnchen'; allowed: text in UTF-8,")
    # Parquet has no place for such bytes.
    good(latency("predict", "--file", path, "--out", tmp_path / "o.parquet"), 3)
    assert pd.read_parquet(tmp_path / "o.parquet")["note"].tolist() == ["y"]


def test_names_of_the_side_file_give_way_to_those_of_the_file(tmp_path: Path, csv: Csv) -> None:
    path = csv("names.csv", "line,src,dst,code", "1,Nowhereville,Tokyo,k")
    good(latency("predict", "--file", path), 3)
    rejects = table(tmp_path / "names.predicted.rejects.csv")
    assert list(rejects.columns) == ["reject_line", "field", "reject_code", "message", "line", "src", "dst", "code"]
    assert rejects.loc[0, ["reject_line", "reject_code", "line", "code"]].tolist() == ["2", "UNKNOWN_PLACE", "1", "k"]


def test_rejects_are_named_by_option_and_go_when_there_are_none(tmp_path: Path, csv: Csv) -> None:
    side = tmp_path / "deep" / "side.csv"
    arguments = ("--out", tmp_path / "o.csv", "--rejects", side)
    good(latency("predict", "--file", csv("a.csv", "src,dst", "Nowhereville,Tokyo", "Oslo,Rome"), *arguments), 3)
    assert len(table(side)) == 1
    good(latency("predict", "--file", csv("a.csv", "src,dst", "Paris,Tokyo", "Oslo,Rome"), *arguments))
    assert not side.exists()


def test_the_summary_as_json(tmp_path: Path, csv: Csv, predictor: Predictor) -> None:
    path = csv("sum.csv", "src,dst,x", '"-89,0",Tokyo,1', '"-89,0",Tokyo,2', "?,Tokyo,3", "Oslo,Rome,4")
    found = json.loads(good(latency("predict", "--file", path, "--json"), 3).stdout)
    assert found.pop("seconds") > 0
    assert found.pop("model")["version"] == predictor.model_info["version"]
    assert found == {
        "rows": 4,
        "predicted": 3,
        "rejected": 1,
        "warnings": [{"code": "OUT_OF_RANGE", "field": "src_lat", "rows": 2}],
        "ignored_columns": ["x"],
        "out": str(tmp_path / "sum.predicted.csv"),
        "rejects": str(tmp_path / "sum.predicted.rejects.csv"),
    }


def test_a_file_without_rows_gives_one_without_rows(tmp_path: Path, csv: Csv) -> None:
    good(latency("predict", "--file", csv("none.csv", "src,dst")))
    assert (tmp_path / "none.predicted.csv").read_text() == f"src,dst,{','.join(NUMBERS)}\n"
    pq.write_table(
        pa.table({"src": pa.array([], pa.string()), "dst": pa.array([], pa.string())}), tmp_path / "n.parquet"
    )
    good(latency("predict", "--file", tmp_path / "n.parquet"))
    assert pq.read_table(tmp_path / "n.predicted.parquet").num_rows == 0


# Files that cannot be read


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "DATA_ERROR {}: found no row with the names of the columns"),
        ("a.csv", b"a,b\n1,2\n", "DATA_ERROR {}: found the columns a, b; allowed: src, dst, src_lat"),
        ("a.csv", b"src,b\nOslo,2\n", "MISSING_FIELD {}: found the columns src, b; "),
        ("a.csv", b"src,src_lat,dst\nOslo,2,Rome\n", "found both `src` and `src_lat`"),
        ("a.csv", b"src,dst,x,x\n", "found several columns named 'x'"),
        ("a.csv", b"src,dst,p50_ms\n", "DATA_ERROR {}: found columns named as predictions are: p50_ms; "),
        ("a.csv", "src,dst\nOslo,Rome\n".encode("utf-16"), "found text in UTF-16; allowed: UTF-8"),
        ("a.csv", b"src,\xff\n", "names of columns that are no text"),
        ("a.csv.gz", b"src,dst\nOslo,Rome\n", "DATA_ERROR {}: no whole gzip file"),
        ("a.csv.gz", gzip.compress(b"src,dst\n" + b"Oslo,Rome\n" * 99999)[:-100], "DATA_ERROR {}: no whole gzip file"),
        ("a.parquet", b"src,dst\n", "DATA_ERROR {}: no Parquet file"),
        ("a.xlsx", b"src,dst\n", "found a name that says no kind of file; allowed: a name that ends in .csv, .csv.gz"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    prose = failed(latency("predict", "--file", path))
    assert words.format(path) in prose
    assert prose.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_not_there_or_in_the_way_are_named(tmp_path: Path, csv: Csv) -> None:
    path, folder = csv("a.csv", "src,dst", "Oslo,Rome"), tmp_path / "folder.csv"
    folder.mkdir()
    assert "No such file" in failed(latency("predict", "--file", tmp_path / "none.csv"))
    assert f"{folder} is a folder" in failed(latency("predict", "--file", path, "--out", folder))
    assert f"{folder} is a folder" in failed(latency("predict", "--file", path, "--rejects", folder))
    assert "--rejects: found -" in failed(latency("predict", "--file", path, "--rejects", "-"))
    assert "found one name twice" in failed(latency("predict", "--file", path, "--out", path))
    assert "found one name twice" in failed(latency("predict", "--file", path, "--rejects", path))
    assert sorted(tmp_path.iterdir()) == [path, folder]


def test_a_line_without_an_end_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(b"src,dst\nOslo,Rome\n" + b"x" * (cutting.BLOCK_LIMIT + 1))
    assert "line 3: found 16 MiB without a line break" in failed(latency("predict", "--file", path))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("London", "--file", "a.csv"), "--file does not go with London"),
        (("--file", "a.csv", "--src-access", "wifi"), "--file does not go with --src-access"),
        (("London", "Tokyo", "--out", "a.csv"), "--out goes with --file"),
        (("--file", "-", "--json"), "name a file with --out"),
        (("--file", "a.csv", "--chunk-rows", "0"), "--chunk-rows"),
        ((), "Missing argument 'SRC': two places, or --file."),
    ],
)
def test_options_that_do_not_go_together_are_mistakes_of_usage(arguments: tuple[str, ...], words: str) -> None:
    assert words in " ".join(failed(latency("predict", *arguments), code=2).replace("│", " ").split())


def test_without_pyarrow_places_are_predicted_and_files_say_what_to_install(csv: Csv) -> None:
    python = blocked("pyarrow", "pandas")
    assert program("predict", "London", "Tokyo", python=python).returncode == 0
    done = program("predict", "--file", csv("a.csv", "src,dst"), python=python)
    assert done.returncode == 1
    assert "pip install 'latency-predictor[files]'" in done.stderr
    assert "Traceback" not in done.stderr


# Pipes and interrupts


def command(*arguments: str | Path) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "latency_predictor", "predict", *map(str, arguments)]


def test_standard_input_and_output_are_csv(tmp_path: Path, predictor: Predictor) -> None:
    text = b'src,dst\nLondon,Tokyo\nNowhereville,Tokyo\n"-33.87,151.21",Oslo\n'
    done = subprocess.run(command("--file", "-"), input=text, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 3
    found = table(io.BytesIO(done.stdout))  # type: ignore[arg-type]
    assert found["src"].tolist() == ["London", "-33.87,151.21"]
    assert np.float32(found["p50_ms"][0]) == np.float32(predictor.predict("London", "Tokyo").p50_ms)
    assert b"2 predicted + 1 rejected" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stdin.rejects.csv"]


def test_a_reader_that_stops_early_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("src,dst\n" + "London,Tokyo\n" * 300_000)
    running = subprocess.Popen(
        command("--file", path, "--out", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith("src,dst,p50_ms")
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(60) == 1
    finally:
        running.kill()
        running.wait()
        running.stderr.close()


def test_an_interrupt_leaves_no_half_file(tmp_path: Path) -> None:
    path, rows = tmp_path / "long.csv", 1_000_000
    path.write_text("src,dst\n" + "Nowhereville,Tokyo\n" + "London,Tokyo\n" * rows)
    running = subprocess.Popen(command("--file", path), stderr=subprocess.PIPE, text=True)
    try:
        part = tmp_path / "long.predicted.csv.part"
        until = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 1000):
            assert time.monotonic() < until
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode not in (0, 3)
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == [path]


# Size


PEAK = """
import atexit, sys
def tell():
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
atexit.register(tell)
from latency_predictor.__main__ import main
main()
"""


def peak_mb(path: Path, *options: str | Path) -> float:
    """The most memory that the program held while it predicted the file, as it tells at its end: what the system tells
    its parent counts the parent's own memory before the program began."""
    done = program("predict", "--file", path, *options, python=("-c", PEAK))
    assert done.returncode in (0, 3), done.stderr
    return int(done.stderr.split()[-2]) / 1024


def write_many(path: Path, rows: int) -> None:
    """A Parquet file of one row group: it cannot be read row group by row group."""
    random = np.random.default_rng(0)
    columns = {name: random.uniform(-40, 40, rows) for name in COORDINATES}
    pq.write_table(pa.table(columns), path, row_group_size=rows)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured as Linux counts it")
def test_memory_is_flat_whatever_the_size_of_the_file(tmp_path: Path) -> None:
    few, many, fewer_rows, more_rows = tmp_path / "few.parquet", tmp_path / "many.parquet", 100_000, 600_000
    write_many(few, fewer_rows)
    write_many(many, more_rows)
    # The 500,000 rows between them are 16 MB to read and 65 MB to write; a file held in memory would show.
    small, large = (peak_mb(path, "--out", tmp_path / "o.csv", "--chunk-rows", "16384") for path in (few, many))
    assert large - small < 15
    assert len((tmp_path / "o.csv").read_bytes().splitlines()) == more_rows + 1


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured as Linux counts it")
def test_memory_is_flat_when_every_row_is_bad(tmp_path: Path) -> None:
    sizes = []
    for rows in (20_000, 200_000):
        path = tmp_path / f"{rows}.csv"
        path.write_text("src,dst\n" + "London\nNowhereville,Tokyo\n" * (rows // 2))
        sizes.append(peak_mb(path, "--chunk-rows", "4096"))
        assert (tmp_path / f"{rows}.predicted.rejects.csv").read_bytes().count(b"\n") == rows + 1
        assert (tmp_path / f"{rows}.predicted.csv").read_bytes().count(b"\n") == 1
    # The 90,000 errors between them are 145 MB as objects; what the allocators keep differs by 35 MB from run to run.
    assert sizes[1] - sizes[0] < 70


def test_blocks_are_whole_records_wherever_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    parts = ["a", "é", '""', ",", "\n", "\r\n", "\r", " "]
    for piece in (1, 2, 3, 7, 64):
        monkeypatch.setattr(cutting, "PIECE", piece)
        rows = [
            ['"' + "".join(random.choice(parts, 4)) + '"' if random.random() < 0.4 else 'x"y' for _ in range(3)]
            for _ in range(40)
        ]
        data = "".join(",".join(row) + str(random.choice(["\n", "\r\n", "\r"])) for row in rows).encode()
        cut = list(blocks(io.BytesIO(data), 5, ","))
        assert b"".join(block.data for block in cut) == data
        assert not any(block.unclosed for block in cut)
        whole = [(1 + line, cells) for line, _, cells in records(data, ",")]
        pieces = [(block.line + line, cells) for block in cut for line, _, cells in records(block.data, ",")]
        assert pieces == whole
        assert len(whole) == 40
