"""Docker and Compose, as the steps use them. What they print goes to the log of the step."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .settings import ROOT, Failed

CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def run(*command: str, hidden: str | None = None, **variables: str) -> str:
    """Its output. `hidden` is sent to its input and shown nowhere."""
    print(f"$ {' '.join(command)}", flush=True)
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, input=hidden, capture_output=True, text=True, check=False
    )
    print(done.stdout + done.stderr, flush=True)
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-3:]
        raise Failed(f"`{' '.join(command)}` failed with code {done.returncode}: {' / '.join(last)}")
    return done.stdout.strip()


def compose(*arguments: str, **variables: str) -> str:
    return run(".ci/stack", "compose", *arguments, **variables)


def containers(service: str) -> list[str]:
    """Ids of those that run, the oldest first."""
    found = compose("ps", "-q", service).split()
    running = [name for name in found if inspect(name, "{{.State.Running}}") == "true"]
    return sorted(running, key=lambda name: inspect(name, "{{.Created}}"))


def inspect(name: str, what: str) -> str:
    return run("docker", "inspect", "-f", what, name)


def image_of(container: str) -> str:
    return inspect(container, "{{.Config.Image}}")


def wait_healthy(container: str, seconds: float = 90) -> None:
    begun = time.monotonic()
    while True:
        state = json.loads(inspect(container, "{{json .State}}"))
        health = state.get("Health", {}).get("Status")
        if health == "healthy":
            return
        if health == "unhealthy" or not state["Running"] or time.monotonic() - begun > seconds:
            run("docker", "logs", "--tail", "30", container)
            raise Failed(
                f"the container of {image_of(container)} is {health or state['Status']} after "
                f"{time.monotonic() - begun:.0f} s; its log is in the log of this step"
            )
        time.sleep(0.5)


@contextmanager
def served(image: str) -> Iterator[str]:
    """The address of a container of this image alone, confined as Compose confines it."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    name = run("docker", "run", "-d", *CONFINED, "-e", "SECRET_KEY", "-p", "127.0.0.1::5000", image, SECRET_KEY=key)
    try:
        wait_healthy(name)
        yield f"http://{run('docker', 'port', name, '5000').splitlines()[0]}"
    finally:
        run("docker", "logs", "--tail", "30", name)
        run("docker", "rm", "-f", name)


def ask(address: str, question: Any = None) -> Any:
    data = None if question is None else json.dumps(question).encode()
    with urllib.request.urlopen(address, data, timeout=10) as answer:
        return json.load(answer)
