"""Runs the test suites that are named, counts their tests, and fails if any fails or runs none."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Suite:
    """A command, and how its output says how many tests passed, failed and were skipped."""

    command: list[str]
    folder: str
    passed: str
    failed: str
    skipped: str


def pytest(*options: str) -> Suite:
    """The Python tests, by default all that need no more than the development environment."""
    return Suite(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        "latency-py",
        r"^(?:=+ )?.*?(\d+) passed.* in ",
        r"^(?:=+ )?.*?(\d+) (?:failed|errors?)\b.* in ",
        r"^(?:=+ )?.*?(\d+) skipped.* in ",
    )


def coverage() -> list[str]:
    """Options that measure the coverage, where target/coverage is on the path: reported, and never a reason to fail."""
    there = importlib.util.find_spec("pytest_cov") is not None
    return ["--cov=latency_predictor", "--cov-report=term:skip-covered"] if there else []


def suites() -> dict[str, Suite]:
    """All suites by language."""
    profile = os.environ.get("PROFILE", "ci")
    return {
        "rust": Suite(
            ["cargo", "test", "--workspace", "--locked", "--profile", profile, "--no-fail-fast"],
            ".",
            r"^test result: .*?(\d+) passed",
            r"^test result: .*?(\d+) failed",
            r"^test result: .*?(\d+) ignored",
        ),
        "outside-app": Suite(
            [".ci/outside-app"],
            ".",
            r"^outside-app: (\d+) passed",
            r"^outside-app: .*?(\d+) failed",
            r"^outside-app: .*?(\d+) skipped",
        ),
        # On all cores; a file's tests share what they have set up, so they stay together.
        "python": pytest("-n", "auto", "--dist", "loadfile", *coverage()),
        "spark": pytest("tests/spark"),
        "node": Suite(
            ["npm", "test", "--silent"],
            "latency-node",
            r"^[#ℹ] pass (\d+)",
            r"^[#ℹ] (?:fail|cancelled) (\d+)",
            r"^[#ℹ] (?:skipped|todo) (\d+)",
        ),
    }


def run(name: str, suite: Suite) -> tuple[bool, int, int, int]:
    """Runs one suite, showing its output as it comes; returns whether it is good, and its counts."""
    print(f"\n== {name}: {' '.join(suite.command[:4])}", flush=True)
    started = time.monotonic()
    lines = []
    with subprocess.Popen(
        suite.command, cwd=ROOT / suite.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line))
    text = "".join(lines)
    passed, failed, skipped = (
        sum(int(count) for count in re.findall(pattern, text, re.MULTILINE))
        for pattern in (suite.passed, suite.failed, suite.skipped)
    )
    good = process.returncode == 0 and failed == 0 and passed > 0
    why = "" if good else f" (exit code {process.returncode}{', no test ran' if passed == 0 else ''})"
    print(f"== {name}: {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - started:.0f} s{why}")
    return good, passed, failed, skipped


def main() -> int:
    """Runs the suites named on the command line."""
    known = suites()
    names = sys.argv[1:] or [name for name in known if name != "spark"]
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"no such suite: {', '.join(unknown)}; allowed: {', '.join(known)}")
    results = {name: run(name, known[name]) for name in names}
    print("\nsuite       result    passed  failed  skipped")
    for name, (good, passed, failed, skipped) in results.items():
        print(f"{name:11} {'ok' if good else 'FAILED':9} {passed:6} {failed:7} {skipped:8}")
    if not os.environ.get("LATENCY_DATA_MIRROR"):
        print("LATENCY_DATA_MIRROR is not set: the tests on the real measurements did not run.")
    totals = [sum(counts) for counts in zip(*(result[1:] for result in results.values()), strict=True)]
    print(f"\n{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 0 if all(good for good, *_ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
