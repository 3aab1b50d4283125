"""`latency mlflow`: MLflow from the command line."""

from __future__ import annotations

import typer

from .mlflow_doctor import doctor

app = typer.Typer(help="MLflow: tracking, registry, doctor.", no_args_is_help=True)
app.command()(doctor)
