"""Every error of the catalogue arrives as its class, with its code, what it is about, and what caused it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import latency_predictor as lp
from latency_predictor import Predictor, _core

BUNDLED = _core.Predictor.bundled_model()


def product_model() -> bytes:
    """A model whose graph is a product of its one field: a missing value gives NaN, which no trees would do."""
    outputs = ["low_ms", "p50_ms", "high_ms", "p90_ms", "p99_ms"]
    numbers = dict.fromkeys(outputs, 2.0 * 7)
    schema = {
        "format": 1,
        "name": "product",
        "fields": [{"name": "hops", "type": "number"}],
        "features": [{"kind": "number", "field": "hops"}],
        "target": {"name": "rtt_ms", "unit": "ms", "transform": "identity"},
        "outputs": [{"name": name, "quantile": 0.5} for name in outputs],
        "golden": [{"row": {"hops": 7}, "prediction": numbers}],
    }
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 5])],
        [numpy_helper.from_array(np.full((1, 5), 2, np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"latency.schema": json.dumps(schema)})
    content: bytes = model.SerializeToString()
    return content


def changed(old: bytes, new: bytes) -> bytes:
    """The bundled model with other bytes of the same length."""
    assert len(old) == len(new)
    assert old in BUNDLED
    return BUNDLED.replace(old, new, 1)


def other_leaf() -> bytes:
    """The bundled model with a wrong tree."""
    model = onnx.load_from_string(BUNDLED)
    (weights,) = [attribute for attribute in model.graph.node[0].attribute if attribute.name == "target_weights"]
    weights.floats[0] += 0.5
    content: bytes = model.SerializeToString()
    return content


CATALOGUE: dict[str, tuple[Callable[[], Any], type[lp.LatencyError], str | None, str | None]] = {
    "INVALID_FIELD": (lambda: lp.predict("91,0", "London"), lp.InvalidInputError, "src.lat", None),
    "MISSING_FIELD": (lambda: lp.predict("London"), lp.InvalidInputError, "dst.lat", None),
    "UNKNOWN_FIELD": (lambda: lp.predict("London", "Paris", speed=1), lp.InvalidInputError, "speed", None),
    "UNKNOWN_PLACE": (lambda: lp.predict("Nowhereville", "London"), lp.InvalidInputError, "src", None),
    "AMBIGUOUS_PLACE": (lambda: lp.predict("London", "Springfield"), lp.InvalidInputError, "dst", None),
    "INVALID_BATCH": (
        lambda: lp.predict_batch({"src": ["London"], "dst": []}),
        lp.InvalidInputError,
        "dst",
        None,
    ),
    "UNSUPPORTED": (lambda: Predictor(product_model()).rank("London", ["Paris"]), lp.InvalidInputError, None, None),
    "MODEL_NOT_READABLE": (lambda: Predictor("/nowhere/model.onnx"), lp.ModelError, None, "No such file"),
    "INVALID_MODEL": (lambda: Predictor(BUNDLED[: len(BUNDLED) // 2]), lp.ModelError, None, "parsing failed"),
    "INVALID_SCHEMA": (
        lambda: Predictor(changed(b"latency.schema", b"another.schema")),
        lp.ModelError,
        None,
        None,
    ),
    "GOLDEN_MISMATCH": (lambda: Predictor(other_leaf()), lp.ModelError, None, None),
    "RUNTIME_NOT_LOADED": (lambda: Predictor(library="/nowhere/lib.so"), lp.RuntimeLoadError, None, None),
    "INFERENCE_FAILED": (lambda: Predictor(product_model()).predict(), lp.InferenceError, None, None),
}

NEVER_IN_PYTHON = {"INVALID_JSON", "CANCELLED"}
"""Python's callers give objects, JSON is for HTTP and Node.js; and they have no switch that stops a call."""


@pytest.mark.parametrize("code", CATALOGUE)
def test_an_error_arrives_as_its_class_with_its_cause(code: str) -> None:
    ask, kind, field, cause = CATALOGUE[code]
    with pytest.raises(kind) as caught:
        ask()
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.field) == (code, field)
    assert len(str(error)) > 20
    assert (error.__cause__ is None) == (cause is None)
    assert cause is None or cause in str(error.__cause__)


def test_every_code_of_the_catalogue_is_caused_here() -> None:
    assert set(CATALOGUE) | NEVER_IN_PYTHON == set(_core.ERROR_CODES)
    assert not set(CATALOGUE) & NEVER_IN_PYTHON


def test_a_failed_inference_names_its_row() -> None:
    predictor = Predictor(product_model())
    with pytest.raises(lp.InferenceError) as caught:
        predictor.predict_batch({"hops": [1.0, 2.0, None]})
    assert caught.value.row == 2
    with pytest.raises(lp.InferenceError):
        predictor.predict_batch_with_notes({"hops": [1.0, None]})


def test_a_model_in_a_folder_that_is_no_file_is_not_readable(tmp_path: Path) -> None:
    with pytest.raises(lp.ModelError) as caught:
        Predictor(tmp_path)
    assert caught.value.code == "MODEL_NOT_READABLE"
    assert caught.value.__cause__ is not None
