"""A run says what failed, keeps what was said, and leaves no process behind; the watcher starts within two seconds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ci"))

from checks import processes, results  # noqa: E402
from checks.model import EVERYDAY, QUICK, Check  # noqa: E402
from checks.runner import FAILED, PASSED, SKIPPED, STOPPED, Runner  # noqa: E402


def check(name: str, command: str, tier: str = QUICK, needs: tuple[str, ...] = (), optional: bool = False) -> Check:
    return Check(name, tier, f"about {name}", command, ("*",), needs, optional)


def test_a_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    folder = results.new(tmp_path)
    listed = [
        check("good", "echo 3 passed, 0 failed, 1 skipped"),
        check("bad", "printf '<&>\\033[31mred\\033[0m\\001'; exit 3"),
        check("slow", "echo slow", EVERYDAY),
        check("without", "true", needs=("docker",), optional=True),
        check("needy", "true", needs=("promtool",)),
    ]
    monkeypatch.delenv("DOCKER_LAB", raising=False)
    told: list[str] = []
    found = Runner(folder, lambda result: told.append(result.check.name)).run(listed)
    assert [result.status for result in found] == [PASSED, FAILED, PASSED, SKIPPED, FAILED]
    assert sorted(told) == ["bad", "good", "needy", "slow", "without"]
    summary = results.write(folder, found, "some")
    # What .ci/cd/steps.py reads.
    assert summary["complete"] is False
    assert summary["dirty"] in (True, False)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["status"] == FAILED
    assert summary["tests"] == {"passed": 3, "failed": 0, "skipped": 1}
    checks = {entry["name"]: entry for entry in summary["checks"]}  # type: ignore[attr-defined]
    assert checks["bad"]["why"] == "exit code 3"
    assert checks["bad"]["again"] == "make ci-bad"
    assert "apt-get install prometheus" in checks["needy"]["why"]
    suite = ElementTree.fromstring((folder / "junit.xml").read_bytes())  # noqa: S314  it is our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "1")
    page = (folder / "index.html").read_text()
    assert "2 of 5 checks failed" in page
    assert "&lt;&amp;&gt;red" in page
    assert not re.search(r"<script|(?:src|href)=\"(?!\w+\.log\")", page)
    assert (tmp_path / "latest").resolve() == folder


def test_old_runs_are_pruned(tmp_path: Path) -> None:
    for _ in range(5):
        results.new(tmp_path)
    newest = sorted(path.name for path in tmp_path.iterdir())[-2:]
    results.prune(tmp_path, kept=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == newest


def test_what_a_stopped_run_started_ends(tmp_path: Path) -> None:
    folder = results.new(tmp_path)
    # One in the group, and one that leaves it.
    runner = Runner(folder, lambda _: None)
    thread = threading.Timer(1.0, runner.stop)
    thread.start()
    (found, later) = runner.run(
        [check("long", "sleep 97 & setsid sleep 98 & wait", EVERYDAY), check("later", "true", EVERYDAY)]
    )
    thread.join()
    assert (found.status, later.status) == (STOPPED, STOPPED)
    assert found.seconds < 5
    assert not processes.marked(f"{folder.name}:long")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files as they lie here, in a repository of their own that shares what is installed."""
    copy = tmp_path / "copy"
    copy.mkdir()
    names = ["Makefile", ".gitignore", "README.md", ".ci/checks", ".ci/own", ".ci/typos.toml"]
    for name in names:
        source = ROOT / name
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    (copy / "latency-core").mkdir()
    (copy / "latency-core/GUIDE.md").write_text("# Guide\n\nA page.\n")
    (copy / ".venv").symlink_to((ROOT / ".venv").resolve())
    (copy / "target").mkdir()
    (copy / "target/checks").symlink_to(ROOT / "target/checks")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t.t", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy


def wait_for(text: str, log: Path, seconds: float) -> float:
    """How long it took until the log had the text."""
    begun = time.monotonic()
    while text not in log.read_text():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {text}\n{log.read_text()}"
        time.sleep(0.02)
    return time.monotonic() - begun


def test_the_watcher_runs_what_a_save_affects_within_two_seconds(clone: Path) -> None:
    log = clone.parent / "log"
    environment = {**os.environ, "PYTHONPATH": f"{clone}/.ci:{clone}/target/checks", "NO_COLOR": "1"}
    with log.open("wb") as said:
        watcher = subprocess.Popen(
            [sys.executable, "-m", "checks", "watch"], cwd=clone, env=environment, stdout=said, stderr=said
        )
    try:
        wait_for("watching", log, 10)
        time.sleep(1.0)
        page = clone / "latency-core/GUIDE.md"
        # Saved as it was: nothing to do.
        page.write_text(page.read_text())
        page.write_text("# Guide\n\nA page that is teh best.\n")  # spelling: meant
        took = wait_for("saved latency-core/GUIDE.md: ", log, 10)
        runs = clone / "ci_results"
        while not any(runs.glob("*/spelling.log")):
            assert took < 10
            time.sleep(0.02)
            took += 0.02
        print(f"started {took:.2f} s after the save")
        assert took < 2.0
        affected = re.search(r"saved latency-core/GUIDE.md: (.*)", log.read_text())
        assert affected is not None
        assert affected[1].split(", ") == ["spelling", "links", "secrets", "large-files", "package", "doc"]
        wait_for("`teh` should be `the`", log, 30)  # spelling: meant
        wait_for("again, alone: make ci-spelling", log, 5)
        # A file at the top, saved as editors do: written beside, and put in its place.
        (clone / "README.new").write_text("# Read me\n")
        (clone / "README.new").replace(clone / "README.md")
        wait_for("README.md", log, 5)
    finally:
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(30) == 0
    assert log.read_text().count("saved latency-core/GUIDE.md") == 1
    assert (clone / "ci_results/latest/summary.json").exists()
    assert not [
        entry
        for entry in Path("/proc").glob("[0-9]*/environ")
        if readable(entry) and f"PYTHONPATH={clone}".encode() in entry.read_bytes()
    ]


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
