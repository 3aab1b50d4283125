"""The `latency` command as it is typed: what it prints where, its exit codes, and no traceback, ever."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from conftest import radio_table
from latency_predictor import Predictor, cli
from latency_predictor.cli import console
from latency_predictor.data import synthetic
from latency_predictor.data import table as tidy
from latency_predictor.training.export import Ensemble

RUNNER = CliRunner()


def latency(*arguments: str | Path) -> Result:
    """Runs the command in this process, on a wide terminal so that words are where they are looked for."""
    return RUNNER.invoke(cli.app, [str(argument) for argument in arguments])


def program(
    *arguments: str | Path, python: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command as a program of its own."""
    return subprocess.run(
        [sys.executable, *(python or ("-m", "latency_predictor")), *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide consoles that follow the runner's streams."""
    monkeypatch.setattr(console, "out", Console(width=200))
    monkeypatch.setattr(console, "err", Console(stderr=True, width=200))


@pytest.fixture
def radio_csv(tmp_path: Path) -> Path:
    """A small table of one's own, with a column that is no feature and two rows without a target."""
    path = tmp_path / "radio.csv"
    table = radio_table(200).assign(when=pd.date_range("2024-05-01", periods=200, freq="s"))
    table.loc[[3, 9], "rtt_ms"] = None
    table.to_csv(path, index=False)
    return path


def failed(result: Result, code: int = 1) -> str:
    """The prose on standard error, after what every failure must keep."""
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


# predict


def test_predict_prints_text(predictor: Predictor) -> None:
    result = latency("predict", "London", "Tokyo", "--src-access", "wifi")
    expected = predictor.predict("London", "Tokyo", src_access="wifi")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "London → Tokyo"
    assert lines[1].split() == ["median", "RTT", f"{expected.p50_ms:.1f}", "ms"]
    assert f"{expected.low_ms:.1f} to {expected.high_ms:.1f} ms" in lines[2]
    assert f"90 % below {expected.p90_ms:.1f} ms, 99 % below {expected.p99_ms:.1f} ms" in lines[3]
    assert f"{expected.floor_ms:.1f} ms (light in fibre, {expected.distance_km:,.0f} km)" in lines[4]
    assert len(lines) == 5


def test_predict_prints_json_that_holds_the_whole_answer(predictor: Predictor) -> None:
    result = latency("predict", "London", "Tokyo", "--json")
    expected = predictor.predict("London", "Tokyo")
    found = json.loads(result.stdout)
    assert found.pop("model") == {key: predictor.model_info[key] for key in ("name", "version", "engine")}
    assert found.pop("warnings") == []
    assert tuple(found.pop("missing")) == expected.missing
    numbers = [name for name in expected.__slots__ if name not in ("warnings", "missing")]
    assert found == {name: getattr(expected, name) for name in numbers}


def test_predict_shows_warnings_in_both_forms() -> None:
    text = latency("predict", "--", "-89,0", "London")
    assert "OUT_OF_RANGE src_lat: found -89; training saw" in text.stdout
    found = json.loads(latency("predict", "--json", "--", "-89,0", "London").stdout)
    assert found["warnings"][0]["code"] == "OUT_OF_RANGE"
    assert set(found["warnings"][0]) == {"code", "field", "message"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("Nowhereville", "Tokyo"), "UNKNOWN_PLACE", "src: found `Nowhereville`"),
        (("London", "Springfield"), "AMBIGUOUS_PLACE", "Springfield, MO, US"),
        (("London", "Tokyo", "--src-access", "WIFI"), "INVALID_FIELD", 'src_access: found "WIFI"; allowed: server'),
        (("London", "Tokyo", "--model", "none.onnx"), "MODEL_NOT_READABLE", "none.onnx"),
        # What looks like markup is shown as it was typed.
        (("[bold]x[/bold]", "Tokyo"), "UNKNOWN_PLACE", "`[bold]x[/bold]`"),
    ],
)
def test_predict_says_what_is_wrong(arguments: tuple[str, ...], code: str, words: str) -> None:
    prose = failed(latency("predict", *arguments))
    assert prose.startswith(f"{code} ")
    assert words in prose
    assert prose.count("\n") == 1, "one line, so that it can be searched for"


def test_a_missing_argument_is_a_mistake_of_usage() -> None:
    assert "Missing argument" in failed(latency("predict", "London"), code=2)


