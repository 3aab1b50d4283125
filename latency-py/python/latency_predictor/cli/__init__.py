"""The command line: one module for each group of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from . import mlflow, model
from .ends import PlacesCommand
from .predict import predict
from .questions import judge, rank, timeout
from .train import data, evaluate, train, tune

app = typer.Typer(
    help="Know the network latency before you connect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"latency {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Know the network latency before you connect."""


for command in (predict, rank, timeout, judge):
    app.command(cls=PlacesCommand)(command)
for other in (data, train, tune, evaluate):
    app.command()(other)
app.add_typer(model.app, name="model")
app.add_typer(mlflow.app, name="mlflow")
