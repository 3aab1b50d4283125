"""Programs that are run, and how a check says that something is wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Wrong(Exception):
    """A check failed; says what is wrong, and where."""


class Missing(Exception):
    """A program that a check needs is not there."""


def program(name: str) -> str:
    """Where a program is, also for users whose path has no folders for administrators."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin")
    if found is None:
        raise Missing(f"{name} is missing (Debian: apt-get install prometheus prometheus-alertmanager)")
    return found


def promtool() -> str:
    return program("promtool")


def amtool() -> str:
    return program("amtool")


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Runs a program; what it says is why, if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise Wrong(f"{Path(command[0]).name} {command[1]} fails:\n{said.strip()[-3000:]}")
    return said
