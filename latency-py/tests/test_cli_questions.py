"""`latency rank`, `timeout`, `judge` and `model verify` as they are typed."""

import json
from pathlib import Path

import pytest

from latency_predictor import Place, Predictor, __version__
from test_cli import failed, latency, program, wide

__all__ = ["wide"]
REGIONS = ("aws:us-east-1", "aws:eu-west-2", "aws:eu-central-1")


def test_rank_shows_a_table_in_the_order_of_the_api(predictor: Predictor) -> None:
    result = latency("rank", "Lisbon", *REGIONS, "--budget-ms", "60", "--src-access", "wifi")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split("  ")[1].strip() == "candidate"
    assert header.rstrip().endswith("within 60 ms")
    expected = predictor.rank("Lisbon", REGIONS, budget_ms=60, src_access="wifi")
    assert [line.split()[:2] for line in lines] == [[str(n), one.candidate] for n, one in enumerate(expected, 1)]
    for line, one in zip(lines, expected, strict=True):
        assert f"{one.p50_ms:.1f} ms" in line
        assert f"{one.low_ms:.1f} to {one.high_ms:.1f} ms" in line


def test_rank_prints_the_whole_answer_as_json(predictor: Predictor) -> None:
    found = json.loads(latency("rank", "Lisbon", *REGIONS, "--budget-ms", "60", "--json").stdout)
    assert found["ranked"] == [one.to_dict() for one in predictor.rank("Lisbon", REGIONS, budget_ms=60)]
    assert found["model"]["version"] == predictor.model_info["version"]
    assert "p_within_budget" not in json.loads(latency("rank", "Lisbon", "Paris", "--json").stdout)["ranked"][0]


def test_rank_takes_all_regions_of_a_cloud_and_shows_the_best() -> None:
    everything = json.loads(latency("rank", "-33.87,151.21", "--regions", "gcp", "--json").stdout)["ranked"]
    regions = {str(place) for place in Place.cloud_regions() if place.provider == "gcp"}
    assert {one["candidate"] for one in everything} == regions
    assert everything[0]["candidate"] == "gcp:australia-southeast1"
    best = json.loads(
        latency("rank", "-33.87,151.21", "Oslo", "--regions", "gcp", "--regions", "aws", "--top", "2", "--json").stdout
    )["ranked"]
    assert len(best) == 2
    # The others still count in the probabilities.
    assert best[0]["p_best"] < everything[0]["p_best"]


