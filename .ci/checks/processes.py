"""Commands in process groups of their own, which end with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

from .tools import ROOT

MARK = "LATENCY_CI_RUN"
"""A variable that all that a check starts inherits: what left its process group is found by it, on Linux."""
PATIENCE = 10.0


def start(command: str, mark: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts a line of bash at the root; what it says goes to the log."""
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, MARK: mark, "REDOCLY_TELEMETRY": "off"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def marked(mark: str) -> list[int]:
    """The processes that carry a mark; none where there is no /proc."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def stop(process: subprocess.Popen[bytes], mark: str) -> None:
    """Ends a command and all that it started: asks first, and waits for what they have to tidy up."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        send(process, mark, sent)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if process.poll() is not None and not group_lives(process.pid) and not marked(mark):
                return
            time.sleep(0.05)


def send(process: subprocess.Popen[bytes], mark: str, sent: signal.Signals) -> None:
    """Sends a signal to the group of a command, and to what left the group."""
    for kill, number in ((os.killpg, process.pid), *((os.kill, number) for number in marked(mark))):
        try:
            kill(number, sent)
        except ProcessLookupError:
            continue


def group_lives(group: int) -> bool:
    """Whether a process group has members."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
