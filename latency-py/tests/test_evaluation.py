"""How a model is judged: splits, baselines, metrics, intervals, on a made-up table and on values checked by hand."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import row, typed
from latency_predictor import Predictor
from latency_predictor.data import split, synthetic
from latency_predictor.data.geo import floor_ms
from latency_predictor.evaluation import (
    baselines,
    bootstrap,
    card,
    evaluate,
    features,
    figures,
    held_out,
    metrics,
    selection,
    smoothness,
    strata,
    studies,
)
from latency_predictor.evaluation.held_out import MODEL, QUICK
from latency_predictor.training import paths, recipes

ONES = np.ones(4)
SMALL = replace(
    recipes.BUNDLED,
    outputs=tuple(
        replace(output, rounds=rounds, eta=0.15)
        for output, rounds in zip(recipes.BUNDLED.outputs, (40, 80, 40), strict=True)
    ),
)
"""Fewer trees than the bundled model's: its way of judging is what is tested."""


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two made-up sets over the same places."""
    both = synthetic.make(places=45, seed=4)
    return both.assign(dataset=np.where(np.arange(len(both)) % 3 == 0, "third", "rest"))


@pytest.fixture(scope="module")
def predictor(table: pd.DataFrame) -> Predictor:
    """A model trained on all of it."""
    fitted = paths.fit_paths(table, SMALL)
    return Predictor(fitted.with_provenance(paths.provenance(table, "the command", {})).to_bytes())


@pytest.fixture(scope="module")
def judged(table: pd.DataFrame, predictor: Predictor) -> tuple[dict[str, Any], pd.DataFrame]:
    """Every figure, and the predictions behind them."""
    return evaluate.evaluate(table, predictor, SMALL, [SMALL] * split.FOLDS)


# The protocol


def test_the_evaluation_counts_each_held_out_row(
    judged: tuple[dict[str, Any], pd.DataFrame], table: pd.DataFrame
) -> None:
    result, rows = judged
    masks = [split.by_place(table, fold) for fold in range(split.FOLDS)]
    counts = {"C2": sum(int(held.c2.sum()) for held in masks), "C3": sum(int(held.c3.sum()) for held in masks)}
    assert rows["case"].value_counts().to_dict() == counts
    found = result["accuracy"]["places"]
    assert sum(cases["C2"]["rows"] for cases in found.values()) == counts["C2"]
    interval = result["interval"]
    assert interval["all"]["rows"] == len(rows)
    for groups in interval["by"].values():
        assert sum(group["rows"] for group in groups.values()) == len(rows)


def test_every_split_is_judged_and_sets_are_predicted_from_the_others(
    judged: tuple[dict[str, Any], pd.DataFrame], table: pd.DataFrame
) -> None:
    accuracy = judged[0]["accuracy"]
    assert set(accuracy) == {"places", "pairs", "countries", "sets"}
    assert set(accuracy["pairs"]["rest"]) == {"C1"}
    sizes = {name: cases[held_out.FROM_OTHERS]["rows"] for name, cases in accuracy["sets"].items()}
    whole = {name: rows for name, rows in sizes.items() if " " not in name}
    assert whole == table["dataset"].value_counts().to_dict()
    # Once more per access kind.
    assert sum(sizes.values()) == 2 * sum(whole.values())


def test_the_model_beats_a_constant_and_the_floor_rule(judged: tuple[dict[str, Any], pd.DataFrame]) -> None:
    methods = judged[0]["accuracy"]["places"]["rest"]["C2"]["methods"]
    error = {name: found["median_relative_error"] for name, found in methods.items()}
    assert set(error) == {MODEL, QUICK, *baselines.RULES}
    assert error[MODEL] < 0.6 * error["constant"]
    assert error[MODEL] < error["2.1 × floor"]


def test_the_interval_covers_unseen_places(judged: tuple[dict[str, Any], pd.DataFrame]) -> None:
    interval = judged[0]["interval"]
    assert 0.86 < interval["all"]["coverage"] < 0.95
    found = interval["all"]
    assert found["coverage"] + found["below"] + found["above"] == pytest.approx(1)
    worst = interval["worst"]
    large = [
        group["coverage"] for groups in interval["by"].values() for group in groups.values() if group["rows"] >= 500
    ]
    assert worst["coverage"] == min(large) == interval["by"][worst["by"]][worst["stratum"]]["coverage"]


def test_the_bootstrap_interval_holds_the_point_estimate(judged: tuple[dict[str, Any], pd.DataFrame]) -> None:
    for cases in judged[0]["accuracy"]["places"].values():
        for entry in cases.values():
            for name, (low, high) in entry["intervals"].items():
                assert low < entry["methods"][MODEL][name] < high, name


def test_offsets_of_a_fold_never_see_its_places(table: pd.DataFrame) -> None:
    """Other answers at the places of a fold change the offsets of the other folds only."""
    touches = ~split.by_place(table, 2).train
    spoilt = table.assign(rtt_ms=table["rtt_ms"] * np.where(touches, 7.0, 1.0))
    before, after = (held_out.nested_offsets(rows, [SMALL] * split.FOLDS) for rows in (table, spoilt))
    assert before[2] == after[2]
    assert all(before[fold] != after[fold] for fold in (0, 1, 3, 4))


def test_hidden_labels_cost(judged: tuple[dict[str, Any], pd.DataFrame]) -> None:
    found = judged[0]["hidden_labels"]["rest"]["C2"]
    assert found["nothing known"]["median_relative_error"] > found["all labels"]["median_relative_error"]
    assert set(found) == {"all labels", *held_out.HIDDEN}


def test_a_set_with_labels_of_its_own_is_asked_as_unknown() -> None:
    """A model that never saw Wi-Fi cannot know what it means: it is asked what it says without the label."""
    rows = typed(row(dataset="a"), row(dataset="b", src_access="wifi"), row(dataset="b", src_access="server"))
    shown = held_out.known_labels(rows[rows["dataset"] == "a"], rows[rows["dataset"] == "b"])
    assert shown["src_access"].isna().tolist() == [True, False]
    assert shown["dst_access"].tolist() == ["server", "server"]


def test_figures_are_json_and_the_card_shows_them(
    judged: tuple[dict[str, Any], pd.DataFrame], predictor: Predictor
) -> None:
    result = judged[0]
    json.dumps(result, allow_nan=False)
    text = card.write_card(predictor, result, "pictures")
    entry = result["accuracy"]["places"]["third"]["C3"]
    assert f"**{entry['methods'][MODEL]['median_relative_error']:.1%}**" in text
    everything = result["interval"]["all"]
    assert f"| all | {everything['rows']:,} | {everything['coverage']:.1%} |" in text
    assert predictor.model_info["version"] in text
    assert "![" not in card.write_card(predictor, result)


def test_pictures_are_the_same_for_the_same_figures(
    judged: tuple[dict[str, Any], pd.DataFrame], predictor: Predictor
) -> None:
    first, second = (figures.draw(predictor, *judged) for _ in range(2))
    assert first == second
    assert all(len(content) < 150_000 for content in first.values())
    assert b"third" in first["baselines.svg"]


# Features and studies


def test_each_feature_belongs_to_a_group(predictor: Predictor) -> None:
    schema = predictor.schema
    grouped = features.groups(schema)
    assert sorted(column for columns in grouped.values() for column in columns) == list(range(len(schema["features"])))


def test_a_schema_without_a_group_still_points_at_its_base(predictor: Predictor) -> None:
    schema = predictor.schema

    def base_without(group: str) -> str | None:
        without = features.without(schema, group)
        base = without["target"].get("base")
        return base and without["features"][base["feature"]]["kind"]

    assert base_without("distance") == "path_ms"
    assert base_without(features.LAST_MILE) == "cable_ms"
    assert base_without(features.CABLES) is None


def test_shuffling_what_matters_hurts(judged: tuple[dict[str, Any], pd.DataFrame]) -> None:
    found = judged[0]["importance"]
    assert max(found, key=lambda group: found[group]) == features.LAST_MILE
    assert abs(found["tier"]) < 0.1 * found[features.LAST_MILE]


def test_studies_train_again_without_features_and_with_fewer_places(table: pd.DataFrame) -> None:
    tiny = replace(SMALL, outputs=tuple(replace(output, rounds=15) for output in SMALL.outputs))
    curve = studies.learning_curve(table, tiny, shares=(0.5, 1.0))
    errors = [curve[share]["rest"]["C2"]["mean_log_error"] for share in ("0.5", "1")]
    assert errors[0] > errors[1]


def test_place_effects_are_found_and_taken_away() -> None:
    random = np.random.default_rng(2)
    effect = dict(enumerate(random.normal(0, 0.3, 60)))
    ends = [(a, b) for a in effect for b in effect if a < b]
    frame = pd.DataFrame(ends, columns=["src", "dst"]).assign(dataset="typed", fold="0", predicted=100.0)
    frame["actual"] = 100 * np.exp(frame["src"].map(effect) + frame["dst"].map(effect))
    found = studies.noise_ceiling(frame, "predicted")["typed"]
    assert found["median_relative_error"] > 0.1
    # Shrinkage leaves a little.
    assert found["with_place_effects"] < 0.1 * found["median_relative_error"]
    # Noise that belongs to no place stays.
    frame["actual"] = 100 * np.exp(random.normal(0, 0.3, len(frame)))
    found = studies.noise_ceiling(frame, "predicted")["typed"]
    assert found["with_place_effects"] > 0.8 * found["median_relative_error"]


# Choosing a server


def chances(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"client": "c", "actual": np.arange(10.0, 20.0), "distance_km": np.arange(10.0)})
    return frame.assign(**columns)


def test_the_best_of_ten_is_found_or_missed() -> None:
    right, wrong = np.arange(10.0), -np.arange(10.0)
    found = selection.best_of_ten(chances(right=right, wrong=wrong), ["right", "wrong"])["methods"]
    assert found["right"] == {
        "top_1": 1.0, "within_5_ms": 1.0, "top_3": 1.0, "mean_stretch": 1.0,
        "mean_penalty_ms": 0.0, "p90_penalty_ms": 0.0,
    }  # fmt: skip
    assert found["wrong"]["mean_penalty_ms"] == pytest.approx(9.0)
    assert found["wrong"]["mean_stretch"] == pytest.approx(1.9)
    assert found["wrong"]["top_3"] == 0.0
    assert found[selection.NEAREST] == found["right"]


def test_fewer_than_ten_servers_are_no_choice() -> None:
    assert selection.best_of_ten(chances().head(9), []) == {}


def test_the_client_is_the_end_that_training_never_saw() -> None:
    rows = pd.DataFrame(
        {
            "dataset": "typed", "fold": "0", "case": ["C2", "C2", "C3"], "src": ["new", "old", "new"],
            "dst": ["old", "new", "other"], "actual": [10.0, 20.0, 5.0], "distance_km": 1.0,
        }
    )  # fmt: skip
    found = selection.with_client(rows, [{"old"}])
    assert found[["client", "server", "actual"]].to_numpy().tolist() == [["new", "old", 15.0]]


# Smoothness


def test_rays_are_great_circles_and_falls_are_counted(predictor: Predictor) -> None:
    start = np.array([[0.0, 179.0], [51.5, 0.0]])
    lat, lon = smoothness._along(start, np.array([np.pi / 2, 0.0]), np.array([222.39, 4281.0]))
    assert lat[0] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert lon[0][0] == pytest.approx(-179.0, abs=0.01)
    assert lat[1][1] == pytest.approx(90.0, abs=0.01)
    found = smoothness.falls(predictor, pd.DataFrame({"lat": [10.0], "lon": [20.0]}))
    assert found["below_the_floor"] == found["crossings"] == 0.0
    assert 0 < found["falls_above_5_percent"] <= found["falls"] < 0.5


# Strata


def test_strata_of_typed_rows() -> None:
    rows = typed(
        row(src_lat=51.5, src_lon=-0.1, dst_lat=35.7, dst_lon=139.7, src_access="wifi"),
        row(src_lat=48.9, src_lon=2.3, dst_lat=50.1, dst_lon=8.7, src_access=None),
    )
    found = strata.describe(rows)
    assert found["continents"].tolist() == ["AS–EU", "EU–EU"]
    assert found["access"].tolist() == ["wifi", "unknown"]
    assert found["distance"].tolist() == ["above 8,000 km", "300 to 1,000 km"]
    assert strata.distance_bins()[0] == "below 300 km"


# Metrics, bootstrap and baselines, on values that can be checked by hand

ACTUAL = np.array([10.0, 20.0, 40.0, 100.0])
PREDICTED = np.array([11.0, 26.0, 40.0, 120.0])  # relative errors 0.1, 0.3, 0, 0.2


def test_metrics_on_typed_values() -> None:
    assert metrics.median_relative_error(ACTUAL, PREDICTED, ONES) == pytest.approx(0.1)
    assert metrics.p90_relative_error(ACTUAL, PREDICTED, ONES) == pytest.approx(0.3)
    assert metrics.within_20_percent(ACTUAL, PREDICTED, ONES) == 0.75
    # Relative to what was measured, not to what was predicted.
    assert metrics.within_20_percent(np.array([10.0]), np.array([12.4]), np.ones(1)) == 0.0
    assert metrics.mean_absolute_error(ACTUAL, PREDICTED, ONES) == pytest.approx((1 + 6 + 0 + 20) / 4)
    variance = np.array([-32.5, -22.5, -2.5, 57.5]) @ [-32.5, -22.5, -2.5, 57.5]
    assert metrics.r_squared(ACTUAL, PREDICTED, ONES) == pytest.approx(1 - (1 + 36 + 400) / variance)
    assert metrics.mean_log_error(np.array([1.0, 1.0]), np.exp([0.5, -0.1]), np.ones(2)) == pytest.approx(0.3)


def test_metrics_count_weights() -> None:
    weight = np.array([0.0, 1.0, 0.0, 0.0])
    assert metrics.median_relative_error(ACTUAL, PREDICTED, weight) == pytest.approx(0.3)
    assert metrics.within_20_percent(ACTUAL, PREDICTED, weight) == 0.0
    assert metrics.mean_absolute_error(ACTUAL, PREDICTED, weight) == 6.0


def test_the_mean_explains_nothing() -> None:
    assert metrics.r_squared(ACTUAL, np.full(4, ACTUAL.mean()), ONES) == 0.0
    assert metrics.r_squared(ACTUAL, ACTUAL, ONES) == 1.0


def test_coverage_counts_both_ends() -> None:
    low, high = np.array([10.0, 21.0, 1.0, 1.0]), np.array([10.0, 30.0, 39.0, 100.0])
    assert metrics.coverage(ACTUAL, low, high) == 0.5
    assert metrics.width_ratio(np.array([1.0, 2.0, 4.0]), np.array([2.0, 6.0, 40.0])) == 3.0


def test_pinball_charges_the_quantile_for_rows_above_it() -> None:
    loss = metrics.pinball(np.array([np.e, 1 / np.e]), np.ones(2), 0.95)
    assert loss == pytest.approx((0.95 + 0.05) / 2)


def test_the_bootstrap_draws_places() -> None:
    """One place holds every row: all of them or none are drawn, and the figure cannot move."""
    fold = pd.DataFrame({"src": ["a"] * 6, "dst": list("bcdefg")})
    errors = np.arange(6.0)
    found = bootstrap.interval([fold], [lambda weight: float(np.average(errors, weights=weight))])
    assert found[0] < errors.mean() < found[1]
    same = bootstrap.interval([fold], [lambda weight: 1.0])
    assert same == [1.0, 1.0]


def test_baselines_on_typed_rows() -> None:
    # Along the equator a degree is 1/180 of half the Earth's circumference.
    rows = typed(*[row(src_lat=0, dst_lat=0, src_lon=0, dst_lon=lon, rtt_ms=5.0 + lon) for lon in (10.0, 20.0, 60.0)])
    assert baselines.constant(rows, rows.head(2)).tolist() == [25.0, 25.0]
    assert baselines.floor_rule(rows, rows) == pytest.approx(2.1 * floor_ms(rows))
    assert baselines.line(rows, rows) == pytest.approx([15.0, 25.0, 65.0], abs=0.01)


def test_the_ratio_by_continents_is_that_of_the_same_two() -> None:
    europe, asia = {"src_lat": 48.9, "src_lon": 2.3}, {"src_lat": 35.7, "src_lon": 139.7}
    ends = {"dst_lat": 52.5, "dst_lon": 13.4}
    train = typed(row(**europe, **ends), row(**asia, **ends))
    train["rtt_ms"] = floor_ms(train) * [3.0, 1.5]
    asked = typed(row(**ends | {"src_lat": 41.0, "src_lon": -3.7}), row(dst_lat=-33.0, dst_lon=151.0))
    ratio = baselines.continent_ratio(train, asked) / floor_ms(asked)
    # Between two continents that training never saw, the median over all rows.
    assert ratio == pytest.approx([3.0, 2.25])


def test_the_quick_model_never_predicts_below_the_floor(synthetic_table: pd.DataFrame) -> None:
    train, test = synthetic_table.head(1500), synthetic_table.tail(300)
    predicted = baselines.quick_model(train, test)
    assert (predicted >= floor_ms(test)).all()
    assert np.median(np.abs(predicted - test["rtt_ms"]) / test["rtt_ms"]) < 0.3