def test_rank_says_which_candidates_a_warning_is_about() -> None:
    lines = latency("rank", "-89,0", "London", "-80,3").stdout.splitlines()
    about_source, about_one = lines[-2:]
    assert about_source.startswith("  OUT_OF_RANGE src_lat: found -89")
    assert about_one.startswith("  OUT_OF_RANGE dst_lat: -80,3: found -80")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rank", "London"), "MISSING_FIELD candidates: found none; allowed: places after SRC, or --regions"),
        (("rank", "London", "Paris", "Nowhereville"), "Nowhereville"),
        (("rank", "London", "Paris", "--budget-ms", "-5"), "INVALID_FIELD budget_ms"),
        (("rank", "London", "Paris", "--dst-tier", "gold"), 'dst_tier: found "gold"'),
        (("timeout", "London", "Tokyo", "--quantile", "1.5"), "INVALID_FIELD quantile: found 1.5"),
        (("judge", "London", "Tokyo", "--measured-ms", "-5"), "INVALID_FIELD measured_ms: found -5"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(arguments: tuple[str, ...], words: str) -> None:
    prose = failed(latency(*arguments))
    assert words in prose
    assert prose.count("\n") == 1


def test_timeout_shows_how_long_to_wait(predictor: Predictor) -> None:
    expected = predictor.timeout("London", "Tokyo", quantile=0.95, src_access="cellular")
    arguments = ("timeout", "London", "Tokyo", "--quantile", "0.95", "--src-access", "cellular")
    lines = latency(*arguments).stdout.splitlines()
    assert lines[0] == "London → Tokyo"
    assert lines[1].split("  ")[-1].strip() == f"{expected.timeout_ms:.1f} ms (95 % answer in time)"
    assert f"{expected.p50_ms:.1f} ms" in lines[2]
    found = json.loads(latency(*arguments, "--json").stdout)
    assert found.pop("model")["name"] == "latency"
    assert found == expected.to_dict()


@pytest.mark.parametrize(("measured", "verdict"), [("30", "impossible"), ("240", "plausible"), ("2000", "slow")])
def test_judge_exits_with_0_whatever_the_verdict(predictor: Predictor, measured: str, verdict: str) -> None:
    result = latency("judge", "London", "Tokyo", "--measured-ms", measured)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith(f"  {measured} ms is {verdict}: ")
    found = json.loads(latency("judge", "London", "Tokyo", "--measured-ms", measured, "--json").stdout)
    del found["model"]
    assert found == predictor.judge("London", "Tokyo", measured_ms=float(measured)).to_dict()
    assert found["verdict"] == verdict


def test_predict_takes_provider_and_tier_of_both_ends(predictor: Predictor) -> None:
    fields = {"src_provider": "gcp", "dst_provider": "gcp", "src_tier": "premium", "dst_tier": "standard"}
    options = [word for name, value in fields.items() for word in ("--" + name.replace("_", "-"), value)]
    found = json.loads(latency("predict", "-33.87,151.21", "-1.29,36.82", *options, "--json").stdout)
    del found["model"]
    assert found == predictor.predict("-33.87,151.21", "-1.29,36.82", **fields).to_dict()


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "-33.87,151.21", "-1.29,36.82"),
        ("rank", "-33.87,151.21", "-1.29,36.82"),
        ("timeout", "-33.87,151.21", "-1.29,36.82"),
        ("judge", "-33.87,151.21", "-1.29,36.82", "--measured-ms", "200"),
        ("judge", "--measured-ms", "200", "--", "-33.87,151.21", "-.5,-36.82"),
    ],
)
def test_coordinates_may_begin_with_a_minus_sign(arguments: tuple[str, ...]) -> None:
    result = latency(*arguments)
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("predict", "London", "Tokyo", "--src-acces", "wifi"),
            "No such option: --src-acces. Did you mean --src-access",
        ),
        (("rank", "London", "Paris", "--budget", "5"), "No such option: --budget. Did you mean --budget-ms?"),
        (("rank", "London", "Paris", "-x"), "No such option: -x"),
        (("judge", "London", "Tokyo"), "Missing option '--measured-ms'"),
        (("rank", "London", "--regions", "oracle"), "'oracle' is not one of 'aws', 'azure', 'gcp'"),
        (("model", "verify", "--sha256", "abc"), "64 hex digits"),
    ],
)
def test_a_mistake_of_usage_exits_with_2(arguments: tuple[str, ...], words: str) -> None:
    # The box around a mistake breaks lines.
    assert words in " ".join(failed(latency(*arguments), code=2).replace("│", " ").split())


def test_model_verify_says_what_was_checked(predictor: Predictor) -> None:
    info = predictor.model_info
    result = latency("model", "verify", "--sha256", info["sha256"].upper())
    assert result.exit_code == 0
    assert f"latency {info['version']}, {info['bytes']:,} bytes: good" in result.stdout
    assert "16 answered as the file says" in result.stdout
    assert "as expected" in result.stdout
    assert "compared with nothing" in latency("model", "verify").stdout
    found = json.loads(latency("model", "verify", "--sha256", info["sha256"], "--json").stdout)
    assert (found["sha256"], found["golden_rows"], found["sha256_compared"]) == (info["sha256"], 16, True)


def test_model_verify_refuses_another_file_and_a_changed_one(tmp_path: Path, radio_model: bytes) -> None:
    path = tmp_path / "radio.onnx"
    path.write_bytes(radio_model)
    assert latency("model", "verify", "--model", path).exit_code == 0
    prose = failed(latency("model", "verify", "--model", path, "--sha256", "a" * 64))
    assert prose.startswith(f"SHA256_MISMATCH {path}: found the SHA-256 ")
    path.write_bytes(radio_model[: len(radio_model) // 2])
    assert failed(latency("model", "verify", "--model", path)).startswith("INVALID_MODEL ")


def test_a_model_without_places_answers_no_question(tmp_path: Path, radio_model: bytes) -> None:
    path = tmp_path / "radio.onnx"
    path.write_bytes(radio_model)
    for arguments in (("rank", "London", "Paris"), ("judge", "London", "Paris", "--measured-ms", "5")):
        assert failed(latency(*arguments, "--model", path)).startswith("UNSUPPORTED ")


def test_the_program_tells_its_version() -> None:
    done = program("--version")
    assert (done.returncode, done.stdout) == (0, f"latency {__version__}\n")


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("rank", "latency rank -33.87,151.21 --src-access wifi --regions aws --top 5"),
        ("timeout", "latency timeout London Tokyo --quantile 0.95"),
        ("judge", "latency judge London Tokyo --measured-ms 30"),
    ],
)
def test_help_of_a_question_shows_an_example(command: str, example: str) -> None:
    assert example in " ".join(latency(command, "--help").stdout.split())
