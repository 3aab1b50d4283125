"""A stack of docker-compose.yml for tests: names, ports and secrets of its own, images as they can be had, and nothing
left of it in the end."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PORTS = ("LATENCY", "MLFLOW", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")
# What stands in for images that cannot be fetched: programs of the same name, from Debian, and the same users.
STAND_INS = {
    "PROXY_IMAGE": (
        "nginx:1.28",
        "FROM debian:bookworm-slim\nRUN apt-get update -qq && apt-get install -y -qq nginx-light >/dev/null",
    ),
    "PROMETHEUS_IMAGE": (
        "prom/prometheus:v2.42.0",
        "FROM prom/prometheus:v2.42.0\nRUN chown nobody /prometheus\nUSER nobody",
    ),
    "ALERTMANAGER_IMAGE": (
        "prom/alertmanager:v0.25.0",
        "FROM prom/alertmanager:v0.25.0\nRUN chown nobody /alertmanager\nUSER nobody",
    ),
}


def say(text: str) -> None:
    print(text, flush=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout.strip()


def show(*command: str) -> None:
    """Runs it where everybody sees what it says."""
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(f"failed: {' '.join(command)}")


def is_whole(image: str) -> bool:
    """Whether it is there, or can be fetched, and is the one meant: those of Prometheus run as nobody."""
    for get in (["image", "inspect"], ["pull", "-q"]):
        if not subprocess.run(["docker", *get, image], capture_output=True, check=False).returncode:
            user = run("docker", "image", "inspect", "-f", "{{.Config.User}}", image)
            return user == "nobody" or not image.startswith("prom/")
    return False


def images(project: str) -> None:
    """Those that are fetched: as they are, or stand-ins."""
    for variable, (name, dockerfile) in STAND_INS.items():
        if variable in os.environ or is_whole(name):
            continue
        own = f"{project}/{name}"
        subprocess.run(
            ["docker", "build", "-q", "-t", own, "-"], input=dockerfile.encode(), check=True, capture_output=True
        )
        os.environ[variable] = own
        say(f"{name} cannot be fetched: made from Debian's packages")
    if subprocess.run(["docker", "pull", "-q", "grafana/grafana:11.6.0"], capture_output=True, check=False).returncode:
        os.environ["GRAFANA"] = "off"
        say("Grafana cannot be fetched: left out; its panels' queries are asked of Prometheus")


@contextmanager
def own_stack(project: str, folder: Path) -> Iterator[dict[str, int]]:
    """Its ports by name. Alerts go to http://receiver:9000 of its network."""
    ports = {name: free_port() for name in PORTS}
    (folder / "alertmanager").mkdir(parents=True, exist_ok=True)
    config = run(sys.executable, "monitoring/check", "receiver", "http://receiver:9000")
    (folder / "alertmanager/alertmanager.yml").write_text(config)
    os.environ.update(
        {f"{name}_PORT": str(port) for name, port in ports.items()},
        COMPOSE_PROJECT_NAME=project,
        SECRET_KEY=base64.b64encode(secrets.token_bytes(32)).decode(),
        GRAFANA_PASSWORD=secrets.token_urlsafe(18),
        LATENCY_REGISTRY_POLL="2",
        ALERTMANAGER_CONFIG=str(folder / "alertmanager"),
    )
    try:
        yield ports
    finally:
        run(".ci/stack", "compose", "--profile", "trainer", "down", "--volumes", "--remove-orphans", check=False)
        left = run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={project}")
        left += run("docker", "volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={project}")
        say(f"failed: left behind: {left}" if left else "ok: nothing is left behind")
