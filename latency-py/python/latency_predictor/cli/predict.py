"""`latency predict`: two places, or a file of paths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..predictor import Predictor
from . import answers, console, ends
from .console import JsonOption, ModelOption
from .files import predict_to_file


def predict(
    ctx: typer.Context,
    src: Annotated[str | None, typer.Argument(help="A place: London, LHR, aws:eu-west-2, or 51.51,-0.13.")] = None,
    dst: Annotated[str | None, typer.Argument(help="The other end, likewise.")] = None,
    src_access: ends.SrcAccess = None,
    dst_access: ends.DstAccess = None,
    src_provider: ends.SrcProvider = None,
    dst_provider: ends.DstProvider = None,
    src_tier: ends.SrcTier = None,
    dst_tier: ends.DstTier = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Instead of two places: a file of paths, .csv, .csv.gz, .tsv or .parquet; - for CSV from "
            "standard input.",
            rich_help_panel="Files",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where predictions go, by the same endings; - for standard output. Default: the name of the file, "
            "with .predicted.",
            rich_help_panel="Files",
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="Where rows go that cannot be predicted (CSV). Default: beside the output, .rejects.csv.",
            rich_help_panel="Files",
        ),
    ] = None,
    chunk_rows: Annotated[
        int | None, typer.Option(min=1, help="About how many rows are scored at once.", rich_help_panel="Files")
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the RTT between two places, or of each row of a file.

    Examples: latency predict London Tokyo --src-access wifi

    latency predict -33.87,151.21 aws:eu-west-2

    latency predict --file paths.csv --out predicted.parquet

    zcat paths.csv.gz | latency predict --file - | head

    A file has a column for each field (src_lat, …), or src and dst with names of places; others are carried along.
    Exit code 3: rows were rejected.
    """
    fields = ends.given(
        src_access=src_access, dst_access=dst_access, src_provider=src_provider, dst_provider=dst_provider,
        src_tier=src_tier, dst_tier=dst_tier,
    )  # fmt: skip
    if file is not None:
        if src is not None or fields:
            found = src or "--" + next(iter(fields)).replace("_", "-")
            ctx.fail(f"--file does not go with {found}: a file holds the ends of its paths, in columns.")
        predict_to_file(ctx, file, out, rejects, chunk_rows, model, as_json)
        return
    for option, value in (("--out", out), ("--rejects", rejects), ("--chunk-rows", chunk_rows)):
        if value is not None:
            ctx.fail(f"{option} goes with --file.")
    if src is None or dst is None:
        ctx.fail(f"Missing argument '{'SRC' if src is None else 'DST'}': two places, or --file.")
    with console.readable_errors():
        predictor = Predictor(model)
        prediction = predictor.predict(src, dst, **fields)
    if as_json:
        answers.print_json(prediction.to_dict(), predictor)
        return
    console.out.print(f"{escape(src)} → {escape(dst)}")
    answers.print_prediction(prediction)
