"""What a run is asked to do, from the environment that `make cd-pipeline` hands on."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "cd_results"


class Failed(Exception):  # noqa: N818  as the status of a step
    """A step cannot go on: what was found, what is allowed, and the cure."""


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Settings:
    """Names of one run. `image` has no tag."""

    image: str
    registry: str
    user: str
    password: str | None
    commit: str
    date: str
    version: str
    dry_run: bool
    resume: bool
    skip_ci: str
    watch_seconds: float
    tracking_uri: str

    @staticmethod
    def of_environment() -> Settings:
        user = os.environ.get("DOCKER_USERNAME", "")
        if not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", user):
            raise Failed(
                f'DOCKER_USERNAME: found "{user}"; allowed: a name of lower-case letters and digits. '
                "make cd-pipeline DOCKER_USERNAME=yourname"
            )
        registry = os.environ.get("REGISTRY", "")
        seconds = os.environ.get("WATCH_SECONDS") or "30"
        if not seconds.isdecimal():
            raise Failed(f'WATCH_SECONDS: found "{seconds}"; allowed: whole seconds')
        version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
        assert version is not None
        return Settings(
            image="/".join(part for part in (registry, user, "latency-predictor") if part),
            registry=registry or "docker.io",
            user=user,
            password=os.environ.get("DOCKER_PASSWORD") or None,
            commit=git("rev-parse", "HEAD"),
            date=git("log", "-1", "--format=%cI"),
            version=version[1],
            dry_run=os.environ.get("DRY_RUN", "") not in {"", "0"},
            resume=os.environ.get("RESUME", "") not in {"", "0"},
            skip_ci=os.environ.get("SKIP_CI", ""),
            watch_seconds=float(seconds),
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI")
            or f"http://localhost:{os.environ.get('MLFLOW_PORT') or 5001}",
        )

    @property
    def tags(self) -> list[str]:
        """The first says exactly what it is; the others move."""
        short = self.commit[:12]
        return [f"{self.version}-{short}", self.version, f"{self.date[:10].replace('-', '')}-{short}", "latest"]

    @property
    def exact(self) -> str:
        return f"{self.image}:{self.tags[0]}"
