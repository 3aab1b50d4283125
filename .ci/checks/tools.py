"""The programs that checks need: how to see that they are there, and how to get them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program(name: str) -> Callable[[], bool]:
    """A program on the path, also in the folders of administrators."""
    return lambda: bool(shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin"))


def file(path: str) -> Callable[[], bool]:
    """A file below the root."""
    return lambda: (ROOT / path).exists()


def module(name: str) -> Callable[[], bool]:
    """A package of the development environment."""
    return lambda: any((ROOT / ".venv").glob(f"lib/python3*/site-packages/{name}"))


@dataclass(frozen=True)
class Tool:
    """Something that a check needs, and how to get it."""

    there: Callable[[], bool]
    cure: str


TOOLS = {
    "cargo": Tool(program("cargo"), "install Rust 1.92 or later, with rustfmt and clippy"),
    "node": Tool(program("npm"), "install Node.js 20 or later with npm (Debian: apt-get install nodejs npm)"),
    "environment": Tool(file(".venv/.dev"), "make ci-setup"),
    "tools": Tool(file("target/checks/pinned.txt"), "make ci-setup"),
    "node-tools": Tool(file(".ci/node/node_modules/.package-lock.json"), "make ci-setup"),
    "cargo-deny": Tool(file("target/deny/bin/cargo-deny"), "make target/deny/bin/cargo-deny (builds it, some minutes)"),
    "chromium": Tool(
        lambda: os.access(os.environ.get("CHROMIUM", "/usr/bin/chromium"), os.X_OK),
        "Debian: apt-get install chromium, or name one in CHROMIUM",
    ),
    "promtool": Tool(program("promtool"), "Debian: apt-get install prometheus"),
    "amtool": Tool(program("amtool"), "Debian: apt-get install prometheus-alertmanager"),
    "java": Tool(
        lambda: program("java")() or os.access(f"{os.environ.get('JAVA_HOME', '')}/bin/java", os.X_OK),
        "Debian: apt-get install openjdk-17-jre-headless",
    ),
    "valgrind": Tool(program("valgrind"), "Debian: apt-get install valgrind"),
    "nginx": Tool(program("nginx"), "Debian: apt-get install nginx-light"),
    # Debian has the server's programs in a folder of their own.
    "postgres": Tool(
        lambda: program("postgres")() or any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
        "Debian: apt-get install postgresql",
    ),
    "docker": Tool(
        lambda: bool(os.environ.get("DOCKER_LAB")) or program("docker")(),
        "install Docker Engine, or name in DOCKER_LAB a program that gives one",
    ),
}


def missing(names: tuple[str, ...]) -> list[str]:
    """Which of these are not there, each with its cure."""
    return [f"{name} is missing: {TOOLS[name].cure}" for name in names if not TOOLS[name].there()]
