"""The command line: one module for each group of commands."""

from __future__ import annotations

import typer

from . import mlflow, model
from .predict import predict
from .train import data, evaluate, train, tune

app = typer.Typer(
    help="Know the network latency before you connect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# Coordinates may start with a minus sign, and are no options then.
app.command(context_settings={"ignore_unknown_options": True})(predict)
for command in (data, train, tune, evaluate):
    app.command()(command)
app.add_typer(model.app, name="model")
app.add_typer(mlflow.app, name="mlflow")
