"""Runs checks: the quick ones side by side, then the others one by one, and keeps what came of each."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .model import QUICK, Check
from .tools import missing

PASSED, FAILED, SKIPPED, STOPPED = "passed", "failed", "skipped", "stopped"
# How .ci/test.py and the checks of our own end; how cargo does, once per binary; and pytest.
TOTALS = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")
CARGO = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
PYTEST = re.compile(r"^=*\s*(?:(\d+) failed, )?(\d+) passed(?:, (\d+) skipped)?.* in ", re.MULTILINE)
COVERAGE = re.compile(r"^TOTAL\s.*?(\d+)%\s*$", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Result:
    """What came of a check."""

    check: Check
    status: str
    seconds: float
    log: Path
    why: str = ""
    # Tests that passed, failed and were skipped, where the output says so.
    counts: tuple[int, int, int] | None = None
    coverage: int | None = None


class Runner:
    """Runs checks into a folder of logs. `stop` may be called from another thread, or a signal's handler."""

    def __init__(self, folder: Path, told: Callable[[Result], None], started: Callable[[Check], None] = lambda _: None):
        self.folder, self.told, self.began = folder, told, started
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, tuple[subprocess.Popen[bytes], str]] = {}

    def run(self, checks: Iterable[Check]) -> list[Result]:
        """Runs all; the order of the results is that of the checks."""
        listed = list(checks)
        quick = [check for check in listed if check.tier == QUICK]
        results: dict[str, Result] = {}
        slow = [check for check in listed if check.tier != QUICK]
        # All on threads, so that a signal's handler never waits for a lock that its own thread holds.
        for checks, width in ((quick, max(2, os.cpu_count() or 2)), (slow, 1)):
            with ThreadPoolExecutor(max_workers=width) as pool:
                for result in pool.map(self.one, checks):
                    results[result.check.name] = result
        return [results[check.name] for check in listed]

    def one(self, check: Check) -> Result:
        """Runs one check."""
        log = self.folder / f"{check.name}.log"
        gone = missing(check.needs)
        if self.stopping.is_set():
            result = Result(check, STOPPED, 0.0, log, "not started")
        elif gone:
            result = Result(check, SKIPPED if check.optional else FAILED, 0.0, log, "; ".join(gone))
        else:
            result = self._run(check, log)
        if not log.exists():
            log.write_text(f"{result.why}\n")
        self.told(result)
        return result

    def _run(self, check: Check, log: Path) -> Result:
        self.began(check)
        begun = time.monotonic()
        mark = f"{self.folder.name}:{check.name}"
        with log.open("wb") as said:
            with self._lock:
                if self.stopping.is_set():
                    return Result(check, STOPPED, 0.0, log, "not started")
                process = processes.start(check.command, mark, said)
                self._running[check.name] = (process, mark)
            code = process.wait()
            with self._lock:
                self._running.pop(check.name, None)
        seconds = time.monotonic() - begun
        if self.stopping.is_set():
            return Result(check, STOPPED, seconds, log, "stopped")
        text = COLOURS.sub("", log.read_text(errors="replace"))
        why = "" if code == 0 else f"exit code {code}"
        status = PASSED if code == 0 else FAILED
        if code == 0 and (skips := re.findall(r"^skipped: (.*)$", text, re.MULTILINE)):
            status, why = SKIPPED, "; ".join(skips)
        return Result(check, status, seconds, log, why, counts_of(text), coverage_of(text))

    def stop(self) -> None:
        """Ends what runs, with all that it started; nothing new starts."""
        self.stopping.set()
        with self._lock:
            running = list(self._running.values())
        for process, mark in running:
            processes.stop(process, mark)


def counts_of(text: str) -> tuple[int, int, int] | None:
    """How many tests passed, failed and were skipped, if the output says so."""
    if totals := TOTALS.findall(text):
        passed, failed, skipped = (int(count or 0) for count in totals[-1])
        return passed, failed, skipped
    if lines := CARGO.findall(text):
        passed, failed, skipped = (sum(map(int, column)) for column in zip(*lines, strict=True))
        return passed, failed, skipped
    if lines := PYTEST.findall(text):
        failed, passed, skipped = (int(count or 0) for count in lines[-1])
        return passed, failed, skipped
    return None


def coverage_of(text: str) -> int | None:
    """How many percent of the lines were run, if that was measured."""
    found = COVERAGE.findall(text)
    return int(found[-1]) if found else None
