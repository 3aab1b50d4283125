"""The gate refuses every export that differs from XGBoost in any bit, and says where."""

from collections.abc import Callable

import numpy as np
import pytest
import xgboost

from latency_predictor.errors import TrainingError
from latency_predictor.training import export, parity
from latency_predictor.training.export import Ensemble
from latency_predictor.training.fit import Fit
from test_export import COLUMNS, HELD_OUT, train

Change = Callable[[Ensemble], object]


@pytest.fixture(scope="module")
def boosters() -> list[xgboost.Booster]:
    """Three boosters with splits on every column."""
    return [
        train(rounds=30, objective="reg:quantileerror", quantile_alpha=quantile, base_score=base)
        for quantile, base in ((0.05, 1.5), (0.5, 3.0), (0.95, 5.0))
    ]


def check(boosters: list[xgboost.Booster], change: Change) -> None:
    ensemble = export.ensemble(boosters)
    change(ensemble)
    parity.check(ensemble.model(COLUMNS, {}).SerializeToString(), boosters, HELD_OUT)


def splits(ensemble: Ensemble) -> list[int]:
    return [node for node, mode in enumerate(ensemble.modes) if mode != "LEAF"]


def deepest_split(ensemble: Ensemble) -> int:
    """A split that few rows reach: where a random sample is blind."""
    return max(splits(ensemble), key=lambda node: ensemble.node_ids[node])


def drop_tree(ensemble: Ensemble, tree: int) -> None:
    """Removes a whole tree, so that the graph stays sound."""
    keep = [index for index, found in enumerate(ensemble.tree_ids) if found != tree]
    for name in ("tree_ids", "node_ids", "features", "modes", "thresholds"):
        setattr(ensemble, name, [getattr(ensemble, name)[index] for index in keep])
    for name in ("true_nodes", "false_nodes", "missing_true"):
        setattr(ensemble, name, [getattr(ensemble, name)[index] for index in keep])
    keep = [index for index, found in enumerate(ensemble.leaf_trees) if found != tree]
    for name in ("leaf_trees", "leaf_nodes", "leaf_targets", "leaf_values"):
        setattr(ensemble, name, [getattr(ensemble, name)[index] for index in keep])


def target_of_last_tree(ensemble: Ensemble) -> None:
    """What a converter does that takes every tree for the first output's."""
    last = ensemble.leaf_trees[-1]
    ensemble.leaf_targets = [
        0 if tree == last else target for tree, target in zip(ensemble.leaf_trees, ensemble.leaf_targets, strict=True)
    ]


def less_or_equal(ensemble: Ensemble) -> None:
    ensemble.modes = ["BRANCH_LEQ" if mode == "BRANCH_LT" else mode for mode in ensemble.modes]


def less_or_equal_once(ensemble: Ensemble) -> None:
    ensemble.modes[deepest_split(ensemble)] = "BRANCH_LEQ"


def forget_base_score(ensemble: Ensemble) -> None:
    ensemble.leaf_values[0] = 0.0


def swap_children(ensemble: Ensemble) -> None:
    node = deepest_split(ensemble)
    true, false = ensemble.true_nodes[node], ensemble.false_nodes[node]
    ensemble.true_nodes[node], ensemble.false_nodes[node] = false, true


def flip_missing(ensemble: Ensemble) -> None:
    ensemble.missing_true[splits(ensemble)[0]] ^= 1


def one_ulp(node: Callable[[Ensemble], int], towards: float) -> Change:
    def change(ensemble: Ensemble) -> None:
        at = node(ensemble)
        value = np.float32(ensemble.thresholds[at])
        ensemble.thresholds[at] = float(np.nextafter(value, np.float32(towards)))

    return change


def leaf_by_one_ulp(ensemble: Ensemble) -> None:
    # A large leaf, so that the sum's rounding does not swallow the step.
    at = int(np.argmax(np.abs(ensemble.leaf_values[1:]))) + 1
    ensemble.leaf_values[at] = float(np.nextafter(np.float32(ensemble.leaf_values[at]), np.float32(9)))


def another_column(ensemble: Ensemble) -> None:
    node = deepest_split(ensemble)
    ensemble.features[node] = (ensemble.features[node] + 1) % COLUMNS


CHANGES: dict[str, Change] = {
    "a tree of the last output counts for the first": target_of_last_tree,
    "less or equal for less": less_or_equal,
    "less or equal for less in the deepest split": less_or_equal_once,
    "base score lost": forget_base_score,
    "children of the deepest split swapped": swap_children,
    "missing values go the other way": flip_missing,
    "last tree dropped": lambda ensemble: drop_tree(ensemble, ensemble.tree_ids[-1]),
    "threshold of a root one ulp up": one_ulp(lambda ensemble: splits(ensemble)[0], np.inf),
    "threshold of a root one ulp down": one_ulp(lambda ensemble: splits(ensemble)[0], -np.inf),
    "threshold of the deepest split one ulp up": one_ulp(deepest_split, np.inf),
    "threshold of the deepest split one ulp down": one_ulp(deepest_split, -np.inf),
    "leaf one ulp up": leaf_by_one_ulp,
    "split on another column": another_column,
}


