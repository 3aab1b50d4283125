"""The gate before a model file: both engines must give XGBoost's bits, or no file is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from .. import _core
from ..errors import ModelError, TrainingError

Matrix = npt.NDArray[np.float32]
Bounds = dict[int, tuple[np.float32, np.float32]]
Run = Callable[[Matrix], Matrix]

SINGLE_ROWS = 300


class ParityError(TrainingError):
    """An engine and XGBoost differ; the message says on which row, output and kind of input."""

    default_code = "PARITY_ERROR"


@dataclass(frozen=True)
class ParityReport:
    """How many rows of each kind agreed to the bit, as batch; `single` of them were also run one by one."""

    rows: dict[str, int]
    single: int


def check(model: bytes, boosters: Sequence[Any], held_out: Matrix, seed: int = 0) -> ParityReport:
    """Compares the ONNX model, in ONNX Runtime and in the native engine, with its boosters on rows of every kind that
    has ever gone wrong.

    `held_out` are rows that training did not see, one column per feature. From them come rows with missing
    values, rows with infinities, and for each split rows on its threshold, just below it, and without it.

    Raises ParityError at the first difference in any bit.
    """
    kinds = _kinds(boosters, held_out, np.random.default_rng(seed))
    engines = {"ONNX Runtime": _onnxruntime(model), "the native engine": _native(model)}
    single = 0
    for kind, rows in kinds.items():
        expected = np.column_stack([booster.inplace_predict(rows, missing=np.nan) for booster in boosters])
        singles = min(SINGLE_ROWS, len(rows))
        for engine, run in engines.items():
            _compare(engine, f"{kind} (batch)", rows, expected, run(rows))
            found = [run(rows[row : row + 1]) for row in range(singles)]
            _compare(engine, f"{kind} (single)", rows[:singles], expected[:singles], np.concatenate(found))
        single += singles
    return ParityReport({kind: len(rows) for kind, rows in kinds.items()}, single)


def _onnxruntime(model: bytes) -> Run:
    options = onnxruntime.SessionOptions()
    # More threads add the trees in another order.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many classes that share only Exception
        raise ParityError(f"ONNX Runtime cannot load the exported model: {error}") from error
    return lambda rows: np.asarray(session.run(None, {"features": rows})[0])


def _native(model: bytes) -> Run:
    try:
        return _core.Trees(model).run
    except ModelError as error:
        raise ParityError(f"the native engine cannot load the exported model: {error}") from error


def _kinds(boosters: Sequence[Any], held_out: Matrix, rng: np.random.Generator) -> dict[str, Matrix]:
    if len(held_out) == 0:
        raise ParityError("the parity gate needs at least one held-out row")
    held_out = np.ascontiguousarray(held_out, dtype=np.float32)
    holes = held_out.copy()
    holes[rng.random(holes.shape) < 0.3] = np.nan
    infinite = held_out.copy()
    infinite[rng.random(infinite.shape) < 0.2] = np.inf
    infinite[rng.random(infinite.shape) < 0.2] = -np.inf
    kinds = {
        "held-out rows": held_out,
        "rows with missing values": holes,
        "rows on split thresholds": _on_thresholds(boosters, held_out, rng),
        "rows with infinities": infinite,
    }
    # Trees of one leaf have no thresholds.
    return {kind: rows for kind, rows in kinds.items() if len(rows)}


def _on_thresholds(boosters: Sequence[Any], held_out: Matrix, rng: np.random.Generator) -> Matrix:
    """Three rows per split that walk down to it: on its threshold, one float below, and without the value.

    Random rows reach few of the deep splits, and would miss a fault in one of them.
    """
    walks = [
        (bounds, feature, value)
        for booster in boosters
        for tree in _trees(booster)
        for bounds, feature, threshold in _splits(tree)
        for value in (threshold, np.nextafter(threshold, np.float32(-np.inf)), np.float32(np.nan))
    ]
    rows = held_out[rng.integers(len(held_out), size=len(walks))].copy()
    for row, (bounds, feature, value) in zip(rows, walks, strict=True):
        for other, (low, high) in bounds.items():
            row[other] = low if np.isfinite(low) else np.nextafter(high, np.float32(-np.inf))
        row[feature] = value
    return rows


def _trees(booster: Any) -> list[dict[str, Any]]:
    learner = json.loads(booster.save_raw("json").decode())["learner"]
    trees: list[dict[str, Any]] = learner["gradient_booster"]["model"]["trees"]
    return trees


def _splits(tree: dict[str, Any]) -> Iterator[tuple[Bounds, int, np.float32]]:
    """Each split with its feature and threshold, and the half-open ranges that lead there."""
    everything = (np.float32(-np.inf), np.float32(np.inf))
    pending: list[tuple[int, Bounds]] = [(0, {})]
    while pending:
        node, bounds = pending.pop()
        if tree["left_children"][node] == -1:
            continue
        feature, threshold = tree["split_indices"][node], np.float32(tree["split_conditions"][node])
        yield bounds, feature, threshold
        low, high = bounds.get(feature, everything)
        pending.append((tree["left_children"][node], bounds | {feature: (low, min(high, threshold))}))
        pending.append((tree["right_children"][node], bounds | {feature: (max(low, threshold), high)}))


def _compare(engine: str, kind: str, rows: Matrix, expected: Matrix, found: Matrix) -> None:
    if expected.shape != found.shape:
        raise ParityError(f"{kind}: XGBoost gives the shape {expected.shape}, {engine} {found.shape}")
    different = np.argwhere(
        np.ascontiguousarray(expected, dtype=np.float32).view(np.int32)
        != np.ascontiguousarray(found, dtype=np.float32).view(np.int32)
    )
    if len(different):
        row, output = different[0]
        count = len({int(r) for r, _ in different})
        raise ParityError(
            f"{kind}: {count} of {len(rows)} rows differ; the first is row {row}, output {output}: "
            f"XGBoost gives {expected[row, output]!s}, {engine} {found[row, output]!s}; "
            f"its features are {rows[row].tolist()}. No file is written."
        )
