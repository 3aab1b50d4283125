"""Watches the tree, and runs the checks that a change can affect: soon after saving, and anew if they are affected again."""

from __future__ import annotations

import datetime as dt
import hashlib
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

from watchfiles import DefaultFilter
from watchfiles import watch as changes

from . import report, results
from .model import QUICK, Check, affected
from .runner import FAILED, STOPPED, Result, Runner
from .table import CHECKS
from .tools import ROOT

# Milliseconds: a save is acted on after `STEP` without another, and after `DEBOUNCE` at the latest.
STEP, DEBOUNCE = 200, 800


class Tree:
    """What the files of the repository hold, so that a save that changes nothing, and what a check writes anew, starts none."""

    def __init__(self) -> None:
        self._sums = {path: digest(path) for path in listed("ls-files", "-z", "-co", "--exclude-standard")}

    def changed(self, paths: Iterable[str]) -> set[str]:
        """Those of the paths that git does not ignore, and whose bytes are not what they were."""
        candidates = set(paths)
        candidates -= ignored(candidates)
        found = set()
        for path in candidates:
            fresh = digest(path)
            if self._sums.get(path) != fresh:
                self._sums[path] = fresh
                found.add(path)
        return found


def digest(path: str) -> bytes | None:
    """The sum of a file; nothing if it is no more."""
    try:
        return hashlib.blake2b((ROOT / path).read_bytes(), digest_size=16).digest()
    except OSError:
        return None


def listed(*arguments: str) -> list[str]:
    """Paths that git names."""
    said = subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return [path for path in said.decode().split("\0") if path]


def ignored(paths: set[str]) -> set[str]:
    """Those of the paths that git ignores."""
    said = subprocess.run(
        ["git", "check-ignore", "-z", "--stdin"],
        cwd=ROOT, input="\0".join(paths).encode(), stdout=subprocess.PIPE, check=False,
    ).stdout  # fmt: skip
    return set(said.decode().split("\0"))


def folders() -> list[Path]:
    """The folders at the top that hold files of the repository: target/ and the like are never looked at."""
    names = {path.split("/")[0] for path in listed("ls-files", "-z", "-co", "--exclude-standard") if "/" in path}
    return sorted(ROOT / name for name in names if not (ROOT / name).is_symlink())


class Watcher:
    """The changes that have been seen, the checks that wait, and the run that goes on."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.waiting: dict[str, Check] = {}
        self.last: dict[str, Result] = {}
        self.runner: Runner | None = None
        self.running: list[Check] = []
        self.done: set[str] = set()
        self.wake = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def saved(self, paths: Iterable[str]) -> None:
        """Takes note of a change: what it affects waits, and a run that it affects starts anew."""
        changed = self.tree.changed(paths)
        fresh = affected(CHECKS, changed)
        if not changed:
            return
        names = ", ".join(sorted(changed)[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        print(f"\n{dt.datetime.now():%H:%M:%S} saved {names}: {', '.join(check.name for check in fresh) or 'no check'}",
              flush=True)  # fmt: skip
        with self._lock:
            self.waiting.update((check.name, check) for check in fresh)
            stale = [check for check in self.running if check.name in self.waiting]
            if self.runner and stale:
                # What has not ended waits again, beside what is stale.
                self.waiting.update((check.name, check) for check in self.running if check.name not in self.done)
                runner = self.runner
            else:
                runner = None
        if runner:
            runner.stop()
        self.wake.set()

    def told(self, result: Result) -> None:
        """Shows what came of a check."""
        if result.status != STOPPED:
            self.done.add(result.check.name)
            self.last[result.check.name] = result
            report.one(result)

    def run(self) -> None:
        """Runs what waits, until told to stop: the quick checks first, so that they are not kept waiting by a build."""
        while not self.stopping.is_set():
            self.wake.wait(0.5)
            self.wake.clear()
            with self._lock:
                self.running = self.batch()
                if not self.running:
                    continue
                for check in self.running:
                    self.waiting.pop(check.name, None)
                self.done = set()
                folder = results.new()
                self.runner = Runner(folder, self.told)
            begun = time.monotonic()
            found = self.runner.run(self.running)
            with self._lock:
                self.runner, self.running = None, []
            results.write(folder, found, "watch")
            self.summary(found, folder, time.monotonic() - begun)
            if self.waiting:
                self.wake.set()

    def batch(self) -> list[Check]:
        """What to run next, of what waits: all quick checks, or else the first of the slow ones."""
        waiting = [check for check in CHECKS if check.name in self.waiting]
        quick = [check for check in waiting if check.tier == QUICK]
        return quick or waiting[:1]

    def summary(self, found: list[Result], folder: Path, seconds: float) -> None:
        """One line after each run: what is still broken, and what waits."""
        bad = sorted(name for name, result in self.last.items() if result.status == FAILED)
        state = report.paint(f"broken: {', '.join(bad)}", 31) if bad else report.paint("all good", 32)
        ran = sum(result.status != STOPPED for result in found)
        more = f"; waiting: {', '.join(self.waiting)}" if self.waiting else ""
        print(f"{state} ({ran} in {seconds:.1f} s; ci_results/{folder.name}){more}", flush=True)

    def stop(self) -> None:
        """Ends the run that goes on, and the watcher."""
        self.stopping.set()
        if self.runner:
            self.runner.stop()
        self.wake.set()


def seen(stop: threading.Event) -> Iterator[set[str]]:
    """The paths that change, as they do: the top without what is below it, and the folders that hold files."""
    found: queue.SimpleQueue[set[str]] = queue.SimpleQueue()

    def look(*where: Path, deep: bool) -> None:
        for batch in changes(
            *where, watch_filter=DefaultFilter(), step=STEP, debounce=DEBOUNCE, recursive=deep, stop_event=stop,
            rust_timeout=500, yield_on_timeout=False,
        ):  # fmt: skip
            found.put({Path(path).relative_to(ROOT).as_posix() for _, path in batch})

    threads = [
        threading.Thread(target=look, args=folders(), kwargs={"deep": True}, daemon=True),
        threading.Thread(target=look, args=[ROOT], kwargs={"deep": False}, daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not stop.is_set():
        try:
            yield found.get(timeout=0.2)
        except queue.Empty:
            continue


def watch() -> int:
    """Watches until Ctrl-C."""
    watcher = Watcher()

    def stop(_number: int, _frame: FrameType | None) -> None:
        watcher.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    worker = threading.Thread(target=watcher.run)
    worker.start()
    print(f"watching {ROOT.name}: {len(CHECKS)} checks are known; save a file, or end with Ctrl-C", flush=True)
    for paths in seen(watcher.stopping):
        watcher.saved(paths)
    watcher.stop()
    worker.join()
    return 0