def test_predict_takes_a_model_of_ones_own(tmp_path: Path, radio_model: bytes) -> None:
    path = tmp_path / "radio.onnx"
    path.write_bytes(radio_model)
    prose = failed(latency("predict", "London", "Tokyo", "--model", path))
    assert "band, load, rsrp" in prose or "places" in prose


# model info


def test_model_info_shows_fields_and_origin(predictor: Predictor) -> None:
    result = latency("model", "info")
    info = predictor.model_info
    assert result.exit_code == 0
    assert f"latency {info['version']} on onnxruntime, {info['bytes']:,} bytes" in result.stdout
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
    assert ["src_lat", "number", "-90 to 90 degree", "yes"] in cells
    assert ["dst_tier", "category", "premium, standard", "no"] in cells
    assert '"licence"' in result.stdout
    assert json.loads(latency("model", "info", "--json").stdout) == info


def test_model_info_of_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    assert failed(latency("model", "info", "--model", path)).startswith("INVALID_MODEL ")


# train, on a table of one's own


def test_train_writes_a_model_and_says_how_good_it_is(tmp_path: Path, radio_csv: Path) -> None:
    output = tmp_path / "models" / "radio.onnx"
    arguments = ("train", "--data", radio_csv, "--drop", "when", "--name", "radio", "--out", output)
    result = latency(*arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "left out 2 rows without a `rtt_ms`" in result.stderr
    for word in ("held_out_rows", "mae", "median_relative_error", "interval_coverage", "below_p90"):
        assert word in result.stderr
    assert f"wrote {output}: radio " in result.stderr
    predictor = Predictor(output)
    assert predictor.predict(band="n78", load=0.5).p50_ms > 0
    origin = predictor.model_info["provenance"]
    assert origin["rows"] == 198
    assert origin["command"].startswith("latency train --data radio.csv --target rtt_ms --drop when --name radio")
    assert sorted(path.name for path in output.parent.iterdir()) == ["radio.onnx"]
    first = output.read_bytes()
    assert latency(*arguments).exit_code == 0
    assert output.read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "rtt"), "the table has no column `rtt`; it has: band, load, rsrp, rtt_ms, when"),
        ((), "column `when` is neither a number nor a category"),
        ((), "leave it out with --drop when"),
        (("--drop", "wenn"), "the table has no column `wenn`"),
        (("--target", "band", "--drop", "when"), "the target `band` holds"),
    ],
)
def test_train_refuses_with_a_cure_and_leaves_no_file(
    tmp_path: Path, radio_csv: Path, arguments: tuple[str, ...], words: str
) -> None:
    output = tmp_path / "models" / "model.onnx"
    prose = failed(latency("train", "--data", radio_csv, "--out", output, *arguments))
    assert prose.startswith("TRAINING_ERROR ")
    assert words in prose
    assert not output.parent.exists()