def test_an_unchanged_export_passes(boosters: list[xgboost.Booster]) -> None:
    check(boosters, lambda ensemble: None)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_broken_export_is_refused(boosters: list[xgboost.Booster], change: Change) -> None:
    with pytest.raises(parity.ParityError, match=r"differ; the first is row \d+, output \d") as caught:
        check(boosters, change)
    assert isinstance(caught.value, TrainingError)
    assert caught.value.code == "PARITY_ERROR"


def test_the_error_names_the_output_at_fault(boosters: list[xgboost.Booster]) -> None:
    def change(ensemble: Ensemble) -> None:
        at = len(ensemble.leaf_values) - 1 - ensemble.leaf_targets[::-1].index(1)
        ensemble.leaf_values[at] += 1.0

    with pytest.raises(parity.ParityError, match=r"output 1: XGBoost gives .*, ONNX Runtime") as caught:
        check(boosters, change)
    assert "output 0" not in str(caught.value)
    assert "output 2" not in str(caught.value)


def test_the_error_names_the_kind_of_row(boosters: list[xgboost.Booster]) -> None:
    with pytest.raises(parity.ParityError, match=r"^rows on split thresholds \(batch\)"):
        check(boosters, less_or_equal_once)


def test_another_order_of_trees_is_refused_where_it_changes_bits() -> None:
    booster = train(rounds=60, eta=0.5)
    trees = booster.num_boosted_rounds()

    def backwards(ensemble: Ensemble) -> None:
        # ONNX Runtime adds trees in the order of their ids' first appearance.
        blocks: dict[int, list[int]] = {}
        for index, tree in enumerate(ensemble.tree_ids):
            blocks.setdefault(tree, []).append(index)
        order = [index for tree in sorted(blocks, reverse=True) for index in blocks[tree]]
        for name in ("tree_ids", "node_ids", "features", "modes", "thresholds"):
            setattr(ensemble, name, [getattr(ensemble, name)[index] for index in order])
        for name in ("true_nodes", "false_nodes", "missing_true"):
            setattr(ensemble, name, [getattr(ensemble, name)[index] for index in order])

    assert trees == 60
    with pytest.raises(parity.ParityError, match="differ"):
        check([booster], backwards)


def test_another_number_of_outputs_is_refused(boosters: list[xgboost.Booster]) -> None:
    model = export.ensemble(boosters[:2]).model(COLUMNS, {}).SerializeToString()
    with pytest.raises(parity.ParityError, match=r"shape \(1000, 3\), ONNX Runtime \(1000, 2\)"):
        parity.check(model, boosters, HELD_OUT)


def test_a_model_that_does_not_load_is_refused(boosters: list[xgboost.Booster]) -> None:
    with pytest.raises(parity.ParityError, match="cannot load the exported model") as caught:
        parity.check(b"no model", boosters, HELD_OUT)
    assert caught.value.__cause__ is not None


def test_no_rows_are_not_enough_to_pass(boosters: list[xgboost.Booster]) -> None:
    model = export.ensemble(boosters).model(COLUMNS, {}).SerializeToString()
    with pytest.raises(parity.ParityError, match="at least one held-out row"):
        parity.check(model, boosters, HELD_OUT[:0])


def test_every_single_threshold_is_guarded() -> None:
    """Each split of a small booster, moved by one ulp: a sample of rows would miss the deep ones."""
    booster = train(rounds=6, max_depth=5)
    nodes = splits(export.ensemble([booster]))
    assert len(nodes) > 50
    for node in nodes:
        with pytest.raises(parity.ParityError):
            check([booster], one_ulp(lambda _, node=node: node, -np.inf))


def test_a_model_file_is_not_made_when_the_gate_refuses(monkeypatch: pytest.MonkeyPatch, radio_fit: Fit) -> None:
    """The whole way of `latency train`: only the exporter's tree writer is broken, as a new bug would."""
    assert radio_fit.to_bytes()
    right = Ensemble.add_tree

    def wrong(self: Ensemble, target: int, tree: dict[str, object]) -> None:
        right(self, target, tree)
        less_or_equal(self)

    monkeypatch.setattr(Ensemble, "add_tree", wrong)
    with pytest.raises(parity.ParityError, match="No file is written"):
        radio_fit.to_bytes()
