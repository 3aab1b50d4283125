"""One version everywhere, and the changelog has it. `release.py --ready [TAG]` also wants a clean tree, the version's date in
the changelog, and the tag `v<version>`: `make release-check`."""

import json
import re
import subprocess
import sys

import tomllib

from common import ROOT, end


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def versions() -> dict[str, str]:
    """The version that each file gives."""
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    found = {"Cargo.toml": cargo["workspace"]["package"]["version"]}
    found["Cargo.toml, latency-core"] = cargo["workspace"]["dependencies"]["latency-core"]["version"]
    for member in cargo["workspace"]["members"]:
        package = tomllib.loads((ROOT / member / "Cargo.toml").read_text())["package"]["version"]
        found[f"{member}/Cargo.toml"] = found["Cargo.toml"] if package == {"workspace": True} else str(package)
    for locked in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        if locked["name"] in cargo["workspace"]["members"]:
            found[f"Cargo.lock, {locked['name']}"] = locked["version"]
    project = tomllib.loads((ROOT / "latency-py/pyproject.toml").read_text())["project"]
    found["latency-py/pyproject.toml"] = (
        found["latency-py/Cargo.toml"] if "version" in project.get("dynamic", []) else project["version"]
    )
    for path in (
        "package.json",
        "package-lock.json",
        *sorted(map(str, (ROOT / "latency-node/npm").glob("*/package.json"))),
    ):
        file = ROOT / "latency-node" / path
        found[file.relative_to(ROOT).as_posix()] = json.loads(file.read_text())["version"]
    return found


def main() -> None:
    found = versions()
    version = found["Cargo.toml"]
    wrong = [f"{name} says {other}; Cargo.toml says {version}" for name, other in found.items() if other != version]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    section = re.search(rf"^## {re.escape(version)}(?: \((.*)\))?$", changelog, re.MULTILINE)
    if not section:
        wrong.append(f"CHANGELOG.md has no section `## {version}`: write what changed")
    if sys.argv[1:2] == ["--ready"]:
        if section and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", section[1] or ""):
            wrong.append(f"CHANGELOG.md: found `{section[0]}`; for a release: `## {version} (YYYY-MM-DD)`")
        if changed := git("status", "--porcelain"):
            wrong.append(f"the tree has changes: commit them\n{changed}")
        if (tag := "".join(sys.argv[2:])) and tag != f"v{version}":
            wrong.append(f"found the tag {tag}; allowed: v{version}")
    end(wrong, f"{len(found)} places say {version}")


main()