def test_train_leaves_no_file_when_the_gate_refuses(
    tmp_path: Path, radio_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Ensemble.add_tree

    def wrong(self: Ensemble, target: int, tree: dict[str, Any]) -> None:
        """A bug as converters have had it: equal goes the wrong way."""
        right(self, target, tree)
        self.modes = ["BRANCH_LEQ" if mode == "BRANCH_LT" else mode for mode in self.modes]

    monkeypatch.setattr(Ensemble, "add_tree", wrong)
    output = tmp_path / "models" / "model.onnx"
    prose = failed(latency("train", "--data", radio_csv, "--drop", "when", "--out", output))
    last = prose.splitlines()[-1]
    assert last.startswith("PARITY_ERROR ")
    assert last.endswith("No file is written.")
    assert not output.parent.exists()


def test_a_folder_in_the_way_is_named_and_nothing_is_left(tmp_path: Path, radio_csv: Path) -> None:
    folder = tmp_path / "models" / "model.onnx"
    folder.mkdir(parents=True)
    prose = failed(latency("train", "--data", radio_csv, "--drop", "when", "--out", folder))
    assert prose.splitlines()[-1].startswith("FILE_ERROR ")
    assert str(folder) in prose
    assert list(folder.parent.iterdir()) == [folder]


# train, on the tidy table


def test_train_needs_the_table_of_latency_data(tmp_path: Path) -> None:
    prose = failed(latency("train", "--table", tmp_path / "none.parquet"))
    assert prose.startswith("DATA_ERROR ")
    assert "latency data" in prose


def test_train_makes_the_table_if_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENCY_DATA_MIRROR", "/none")
    assert "the mirror folder /none does not exist" in failed(latency("train"))
    table = tmp_path / "data/cache/paths.parquet"
    table.parent.mkdir(parents=True)
    table.write_bytes(b"no table")
    assert "is not a readable Parquet table" in failed(latency("train"))
    assert table.read_bytes() == b"no table"


def test_train_and_evaluate_of_paths_write_model_figures_and_card(tmp_path: Path) -> None:
    table, output = tmp_path / "paths.parquet", tmp_path / "latency.onnx"
    tidy.write(synthetic.make(places=40, seed=1), table)
    result = latency("train", "--table", table, "--out", output)
    assert result.exit_code == 0, result.stderr
    assert "fold 5 of 5" in result.stderr
    predictor = Predictor(output)
    assert predictor.predict("London", "Tokyo").p50_ms > 95
    evaluation, card, figures = tmp_path / "evaluation.json", tmp_path / "card.md", tmp_path / "pictures"
    result = latency(
        "evaluate", "--model", output, "--table", table, "--out", evaluation, "--card", card, "--figures", figures
    )
    assert result.exit_code == 0, result.stderr
    assert "places: holding out fold 5 of 5" in result.stderr
    judged = json.loads(evaluation.read_text())
    kept = predictor.model_info["provenance"]["held_out_metrics"]["accuracy"]["synthetic"]["C2"]
    found = judged["accuracy"]["places"]["synthetic"]["C2"]["methods"]["this model"]
    # The folds of the evaluation have recipes of their own.
    assert kept["median_relative_error"] == pytest.approx(found["median_relative_error"], abs=0.02)
    text = card.read_text()
    assert predictor.model_info["version"] in text
    shown = set(re.findall(r"\]\(pictures/([^)]+)\)", text))
    assert shown == {path.name for path in figures.iterdir()}


# data


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--mirror", "/none"), "the mirror folder /none does not exist"),
        (("--set", "nope"), "found nope; allowed are"),
    ],
)
def test_data_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    prose = failed(latency("data", "--out", tmp_path / "t.parquet", "--cache", tmp_path, *arguments))
    assert prose.startswith("DATA_ERROR ")
    assert words in prose
    assert list(tmp_path.iterdir()) == []


# Help, and the program itself


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (("predict",), "latency predict London Tokyo --src-access wifi"),
        (("predict",), "latency predict -33.87,151.21 aws:eu-west-2"),
        (("data",), "latency data --mirror"),
        (("train",), "latency train --out latency.onnx"),
        (("train",), "latency train --data mine.csv --target rtt_ms"),
        (("model", "info"), "latency model info --model mine.onnx"),
    ],
)
def test_help_shows_an_example(arguments: tuple[str, ...], example: str) -> None:
    result = latency(*arguments, "--help")
    assert result.exit_code == 0
    assert example in " ".join(result.stdout.split())


def test_the_program_is_called_latency_and_lists_its_commands() -> None:
    done = program("--help")
    assert done.returncode == 0
    assert "Usage: latency [OPTIONS] COMMAND" in done.stdout
    for command in ("predict", "data", "train", "model"):
        assert f" {command} " in done.stdout
    assert program().returncode == 2
    assert "Did you mean 'predict'" in program("predikt").stderr


def test_the_program_reports_errors_by_its_exit_code() -> None:
    good, bad = program("predict", "London", "Tokyo", "--json"), program("predict", "London", "Nowhereville")
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["p50_ms"] > 95
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "Traceback" not in bad.stderr


def blocked(*names: str) -> tuple[str, ...]:
    """Python's arguments for the command in an installation without these packages."""
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {names!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from latency_predictor.__main__ import main\n"
        "main()"
    )
    return ("-c", code)


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_cli_extra_the_program_says_what_to_install(package: str) -> None:
    done = program("predict", "London", "Tokyo", python=blocked(package))
    assert done.returncode == 1
    assert done.stderr.strip() == f"The command `latency` needs {package}: pip install 'latency-predictor[cli]'"


def test_without_the_train_extra_predict_works_and_train_says_what_to_install(radio_csv: Path) -> None:
    python = blocked("pandas", "xgboost", "onnx", "pyarrow", "scipy")
    assert program("predict", "London", "Tokyo", python=python).returncode == 0
    for arguments in (("train", "--data", radio_csv), ("data",)):
        done = program(*arguments, python=python)
        assert done.returncode == 1
        assert "pip install 'latency-predictor[train]'" in done.stderr
        assert "Traceback" not in done.stderr
