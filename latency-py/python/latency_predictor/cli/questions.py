"""`latency rank`, `timeout` and `judge`: what predictions are for."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .. import Place
from ..errors import InvalidInputError
from ..prediction import PredictionWarning, Ranked
from ..predictor import Predictor
from . import answers, console, ends
from .console import JsonOption, ModelOption

COLOURS = {"plausible": "green", "slow": "yellow", "suspicious": "yellow", "impossible": "red"}


class Cloud(str, Enum):
    """A provider whose regions are known."""

    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"


def rank(
    src: ends.Src,
    candidates: Annotated[list[str] | None, typer.Argument(help="Places to choose from.")] = None,
    regions: Annotated[
        list[Cloud] | None,
        typer.Option(help="All regions of this cloud as candidates; can be repeated."),
    ] = None,
    budget_ms: Annotated[
        float | None, typer.Option(help="Also the probability that one measurement stays within this RTT.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Show only the best so many.")] = None,
    src_access: ends.SrcAccess = None,
    dst_access: Annotated[str | None, typer.Option(help="Likewise for all candidates.")] = None,
    src_provider: ends.SrcProvider = None,
    dst_provider: Annotated[str | None, typer.Option(help="Likewise for all candidates.")] = None,
    src_tier: ends.SrcTier = None,
    dst_tier: Annotated[str | None, typer.Option(help="Likewise for all candidates.")] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Order places by their predicted RTT from SRC, the lowest first.

    Examples: latency rank Lisbon aws:eu-west-2 aws:eu-central-1 aws:us-east-1 --budget-ms 60

    latency rank -33.87,151.21 --src-access wifi --regions aws --top 5
    """
    with console.readable_errors():
        ends_ = [*(candidates or []), *(str(place) for cloud in dict.fromkeys(regions or []) for place in _of(cloud))]
        if not ends_:
            raise InvalidInputError(
                "candidates: found none; allowed: places after SRC, or --regions aws, azure or gcp",
                "MISSING_FIELD",
                "candidates",
            )
        predictor = Predictor(model)
        fields = ends.given(
            src_access=src_access, dst_access=dst_access, src_provider=src_provider, dst_provider=dst_provider,
            src_tier=src_tier, dst_tier=dst_tier,
        )  # fmt: skip
        ranked = predictor.rank(src, ends_, budget_ms=budget_ms, **fields)[:top]
    if as_json:
        answers.print_json({"ranked": [one.to_dict() for one in ranked]}, predictor)
        return
    console.out.print(_table(ranked, budget_ms))
    _print_warnings(ranked)


def timeout(
    src: ends.Src,
    dst: ends.Dst,
    quantile: Annotated[
        float, typer.Option(help="The share of answers that should come in time, 0.5 to 0.999.")
    ] = 0.99,
    src_access: ends.SrcAccess = None,
    dst_access: ends.DstAccess = None,
    src_provider: ends.SrcProvider = None,
    dst_provider: ends.DstProvider = None,
    src_tier: ends.SrcTier = None,
    dst_tier: ends.DstTier = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """How long to wait for an answer: one round trip, without what the other side needs to answer.

    Example: latency timeout London Tokyo --quantile 0.95 --src-access cellular
    """
    with console.readable_errors():
        predictor = Predictor(model)
        fields = ends.given(
            src_access=src_access, dst_access=dst_access, src_provider=src_provider, dst_provider=dst_provider,
            src_tier=src_tier, dst_tier=dst_tier,
        )  # fmt: skip
        answer = predictor.timeout(src, dst, quantile=quantile, **fields)
    if as_json:
        answers.print_json(answer.to_dict(), predictor)
        return
    console.out.print(f"{escape(src)} → {escape(dst)}")
    console.out.print(f"  timeout          [bold]{answer.timeout_ms:.1f} ms[/] ({100 * quantile:g} % answer in time)")
    answers.print_prediction(answer)


def judge(
    src: ends.Src,
    dst: ends.Dst,
    measured_ms: Annotated[float, typer.Option(help="The RTT that was measured.")],
    src_access: ends.SrcAccess = None,
    dst_access: ends.DstAccess = None,
    src_provider: ends.SrcProvider = None,
    dst_provider: ends.DstProvider = None,
    src_tier: ends.SrcTier = None,
    dst_tier: ends.DstTier = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Whether a measured RTT can be true: plausible, slow, suspicious or impossible. The exit code is 0 for each.

    Example: latency judge London Tokyo --measured-ms 30
    """
    with console.readable_errors():
        predictor = Predictor(model)
        fields = ends.given(
            src_access=src_access, dst_access=dst_access, src_provider=src_provider, dst_provider=dst_provider,
            src_tier=src_tier, dst_tier=dst_tier,
        )  # fmt: skip
        answer = predictor.judge(src, dst, measured_ms=measured_ms, **fields)
    if as_json:
        answers.print_json(answer.to_dict(), predictor)
        return
    console.out.print(f"{escape(src)} → {escape(dst)}")
    verdict = f"[bold {COLOURS[answer.verdict]}]{answer.verdict}[/]"
    console.out.print(f"  {measured_ms:g} ms is {verdict}: {escape(answer.message)}", soft_wrap=True)
    answers.print_prediction(answer)


def _of(cloud: Cloud) -> list[Place]:
    return [place for place in Place.cloud_regions() if place.provider == cloud.value]


def _print_warnings(ranked: list[Ranked]) -> None:
    """Each once; what not every path is warned of, with its candidates."""
    told: dict[PredictionWarning, list[str]] = {}
    for one in ranked:
        for warning in one.warnings:
            told.setdefault(warning, []).append(str(one.candidate))
    for warning, candidates in told.items():
        about = "" if len(candidates) == len(ranked) else f"{', '.join(candidates)}: "
        answers.print_warnings([replace(warning, message=about + warning.message)])


def _table(ranked: list[Ranked], budget_ms: float | None) -> Table:
    table = Table("", "candidate", box=None, pad_edge=False)
    for heading in ("median RTT", "90 % interval", "best", *([f"within {budget_ms:g} ms"] if budget_ms else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, one in enumerate(ranked, 1):
        within = [] if one.p_within_budget is None else [_share(one.p_within_budget)]
        interval = f"{one.low_ms:.1f} to {one.high_ms:.1f} ms"
        name = escape(str(one.candidate))
        table.add_row(f"{place}", name, f"[bold]{one.p50_ms:.1f} ms[/]", interval, _share(one.p_best), *within)
    return table


def _share(probability: float) -> str:
    return "< 0.1 %" if 0 < probability < 0.001 else f"{100 * probability:.1f} %"
