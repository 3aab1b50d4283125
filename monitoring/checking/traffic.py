"""Requests of every kind, for a server whose metrics are to be looked at."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

PLACES = ["London", "Tokyo", "Madrid", "aws:us-east-1", "São Paulo", "Sydney", "Lagos, NG", "Frankfurt"]
PATHS = [{"src": src, "dst": dst} for src in PLACES for dst in PLACES if src != dst]
# Farther south than training saw.
SOUTH = {"src": "-77.85,166.67", "dst": "Tokyo"}


def send(address: str, path: str, body: Any = None, **headers: str) -> int:
    """The status of the answer."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {name.replace("_", "-"): it for name, it in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def round_of(address: str) -> None:
    """Some of everything; each answer has the status that it should have."""
    path, end = PATHS[0], {"src": "Madrid", "candidates": ["aws:us-east-1", "aws:eu-west-3"], "budget_ms": 60}
    lines = "\n".join(json.dumps(path) for path in PATHS).encode()
    for expected, *request in [
        *((200, "/predict", path) for path in PATHS[:20]),
        (200, "/predict", PATHS),
        (200, "/predict", [path, {"src": "Springfield", "dst": "Tokyo"}]),
        (200, "/predict", SOUTH),
        (200, "/predict/batch", lines),
        (200, "/rank", end),
        (200, "/judge", {**path, "measured_ms": 240}),
        (200, "/timeout", path),
        (200, "/invocations", {"dataframe_records": [path]}),
        (200, "/"),
        (200, "/ready"),
        (400, "/predict", {"src": {"lat": 91, "lon": 0}, "dst": "Tokyo"}),
        (400, "/predict", b"{"),
        (404, "/predict?model=nobody", path),
        (404, "/nowhere"),
    ]:
        types = {"/predict/batch": "application/x-ndjson", "/invocations": "application/json"}
        status = send(address, *request, Content_Type=types.get(request[0], "application/json"))
        assert status == expected, (request[0], status)


def observe(address: str, rounds: int) -> None:
    """Measurements of all paths, a little beside what is predicted."""
    for number in range(rounds):
        request = urllib.request.Request(f"{address}/predict", json.dumps(PATHS).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            predicted = json.load(answer)["predictions"]
        factor = 0.9 + 0.05 * (number % 6)
        measured = [{**path, "measured_ms": one["p50_ms"] * factor} for path, one in zip(PATHS, predicted, strict=True)]
        assert send(address, "/observe", measured) == 200
