"""Asking a Prometheus that runs."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .tools import Wrong


class Prometheus:
    """A server, by its address."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{query}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Wrong(f"Prometheus refuses {parameters}: {error.read().decode()[:500]}") from error

    def has_values(self, expr: str, seconds: int = 3600) -> bool:
        """Whether a graph of the last hour would show anything: NaN is nothing."""
        now = time.time()
        found = self.get("query_range", query=expr, start=f"{now - seconds}", end=f"{now}", step="15")
        latest = self.get("query", query=expr)
        samples = [value for series in found["result"] for _, value in series["values"]]
        samples += [series["value"][1] for series in latest["result"]]
        return any(value != "NaN" for value in samples)
