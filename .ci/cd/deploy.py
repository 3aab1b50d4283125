"""The deployment with Compose: the image behind a gate, beside the one that serves, and only then instead of it.

1. A candidate of the stack's own settings, which nobody reaches and which keeps no observations, must become healthy.
2. A second container serves beside the first, and both are watched. Whatever goes wrong, it is removed: that is the
   roll-back, and no request is lost by it, since the first one never stopped.
3. The first one drains and ends.
"""

from __future__ import annotations

import json
import time
from typing import Any

from . import golden
from .docker import ask, compose, containers, image_of, inspect, run, wait_healthy
from .settings import ROOT, Failed, Settings

CANDIDATE = "latency-candidate"
# What the server drains and finishes in, and longer.
STOP_SECONDS = 25


def deploy(settings: Settings) -> dict[str, Any]:
    image = settings.exact
    before = _settle()
    if before is None:
        _first(settings)
        _remember(image)
        return {"image": image, "instead_of": None}
    if image_of(before) == image and inspect(before, "{{.Image}}") == inspect(image, "{{.Id}}"):
        return {"image": image, "instead_of": image, "note": "this image serves already"}
    old = image_of(before)
    _candidate(image)
    try:
        compose("up", "-d", "--no-deps", "--no-build", "--no-recreate", "--scale", "app=2", "app", APP_IMAGE=image)
        added = _others(before)
        if len(added) != 1:
            raise Failed(f"found {len(added)} containers beside the one that serves; allowed: 1")
        wait_healthy(added[0])
        _watch(added[0], settings.watch_seconds)
    except BaseException as error:
        for name in _others(before):
            _remove(name)
        if isinstance(error, Failed):
            raise Failed(f"{error}. Rolled back: {old} serves, and did all the time") from error
        raise
    _remove(before)
    _remember(image)
    return {"image": image, "instead_of": old, "watched_seconds": settings.watch_seconds}


def _others(container: str) -> list[str]:
    return [name for name in compose("ps", "-q", "app").split() if name != container]


def _settle() -> str | None:
    """The container that serves. One that an interrupted run left beside it goes first."""
    if run("docker", "ps", "-aq", "--filter", f"name={CANDIDATE}"):
        run("docker", "rm", "-f", CANDIDATE)
    serving = containers("app")
    for name in serving[1:]:
        _remove(name)
    return serving[0] if serving else None


def _first(settings: Settings) -> None:
    """Nothing serves yet: everything is started, and the app stopped again if it does not pass."""
    try:
        compose("build", "mlflow")
        run(".ci/stack", "up", "--no-build", APP_IMAGE=settings.exact)
        (added,) = containers("app")
        _watch(added, settings.watch_seconds)
    except Failed:
        compose("rm", "--stop", "--force", "proxy", "app", APP_IMAGE=settings.exact)
        raise


def _candidate(image: str) -> None:
    """The settings, networks and secrets of the stack, without its name: the proxy does not find it."""
    compose(
        *["run", "-d", "--no-deps", "--name", CANDIDATE, "-e", "LATENCY_OBSERVATIONS=", "-e", "LATENCY_CACHE=/tmp"],
        "app",
        APP_IMAGE=image,
    )
    try:
        wait_healthy(CANDIDATE)
    except Failed as error:
        raise Failed(f"the gate: {error}. Nothing was changed") from error
    finally:
        run("docker", "rm", "-f", CANDIDATE)


def _watch(container: str, seconds: float) -> None:
    """It stays healthy, does not start again, and what clients get through the proxy are predictions without errors."""
    address = f"http://{compose('port', 'proxy', '5000')}"
    rows = golden.check(address, bundled=False)
    begun = time.monotonic()
    asked = 0
    while time.monotonic() - begun < seconds:
        state = json.loads(inspect(container, "{{json .State}}"))
        restarts = inspect(container, "{{.RestartCount}}")
        health = state.get("Health", {}).get("Status")
        if not state["Running"] or health != "healthy" or restarts != "0":
            run("docker", "logs", "--tail", "30", container)
            raise Failed(
                f"the gate: after {time.monotonic() - begun:.0f} s the container is {health or state['Status']} "
                f"and started {restarts} times again"
            )
        try:
            for _ in range(20):
                ask(f"{address}/predict", {"src": "London", "dst": "Tokyo"})
                asked += 1
        except OSError as error:
            raise Failed(f"the gate: after {asked} predictions through the proxy one failed: {error}") from error
        time.sleep(0.5)
    print(f"watched for {seconds:.0f} s: {rows + asked} predictions", flush=True)


def _remove(container: str) -> None:
    run("docker", "stop", "-t", str(STOP_SECONDS), container)
    run("docker", "rm", container)


def _remember(image: str) -> None:
    """For everybody who starts the stack later: the image that is deployed."""
    file = ROOT / ".env"
    lines = (
        [line for line in file.read_text().splitlines() if not line.startswith("APP_IMAGE=")] if file.exists() else []
    )
    temporary = file.with_name(".env.part")
    temporary.touch(mode=0o600)
    temporary.write_text("\n".join([*lines, f"APP_IMAGE={image}"]) + "\n")
    temporary.replace(file)
