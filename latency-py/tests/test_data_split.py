"""The split: known hashes, both directions together, and no place on both sides."""

import numpy as np
import pandas as pd
import pytest

from latency_predictor.data import split, synthetic


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.make(places=40, seed=3)


def turned(table: pd.DataFrame) -> pd.DataFrame:
    """The same paths in the other direction."""
    names = {"src_lat": "dst_lat", "src_lon": "dst_lon", "dst_lat": "src_lat", "dst_lon": "src_lon"}
    return table.rename(columns=names)


@pytest.mark.parametrize(
    ("lat", "lon", "place", "fold"),
    [
        # The first 8 hex digits of `printf %s PLACE | sha256sum`, modulo 5.
        (51.5074, -0.1278, "51.5,-0.1", 0x3F1F62F6 % 5),
        (-0.04, 32.58, "-0.0,32.6", 0x118C2B31 % 5),
        (1.35, 103.82, "1.4,103.8", 0x23DBF802 % 5),
        (39.04, -77.49, "39.0,-77.5", 0x3667AC35 % 5),
        (35.68, 139.69, "35.7,139.7", 0x44EE892C % 5),
    ],
)
def test_known_places_and_folds(lat: float, lon: float, place: str, fold: int) -> None:
    assert split.places([lat], [lon]).tolist() == [place]
    assert split.fold_of(place) == fold
    assert split.folds(pd.Series([place, "elsewhere", place]))[[0, 2]].tolist() == [fold, fold]


def test_negative_zero_is_its_own_place_as_in_the_definition() -> None:
    assert split.places([-0.04, 0.04, -0.0], [0.0, 0.0, 0.0]).tolist() == ["-0.0,0.0", "0.0,0.0", "-0.0,0.0"]


def test_masks_count_the_ends_in_the_fold() -> None:
    # Folds 3, 4 and 2 as above: London, Singapore, Ashburn.
    london, singapore, ashburn = (51.5074, -0.1278), (1.35, 103.82), (39.04, -77.49)
    ends = [
        (london, singapore),
        (singapore, london),
        (london, london),
        (singapore, ashburn),
        (ashburn, london),
    ]
    table = pd.DataFrame([(*src, *dst) for src, dst in ends], columns=["src_lat", "src_lon", "dst_lat", "dst_lon"])
    masks = split.by_place(table, 3)
    assert masks.c2.tolist() == [True, True, False, False, True]
    assert masks.c3.tolist() == [False, False, True, False, False]
    assert masks.train.tolist() == [False, False, False, True, False]


def test_every_row_is_in_one_part_and_every_end_is_tested_once(table: pd.DataFrame) -> None:
    ends_tested = np.zeros(len(table), dtype=int)
    for fold in range(split.FOLDS):
        masks = split.by_place(table, fold)
        assert (masks.train.astype(int) + masks.c2 + masks.c3 == 1).all()
        assert masks.train.any()
        assert masks.c2.any()
        assert masks.c3.any()
        ends_tested += masks.c2 + 2 * masks.c3.astype(int)
    assert (ends_tested == 2).all()


def test_no_test_place_is_seen_in_training(table: pd.DataFrame) -> None:
    src, dst = (
        split.places(table["src_lat"], table["src_lon"]),
        split.places(table["dst_lat"], table["dst_lon"]),
    )
    for fold in range(split.FOLDS):
        masks = split.by_place(table, fold)
        seen = set(src[masks.train]) | set(dst[masks.train])
        new = src.isin(seen).to_numpy().astype(int) + dst.isin(seen)
        assert (new[masks.c2] <= 1).all()
        assert (new[masks.c3] == 0).all()


def test_both_directions_fall_together(table: pd.DataFrame) -> None:
    for fold in range(split.FOLDS):
        there, back = split.by_place(table, fold), split.by_place(turned(table), fold)
        assert (there.train == back.train).all()
        assert (there.c2 == back.c2).all()
        assert (there.c3 == back.c3).all()
        assert (split.by_pair(table, fold).c1 == split.by_pair(turned(table), fold).c1).all()


def test_c1_rows_are_new_pairs_of_known_places(table: pd.DataFrame) -> None:
    src, dst = (
        split.places(table["src_lat"], table["src_lon"]),
        split.places(table["dst_lat"], table["dst_lon"]),
    )
    pairs = pd.Series([frozenset(ends) for ends in zip(src, dst, strict=True)])
    tested = np.zeros(len(table), dtype=int)
    for fold in range(split.FOLDS):
        masks = split.by_pair(table, fold)
        seen = set(src[masks.train]) | set(dst[masks.train])
        assert src[masks.c1].isin(seen).all()
        assert dst[masks.c1].isin(seen).all()
        assert not set(pairs[masks.c1]) & set(pairs[masks.train])
        tested += masks.c1
    assert (tested == 1).all()


def test_c1_leaves_out_pairs_with_a_place_seen_nowhere_else() -> None:
    table = pd.DataFrame([(51.5, -0.1, 1.4, 103.8)], columns=["src_lat", "src_lon", "dst_lat", "dst_lon"])
    for fold in range(split.FOLDS):
        assert not split.by_pair(table, fold).c1.any()


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_out_of_range_is_refused(table: pd.DataFrame, fold: int) -> None:
    with pytest.raises(ValueError, match=f"found {fold}; allowed 0 to 4"):
        split.by_place(table, fold)
    with pytest.raises(ValueError, match=f"found {fold}; allowed 0 to 4"):
        split.by_pair(table, fold)
