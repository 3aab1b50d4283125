"""`latency predict`: paths on the command line."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.markup import escape

from ..prediction import Prediction
from ..predictor import Predictor
from . import console
from .console import JsonOption, ModelOption


def predict(
    src: Annotated[str, typer.Argument(help="A place: London, LHR, aws:eu-west-2, or 51.51,-0.13.")],
    dst: Annotated[str, typer.Argument(help="The other end, likewise.")],
    src_access: Annotated[str | None, typer.Option(help="server, wired, wifi, cellular, starlink, residential")] = None,
    dst_access: Annotated[str | None, typer.Option(help="Likewise for the other end.")] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the RTT between two places.

    Examples: latency predict London Tokyo --src-access wifi

    latency predict -33.87,151.21 aws:eu-west-2
    """
    with console.readable_errors():
        fields = {"src_access": src_access, "dst_access": dst_access}
        predictor = Predictor(model)
        prediction = predictor.predict(src, dst, **{k: v for k, v in fields.items() if v is not None})
    if as_json:
        print(json.dumps(_as_dict(prediction) | {"model": _tag(predictor)}))
        return
    show = console.out.print
    show(f"{escape(src)} → {escape(dst)}")
    show(f"  median RTT       [bold]{prediction.p50_ms:.1f} ms[/]")
    show(f"  90 % interval    {prediction.low_ms:.1f} to {prediction.high_ms:.1f} ms (for that median)")
    show(f"  one measurement  90 % below {prediction.p90_ms:.1f} ms, 99 % below {prediction.p99_ms:.1f} ms")
    if prediction.floor_ms is not None and prediction.distance_km is not None:
        show(f"  floor            {prediction.floor_ms:.1f} ms (light in fibre, {prediction.distance_km:,.0f} km)")
    for warning in prediction.warnings:
        show(f"  [yellow]{warning.code}[/] {warning.field}: {escape(warning.message)}", soft_wrap=True)


def _as_dict(prediction: Prediction) -> dict[str, Any]:
    names = [name for name in prediction.__slots__ if name not in ("warnings", "missing")]
    numbers = {name: getattr(prediction, name) for name in names}
    warnings = [
        {"code": warning.code, "field": warning.field, "message": warning.message} for warning in prediction.warnings
    ]
    given = {name: number for name, number in numbers.items() if number is not None}
    return given | {"warnings": warnings, "missing": list(prediction.missing)}


def _tag(predictor: Predictor) -> dict[str, str]:
    return {key: predictor.model_info[key] for key in ("name", "version", "engine")}
