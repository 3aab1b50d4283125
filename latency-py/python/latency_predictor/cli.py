"""The command line: `latency predict`, `data`, `train`, `model`."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .errors import LatencyError
from .predictor import Prediction, Predictor

app = typer.Typer(
    help="Know the network latency before you connect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
model_app = typer.Typer(help="Look at model files.", no_args_is_help=True)
app.add_typer(model_app, name="model")
out = Console()
err = Console(stderr=True)

TRAIN_EXTRA = "pip install 'latency-predictor[train]'"
EXIT_ERROR = 1

ModelOption = Annotated[Path | None, typer.Option("--model", help="An .onnx file; default: the bundled model.")]
TableOption = Annotated[Path, typer.Option(help="The tidy table of `latency data`.")]
TABLE = Path("data/cache/paths.parquet")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def readable_errors() -> Iterator[None]:
    """Errors as prose on standard error and exit code 1, without a traceback."""
    try:
        yield
    except LatencyError as error:
        err.print(f"[bold red]{error.code}[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(EXIT_ERROR) from error
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("latency_predictor"):
            raise
        err.print(f"This command needs the package {error.name}: {escape(TRAIN_EXTRA)}", soft_wrap=True)
        raise typer.Exit(EXIT_ERROR) from error
    except OSError as error:
        # What is left is the disk: a folder in the way of a file, no room, no permission.
        err.print(f"[bold red]FILE_ERROR[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(EXIT_ERROR) from error


# Coordinates may start with a minus sign, and are no options then.
@app.command(context_settings={"ignore_unknown_options": True})
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
    with readable_errors():
        fields = {"src_access": src_access, "dst_access": dst_access}
        predictor = Predictor(model)
        prediction = predictor.predict(src, dst, **{k: v for k, v in fields.items() if v is not None})
    if as_json:
        print(json.dumps(_as_dict(prediction) | {"model": _tag(predictor)}))
        return
    out.print(f"{escape(src)} → {escape(dst)}")
    out.print(f"  median RTT       [bold]{prediction.p50_ms:.1f} ms[/]")
    out.print(f"  90 % interval    {prediction.low_ms:.1f} to {prediction.high_ms:.1f} ms (for that median)")
    out.print(f"  one measurement  90 % below {prediction.p90_ms:.1f} ms, 99 % below {prediction.p99_ms:.1f} ms")
    if prediction.floor_ms is not None and prediction.distance_km is not None:
        out.print(f"  floor            {prediction.floor_ms:.1f} ms (light in fibre, {prediction.distance_km:,.0f} km)")
    for warning in prediction.warnings:
        out.print(f"  [yellow]{warning.code}[/] {warning.field}: {escape(warning.message)}", soft_wrap=True)


@app.command()
def data(
    output: Annotated[Path, typer.Option("--out", help="The tidy table to write (Parquet).")] = Path(
        "data/cache/paths.parquet"
    ),
    cache: Annotated[Path, typer.Option(help="Where downloads are kept.")] = Path("data/cache/raw"),
    mirror: Annotated[
        Path | None, typer.Option(envvar="LATENCY_DATA_MIRROR", help="A folder that already has the files.")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only this set; can be repeated.")] = None,
) -> None:
    """Download the measurements (or take them from a mirror), check them, clean them, write one table.

    Example: latency data --mirror /srv/rtt-data
    """
    with readable_errors():
        from .data.command import prepare

        prepare(mirror, cache, output, sets, err)


@app.command()
def train(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Your own table (CSV or Parquet); default: the table of `latency data`."),
    ] = None,
    target: Annotated[str, typer.Option(help="The column to predict.")] = "rtt_ms",
    drop: Annotated[list[str] | None, typer.Option(help="Leave this column out; can be repeated.")] = None,
    output: Annotated[Path, typer.Option("--out", help="The model file to write.")] = Path("model.onnx"),
    name: Annotated[str, typer.Option(help="The model's name, for your own table.")] = "custom",
    threads: Annotated[
        int, typer.Option(min=1, help="For your own table; another number may give other last bits.")
    ] = 1,
    table: TableOption = TABLE,
) -> None:
    """Train a model: the paths model on the published measurements, or a model on your own table.

    Examples: latency data && latency train --out latency.onnx

    latency train --data mine.csv --target rtt_ms --drop timestamp --out mine.onnx
    """
    with readable_errors():
        if data is None:
            _train_paths(table, output)
        else:
            _train_table(data, target, tuple(drop or ()), output, name, threads)


@app.command()
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
    with readable_errors():
        from .data import table as tidy
        from .training import tuning

        with _progress("searching") as progress:

            def show(search: str, done: int, total: int, score: float, best: float) -> None:
                progress(search, done, total)
                err.print(f"{search}, trial {done} of {total}: {score:.4f}, best {best:.4f}")

            found = tuning.tune(tidy.read(table), storage, trials, show)
        _write(output, (json.dumps(found, indent=1) + "\n").encode())
        err.print(f"wrote {output}", soft_wrap=True)


@app.command()
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
    with readable_errors():
        _evaluate(model, table, output, card, figures, studies)


@model_app.command("info")
def model_info(model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Show what a model file holds.

    Example: latency model info --model mine.onnx
    """
    with readable_errors():
        predictor = Predictor(model)
    info, schema = predictor.model_info, predictor.schema
    if as_json:
        print(json.dumps(info))
        return
    out.print(f"[bold]{escape(info['name'])}[/] {info['version']} on {info['engine']}, {info['bytes']:,} bytes")
    fields = Table("field", "type", "allowed", "required")
    for field in schema["fields"]:
        if field["type"] == "category":
            allowed = escape(", ".join(field["categories"]))
        else:
            limits = [f"{field[end]:g}" for end in ("min", "max") if end in field]
            allowed = " to ".join(limits) + f" {field.get('unit', '')}" if limits else "any finite number"
        fields.add_row(escape(field["name"]), field["type"], allowed, "yes" if field.get("required") else "no")
    out.print(fields)
    out.print_json(data=info["provenance"])


