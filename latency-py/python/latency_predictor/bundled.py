"""The questions put to the bundled model, which is loaded once, at the first of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from .prediction import Judgement, Prediction, Ranked, Timeout
from .predictor import End, Predictor


@functools.cache
def _bundled() -> Predictor:
    return Predictor.bundled()


def predict(src: End | None = None, dst: End | None = None, **fields: Any) -> Prediction:
    """`Predictor.bundled().predict(...)`."""
    return _bundled().predict(src, dst, **fields)


def predict_batch(rows: Any, **options: Any) -> Any:
    """`Predictor.bundled().predict_batch(...)`."""
    return _bundled().predict_batch(rows, **options)


def rank(src: End, candidates: Iterable[End], *, budget_ms: float | None = None, **fields: Any) -> list[Ranked]:
    """`Predictor.bundled().rank(...)`."""
    return _bundled().rank(src, candidates, budget_ms=budget_ms, **fields)


def timeout(src: End | None = None, dst: End | None = None, *, quantile: float = 0.99, **fields: Any) -> Timeout:
    """`Predictor.bundled().timeout(...)`."""
    return _bundled().timeout(src, dst, quantile=quantile, **fields)


def judge(src: End | None = None, dst: End | None = None, *, measured_ms: float, **fields: Any) -> Judgement:
    """`Predictor.bundled().judge(...)`."""
    return _bundled().judge(src, dst, measured_ms=measured_ms, **fields)
