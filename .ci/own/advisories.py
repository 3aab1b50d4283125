"""Known holes in the packages of Python and npm that are pinned here. Where a service for them cannot be reached, that is
said, with why, and nothing else is claimed."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, end

PYTHON = [".ci/requirements.txt", ".ci/checks.txt", ".ci/wheel.txt"]
NPM = ["latency-node", "latency-server/browser", "monitoring/grafana", ".ci/node"]
NOT_CHECKED = "NOT checked"


def ask(command: list[str | Path], folder: str = ".") -> tuple[Any, str]:
    """What a program answers as JSON, if it does, and all that it said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "target/audit")}
    done = subprocess.run(command, cwd=ROOT / folder, env=environment, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout), done.stdout + done.stderr
    except ValueError:
        return None, done.stdout + done.stderr


def pip_audit(file: Path) -> tuple[list[str], list[str], str]:
    """The packages that were looked up, the holes in them, and what was said."""
    options = ["--format", "json", "--progress-spinner", "off", "--no-deps", "--disable-pip", "-r", file]
    answer, said = ask([sys.executable, "-m", "pip_audit", *options])
    entries = (answer or {}).get("dependencies", [])
    found = [entry for entry in entries if "skip_reason" not in entry]
    said = "\n".join([said, *(entry["skip_reason"] for entry in entries if "skip_reason" in entry)])
    holes = [f"{entry['name']} {entry['version']}: {hole['id']}" for entry in found for hole in entry["vulns"]]
    return [entry["name"] for entry in found], holes, said


def python(file: str) -> tuple[str, list[str]]:
    """What came of a file of pins. One package is asked for first: a service that is not there is not asked for a hundred."""
    lines = (ROOT / file).read_text().splitlines()
    first = next(line for line in lines if line and not line.startswith("#"))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as one:
        one.write(f"{first}\n")
        one.flush()
        looked_up, _, said = pip_audit(Path(one.name))
    if not looked_up:
        return f"{NOT_CHECKED}: {said.strip().splitlines()[-1][:200] if said.strip() else 'no answer'}", []
    looked_up, holes, _ = pip_audit(ROOT / file)
    return f"{len(looked_up)} packages, {len(holes)} holes", holes


def npm(folder: str) -> tuple[str, list[str]]:
    """What came of a lock file."""
    answer, said = ask(["npm", "audit", "--json"], folder)
    if not isinstance(answer, dict) or "vulnerabilities" not in answer:
        why = next((line for line in said.splitlines() if "npm" in line), "no answer")
        return f"{NOT_CHECKED}: {why[:200]}", []
    holes = [f"{name}: {hole['severity']}, {hole['range']}" for name, hole in answer["vulnerabilities"].items()]
    return f"{len(holes)} holes", holes


def main() -> None:
    """Asks for all of them."""
    asked = {file: python(file) for file in PYTHON} | {folder: npm(folder) for folder in NPM}
    for name, (what, _) in asked.items():
        print(f"{name}: {what}")
    reached = [name for name, (what, _) in asked.items() if not what.startswith(NOT_CHECKED)]
    if not reached:
        print("skipped: no service for advisories can be reached; nothing was checked")
    end(
        [f"{name}: {hole}" for name, (_, holes) in asked.items() for hole in holes],
        f"{len(reached)} of {len(asked)} checked",
    )


main()
