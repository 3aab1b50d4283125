"""`latency data`, `train`, `tune` and `evaluate`: from measurements to a judged model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..predictor import Predictor
from . import console, tracking
from .console import ModelOption

if TYPE_CHECKING:
    from ..training.outcome import Trained

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Your own table (CSV or Parquet); default: the table of `latency data`."),
]
TargetOption = Annotated[str, typer.Option(help="The column to predict.")]
DropOption = Annotated[list[str] | None, typer.Option(help="Leave this column out; can be repeated.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="For your own table; another number may give other last bits.")]
TableOption = Annotated[Path, typer.Option(help="The tidy table of `latency data`.")]
TABLE = Path("data/cache/paths.parquet")
CACHE = Path("data/cache/raw")


def data(
    output: Annotated[Path, typer.Option("--out", help="The tidy table to write (Parquet).")] = TABLE,
    cache: Annotated[Path, typer.Option(help="Where downloads are kept.")] = CACHE,
    mirror: Annotated[
        Path | None, typer.Option(envvar="LATENCY_DATA_MIRROR", help="A folder that already has the files.")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only this set; can be repeated.")] = None,
) -> None:
    """Download the measurements (or take them from a mirror), check them, clean them, write one table.

    Example: latency data --mirror /srv/rtt-data
    """
    with console.readable_errors():
        from ..data.command import prepare

        prepare(mirror, cache, output, sets, console.err)


def train(
    data: DataOption = None,
    target: TargetOption = "rtt_ms",
    drop: DropOption = None,
    output: Annotated[Path, typer.Option("--out", help="The model file to write.")] = Path("model.onnx"),
    name: Annotated[str, typer.Option(help="The model's name, for your own table.")] = "custom",
    threads: ThreadsOption = 1,
    table: TableOption = TABLE,
    mlflow: Annotated[
        bool | None,
        typer.Option("--mlflow/--no-mlflow", help="Log to MLflow; default: if MLFLOW_TRACKING_URI is set and answers."),
    ] = None,
) -> None:
    """Train a model: the paths model on the published measurements, or a model on your own table.

    Examples: latency train --out latency.onnx

    latency train --data mine.csv --target rtt_ms --drop timestamp --out mine.onnx
    """
    with console.readable_errors():
        logging = tracking.ready(mlflow)
        trained = run_training(data, target, tuple(drop or ()), table, output, name, threads)
        if logging:
            tracking.log(trained, output, mlflow)


def tune(
    table: TableOption = TABLE,
    output: Annotated[Path, typer.Option("--out", help="The settings to write (JSON).")] = Path("tuned.json"),
    storage: Annotated[
        Path, typer.Option(help="Where trials are kept: a search that was stopped goes on from here.")
    ] = Path("data/cache/tuning.journal"),
    trials: Annotated[int, typer.Option(min=1, help="Trials per search; there are six.")] = 20,
) -> None:
    """Search for XGBoost's settings for the paths model, once per fold without its places and once on all.

    Example: latency tune --trials 20 --out tuned.json
    """
    with console.readable_errors():
        from ..data import table as tidy
        from ..training import tuning

        with console.progress("searching") as progress:

            def show(search: str, done: int, total: int, score: float, best: float) -> None:
                progress(search, done, total)
                console.err.print(f"{search}, trial {done} of {total}: {score:.4f}, best {best:.4f}")

            found = tuning.tune(tidy.read(table), storage, trials, show)
        console.write(output, (json.dumps(found, indent=1) + "\n").encode())
        console.err.print(f"wrote {escape(str(output))}", soft_wrap=True)


def evaluate(
    model: ModelOption = None,
    table: TableOption = TABLE,
    output: Annotated[Path, typer.Option("--out", help="The figures to write (JSON).")] = Path("evaluation.json"),
    card: Annotated[Path | None, typer.Option(help="Also write the model card here (Markdown).")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also draw the card's pictures into this folder (SVG and PNG).")
    ] = None,
    studies: Annotated[
        bool, typer.Option("--studies", help="Also the ablations and the learning curve: many more fits.")
    ] = False,
) -> None:
    """Judge how the paths model is made on places, countries and data sets that it never saw.

    Example: latency evaluate --out evaluation.json --card README.md --figures figures
    """
    with console.readable_errors():
        _evaluate(model, table, output, card, figures, studies)


def run_training(
    data: Path | None, target: str, drop: tuple[str, ...], table: Path, output: Path, name: str, threads: int
) -> Trained:
    """Trains the paths model on `table`, or a model on the user's own `data`; writes the file and says so.

    The table of `latency data` is made if it is not there yet; one that the user named must be.
    """
    from ..data.command import prepare
    from ..training import outcome

    if data is None and table == TABLE and not table.exists():
        prepare(None, CACHE, table, None, console.err)

    def report(text: str) -> None:
        console.err.print(escape(text))

    with console.progress() as progress:
        if data is None:
            trained = outcome.train_paths(table, progress, report)
        else:
            trained = outcome.train_table(data, target, drop, name, threads, progress, report)
    console.write(output, trained.model)
    _say_written(output, Predictor(output))
    return trained


def _evaluate(
    model: Path | None, table: Path, output: Path, card: Path | None, figures: Path | None, studies: bool
) -> None:
    from ..data import table as tidy
    from ..evaluation.card import write_card
    from ..evaluation.evaluate import evaluate

    predictor, rows = Predictor(model), tidy.read(table)
    result, held_out = evaluate(rows, predictor, studies=studies, report=console.err.print)
    console.write(output, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    if figures:
        from ..evaluation.figures import draw

        for name, content in draw(predictor, result, held_out).items():
            console.write(figures / name, content)
    if card:
        pictures = Path(os.path.relpath(figures, card.parent)).as_posix() if figures else None
        console.write(card, write_card(predictor, result, pictures).encode())
    console.err.print(f"wrote {escape(str(output))}", soft_wrap=True)


def _say_written(path: Path, predictor: Predictor) -> None:
    info = predictor.model_info
    name = escape(f"{path}: {info['name']}")
    console.err.print(
        f"wrote {name} {info['version']}, {info['bytes']:,} bytes, {info['features']} features", soft_wrap=True
    )
