"""What targets really expose: `exposed.txt`, which the live check writes and compares, and the guide of the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .expressions import Used
from .tools import Wrong

# Made by Prometheus itself, for every target and for alerts.
OWN = {
    "up": set(),
    "scrape_duration_seconds": set(),
    "scrape_samples_scraped": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
OF_TARGETS = {"job", "instance"}
PART = re.compile(r"_(?:bucket|sum|count)$")
# `| name | type | labels | meaning |`; the gauges of registries stand in a table of their own, without a type.
ROW = re.compile(r"^\| `(latency_\w+)` \|(?: (?:counter|gauge|histogram) \|)? ([^|]*) \| [^|]* \|$", re.M)


class Exposed:
    """Metrics with their labels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.metrics: dict[str, set[str]] = {name: set(labels) for name, labels in OWN.items()}
        for line in (root / "monitoring/exposed.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                _, name, *labels = line.split()
                self.metrics.setdefault(name, set()).update(labels)

    def check_guide(self) -> int:
        """The server's metrics are those of its guide, which the tests of the server compare with the server."""
        guide = (self.root / "docs/server.md").read_text()
        said = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in ROW.findall(guide)}
        found: dict[str, set[str]] = {}
        for name, labels in self.metrics.items():
            if name.startswith("latency_"):
                found.setdefault(PART.sub("", name), set()).update(labels - {"le"})
        if said != found:
            different = {name for name in said | found if said.get(name) != found.get(name)}
            raise Wrong(f"exposed.txt and the table of docs/server.md differ in {', '.join(sorted(different))}")
        return len(said)

    def check(self, where: str, expr: Used, records: Iterable[str]) -> None:
        """Every metric that an expression names is exposed or recorded, with the labels that it names."""
        known: set[str] = set()
        for name, labels in expr.metrics:
            if name in records:
                known |= OF_TARGETS | {"objective"}
            elif name not in self.metrics:
                raise Wrong(f"{where}: nothing exposes the metric {name}")
            else:
                has = self.metrics[name] | OF_TARGETS
                known |= has
                if labels - has:
                    raise Wrong(f"{where}: {name} has no label {', '.join(sorted(labels - has))}")
        if expr.metrics and expr.grouping - known:
            raise Wrong(f"{where}: no metric has the label {', '.join(sorted(expr.grouping - known))}")
