"""How answers look: prose on a terminal, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.markup import escape

from ..prediction import Prediction, PredictionWarning
from ..predictor import Predictor
from . import console


def print_json(answer: dict[str, Any], predictor: Predictor | None = None) -> None:
    """One JSON object, with the model that answered."""
    tag = {} if predictor is None else {"model": model_tag(predictor)}
    print(json.dumps(answer | tag))


def model_tag(predictor: Predictor) -> dict[str, str]:
    """Which model answered."""
    return {key: predictor.model_info[key] for key in ("name", "version", "engine")}


def print_prediction(prediction: Prediction) -> None:
    """What is predicted for one path."""
    show = console.out.print
    show(f"  median RTT       [bold]{prediction.p50_ms:.1f} ms[/]")
    show(f"  90 % interval    {prediction.low_ms:.1f} to {prediction.high_ms:.1f} ms (for that median)")
    show(f"  one measurement  90 % below {prediction.p90_ms:.1f} ms, 99 % below {prediction.p99_ms:.1f} ms")
    if prediction.floor_ms is not None and prediction.distance_km is not None:
        show(f"  floor            {prediction.floor_ms:.1f} ms (light in fibre, {prediction.distance_km:,.0f} km)")
    print_warnings(prediction.warnings)


def print_warnings(warnings: Iterable[PredictionWarning]) -> None:
    """One line for each."""
    for warning in warnings:
        line = f"  [yellow]{warning.code}[/] {escape(warning.field)}: {escape(warning.message)}"
        console.out.print(line, soft_wrap=True)