@contextmanager
def _progress(doing: str = "training") -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{doing} {what}", completed=done, total=total)

        yield report


def _train_paths(table: Path, output: Path) -> None:
    from .data import table as tidy
    from .evaluation.evaluate import held_out_metrics
    from .training import paths

    rows = tidy.read(table)
    with _progress() as progress:
        cross = paths.cross_fit(rows, progress=progress, report=err.print)
        err.print("training on all rows")
        fitted = paths.fit_paths(rows, progress=progress).with_offsets(cross.offsets())
    origin = paths.provenance(rows, "latency data && latency train", held_out_metrics(cross))
    _write(output, fitted.with_provenance(origin).to_bytes())
    _say_written(output, Predictor(output))


def _evaluate(
    model: Path | None, table: Path, output: Path, card: Path | None, figures: Path | None, studies: bool
) -> None:
    from .data import table as tidy
    from .evaluation.card import write_card
    from .evaluation.evaluate import evaluate

    predictor, rows = Predictor(model), tidy.read(table)
    result, held_out = evaluate(rows, predictor, studies=studies, report=err.print)
    _write(output, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    if figures:
        from .evaluation.figures import draw

        for name, content in draw(predictor, result, held_out).items():
            _write(figures / name, content)
    if card:
        pictures = Path(os.path.relpath(figures, card.parent)).as_posix() if figures else None
        _write(card, write_card(predictor, result, pictures).encode())
    err.print(f"wrote {output}", soft_wrap=True)


def _train_table(data: Path, target: str, drop: tuple[str, ...], output: Path, name: str, threads: int) -> None:
    from .training import tables

    rows = tables.read_table(data)
    with _progress() as progress:
        model = tables.train(rows, target, drop, name, progress, threads)
    if model.rows_without_target:
        err.print(f"left out {model.rows_without_target:,} rows without a `{target}`")
    options = [value for column in drop for value in ("--drop", column)]
    options += ["--name", name, "--threads", str(threads)]
    command = shlex.join(["latency", "train", "--data", data.name, "--target", target, *options])
    _write(output, model.fit.with_provenance(tables.provenance(data, model, command)).to_bytes())
    for metric, value in model.metrics.items():
        err.print(f"  {metric:24} {value:,}")
    _say_written(output, Predictor(output))


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _say_written(path: Path, predictor: Predictor) -> None:
    info = predictor.model_info
    name = escape(f"{path}: {info['name']}")
    err.print(f"wrote {name} {info['version']}, {info['bytes']:,} bytes, {info['features']} features", soft_wrap=True)


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
