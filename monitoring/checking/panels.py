"""Every query of every panel, asked of a Prometheus that runs: no panel is without data."""

from __future__ import annotations

import time
from pathlib import Path

from . import dashboards
from .expressions import filled_in
from .prometheus import Prometheus
from .tools import Wrong


def check(root: Path, address: str, patience: float = 60.0) -> None:
    """Asks until all have data, for a minute: some need two scrapes."""
    prometheus, found = Prometheus(address), dashboards.read(root)
    queries = list(dashboards.queries(found))
    empty, until = queries, time.monotonic() + patience
    while True:
        empty = [(where, expr) for where, expr in empty if not prometheus.has_values(filled_in(expr))]
        if not empty or time.monotonic() > until:
            break
        time.sleep(1)
    if empty:
        raise Wrong("panels without data:\n" + "\n".join(f"  {where}: {expr}" for where, expr in empty))
    count = sum(1 for _ in dashboards.panels(found))
    print(f"ok: {len(queries)} queries of {count} panels in {len(found)} dashboards have data", flush=True)
