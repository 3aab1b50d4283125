"""Prometheus' configuration, rules and their tests, and Alertmanager's configuration, without starting either."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .exposed import Exposed
from .expressions import used
from .tools import Wrong, amtool, promtool, run

RUNBOOK = "docs/monitoring.md"
SEVERITIES = {"critical", "warning"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Rules:
    """All rules."""

    alerts: dict[str, dict[str, Any]]
    records: dict[str, list[str]]
    objectives: dict[str, float]


def read(root: Path) -> Rules:
    rules = Rules({}, {}, {})
    for path in sorted((root / "monitoring/prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    rules.records.setdefault(rule["record"], []).append(rule["expr"])
                    if rule["record"] == "latency:objective:ratio":
                        share = re.fullmatch(r"vector\(([\d.]+)\)", rule["expr"])
                        rules.objectives[rule["labels"]["objective"]] = float(share[1]) if share else 0.0
                elif rule["alert"] in rules.alerts:
                    raise Wrong(f"two alerts are named {rule['alert']}")
                else:
                    rules.alerts[rule["alert"]] = rule
    return rules


def check(root: Path, exposed: Exposed) -> Iterator[str]:
    """Every check; yields what was found to be well."""
    prometheus = root / "monitoring/prometheus"
    run(promtool(), "check", "config", prometheus / "prometheus.yml")
    run(promtool(), "check", "rules", *sorted(prometheus.glob("rules/*.yml")))
    rules = read(root)
    yield f"prometheus.yml, {len(rules.alerts)} alerts, {len(rules.records)} recorded metrics"
    for name, exprs in [*rules.records.items(), *((name, [rule["expr"]]) for name, rule in rules.alerts.items())]:
        for expr in exprs:
            exposed.check(name, used(expr), rules.records)
    yield "every metric and label in rules is exposed"
    run(amtool(), "check-config", root / "monitoring/alertmanager/alertmanager.yml")
    yield "alertmanager.yml"
    check_words(root, rules)
    yield f"every alert has a severity, words, and a section of {RUNBOOK}"


def prove(root: Path) -> str:
    """Every alert fires and clears. It takes some seconds, so it comes last."""
    groups = check_tests(root, read(root))
    # One by one, since promtool takes one core.
    with ThreadPoolExecutor() as threads:
        list(
            threads.map(
                lambda path: run(promtool(), "test", "rules", path),
                sorted((root / "monitoring/prometheus/tests").glob("*.yml")),
            )
        )
    return f"every alert fires and clears in {groups} tests, and none fires in a healthy day"


def check_words(root: Path, rules: Rules) -> None:
    runbook = (root / RUNBOOK).read_text()
    for name, share in rules.objectives.items():
        if f"| {name} | {100 * share:g} % " not in runbook:
            raise Wrong(f"{RUNBOOK}: the objective for {name} is {100 * share:g} %, not what its table says")
    sections = set(re.findall(r"^### (\w+)$", runbook, re.M))
    for name, rule in rules.alerts.items():
        if rule.get("labels", {}).get("severity") not in SEVERITIES:
            raise Wrong(f"{name}: its severity is none of {', '.join(sorted(SEVERITIES))}")
        annotations = rule.get("annotations", {})
        for key in ("summary", "description"):
            if not annotations.get(key, "").endswith("."):
                raise Wrong(f"{name}: its {key} is no sentence")
        if annotations.get("runbook_url") != f"{RUNBOOK}#{name.lower()}":
            raise Wrong(f"{name}: its runbook_url is not {RUNBOOK}#{name.lower()}")
        if name not in sections:
            raise Wrong(f"{name}: {RUNBOOK} has no section of this name")
    if sections - rules.alerts.keys():
        raise Wrong(f"{RUNBOOK}: no alert is named {', '.join(sorted(sections - rules.alerts.keys()))}")


def seconds(duration: str) -> int:
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([smhd])", duration))


def check_tests(root: Path, rules: Rules) -> int:
    """Every alert has a test in which it fires and, later, does not; a healthy day has what every alert looks at."""
    proven: set[str] = set()
    groups, healthy = 0, None
    for path in sorted((root / "monitoring/prometheus/tests").glob("*.yml")):
        file = yaml.safe_load(path.read_text())
        if path.name == "healthy.yml":
            healthy = file
        for group in file["tests"]:
            groups += 1
            times: dict[str, list[tuple[int, bool]]] = {}
            for test in group.get("alert_rule_test", []):
                times.setdefault(test["alertname"], []).append((seconds(test["eval_time"]), bool(test["exp_alerts"])))
            for name, states in times.items():
                fires = [at for at, firing in states if firing]
                if fires and any(at > min(fires) and not firing for at, firing in states):
                    proven.add(name)
    for name in rules.alerts:
        if name not in proven:
            raise Wrong(f"{name}: no test shows that it fires and that it clears")
    if healthy is None or healthy["rule_files"] != ["../rules/*.yml"]:
        raise Wrong("tests/healthy.yml does not test all rules")
    day = healthy["tests"][0]
    if not any("ALERTS" in test["expr"] and test["exp_samples"] == [] for test in day["promql_expr_test"]):
        raise Wrong("tests/healthy.yml does not test that no alert fires")
    given = {series["series"].split("{")[0] for series in day["input_series"]}
    for name, rule in rules.alerts.items():
        missing = {metric for metric, _ in used(rule["expr"]).metrics} - given - rules.records.keys()
        if missing:
            raise Wrong(f"{name}: the healthy day of tests/healthy.yml has no {', '.join(sorted(missing))}")
    return groups
