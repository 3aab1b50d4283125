"""Which alerts silence which: asked of an Alertmanager that runs."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from .tools import Wrong

APP = {"job": "latency", "instance": "app:5000"}
MLFLOW = {"job": "mlflow", "instance": "mlflow:5001"}
BUDGET = {"job": "latency", "objective": "availability"}

# What fires, what else does, and whether that is news.
CASES: list[tuple[dict[str, str], dict[str, str], bool]] = [
    ({"alertname": "LatencyDown", "job": "latency"}, {"alertname": "LatencyReloadFailing", **APP}, False),
    ({"alertname": "LatencyDown", "job": "latency"}, {"alertname": "TargetDown", **APP}, False),
    ({"alertname": "LatencyDown", "job": "latency"}, {"alertname": "TargetDown", **MLFLOW}, True),
    ({"alertname": "TargetDown", **APP}, {"alertname": "ProcessRestarting", **APP}, False),
    ({"alertname": "TargetDown", **APP}, {"alertname": "LatencyOverloaded", "job": "latency"}, True),
    ({"alertname": "TargetDown", **MLFLOW}, {"alertname": "LatencyRegistryDown", "model": "latency", **APP}, False),
    (
        {"alertname": "LatencyAvailabilityBurnsFast", "severity": "critical", **BUDGET},
        {"alertname": "LatencyAvailabilityBurnsSlowly", "severity": "warning", **BUDGET},
        False,
    ),
    (
        {"alertname": "LatencyAvailabilityBurnsFast", "severity": "critical", **BUDGET},
        {"alertname": "LatencySpeedBurnsSlowly", "severity": "warning", **BUDGET, "objective": "speed"},
        True,
    ),
    ({"alertname": "LatencyOverloaded", "job": "latency"}, {"alertname": "LatencyNearlyFull", **APP}, False),
]


def ask(address: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/api/v2/alerts", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def check(address: str) -> None:
    """Sends two alerts at a time, to an Alertmanager that has no others."""
    for source, target, news in CASES:
        pair = [{"labels": labels} for labels in (source, target)]
        ask(address, pair)
        states: dict[str, str] = {}
        for _ in range(50):
            states = {alert["labels"]["alertname"]: alert["status"]["state"] for alert in ask(address)}
            if len(states) == len(pair) and "unprocessed" not in states.values():
                break
            time.sleep(0.1)
        state, expected = states.get(target["alertname"]), "active" if news else "suppressed"
        if state != expected:
            raise Wrong(f"{target['alertname']} beside {source['alertname']} is {state}, not {expected}")
        past = {"startsAt": "2000-01-01T00:00:00Z", "endsAt": "2000-01-01T00:00:01Z"}
        ask(address, [alert | past for alert in pair])
    silent = sum(not news for *_, news in CASES)
    print(f"ok: of {len(CASES)} pairs of alerts {silent} are told as one", flush=True)
