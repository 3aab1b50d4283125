"""One split for all figures: by place, so that both directions of a pair fall together.

C2: one end is in a place that training never saw. C3: both ends are. C1: both places are known and only the
pair is new; it flatters, and exists for contrast.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FOLDS = 5

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EndSplit:
    """Row masks of one fold of ends: training rows have no end in it, C2 rows one, C3 rows both."""

    train: Mask
    c2: Mask
    c3: Mask


@dataclass(frozen=True)
class PairSplit:
    """Row masks of one fold by pair of places: disjoint, but rows with an unseen end are in neither."""

    train: Mask
    c1: Mask


def places(lat: npt.ArrayLike, lon: npt.ArrayLike) -> pd.Series:
    """The place of each point in degrees, `"{lat:.1f},{lon:.1f}"` as Python writes it: -0.04 gives "-0.0"."""
    points = zip(np.asarray(lat, dtype=np.float64).tolist(), np.asarray(lon, dtype=np.float64).tolist(), strict=True)
    return pd.Series([f"{a:.1f},{b:.1f}" for a, b in points], dtype=object)


def fold_of(key: str) -> int:
    """The fold 0..4 of one key: the first 8 hex digits of its SHA-256, modulo 5."""
    return _hash(key) % FOLDS


def fraction_of(key: str) -> float:
    """A number from 0 to 1 that looks random and is always the same for a key."""
    return _hash(key) / 2**32


def _hash(key: str) -> int:
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)


def folds(keys: pd.Series) -> npt.NDArray[np.int8]:
    """The fold of every key, hashing each distinct key once."""
    codes, distinct = pd.factorize(keys)
    by_code = np.fromiter((fold_of(key) for key in distinct), dtype=np.int8, count=len(distinct))
    fold: npt.NDArray[np.int8] = by_code[codes]
    return fold


def _ends(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return places(table["src_lat"], table["src_lon"]), places(table["dst_lat"], table["dst_lon"])


def by_place(table: pd.DataFrame, fold: int) -> EndSplit:
    """Holds out the places of a fold."""
    return _by_end(*_ends(table), fold)


def by_country(table: pd.DataFrame, fold: int) -> EndSplit:
    """Holds out whole countries; an end without a country stands for itself."""
    src, dst = (
        table[f"{end}_country"].astype(object).reset_index(drop=True).fillna(places)
        for end, places in zip(("src", "dst"), _ends(table), strict=True)
    )
    return _by_end(src, dst, fold)


def _by_end(src: pd.Series, dst: pd.Series, fold: int) -> EndSplit:
    _check(fold)
    inside = (folds(src) == fold).astype(np.int8) + (folds(dst) == fold).astype(np.int8)
    return EndSplit(train=inside == 0, c2=inside == 1, c3=inside == 2)


def by_pair(table: pd.DataFrame, fold: int) -> PairSplit:
    """C1 rows are pairs of places in `fold`, either direction; both places occur in training rows."""
    _check(fold)
    src, dst = _ends(table)
    pair = pd.Series(np.where(src <= dst, src + "|" + dst, dst + "|" + src), dtype=object)
    held_out = folds(pair) == fold
    seen = set(src[~held_out]) | set(dst[~held_out])
    known = src.isin(seen).to_numpy() & dst.isin(seen).to_numpy()
    return PairSplit(train=~held_out, c1=held_out & known)


def _check(fold: int) -> None:
    if not 0 <= fold < FOLDS:
        raise ValueError(f"fold: found {fold}; allowed 0 to {FOLDS - 1}")
