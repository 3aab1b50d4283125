"""What all commands share: the two streams, errors as prose, progress, files written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import LatencyError

out = Console()
err = Console(stderr=True)

EXIT_ERROR = 1
EXTRAS = {"mlflow": "mlflow", "pyarrow": "files", "pyspark": "spark"}
"""Which extra holds a package, where it is not `train`."""

ModelOption = Annotated[Path | None, typer.Option("--model", help="An .onnx file; default: the bundled model.")]
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
        cure = f"pip install 'latency-predictor[{EXTRAS.get(error.name, 'train')}]'"
        err.print(f"This command needs the package {error.name}: {escape(cure)}", soft_wrap=True)
        raise typer.Exit(EXIT_ERROR) from error
    except BrokenPipeError:
        # Whoever reads has read enough, as `head` does: typer ends the program as is usual.
        raise
    except OSError as error:
        # What is left is the disk: a folder in the way of a file, no room, no permission.
        err.print(f"[bold red]FILE_ERROR[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(EXIT_ERROR) from error


@contextmanager
def progress(doing: str = "training") -> Iterator[Any]:
    """A bar on standard error, if that is a terminal; yields what takes `(what, done, total)`."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{doing} {what}", completed=done, total=total)

        yield report


def write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
