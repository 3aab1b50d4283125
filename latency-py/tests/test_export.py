"""Boosters become ONNX graphs that give XGBoost's bits, through the gate that `latency train` uses."""

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import xgboost

from latency_predictor.errors import TrainingError
from latency_predictor.training import export, parity

COLUMNS = 5
Matrix = npt.NDArray[np.float32]
Train = Callable[..., xgboost.Booster]


def matrix(rows: int, seed: int) -> Matrix:
    """Numbers with holes, and one column of few whole numbers, as counts are."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, COLUMNS)).astype(np.float32)
    values[:, 3] = random.integers(0, 3, rows)
    values[random.random(values.shape) < 0.1] = np.nan
    return values


HELD_OUT = matrix(1000, seed=2)


def train(rounds: int = 10, seed: int = 0, **parameters: Any) -> xgboost.Booster:
    """A booster on made-up numbers whose target is never constant."""
    x = matrix(2000, seed)
    filled = np.nan_to_num(x)
    y = 3 + filled[:, 0] * filled[:, 1] + filled[:, 3] + np.random.default_rng(seed).normal(size=len(x))
    given = {"objective": "reg:squarederror", "max_depth": 4, "nthread": 1, "seed": seed, **parameters}
    return xgboost.train(given, xgboost.DMatrix(x, y), rounds)


def passes_the_gate(boosters: list[xgboost.Booster]) -> parity.ParityReport:
    return parity.check(export.to_bytes(boosters, COLUMNS, {}), boosters, HELD_OUT)


@pytest.mark.parametrize("depth", [1, 3, 6, 12])
def test_trees_of_any_depth_give_the_same_bits(depth: int) -> None:
    booster = train(max_depth=depth, min_child_weight=0)
    report = passes_the_gate([booster])
    assert report.rows["rows on split thresholds"] > 0
    assert report.rows["held-out rows"] == len(HELD_OUT)
    assert report.single > 3 * 30


@pytest.mark.parametrize("outputs", [1, 2, 3, 5])
def test_any_number_of_outputs_gives_the_same_bits(outputs: int) -> None:
    quantiles = np.linspace(0.05, 0.95, outputs)
    boosters = [
        train(rounds=5 + 7 * index, objective="reg:quantileerror", quantile_alpha=float(quantile))
        for index, quantile in enumerate(quantiles)
    ]
    passes_the_gate(boosters)


@pytest.mark.parametrize("base_score", [0.0, -3.25, 0.1, 1e-30, 12345.678])
def test_any_base_score_gives_the_same_bits(base_score: float) -> None:
    booster = train(base_score=base_score)
    passes_the_gate([booster])
    first_leaf = export.ensemble([booster]).leaf_values[0]
    assert first_leaf == float(np.float32(base_score))


def test_trees_of_one_leaf_and_no_trees_at_all_give_the_same_bits() -> None:
    stumps = train(gamma=1e9)
    assert "[" not in "".join(stumps.get_dump()), "a split: the test shows nothing"
    report = passes_the_gate([stumps, train(rounds=0, base_score=2.5)])
    assert "rows on split thresholds" not in report.rows


def test_many_rounds_give_the_same_bits() -> None:
    """Rounding errors of a long sum depend on its order."""
    passes_the_gate([train(rounds=300, eta=0.05, subsample=0.7), train(rounds=40, max_depth=6)])


def test_early_stopping_exports_what_the_booster_predicts() -> None:
    x, y = HELD_OUT, np.random.default_rng(5).normal(size=len(HELD_OUT))
    data = xgboost.DMatrix(x[:500], y[:500])
    stopped = xgboost.train(
        {"max_depth": 6, "eta": 1.0, "nthread": 1},
        data,
        50,
        evals=[(xgboost.DMatrix(x[500:], y[500:]), "unseen")],
        early_stopping_rounds=2,
        verbose_eval=False,
    )
    assert stopped.best_iteration + 1 < stopped.num_boosted_rounds()
    passes_the_gate([stopped[: stopped.best_iteration + 1]])


def any_matrix(random: np.random.Generator, rows: int, columns: int) -> Matrix:
    """Columns of every kind: wide and narrow, of few numbers, denormal, with zeros of both signs, and with holes."""
    scales = random.choice(np.array([1e-40, 1e-3, 1.0, 1e4, 1e30]), columns)
    values = random.normal(size=(rows, columns)) * scales
    few = random.random(columns) < 0.4
    values[:, few] = random.integers(-2, 3, (rows, few.sum()))
    values[random.random(values.shape) < 0.05] = -0.0
    values[random.random(values.shape) < random.choice([0.0, 0.1, 0.5])] = np.nan
    return values.astype(np.float32)


# `make models` takes 200.
@pytest.mark.parametrize("seed", range(int(os.environ.get("LATENCY_MODELS", "50"))))
def test_any_model_gives_the_same_bits(seed: int) -> None:
    random = np.random.default_rng(seed)
    columns = int(random.choice([1, 2, 5, 12, 49, 100]))
    x = any_matrix(random, 100, columns)
    target = np.nan_to_num(x[:, 0]) / (1 + np.abs(np.nan_to_num(x[:, 0]))) + random.normal(size=len(x))

    def booster() -> xgboost.Booster:
        parameters = {
            "objective": str(random.choice(["reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"])),
            "max_depth": int(random.integers(1, 13)),
            "tree_method": str(random.choice(["hist", "exact", "approx"])),
            "min_child_weight": 0,
            "subsample": float(random.choice([0.5, 1.0])),
            "eta": float(random.choice([0.05, 0.5])),
            "base_score": float(random.normal()),
            "nthread": 1,
            "seed": seed,
        }
        rounds = int(random.choice([0, 1, 3, 10, 30]))
        return xgboost.train(parameters, xgboost.DMatrix(x, target), rounds)

    boosters = [booster() for _ in range(random.integers(1, 6))]
    parity.check(export.to_bytes(boosters, columns, {}), boosters, any_matrix(random, 40, columns))


def test_the_graph_holds_the_trees_and_the_metadata_the_schema() -> None:
    content = export.to_bytes([train(), train(seed=1)], COLUMNS, {"name": "für alle"})
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["TreeEnsembleRegressor"]
    assert not model.graph.initializer
    (metadata,) = model.metadata_props
    assert metadata.key == "latency.schema"
    assert json.loads(metadata.value) == {"name": "für alle"}


def test_the_same_boosters_give_the_same_bytes() -> None:
    first, second = (export.to_bytes([train(seed=3)], COLUMNS, {"b": 1, "a": [1.5]}) for _ in range(2))
    assert first == second
    assert first != export.to_bytes([train(seed=4)], COLUMNS, {"b": 1, "a": [1.5]})


def test_a_schema_with_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        export.to_bytes([train(rounds=1)], COLUMNS, {"offset": float("nan")})


@pytest.mark.parametrize("booster", ["dart", "gblinear"])
def test_other_boosters_are_refused(booster: str) -> None:
    # XGBoost warns that gblinear and some of its parameters are on the way out.
    other = train(booster=booster, verbosity=0)
    with pytest.raises(TrainingError, match=f"found a `{booster}` booster; allowed: gbtree"):
        export.ensemble([other])


def test_several_outputs_in_one_booster_are_refused() -> None:
    several = train(objective="reg:quantileerror", quantile_alpha=[0.05, 0.5, 0.95])
    with pytest.raises(TrainingError, match="several outputs; allowed: one booster per output"):
        export.ensemble([several])


def test_vector_leaves_are_refused() -> None:
    x = matrix(300, 0)
    data = xgboost.DMatrix(x, np.nan_to_num(x[:, :2]))
    vector = xgboost.train({"multi_strategy": "multi_output_tree", "nthread": 1}, data, 3)
    with pytest.raises(TrainingError, match="several outputs"):
        export.ensemble([vector])


def test_categorical_splits_are_refused() -> None:
    codes = np.random.default_rng(0).integers(0, 12, (500, 1))
    effect = np.random.default_rng(1).normal(size=12)
    data = xgboost.DMatrix(codes, effect[codes[:, 0]], feature_types=["c"], enable_categorical=True)
    booster = xgboost.train({"max_cat_to_onehot": 1, "nthread": 1}, data, 3)
    with pytest.raises(TrainingError, match="categorical splits; allowed: one column per category"):
        export.ensemble([booster])
