"""Faults that are planted in a copy, each of which the checks have to find: a check that cannot fail shows nothing."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from . import panels
from .tools import ROOT, Wrong

RULES = "monitoring/prometheus/rules"
TESTS = "monitoring/prometheus/tests"
PANELS = "monitoring/grafana"
RUNBOOK = "docs/monitoring.md"


@dataclass
class Fault:
    """One file changed: `before` becomes `after`, once; and what the check has to say."""

    what: str
    file: str
    before: str
    after: str
    said: str


FAULTS = [
    Fault("a rule that does not parse", f"{RULES}/service.yml", "> 768 *", "> 768 **", "promtool check fails"),
    Fault(
        "a metric that nothing exposes",
        f"{RULES}/model.yml",
        "latency_feature_psi >",
        "latency_feature_spi >",
        "nothing exposes",
    ),
    Fault(
        "a label that a metric has not",
        f"{RULES}/service.yml",
        'reason="overloaded"',
        'cause="overloaded"',
        "has no label cause",
    ),
    Fault(
        "a sum by a label that is not there",
        f"{RULES}/watching.yml",
        "rule_group)",
        "group)",
        "no metric has the label group",
    ),
    Fault(
        "an objective that is renamed",
        f"{RULES}/objectives.yml",
        "- record: latency:budget_burn:rate5m",
        "- record: latency:burn:rate5m",
        "nothing exposes the metric latency:budget_burn:rate5m",
    ),
    Fault(
        "an objective that the guide does not know",
        f"{RULES}/objectives.yml",
        "vector(0.999)",
        "vector(0.9995)",
        "the objective for availability is 99.95 %",
    ),
    Fault(
        "an alert without a test",
        f"{RULES}/model.yml",
        "- alert: LatencyFeatureDrift",
        "- alert: LatencyDrift",
        "LatencyDrift",
    ),
    Fault(
        "an alert that is not in the runbook",
        RUNBOOK,
        "### LatencyFeatureDrift",
        "### Drift",
        "has no section of this name",
    ),
    Fault(
        "a test in which an alert never clears",
        f"{TESTS}/watching.yml",
        "eval_time: 70m, exp_alerts: []",
        "eval_time: 10m, exp_alerts: []",
        "ProcessRestarting: no test shows",
    ),
    Fault(
        "a threshold that is never reached",
        f"{RULES}/model.yml",
        "latency_feature_psi > 0.25",
        "latency_feature_psi > 25",
        "promtool test fails",
    ),
    Fault(
        "an alert that fires in a healthy day",
        f"{RULES}/service.yml",
        "> 768 * 1024 * 1024",
        "> 100 * 1024 * 1024",
        "promtool test fails",
    ),
    Fault(
        "a severity that nobody routes",
        f"{RULES}/watching.yml",
        "severity: critical",
        "severity: high",
        "its severity is none of",
    ),
    Fault(
        "Alertmanager without its receiver",
        "monitoring/alertmanager/alertmanager.yml",
        "- name: operators",
        "- name: nobody",
        "amtool check-config fails",
    ),
    Fault(
        "a metric of the server that is renamed",
        "docs/server.md",
        "| `latency_sessions` |",
        "| `latency_parallel` |",
        "differ in latency_parallel, latency_sessions",
    ),
    Fault(
        "a dashboard with a key that nobody knows",
        f"{PANELS}/dashboards/service.json",
        '"graphTooltip"',
        '"graphTooltips"',
        "tsc --project fails",
    ),
    Fault(
        "a panel with an option that nobody knows",
        f"{PANELS}/dashboards/model.json",
        '"displayMode": "table"',
        '"displayMode": "tabel"',
        "tsc --project fails",
    ),
    Fault(
        "a panel without a unit", f"{PANELS}/dashboards/service.json", '"unit": "reqps"', '"unit": ""', "it has no unit"
    ),
    Fault(
        "a dashboard changed by hand",
        f"{PANELS}/dashboards/service.json",
        '"now-6h"',
        '"now-3h"',
        "the dashboards are not what generate.py writes",
    ),
    Fault(
        "another version of Grafana",
        "docker-compose.yml",
        "grafana/grafana:11",
        "grafana/grafana:12",
        "and the types are those of",
    ),
    Fault(
        "another uid of Prometheus",
        f"{PANELS}/provisioning/datasources/datasources.yml",
        "uid: prometheus",
        "uid: metrics",
        "the uids are",
    ),
]


def copy(folder: Path) -> Path:
    """What the checks read."""
    leave = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "monitoring", folder / "monitoring", ignore=leave)
    (folder / "docs").mkdir()
    for name in ("docs/monitoring.md", "docs/server.md", "docker-compose.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def found(check: Callable[[], None]) -> str:
    """What a check says that is wrong."""
    try:
        with redirect_stdout(io.StringIO()):
            check()
    except Wrong as wrong:
        return str(wrong)
    return "nothing"


def query_in_dashboards(folder: Path, before: str, after: str) -> None:
    """Changes a query where dashboards are made, and makes them."""
    path = folder / f"{PANELS}/model.py"
    path.write_text(path.read_text().replace(before, after, 1))
    path = folder / f"{PANELS}/dashboards/model.json"
    path.write_text(path.read_text().replace(before, after))


class Silent(BaseHTTPRequestHandler):
    """A Prometheus that knows everything but how far fields have drifted."""

    def do_GET(self) -> None:
        known = "latency_feature_psi" not in unquote_plus(self.path)
        series = {"metric": {}, "values": [[0, "1"]], "value": [0, "1"]}
        body = json.dumps({"data": {"result": [series] if known else []}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def check(static: Callable[[Path], None]) -> None:
    """Plants them one by one."""
    cases: list[tuple[str, str, str]] = []
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as name:
            folder = copy(Path(name))
            path = folder / fault.file
            text = path.read_text()
            assert fault.before in text, fault
            path.write_text(text.replace(fault.before, fault.after, 1))
            cases.append((fault.what, fault.said, found(lambda folder=folder: static(folder))))
            show(*cases[-1])
    with tempfile.TemporaryDirectory() as name:
        folder = copy(Path(name))
        query_in_dashboards(folder, "latency_observed_window{", "latency_observed_windows{")
        cases.append(
            ("a panel that asks for an unknown metric", "nothing exposes the metric", found(lambda: static(folder)))
        )
        show(*cases[-1])
    server = HTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    cases.append(("a panel without data", "model: Drift by field", found(lambda: panels.check(ROOT, address, 0))))
    show(*cases[-1])
    missed = [what for what, said, heard in cases if said not in heard]
    if missed:
        raise Wrong(f"{len(missed)} of {len(cases)} faults were not found: {'; '.join(missed)}")
    print(f"ok: {len(cases)} faults were planted and found")


def show(what: str, said: str, heard: str) -> None:
    well = said in heard
    print(f"{'found' if well else 'MISSED'}: {what}" + ("" if well else f": heard {heard[:500]}"), flush=True)
