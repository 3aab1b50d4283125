"""The nested search: it can be stopped and taken up again, and never sees the fold that it is for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from latency_predictor.data import split, synthetic
from latency_predictor.training import boosters, recipes, tuning

TINY = boosters.Recipe(
    outputs=tuple(
        boosters.Output(name, quantile, 8) for name, quantile in (("low_ms", 0.05), ("p50_ms", 0.5), ("high_ms", 0.95))
    )
)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A made-up table, and a search of few and small trees."""
    monkeypatch.setattr(tuning, "UNTUNED", TINY)
    monkeypatch.setitem(tuning.SPACE, "rounds", tuning.IntDistribution(4, 8))
    return synthetic.make(places=40, seed=5)


def test_a_search_goes_on_where_it_was_stopped(table: pd.DataFrame, tmp_path: Path) -> None:
    shown: list[Any] = []
    storage = tmp_path / "cache" / "search.journal"
    first = tuning.tune(table, storage, trials=1, show=lambda *line: shown.append(line))
    assert len(shown) == 6
    # The first trial is the recipe as it was.
    for search in first["searches"].values():
        assert search["settings"] == recipes.settings_of(TINY)
        assert search["score"] == search["untuned_score"]
    resumed = tuning.tune(table, storage, trials=3, show=lambda *line: shown.append(line))
    assert len(shown) == 6 * 3
    assert all(search["score"] <= search["untuned_score"] for search in resumed["searches"].values())
    again = tuning.tune(table, storage, trials=3, show=lambda *line: pytest.fail(f"{line} was done"))
    assert again == resumed
    assert resumed == tuning.tune(table, tmp_path / "in one go.journal", trials=3)


def test_a_search_for_a_fold_never_sees_its_places(table: pd.DataFrame, tmp_path: Path) -> None:
    """Other answers at the places of a fold change the scores of every search but its own."""
    touches = ~split.by_place(table, 1).train
    spoilt = table.assign(rtt_ms=table["rtt_ms"] * np.where(touches, 7.0, 1.0))
    before, after = (
        tuning.tune(rows, tmp_path / f"{name}.journal", trials=1)["searches"]
        for name, rows in (("as it is", table), ("spoilt", spoilt))
    )
    changed = {name for name in before if before[name]["score"] != after[name]["score"]}
    assert changed == set(before) - {recipes.search_name(1)}


def test_the_recipes_that_ship_come_from_their_searches() -> None:
    found = json.loads(recipes.TUNED.read_text())
    assert set(found["searches"]) == {recipes.search_name(fold) for fold in (*range(split.FOLDS), None)}
    for fold, recipe in enumerate(recipes.FOLDS):
        assert recipes.settings_of(recipe) == found["searches"][recipes.search_name(fold)]["settings"]
    assert recipes.settings_of(recipes.BUNDLED) == found["searches"][recipes.EVERYTHING]["settings"]
    assert set(tuning.SPACE) == set(recipes.SETTINGS)


def test_settings_are_those_of_the_median() -> None:
    changed = recipes.with_settings(TINY, {"rounds": 99, "eta": 0.3, "max_depth": 3})
    assert [output.rounds for output in changed.outputs] == [8, 99, 8]
    assert [output.max_depth for output in changed.outputs] == [6, 3, 6]
