"""Plain requests to a tracking server, as its clients send them, but with seconds of patience instead of minutes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from .findings import printable

TIMEOUT_SECONDS = 5
API = "/api/2.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
SHOWN_CHARACTERS = 200

# MLflow's client retries for minutes by default; what its user sets himself wins.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
SILENCE = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class NoAnswerError(Exception):
    """No HTTP answer came. `kind`: refused, unknown host, no route, hangs, tls, or other."""

    def __init__(self, request: str, kind: str, reason: str) -> None:
        super().__init__(f"{request} → {reason}")
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """What came back: the request as shown to people, status, headers (names in small letters) and body."""

    request: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    @property
    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def shown(self) -> str:
        """One line of evidence."""
        body = " ".join(self.text.split())
        if len(body) > SHOWN_CHARACTERS:
            body = body[:SHOWN_CHARACTERS] + "…"
        return printable(f"{self.request} → {self.status}" + (f" {body}" if body else ""))


class Server:
    """The tracking server at `uri`; credentials come from where MLflow takes them, and are never shown."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.parts = urlsplit(self.uri)
        host = self.parts.netloc.rpartition("@")[2]
        self.shown = self.parts._replace(netloc=host).geturl()
        self.host = host

    @property
    def port(self) -> int:
        """The port that requests go to."""
        return self.parts.port or (443 if self.parts.scheme == "https" else 80)

    def hide(self, text: object) -> str:
        """A text without the credentials that the URI may hold."""
        return str(text).replace(self.parts.netloc, self.host)

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        """Sends one request, follows no redirect, retries nothing. Raises `NoAnswerError`."""
        query = "".join(f"?{key}={value}" for key, value in more.get("params", {}).items())
        request = f"{method} {self.shown}{path}{query}"
        try:
            answer = http_request(
                get_default_host_creds(self.uri),
                path,
                method,
                max_retries=0,
                backoff_factor=0,
                backoff_jitter=0,
                retry_codes=(),
                raise_on_status=False,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                **more,
            )
        except MlflowException as error:
            # MLflow wraps what `requests` raised, with and without `from`.
            kind, reason = _why(error.__cause__ or error.__context__ or error)
            raise NoAnswerError(request, kind, self.hide(reason)) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(request, answer.status_code, headers, answer.content)

    def get(self, path: str, /, **params: str) -> Answer:
        """GET with these query parameters."""
        return self.ask("GET", path, params=params)


def without_login(text: str) -> str:
    """A text with a URI that may be none, without all that could be its user and password."""
    return re.sub(r"://.*@", "://", text, flags=re.DOTALL)


def _why(error: BaseException) -> tuple[str, str]:
    """The kind of a failure, by what urllib3 raised at the bottom of it, and a short reason."""
    inner = error.args[0] if error.args else error
    kind = type(getattr(inner, "reason", inner)).__name__
    text = str(error)
    if isinstance(error, requests.exceptions.SSLError) or kind == "SSLError":
        return "tls", f"TLS failed: {text}"
    if isinstance(error, requests.exceptions.ConnectTimeout) or kind == "ConnectTimeoutError":
        return "no route", f"no connection within {TIMEOUT_SECONDS} s"
    if isinstance(error, requests.exceptions.Timeout) or kind == "ReadTimeoutError":
        return "hangs", f"connected, no answer within {TIMEOUT_SECONDS} s"
    if kind == "NameResolutionError" or "getaddrinfo" in text:
        return "unknown host", "the name of the host is not known"
    if "refused" in text:
        return "refused", "connection refused"
    return "no route" if "unreachable" in text or "No route" in text else "other", text


@contextmanager
def mlflow_client(quick: bool) -> Iterator[None]:
    """MLflow's own client silent, and `quick` to give up, for as long as this lasts."""
    wanted = {**SILENCE, **(PATIENCE if quick else {})}
    added = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
