"""XGBoost boosters → one ONNX graph that gives the same bits.

The graph holds the trees and nothing else: a `TreeEnsembleRegressor` with one target per booster. Each
booster's `base_score` stands in front of its trees as a tree of one leaf, so that ONNX Runtime adds the same
numbers in the same order as XGBoost does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..errors import TrainingError

METADATA_KEY = "latency.schema"
ML_OPSET = 3
OPSET = 17
IR_VERSION = 8


@dataclass
class Ensemble:
    """The attributes of a `TreeEnsembleRegressor`, node by node."""

    outputs: int
    tree_ids: list[int] = field(default_factory=list)
    node_ids: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    true_nodes: list[int] = field(default_factory=list)
    false_nodes: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    leaf_trees: list[int] = field(default_factory=list)
    leaf_nodes: list[int] = field(default_factory=list)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_values: list[float] = field(default_factory=list)

    def add_tree(self, target: int, tree: dict[str, Any]) -> None:
        """Appends a tree in XGBoost's JSON form."""
        tree_id = self.tree_ids[-1] + 1 if self.tree_ids else 0
        left, right = tree["left_children"], tree["right_children"]
        for node, (yes, no) in enumerate(zip(left, right, strict=True)):
            self.tree_ids.append(tree_id)
            self.node_ids.append(node)
            leaf = yes == -1
            self.modes.append("LEAF" if leaf else "BRANCH_LT")
            self.features.append(0 if leaf else tree["split_indices"][node])
            self.thresholds.append(0.0 if leaf else tree["split_conditions"][node])
            self.true_nodes.append(0 if leaf else yes)
            self.false_nodes.append(0 if leaf else no)
            self.missing_true.append(0 if leaf else int(tree["default_left"][node]))
            if leaf:
                # XGBoost keeps a leaf's value where an inner node keeps its threshold.
                self.leaf_trees.append(tree_id)
                self.leaf_nodes.append(node)
                self.leaf_targets.append(target)
                self.leaf_values.append(tree["split_conditions"][node])

    def model(self, columns: int, metadata: dict[str, str]) -> onnx.ModelProto:
        """The ONNX model for a matrix of this many columns."""
        node = helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            ["margins"],
            domain="ai.onnx.ml",
            aggregate_function="SUM",
            post_transform="NONE",
            n_targets=self.outputs,
            nodes_treeids=self.tree_ids,
            nodes_nodeids=self.node_ids,
            nodes_featureids=self.features,
            nodes_modes=self.modes,
            nodes_values=self.thresholds,
            nodes_truenodeids=self.true_nodes,
            nodes_falsenodeids=self.false_nodes,
            nodes_missing_value_tracks_true=self.missing_true,
            target_treeids=self.leaf_trees,
            target_nodeids=self.leaf_nodes,
            target_ids=self.leaf_targets,
            target_weights=self.leaf_values,
        )
        graph = helper.make_graph(
            [node],
            "latency",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, columns])],
            [helper.make_tensor_value_info("margins", TensorProto.FLOAT, [None, self.outputs])],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
            producer_name="latency-predictor",
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, metadata)
        return model


def ensemble(boosters: Sequence[Any]) -> Ensemble:
    """All boosters as one ensemble, output i from booster i.

    Raises TrainingError for a booster whose trees cannot be written: categorical splits, another booster than
    `gbtree`, or several outputs in one booster.
    """
    result = Ensemble(outputs=len(boosters))
    for target, booster in enumerate(boosters):
        learner = json.loads(booster.save_raw("json").decode())["learner"]
        trees = _trees(learner)
        base_score = float(np.float32(np.ravel(json.loads(learner["learner_model_param"]["base_score"]))[0]))
        result.add_tree(target, {"left_children": [-1], "right_children": [-1], "split_conditions": [base_score]})
        for tree in trees:
            result.add_tree(target, tree)
    return result


def _trees(learner: dict[str, Any]) -> list[dict[str, Any]]:
    name = learner["gradient_booster"]["name"]
    if name != "gbtree":
        raise TrainingError(f"found a `{name}` booster; allowed: gbtree; train with `booster='gbtree'`")
    model = learner["gradient_booster"]["model"]
    # Vector leaves stand in one tree for all outputs; other boosters of several outputs have a tree for each.
    if any(model["tree_info"]) or int(learner["learner_model_param"]["num_target"]) > 1:
        raise TrainingError("found a booster with several outputs; allowed: one booster per output")
    trees: list[dict[str, Any]] = model["trees"]
    if any(any(tree.get("split_type", ())) for tree in trees):
        raise TrainingError("found categorical splits; allowed: one column per category, as the schema makes")
    return trees


def to_bytes(boosters: Sequence[Any], columns: int, schema: dict[str, Any]) -> bytes:
    """The model file. The same boosters and schema give the same bytes."""
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    model = ensemble(boosters).model(columns, {METADATA_KEY: text})
    content: bytes = model.SerializeToString(deterministic=True)
    return content
