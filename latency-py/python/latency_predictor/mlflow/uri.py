"""The address of a tracking server: where it comes from, and how it is shown."""

from __future__ import annotations

from urllib.parse import urlsplit

URI_VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_URI = "http://localhost:5001"


def shown(uri: str) -> str:
    """The address without the name and password that may stand in it: for terminals and logs."""
    login, at, _ = urlsplit(uri).netloc.rpartition("@")
    return uri.replace(login + at, "", 1)
