"""The counts that the provenance of the real sets states. Runs only with a mirror (LATENCY_DATA_MIRROR)."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from latency_predictor.data import split
from latency_predictor.data import table as tidy_table
from latency_predictor.data.command import prepare
from latency_predictor.data.convert import Converted
from latency_predictor.data.geo import floor_ms

Sets = dict[str, Converted]


def dropped(result: Converted) -> dict[str, int]:
    return {entry.reason: entry.rows for entry in result.dropped}


@pytest.fixture(scope="module")
def table(real: Sets) -> pd.DataFrame:
    return tidy_table.concatenate(result.table for result in real.values())


def test_wondernetwork_counts(real: Sets) -> None:
    result = real["wondernetwork"]
    assert result.rows_in == 62_104
    assert dropped(result) == {
        "a server to itself": 245,
        "an end is not in the server list": 1_972,
        "an end is mislocated (servers 204 and 220)": 975,
        "below light in fibre": 13,
    }
    assert len(result.table) == 58_899
    servers = result.table[["src_name", "src_lat", "src_lon"]].drop_duplicates()
    assert len(servers) == 244  # 246 less the two mislocated
    assert not result.table[["src_country", "dst_country"]].isna().any(axis=None)


def test_skyplane_counts(real: Sets) -> None:
    result = real["skyplane"]
    assert (result.rows_in, len(result.table)) == (8_010, 6_966)
    assert dropped(result) == {
        "source gcp, below light in fibre": 257,
        "source gcp, pings differ by more than 5 ms": 787,
    }
    kept = result.table["src_provider"].value_counts().to_dict()
    assert (kept["aws"], kept["azure"]) == (1_869, 1_869)
    assert result.table["src_name"].nunique() == 69


def test_poki_counts(real: Sets) -> None:
    result = real["poki"]
    assert result.rows_in == 50_790
    assert result.rows_in - dropped(result)["an end is neither a country nor a US state"] == 15_634
    assert dropped(result)["RTT of 0 ms"] == 7
    assert dropped(result)["both ends in the same country or state"] == 218
    assert len(result.table) == 15_409


def test_poki_noise_between_directions_is_seven_ms(real: Sets) -> None:
    table = real["poki"].table.set_index(["src_name", "dst_name"])["rtt_ms"]
    back = table.swaplevel().reindex(table.index)
    assert (table - back).abs().median() == pytest.approx(7, abs=1)


def test_ripe_counts(real: Sets) -> None:
    result = real["ripe"]
    assert (result.rows_in, len(result.table), result.dropped) == (4_073, 4_073, [])
    kinds = result.table["src_access"].value_counts(dropna=False)
    assert kinds[["starlink", "cellular", "wifi", "wired"]].tolist() == [1_223, 754, 401, 385]
    assert result.table["src_access"].isna().sum() == 1_310
    assert result.table["rtt_p95_ms"].isna().sum() == (result.table["n"] == 1).sum() == 3_601


def test_inflation_over_the_floor_is_as_published(real: Sets) -> None:
    def inflation(name: str) -> float:
        table = real[name].table
        floor = floor_ms(table)
        return float(np.median(table["rtt_ms"][floor > 0] / floor[floor > 0]))

    assert inflation("wondernetwork") == pytest.approx(2.1, abs=0.1)
    assert inflation("poki") == pytest.approx(4.1, abs=0.2)


def test_the_split_of_the_whole_table_does_not_leak(table: pd.DataFrame) -> None:
    src, dst = (
        split.places(table["src_lat"], table["src_lon"]),
        split.places(table["dst_lat"], table["dst_lon"]),
    )
    everywhere = set(src) | set(dst)
    tested = 0
    for fold in range(split.FOLDS):
        masks = split.by_place(table, fold)
        inside = {place for place in everywhere if split.fold_of(place) == fold}
        assert not inside & (set(src[masks.train]) | set(dst[masks.train]))
        assert (src.isin(inside).to_numpy() & dst.isin(inside).to_numpy() == masks.c3).all()
        assert (src.isin(inside).to_numpy() ^ dst.isin(inside).to_numpy() == masks.c2).all()
        tested += int(masks.c2.sum()) + 2 * int(masks.c3.sum())
        # With folds drawn by hash, about 32 % of rows have one end in a fold and 4 % both.
        assert 0.2 < masks.c2.mean() < 0.45
        assert 0.01 < masks.c3.mean() < 0.10
    assert tested == 2 * len(table)


def test_prepare_over_the_mirror_makes_the_same_table(mirror: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    report = prepare(mirror, tmp_path / "cache", tmp_path / "table.parquet", None, Console(file=io.StringIO()))
    assert report.rows == len(table) == 85_347
    pd.testing.assert_frame_equal(tidy_table.read(report.out), table)
