"""Grafana's dashboards and provisioning, without Grafana."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .exposed import Exposed
from .expressions import filled_in, used
from .tools import ROOT, Missing, Wrong, promtool, run

UIDS = {"service", "model", "infrastructure"}
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}


def read(root: Path) -> dict[str, dict[str, Any]]:
    """The dashboards by uid."""
    found = {}
    for path in sorted((root / "monitoring/grafana/dashboards").glob("*.json")):
        dashboard = json.loads(path.read_text())
        if dashboard["uid"] != path.stem:
            raise Wrong(f"{path.name}: its uid is {dashboard['uid']}")
        found[path.stem] = dashboard
    if found.keys() != UIDS:
        raise Wrong(f"found the dashboards {', '.join(found)}; expected {', '.join(sorted(UIDS))}")
    return found


def panels(dashboards: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel that is no row, and where it is."""
    for uid, dashboard in dashboards.items():
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                yield f"{uid}: {panel['title']}", panel


def queries(dashboards: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Every query, and where it is."""
    for where, panel in panels(dashboards):
        for target in panel["targets"]:
            yield f"{where} ({target['refId']})", target["expr"]


def check(root: Path, exposed: Exposed, records: set[str]) -> Iterator[str]:
    """Every check; yields what was found to be well."""
    grafana = root / "monitoring/grafana"
    found = read(root)
    check_provisioning(grafana)
    check_version(root)
    count = sum(1 for _ in panels(found))
    for dashboard in found.values():
        check_layout(dashboard)
    for where, panel in panels(found):
        check_panel(where, panel)
    yield f"{len(found)} dashboards with {count} panels, all with a unit, a description and a query; provisioning"
    check_types(found)
    yield "dashboards have the types of @grafana/schema"
    run(sys.executable, grafana / "generate.py", "--check")
    yield "dashboards are what generate.py writes"
    for where, expr in queries(found):
        exposed.check(where, used(filled_in(expr)), records)
    check_parse(found)
    yield f"{sum(1 for _ in queries(found))} queries parse, and name what is exposed"


def check_provisioning(grafana: Path) -> None:
    sources = yaml.safe_load((grafana / "provisioning/datasources/datasources.yml").read_text())["datasources"]
    uids = {source["uid"]: source["type"] for source in sources}
    if uids != {"prometheus": "prometheus", "alertmanager": "alertmanager"}:
        raise Wrong(f"datasources.yml: the uids are {uids}")
    providers = yaml.safe_load((grafana / "provisioning/dashboards/dashboards.yml").read_text())["providers"]
    if [provider["options"]["path"] for provider in providers] != ["/var/lib/grafana/dashboards"]:
        raise Wrong("dashboards.yml: the folder is not the one that docker-compose.yml mounts")


def check_version(root: Path) -> None:
    """The types are those of the Grafana that is started."""
    types = json.loads((root / "monitoring/grafana/package.json").read_text())["devDependencies"]["@grafana/schema"]
    image = re.search(r"grafana/grafana:([\d.]+)", (root / "docker-compose.yml").read_text())
    if image is None or image[1] != types:
        raise Wrong(f"docker-compose.yml starts Grafana {image and image[1]}, and the types are those of {types}")


def check_layout(dashboard: dict[str, Any]) -> None:
    uid, places = dashboard["uid"], set()
    if dashboard["id"] is not None or any(key.startswith("__") for key in dashboard):
        raise Wrong(f"{uid}: it was exported from a Grafana, whose id and inputs no other one knows")
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        raise Wrong(f"{uid}: two panels have the same id")
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if cells & places or any(x >= 24 for x, _ in cells):
            raise Wrong(f"{uid}: {panel['title']} lies over another panel or beyond the edge")
        places |= cells


def check_panel(where: str, panel: dict[str, Any]) -> None:
    if not panel.get("description", "").endswith("."):
        raise Wrong(f"{where}: its description is no sentence")
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("unit") or not defaults.get("thresholds", {}).get("steps"):
        raise Wrong(f"{where}: it has no unit, or no thresholds")
    if not panel["targets"]:
        raise Wrong(f"{where}: it has no query")
    for part in (panel, *panel["targets"]):
        if part["datasource"] != PROMETHEUS:
            raise Wrong(f"{where}: its datasource is {part['datasource']}")
    if panel["type"] == "timeseries" and not all(target["legendFormat"] for target in panel["targets"]):
        raise Wrong(f"{where}: its lines have no legend")


def check_parse(found: dict[str, dict[str, Any]]) -> None:
    """promtool reads them as recording rules, together; on trouble one by one, to say which."""

    def parse(exprs: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "queries.yml"
            rules = [{"record": f"query:{index}", "expr": filled_in(expr)} for index, expr in enumerate(exprs)]
            path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
            run(promtool(), "check", "rules", path)

    everything = list(queries(found))
    try:
        parse([expr for _, expr in everything])
    except Wrong:
        for where, expr in everything:
            try:
                parse([expr])
            except Wrong as wrong:
                raise Wrong(f"{where}: {wrong}") from wrong
        raise


def check_types(found: dict[str, dict[str, Any]]) -> None:
    """tsc compares them with Grafana's types, as literals: so keys that nobody knows are found too."""
    grafana = ROOT / "monitoring/grafana"
    compiler = grafana / "node_modules/.bin/tsc"
    if not compiler.exists():
        raise Missing("the types of Grafana are missing (npm ci in monitoring/grafana)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "node_modules").symlink_to(grafana / "node_modules")
        (folder / "types.ts").write_text((grafana / "types.ts").read_text())
        lines = ['import type { Dashboard, Panel, Row } from "./types";']
        for uid, dashboard in found.items():
            names = []
            for panel in dashboard["panels"]:
                names.append(f"{uid}_{panel['id']}")
                kind = "Row" if panel["type"] == "row" else f'Panel<"{panel["type"]}">'
                lines.append(f"const {names[-1]}: {kind} = {json.dumps(panel)};")
            rest = json.dumps({key: value for key, value in dashboard.items() if key != "panels"})
            lines.append(f"export const {uid}: Dashboard = {{...{rest}, panels: [{', '.join(names)}]}};")
            lines.append(f'export const {uid}_rest: Omit<Dashboard, "panels"> = {rest};')
        (folder / "dashboards.ts").write_text("\n".join(lines) + "\n")
        options = {
            "compilerOptions": {
                "strict": True,
                "noEmit": True,
                "skipLibCheck": True,
                "module": "esnext",
                "moduleResolution": "bundler",
                "target": "es2022",
                "types": [],
            },
            "files": ["dashboards.ts"],
        }
        (folder / "tsconfig.json").write_text(json.dumps(options))
        run(compiler, "--project", folder, folder=folder)
