"""The committed configuration, changed as little as a test needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def with_webhook(root: Path, url: str) -> str:
    """Alertmanager's configuration with this webhook as its receiver, which is told at once."""
    config = yaml.safe_load((root / "monitoring/alertmanager/alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    config["receivers"] = [{"name": config["route"]["receiver"], "webhook_configs": [{"url": url}]}]
    return yaml.safe_dump(config, sort_keys=False)


def on_loopback(root: Path, folder: Path, addresses: dict[str, str]) -> Path:
    """Prometheus' configuration with other addresses, that scrapes every second, and whose alerts wait for nothing."""
    config: dict[str, Any] = yaml.safe_load((root / "monitoring/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    watched = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    for static in [static for one in watched for static in one["static_configs"]]:
        static["targets"] = [addresses[target] for target in static["targets"]]
    (folder / "rules").mkdir()
    for path in (root / "monitoring/prometheus/rules").glob("*.yml"):
        file = yaml.safe_load(path.read_text())
        for rule in [rule for group in file["groups"] for rule in group["rules"]]:
            rule.pop("for", None)
        (folder / "rules" / path.name).write_text(yaml.safe_dump(file))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"
