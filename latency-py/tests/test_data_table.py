"""The tidy table: form, rules, Parquet; and the synthetic table that keeps them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latency_predictor.data import synthetic
from latency_predictor.data import table as tidy_table
from latency_predictor.data.errors import DataError
from latency_predictor.data.geo import floor_ms

ROW = {"dataset": "mine", "src_lat": 51.5, "src_lon": -0.1, "dst_lat": 48.9, "dst_lon": 2.4, "rtt_ms": 9.0}


def one(**changes: object) -> pd.DataFrame:
    return tidy_table.tidy(pd.DataFrame([{**ROW, **changes}]))


def test_tidy_fills_in_the_columns_that_a_set_lacks() -> None:
    table = tidy_table.validate(one())
    assert list(table.columns) == list(tidy_table.COLUMNS)
    row = table.iloc[0]
    assert (row["src_name"], row["dst_name"], row["weight"], row["rtt_ms"]) == ("", "", 1.0, 9.0)
    assert row[["src_country", "src_access", "dst_tier", "rtt_min_ms", "n"]].isna().all()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dataset", ""),
        ("dataset", None),
        ("src_country", "Germany"),
        ("dst_country", "de"),
        ("src_lat", 91.0),
        ("dst_lon", -180.5),
        ("src_lon", np.nan),
        ("src_access", "missing"),
        ("dst_provider", "ibm"),
        ("src_tier", "PREMIUM"),
        ("rtt_ms", 0.0),
        ("rtt_ms", np.nan),
        ("rtt_ms", np.inf),
        ("rtt_ms", 3.0),  # London to Paris: floor 3.4 ms
        ("rtt_min_ms", 9.5),
        ("rtt_min_ms", -1.0),
        ("rtt_max_ms", 8.0),
        ("rtt_mdev_ms", np.inf),
        ("n", 0.0),
        ("weight", 0.0),
    ],
)
def test_a_broken_rule_names_row_column_and_value(column: str, value: object) -> None:
    good = one()
    table = pd.concat([good, one(**{column: value})], ignore_index=True)
    with pytest.raises(DataError, match=rf"row 1, column {column}: found .*; allowed is .*1 of 2 rows"):
        tidy_table.validate(table)


def test_a_single_ping_is_its_own_minimum_and_maximum() -> None:
    table = tidy_table.validate(one(rtt_min_ms=9.0, rtt_max_ms=9.0, rtt_mdev_ms=0.0, n=1.0))
    assert table["rtt_max_ms"].tolist() == [9.0]


@pytest.mark.parametrize("value", ["server", "wired", "wifi", "cellular", "starlink", "residential"])
def test_every_access_word_is_allowed(value: str) -> None:
    assert tidy_table.validate(one(src_access=value))["src_access"].tolist() == [value]


def test_tables_of_another_form_are_refused() -> None:
    with pytest.raises(DataError, match="lacks dst_lat"):
        tidy_table.tidy(pd.DataFrame([ROW]).drop(columns="dst_lat"))
    with pytest.raises(DataError, match=r"unknown columns.*colour"):
        tidy_table.tidy(pd.DataFrame([{**ROW, "colour": "red"}]))
    with pytest.raises(DataError, match="column rtt_ms cannot be read as float64"):
        one(rtt_ms="fast")
    with pytest.raises(DataError, match="not a tidy table"):
        tidy_table.validate(one().drop(columns="n"))
    with pytest.raises(DataError, match="no set was chosen"):
        tidy_table.concatenate([])


def test_concatenation_keeps_order_and_parquet_keeps_everything(tmp_path: Path) -> None:
    table = tidy_table.concatenate([one(src_access="wifi", n=3), synthetic.make(5), one(dst_name="Paris")])
    assert table["dataset"].tolist() == ["mine", *["synthetic"] * 20, "mine"]
    path = tmp_path / "new" / "table.parquet"
    tidy_table.write(table, path)
    pd.testing.assert_frame_equal(tidy_table.read(path), table)
    assert [entry.name for entry in path.parent.iterdir()] == ["table.parquet"]


def test_the_same_table_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tidy_table.write(synthetic.make(8), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reading_and_writing_fail_in_prose(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist\. Make it with: latency data"):
        tidy_table.read(tmp_path / "absent.parquet")
    (tmp_path / "broken.parquet").write_text("not parquet")
    with pytest.raises(DataError, match="not a readable Parquet table"):
        tidy_table.read(tmp_path / "broken.parquet")
    with pytest.raises(DataError, match="cannot write"):
        tidy_table.write(one(), tmp_path / "broken.parquet" / "below_a_file.parquet")
    with pytest.raises(DataError, match="row 0, column rtt_ms"):
        tidy_table.write(one(rtt_ms=-1.0), tmp_path / "bad.parquet")
    assert not (tmp_path / "bad.parquet").exists()


# --- synthetic ---


def test_synthetic_table_has_all_ordered_pairs_and_says_what_it_is() -> None:
    table = synthetic.make(places=12, seed=1)
    assert len(table) == 12 * 11
    assert set(table["dataset"]) == {"synthetic"}
    assert table["src_name"].str.startswith("synthetic place").all()
    assert not (table["src_name"] == table["dst_name"]).any()
    assert not table.duplicated(["src_name", "dst_name"]).any()


def test_synthetic_table_follows_its_seed() -> None:
    pd.testing.assert_frame_equal(synthetic.make(10, seed=4), synthetic.make(10, seed=4))
    assert (synthetic.make(10, seed=4)["rtt_ms"] != synthetic.make(10, seed=5)["rtt_ms"]).all()


def test_synthetic_rtts_are_plausible() -> None:
    table = synthetic.make(places=80, seed=2)
    floor = floor_ms(table)
    assert (table["rtt_min_ms"] > floor).all()
    servers = (table["src_access"] == "server") & (table["dst_access"] == "server")
    far = floor > 10
    # The real server pairs: 2.1 times the floor in the median.
    assert 1.7 < np.median((table["rtt_ms"] / floor)[servers & far]) < 2.5
    extra = table["rtt_min_ms"] - 1.1 * floor
    assert extra[table["src_access"] == "starlink"].min() >= 40
    assert set(table["src_provider"].dropna()) == {"aws", "azure", "gcp", "other"}
    assert (table.loc[table["src_tier"].notna(), "src_provider"] == "gcp").all()
    assert table.loc[table["src_access"] != "server", "src_provider"].isna().all()


def test_synthetic_table_needs_two_places() -> None:
    assert len(synthetic.make(2)) == 2
    with pytest.raises(DataError, match="found 1"):
        synthetic.make(1)


def run_synthetic(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "latency_predictor.data.synthetic", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_synthetic_entry_writes_the_table(tmp_path: Path) -> None:
    out = tmp_path / "synthetic.parquet"
    done = run_synthetic(str(out), "--places", "6", "--seed", "9")
    assert done.returncode == 0, done.stderr
    assert "30 synthetic rows" in done.stdout
    pd.testing.assert_frame_equal(tidy_table.read(out), synthetic.make(6, seed=9))


def test_synthetic_entry_fails_in_prose(tmp_path: Path) -> None:
    done = run_synthetic(str(tmp_path / "x.parquet"), "--places", "1")
    assert done.returncode == 1
    assert done.stderr == "places: found 1; at least 2 are needed to make a pair.\n"
