"""Logging to MLflow from `latency train`: when it is asked for or set up, and never at the cost of a trained model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from ..errors import LatencyError
from . import console

if TYPE_CHECKING:
    from ..training.outcome import Trained

URI_VARIABLE = "MLFLOW_TRACKING_URI"


def ready(wanted: bool | None) -> bool:
    """Whether to log, asked before training: said on standard error, with the reason if not.

    `wanted` None means: if $MLFLOW_TRACKING_URI is set and the server answers. True raises if it does not.
    """
    if wanted is False or (wanted is None and not os.environ.get(URI_VARIABLE)):
        return False
    try:
        from ..mlflow import server

        uri = server.connect()
    except ModuleNotFoundError as error:
        if wanted or error.name != "mlflow":
            raise
        _say(
            f"not logging to MLflow: {URI_VARIABLE} is set, but the package is missing: "
            "pip install 'latency-predictor[mlflow]'"
        )
        return False
    except LatencyError as error:
        if wanted:
            raise
        _say(f"not logging to MLflow: {error}")
        return False
    _say(f"logging to MLflow at {uri}")
    return True


def log(trained: Trained, written: Path, wanted: bool | None) -> None:
    """Logs a model whose file is written already. A server that fails is an error only if logging was asked for."""
    from ..mlflow import artifacts, tracking

    try:
        with later(written):
            run = tracking.log_training(trained)
            count = len(
                artifacts.verify_run(run.run_id, run.artifacts) + artifacts.verify_model(run.model_id, run.sha256)
            )
    except LatencyError as error:
        if wanted:
            raise
        _say(f"not logged to MLflow: {error}")
        return
    _say(f"logged as run {run.run_id} in experiment {run.experiment}, {count} artifacts verified: {run.model_uri}")
    name = trained.fit.schema["name"]
    _say(f"next: latency mlflow register{'' if name == 'latency' else f' --name {shlex.quote(name)}'}")


@contextmanager
def later(
    written: Path, name: str | None = None, uri: str | None = None, experiment: str | None = None
) -> Iterator[None]:
    """Adds to an error how the model that was trained meanwhile can be logged later."""
    try:
        yield
    except LatencyError as error:
        options = {"--name": name, "--tracking-uri": uri, "--experiment": experiment}
        command = ["latency", "mlflow", "register", "--file", str(written)]
        command += [word for option, value in options.items() if value for word in (option, value)]
        text = f"{error} The trained model is in {written}; log it later with: {shlex.join(command)}"
        raise LatencyError(text, error.code, error.field, error.row) from error


def _say(text: str) -> None:
    console.err.print(escape(text), soft_wrap=True)
