"""`latency predict --file`: names, progress and the summary around `latency_predictor.files`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..predictor import Predictor
from . import answers, console

if TYPE_CHECKING:
    from ..files.scoring import Progress as Report
    from ..files.scoring import Summary

EXIT_REJECTED = 3
MANY = 100_000
"""Fewer rows take less time than the model takes to load: a rate would mislead."""


def predict_to_file(
    ctx: typer.Context,
    path: Path,
    out: Path | None,
    rejects: Path | None,
    rows: int | None,
    model: Path | None,
    as_json: bool,
) -> None:
    """Predicts a file. Exits with code 3 if rows were rejected."""
    started = time.monotonic()
    with console.readable_errors():
        from ..files import names, scoring

        stream = names.STREAM
        if out is None:
            out = stream if path == stream else names.beside(path, "predicted")
        if as_json and out == stream:
            ctx.fail("--json and the predictions would both go to standard output; name a file with --out.")
        if rejects is None:
            rejects = names.beside(path if out == stream else out, "rejects", ".csv")
        with _progress(path) as report:
            summary = scoring.predict_file(
                predictor := Predictor(model), path, out, rejects, rows=rows or scoring.CHUNK_ROWS, progress=report
            )
    seconds = time.monotonic() - started
    if as_json:
        answers.print_json(_as_dict(summary, out, rejects, seconds), predictor)
    _print(summary, out, rejects, seconds)
    if summary.rejected:
        raise typer.Exit(EXIT_REJECTED)


def _as_dict(summary: Summary, out: Path, rejects: Path, seconds: float) -> dict[str, object]:
    return {
        "rows": summary.rows,
        "predicted": summary.predicted,
        "rejected": summary.rejected,
        "warnings": [
            {"code": code, "field": field, "rows": rows} for (code, field), rows in summary.warnings.most_common()
        ],
        "ignored_columns": list(summary.ignored_columns),
        "out": str(out),
        "rejects": str(rejects) if summary.rejected else None,
        "seconds": round(seconds, 3),
    }


def _print(summary: Summary, out: Path, rejects: Path, seconds: float) -> None:
    def show(line: str) -> None:
        console.err.print(line, soft_wrap=True, highlight=False)

    rate = f" ({summary.rows / seconds:,.0f} per second)" if summary.rows >= MANY else ""
    took = f"{seconds:.1f} s{rate}"
    rows = f"{summary.rows:,} row{'' if summary.rows == 1 else 's'}"
    show(f"{rows} = {summary.predicted:,} predicted + {summary.rejected:,} rejected, in {took}")
    if str(out) != "-":
        show(f"predictions in {escape(str(out))}")
    if summary.rejected:
        show(f"[bold red]rejects[/] in {escape(str(rejects))}: each with its place in the file and what is wrong")
    for (code, field), count in summary.warnings.most_common():
        show(f"[yellow]{code}[/] {escape(field)}: {count:,} row{'' if count == 1 else 's'}")
    if summary.ignored_columns:
        show(f"columns that the model does not use: {escape(', '.join(summary.ignored_columns))}")


class _Rate(ProgressColumn):
    """Rows done, and how many per second."""

    def render(self, task: Task) -> Text:
        rows = task.fields["rows"]
        elapsed = task.elapsed or 0
        return Text(f"{rows:,} rows" + (f", {rows / elapsed:,.0f}/s" if elapsed > 1 else ""))


class _Amount(ProgressColumn):
    """How much is read: bytes or rows."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        if not task.fields["in_bytes"]:
            return Text(f"{task.percentage:>3.0f} %")
        return Text(f"{decimal(int(task.completed))} of {decimal(int(task.total))}")


@contextmanager
def _progress(path: Path) -> Iterator[Report]:
    """A bar on standard error, if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), _Amount(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console.err, transient=True, disable=not console.err.is_terminal) as bar:
        in_bytes = not path.name.lower().endswith(".parquet")
        task = bar.add_task("predicting", total=None, rows=0, in_bytes=in_bytes)

        def report(done: int, total: int | None, rows: int) -> None:
            bar.update(task, completed=done, total=total, rows=rows)

        yield report
