"""The tracking server that commands talk to: which one, and whether it answers. Seconds, not MLflow's minutes."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from .errors import DOCTOR, TrackingError
from .uri import DEFAULT_URI, URI_VARIABLE, shown

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""For our commands, unless the user set them: MLflow's own are 7 retries and 120 s each."""
FIRST_CALL = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def connect(uri: str | None = None) -> str:
    """Points MLflow at a tracking server for this process, and asks it one question; returns its URI as it is shown.

    `uri` None means $MLFLOW_TRACKING_URI, else http://localhost:5001. Raises `TrackingError` within seconds if there is
    no answer, or a refusal.
    """
    chosen = uri or os.environ.get(URI_VARIABLE) or DEFAULT_URI
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    # Its words go to our streams in our form.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(chosen)
    try:
        with _environment(FIRST_CALL):
            MlflowClient().search_experiments(max_results=1)
    except MlflowException as error:
        raise TrackingError(_why(chosen, str(error))) from error
    return shown(chosen)


def _why(uri: str, text: str) -> str:
    if "Invalid Host header" in text:
        found = "answers 403: it does not know the host name by which it was called (--allowed-hosts)"
    elif "timed out" in text.lower() or "TimeoutError" in text:
        found = "does not answer in time"
    # Before any number is looked for: a port may be one.
    elif "Max retries exceeded" in text or "Connection" in text:
        found = "is not reachable"
    elif re.search(r"\b40[13]\b", text):
        found = "refuses the call: it wants a login (MLFLOW_TRACKING_USERNAME and _PASSWORD, or _TOKEN)"
    else:
        found = f"fails: {text.strip().splitlines()[0][:300]}"
    return (
        f"the tracking server {shown(uri)} {found}. Start one with: mlflow server --port 5001 (in a checkout: make "
        f"mlflow-ui). Name another with {URI_VARIABLE} or --tracking-uri. Find the cause with: {DOCTOR}"
    )


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
