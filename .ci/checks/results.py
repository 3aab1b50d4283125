"""`ci_results/<time>/`: a log per check, summary.json, junit.xml and index.html; `latest` links to the newest."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from . import page
from .runner import FAILED, PASSED, SKIPPED, Result
from .tools import ROOT

RESULTS = ROOT / "ci_results"
KEPT = 20
# What XML cannot hold.
ODD = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def new(results: Path = RESULTS) -> Path:
    """A folder for a run that starts now."""
    now = dt.datetime.now(dt.timezone.utc)
    for attempt in range(100):
        folder = results / (f"{now:%Y-%m-%dT%H-%M-%SZ}" + (f"-{attempt}" if attempt else ""))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(folder)


def git(*arguments: str) -> str:
    """What git says, or nothing outside a repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def write(folder: Path, results: list[Result], what: str, complete: bool = False) -> dict[str, object]:
    """Writes what came of a run, and returns its summary. A run is complete if it had every check of `make ci`: a
    deployment asks for one of its commit."""
    statuses = [result.status for result in results]
    counted = [result.counts for result in results if result.counts]
    summary: dict[str, object] = {
        "time": folder.name,
        "what": what,
        "complete": complete,
        "commit": git("rev-parse", "HEAD") or None,
        "branch": git("rev-parse", "--abbrev-ref", "HEAD") or None,
        "dirty": bool(git("status", "--porcelain")),
        "status": FAILED if any(status not in (PASSED, SKIPPED) for status in statuses) else PASSED,
        "seconds": round(sum(result.seconds for result in results), 1),
        "tests": dict(zip(("passed", "failed", "skipped"), map(sum, zip(*counted, strict=True)), strict=False)),
        "checks": [entry(result) for result in results],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    (folder / "junit.xml").write_bytes(junit(results))
    (folder / "index.html").write_text(page.write(summary, {result.check.name: tail(result.log) for result in results}))
    link(folder)
    prune(folder.parent)
    return summary


def entry(result: Result) -> dict[str, object]:
    """A check in the summary."""
    found: dict[str, object] = {
        "name": result.check.name,
        "about": result.check.about,
        "status": result.status,
        "seconds": round(result.seconds, 1),
        "command": result.check.command,
        "again": result.check.again,
        "log": result.log.name,
    }
    if result.why:
        found["why"] = result.why
    if result.counts:
        found["tests"] = dict(zip(("passed", "failed", "skipped"), result.counts, strict=True))
    if result.coverage is not None:
        found["coverage_percent"] = result.coverage
    return found


def junit(results: list[Result]) -> bytes:
    """One test case per check, as other programs read it."""
    suite = ElementTree.Element(
        "testsuite",
        name="ci",
        tests=str(len(results)),
        failures=str(sum(result.status not in (PASSED, SKIPPED) for result in results)),
        skipped=str(sum(result.status == SKIPPED for result in results)),
        time=f"{sum(result.seconds for result in results):.1f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", name=result.check.name, classname="ci", time=f"{result.seconds:.1f}"
        )
        if result.status == SKIPPED:
            ElementTree.SubElement(case, "skipped", message=result.why)
        elif result.status != PASSED:
            failure = ElementTree.SubElement(case, "failure", message=f"{result.why}; again: {result.check.again}")
            failure.text = ODD.sub("", tail(result.log))
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def tail(log: Path, most: int = 20_000) -> str:
    """The end of a log, without colours."""
    text = log.read_bytes()[-most:].decode(errors="replace") if log.exists() else ""
    return re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", text)


def link(folder: Path) -> None:
    """Lets `latest` lead to this run, at once."""
    fresh = folder.parent / f".latest-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(folder.parent / "latest")


def prune(results: Path, kept: int = KEPT) -> None:
    """Deletes all but the newest runs."""
    runs = sorted(path for path in results.iterdir() if path.is_dir() and not path.is_symlink())
    for old in runs[:-kept]:
        shutil.rmtree(old, ignore_errors=True)
