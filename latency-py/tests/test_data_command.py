"""`prepare`, the whole of `latency data`, over a mirror of a few hand-typed rows."""

import hashlib
import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from latency_predictor.data import table as tidy_table
from latency_predictor.data.command import Report, prepare
from latency_predictor.data.errors import DataError
from latency_predictor.data.sources import data_dir

POKI = "from_country,from_region,to_country,to_region,latency_ms_p50\nNA,,US,US-CA,310\nPG,,SY,,0\nDE,,FR,,45\n"
RIPE = (
    "src_id,dst_id,access_tech,src_country,src_lat,src_lon,dst_provider,dst_country,dst_lat,dst_lon,n,"
    "rtt_min_ms,rtt_p50_ms,rtt_p95_ms\n"
    "probe:0,aws:af-south-1,wifi,NL,52.35,4.93,aws,ZA,-33.92,18.42,28,153.5,154.25,190.5\n"
)
ENTRY = """
[[source]]
name = "{name}"
title = "The {name} set"
measured = "2026"
licence = "ISC"
attribution = "The people of {name}"
redistribute = true
[[source.file]]
role = "{role}"
path = "{name}.csv"
{url}
bytes = {bytes}
sha256 = "{sha256}"
"""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with two small sets, one public and one not, and the sources.toml that describes it."""
    folder, mirror = tmp_path / "data", tmp_path / "mirror"
    shutil.copytree(data_dir() / "tables", folder / "tables")
    mirror.mkdir()
    text = ""
    for name, role, content, url in (
        ("poki", "latencies", POKI, 'url = "http://127.0.0.1:9/poki.csv"'),
        ("ripe", "pairs", RIPE, ""),
    ):
        (mirror / f"{name}.csv").write_text(content, encoding="utf-8")
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        text += ENTRY.format(name=name, role=role, url=url, bytes=len(content), sha256=sha256)
    (folder / "sources.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("LATENCY_DATA_DIR", str(folder))
    monkeypatch.delenv("LATENCY_DATA_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return mirror


def run(mirror: Path | None, tmp_path: Path, sets: list[str] | None = None) -> tuple[Report, str]:
    text = io.StringIO()
    console = Console(file=text, width=200)
    report = prepare(mirror, tmp_path / "cache", tmp_path / "out" / "table.parquet", sets, console)
    return report, text.getvalue()


def test_prepare_writes_one_table_and_tells_what_became_of_every_row(mirror: Path, tmp_path: Path) -> None:
    report, text = run(mirror, tmp_path)
    table = tidy_table.read(report.out)
    assert table["dataset"].tolist() == ["poki", "poki", "ripe"]
    assert table["rtt_ms"].tolist() == [310.0, 45.0, 154.25]
    assert report.rows == 3
    assert report.absent == []
    assert [(entry.source.name, entry.rows_in, entry.rows_kept) for entry in report.sets] == [
        ("poki", 3, 2),
        ("ripe", 1, 1),
    ]
    assert report.sets[0].dropped == {"RTT of 0 ms": 1}
    assert "dropped: RTT of 0 ms" in text
    assert "The people of poki" in text
    assert str(report.out) in text
    assert not (tmp_path / "cache").exists()


def test_the_mirror_can_come_from_the_environment(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENCY_DATA_MIRROR", str(mirror))
    assert run(None, tmp_path)[0].rows == 3


def test_a_set_without_public_address_is_left_out_with_a_notice(mirror: Path, tmp_path: Path) -> None:
    (mirror / "ripe.csv").unlink()
    report, text = run(mirror, tmp_path)
    assert report.absent == ["ripe"]
    assert set(tidy_table.read(report.out)["dataset"]) == {"poki"}
    assert "The ripe set: left out." in text
    assert "byte for byte" in text


def test_a_set_that_is_named_must_be_there(mirror: Path, tmp_path: Path) -> None:
    (mirror / "ripe.csv").unlink()
    with pytest.raises(DataError, match=r"ripe\.csv is missing: expected in the mirror folder"):
        run(mirror, tmp_path, ["ripe"])
    with pytest.raises(DataError, match=r"ripe\.csv has no public address"):
        run(None, tmp_path, ["ripe"])
    assert run(mirror, tmp_path, ["poki"])[0].absent == []


def test_named_sets_come_in_the_order_of_the_list(mirror: Path, tmp_path: Path) -> None:
    report, _ = run(mirror, tmp_path, ["ripe", "poki"])
    assert [entry.source.name for entry in report.sets] == ["poki", "ripe"]


@pytest.mark.parametrize(("sets", "found"), [(["poki", "pigeon"], "found pigeon"), ([], "found none")])
def test_unknown_sets_are_refused(mirror: Path, tmp_path: Path, sets: list[str], found: str) -> None:
    with pytest.raises(DataError, match=f"{found}; allowed are poki, ripe"):
        run(mirror, tmp_path, sets)


def test_a_mirror_that_does_not_exist_is_an_error(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        run(tmp_path / "nowhere", tmp_path)


def test_without_a_mirror_it_downloads_and_a_failure_leaves_no_table(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not download http://127\.0\.0\.1:9/poki\.csv"):
        run(None, tmp_path)
    assert not (tmp_path / "out").exists()


def test_without_a_mirror_a_filled_cache_is_enough(mirror: Path, tmp_path: Path) -> None:
    shutil.copytree(mirror, tmp_path / "cache")
    assert run(None, tmp_path)[0].rows == 3
