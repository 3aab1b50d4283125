"""Known holes in the packages of Python and npm that are pinned here. Each is asked for where its service can be reached;
where it cannot, that is said, and nothing else is claimed."""

import json
import subprocess
import sys

from common import ROOT, end

PYTHON = [".ci/requirements.txt", ".ci/onnxruntime.txt", ".ci/checks.txt"]
NPM = ["latency-node", "latency-server/browser", "monitoring/grafana", ".ci/node"]
UNREACHED = ("ConnectionError", "Max retries", "Name or service", "ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "404", "403",
             "ETIMEDOUT", "ServiceError", "endpoint", "ENOAUDIT", "405", "501")  # fmt: skip


def ask(name: str, command: list[str], folder: str = ".") -> tuple[str, str]:
    """`well`, `holes` or `unreached`, and what was said."""
    done = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return "well", said
    return ("unreached" if any(word in said for word in UNREACHED) and not holes(done.stdout) else "holes"), said


def holes(said: str) -> bool:
    """Whether npm or pip-audit list any."""
    try:
        found = json.loads(said)
    except ValueError:
        return False
    return bool(found.get("vulnerabilities")) or any(entry.get("vulns") for entry in found.get("dependencies", []))


def main() -> None:
    audit = [
        sys.executable,
        "-m",
        "pip_audit",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--no-deps",
        "--disable-pip",
    ]
    asked = {file: ask(file, [*audit, "-r", file]) for file in PYTHON}
    asked |= {folder: ask(folder, ["npm", "audit", "--json"], folder) for folder in NPM}
    for name, (state, _) in asked.items():
        print(f"{name}: {'NOT checked: the service cannot be reached' if state == 'unreached' else state}")
    reached = [name for name, (state, _) in asked.items() if state != "unreached"]
    if not reached:
        print("skipped: no service for advisories can be reached; nothing was checked")
    end(
        [f"{name}: {said}" for name, (state, said) in asked.items() if state == "holes"],
        f"{len(reached)} of {len(asked)} checked",
    )


main()
