"""The trees of a model file as an XGBoost booster, so that servers with XGBoost answer from the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import xgboost

ROWS_COMPARED = 1_000


def from_model_file(path: Path) -> xgboost.Booster:
    """A booster of all trees with one output per target, which gives the file's margins; compared before it is used."""
    model = onnx.load(str(path))
    (ensemble,) = (node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in ensemble.attribute}
    features = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    rows = np.random.default_rng(7).uniform(0, 20_000, (ROWS_COMPARED, features)).astype(np.float32)
    rows[:, ::2] /= 1_000

    # XGBoost writes the frame, with a tree for each target that is thrown away; its base scores are 0.
    settings = {"objective": "reg:squarederror", "base_score": 0, "max_depth": 1}
    targets = np.zeros((ROWS_COMPARED, found["n_targets"]), np.float32)
    frame = json.loads(xgboost.train(settings, xgboost.DMatrix(rows, targets), 1).save_raw("json"))
    trees, target_of = _trees(found, features)
    frame["learner"]["gradient_booster"]["model"] |= {
        "trees": trees,
        "tree_info": target_of,
        "iteration_indptr": [0, len(trees)],
        "gbtree_model_param": {"num_trees": str(len(trees)), "num_parallel_tree": "1"},
    }
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(frame), "utf-8"))
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {model.graph.input[0].name: rows})
    np.testing.assert_allclose(booster.inplace_predict(rows), expected, rtol=1e-5, atol=1e-5)
    return booster


def _trees(found: dict[str, Any], features: int) -> tuple[list[dict[str, Any]], list[int]]:
    """All trees as XGBoost's JSON has them, and the target of each."""
    tree_of_node = np.asarray(found["nodes_treeids"])
    columns = {
        name: np.asarray(found[f"nodes_{name}"]) for name in ("featureids", "values", "truenodeids", "falsenodeids")
    }
    leaf = np.asarray(found["nodes_modes"]) == b"LEAF"
    missing_left = np.asarray(found["nodes_missing_value_tracks_true"])
    tree_of_leaf, node_of_leaf = np.asarray(found["target_treeids"]), np.asarray(found["target_nodeids"])
    weights, targets = np.asarray(found["target_weights"], np.float32), np.asarray(found["target_ids"])
    trees, target_of = [], []
    for at, tree in enumerate(np.unique(tree_of_node)):
        here, leaves = tree_of_node == tree, tree_of_leaf == tree
        count = int(here.sum())
        left, right = (np.where(leaf[here], -1, columns[name][here]) for name in ("truenodeids", "falsenodeids"))
        values = columns["values"][here].astype(np.float32)
        values[node_of_leaf[leaves]] = weights[leaves]
        parents = np.full(count, 2**31 - 1)
        for children in (left, right):
            parents[children[children >= 0]] = np.flatnonzero(children >= 0)
        nothing = [0.0] * count
        trees.append(
            {
                "id": at,
                "left_children": left.tolist(),
                "right_children": right.tolist(),
                "parents": parents.tolist(),
                "split_indices": columns["featureids"][here].tolist(),
                "split_conditions": values.tolist(),
                "split_type": [0] * count,
                "default_left": missing_left[here].tolist(),
                "base_weights": nothing,
                "loss_changes": nothing,
                "sum_hessian": nothing,
                "categories": [],
                "categories_nodes": [],
                "categories_segments": [],
                "categories_sizes": [],
                "tree_param": {
                    "num_nodes": str(count),
                    "num_deleted": "0",
                    "num_feature": str(features),
                    "size_leaf_vector": "1",
                },
            }
        )
        target_of.append(int(targets[leaves][0]))
    return trees, target_of
