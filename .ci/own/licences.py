"""Licences and sources of all crates, by the lists in deny.toml. `make ci-deny` looks closer, with cargo-deny, which takes
minutes to build; this takes seconds, so that it is part of every run."""

import json
import re
import subprocess

import tomllib

from common import ROOT, end

TOKENS = re.compile(r"\(|\)|[^\s()]+")


def allows(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression is satisfied by these licences. An old form has a slash for OR."""
    words = TOKENS.findall(expression.replace("/", " OR "))
    position = 0

    def peek() -> str | None:
        return words[position] if position < len(words) else None

    def take() -> str:
        nonlocal position
        position += 1
        return words[position - 1]

    def one() -> bool:
        if peek() == "(":
            take()
            good = either()
            take()
            return good
        name = take()
        if peek() == "WITH":
            name += f" {take()} {take()}"
        return name in allowed

    def both() -> bool:
        good = one()
        while peek() == "AND":
            take()
            good = one() and good
        return good

    def either() -> bool:
        good = both()
        while peek() == "OR":
            take()
            good = both() or good
        return good

    return either()


def main() -> None:
    policy = tomllib.loads((ROOT / ".ci/deny.toml").read_text())
    allowed = {entry["id"] if isinstance(entry, dict) else entry for entry in policy["licenses"]["allow"]}
    exceptions = {entry["crate"]: set(entry["allow"]) for entry in policy["licenses"].get("exceptions", [])}
    command = ["cargo", "metadata", "--format-version=1", "--locked"]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    packages = json.loads(said)["packages"]
    wrong = []
    for package in packages:
        name, licence, source = f"{package['name']} {package['version']}", package["license"], package["source"]
        if not licence or not allows(licence, allowed | exceptions.get(package["name"], set())):
            wrong.append(
                f"{name}: found the licence {licence or '(none)'}; allowed, in .ci/deny.toml: {', '.join(sorted(allowed))}"
            )
        if source and not source.startswith("registry+https://github.com/rust-lang/crates.io-index"):
            wrong.append(f"{name}: found the source {source}; allowed: crates.io")
    end(wrong, f"{len(packages)} crates, their licences and sources are allowed")


if __name__ == "__main__":
    main()
