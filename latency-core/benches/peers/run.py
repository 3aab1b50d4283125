"""`make bench-engine`: the native engine beside everything else that evaluates the same trees, in one run.

    run.py RUST_WORKER [--quick]

Makes the models, starts every contender, fails unless each gives XGBoost's predictions, lets all take turns, and writes
the section of docs/benchmarks.md and its figures. `--quick` writes nothing: it is to see that all of it works.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import figures
import numpy as np
import report
from contenders import CONTENDERS, REFERENCE, ROOT, Contender, Process
from machine import machine, versions
from models import Shape, make
from sklearn.metrics import r2_score
from turns import Times, take_turns

SIZES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
FEW_TURNS_FROM = 100_000
LOADS = 3
# A call that takes longer is left out.
MOST_SECONDS = 8.0
# Absolute; the predictions lie between -2 and 6, and some add the same leaves in another order.
TOLERANCE = 3e-5
R2_TOLERANCE = 0.01
SCALING_ROWS = (1, 1000)
SCALING: dict[str, list[Shape]] = {
    "trees": [Shape(trees=trees, rows=4096) for trees in (10, 100, 300, 1000, 2000)],
    "depth": [Shape(depth=depth, rows=4096) for depth in (2, 4, 6, 8, 10)],
    "columns": [Shape(columns=columns, rows=4096) for columns in (5, 12, 49, 100)],
}


@dataclass
class Found:
    """All that a run found out."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    threads: tuple[int, ...] = ()
    checks: dict[Contender, tuple[float, bool, bool | None]] = field(default_factory=dict)
    """The largest difference to XGBoost, whether all bits are the same, and whether rows with gaps are too."""
    loads: dict[Contender, list[dict[str, float]]] = field(default_factory=dict)
    times: dict[tuple[Contender, int, int], Times | None] = field(default_factory=dict)
    """By contender, threads and rows."""
    scaling: dict[tuple[str, int, Contender, int], Times | None] = field(default_factory=dict)
    """By what grows, how far, contender and rows."""


@dataclass(frozen=True)
class Settings:
    rust: Path
    below: Path
    logs: Path
    turns: int
    few_turns: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rust", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    below = ROOT / "target" / "peers-engine-models"
    with tempfile.TemporaryDirectory() as logs:
        settings = Settings(given.rust.absolute(), below, Path(logs), *((2, 2) if given.quick else (7, 3)))
        found = Found(machine(), versions(), (1, os.cpu_count() or 1))
        say(f"{found.machine}")
        shape = Shape()
        folder = make(shape, below, everything=True)
        say("the model is made")
        measure_loads(found, settings, shape, folder, 1 if given.quick else LOADS)
        measure(found, settings, shape, folder, SIZES[:5] if given.quick else SIZES)
        scale(found, settings, {"trees": SCALING["trees"][:2]} if given.quick else SCALING)
    found.machine["load at the end"] = machine()["load"]
    section = report.section(found)
    print(section)
    if not given.quick:
        figures.draw(found, ROOT / "docs" / "figures" / "bench")
        report.put(section, ROOT / "docs" / "benchmarks.md")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def start(
    stack: ExitStack, settings: Settings, contender: Contender, threads: int, shape: Shape, folder: Path
) -> Process:
    log = settings.logs / f"{contender.language}-{contender.word}-{threads}.log"
    process = Process(contender, threads, folder, shape.columns, settings.rust, log)
    stack.callback(process.stop)
    return process


def measure_loads(found: Found, settings: Settings, shape: Shape, folder: Path, loads: int) -> None:
    """Each load in a new process, in rounds."""
    for _ in range(loads):
        for contender in CONTENDERS:
            with ExitStack() as stack:
                answer = start(stack, settings, contender, 1, shape, folder).ask("load")
                found.loads.setdefault(contender, []).append(answer)
    say("loads are measured")


def measure(found: Found, settings: Settings, shape: Shape, folder: Path, sizes: tuple[int, ...]) -> None:
    """All contenders at once, in one thread and in all."""
    with ExitStack() as stack:
        processes = [
            start(stack, settings, contender, threads, shape, folder)
            for threads in found.threads
            for contender in CONTENDERS
            if threads == 1 or contender.several
        ]
        for process in processes:
            process.ask("load")
            found.checks.setdefault(process.contender, check(process, settings.logs))
        say("all give the same predictions")
        for rows in sizes:
            turns = settings.few_turns if rows >= FEW_TURNS_FROM else settings.turns
            times = take_turns(processes, rows, turns, MOST_SECONDS)
            for process, taken in zip(processes, times, strict=True):
                found.times[process.contender, process.threads, rows] = taken
            say(f"{rows} rows are measured")


def check(process: Process, folder: Path) -> tuple[float, bool, bool | None]:
    """Fails unless the predictions are XGBoost's; one that trains trees of its own has to be as good."""
    expected, answers = read(process.folder / "check-expected.f32"), answer(process, folder, "check")
    if process.contender.own_trees:
        target = read(process.folder / "check-target.f32")
        theirs, ours = r2_score(target, answers), r2_score(target, expected)
        if theirs < ours - R2_TOLERANCE:
            sys.exit(f"{process.contender.title}: R² is {theirs:.3f}, and XGBoost's is {ours:.3f}")
        return float("nan"), False, None
    difference = float(np.abs(answers - expected).max())
    if not difference <= TOLERANCE:
        sys.exit(f"{process.contender.title}: differs from XGBoost by {difference:.1e}")
    same = bool((answers == expected).all())
    if not process.contender.takes_gaps:
        return difference, same, False
    gaps = np.abs(answer(process, folder, "gaps") - read(process.folder / "gaps-expected.f32")).max()
    return difference, same, bool(gaps <= TOLERANCE)


def answer(process: Process, folder: Path, rows: str) -> Any:
    into = folder / "answers.f32"
    process.ask("check", rows=str(process.folder / f"{rows}.f32"), answers=str(into))
    return read(into)


def read(path: Path) -> Any:
    return np.fromfile(path, np.float32)


def scale(found: Found, settings: Settings, series: dict[str, list[Shape]]) -> None:
    """Models that grow in one direction, in one thread: beside ONNX Runtime and XGBoost, the fastest of the others."""
    named = [contender for contender in CONTENDERS if contender.word in ("ort", "xgboost")]
    fastest = [report.best_peer(found, 1, rows, report.any_shape) for rows in SCALING_ROWS]
    contenders = list(dict.fromkeys([REFERENCE, *named, *fastest]))
    for what, shapes in series.items():
        for shape in shapes:
            folder = make(shape, settings.below, everything=False)
            with ExitStack() as stack:
                processes = [start(stack, settings, contender, 1, shape, folder) for contender in contenders]
                for process in processes:
                    process.ask("load")
                    check(process, settings.logs)
                for rows in SCALING_ROWS:
                    times = take_turns(processes, rows, settings.turns, MOST_SECONDS)
                    for process, taken in zip(processes, times, strict=True):
                        found.scaling[what, getattr(shape, what), process.contender, rows] = taken
        say(f"scaling with {what} is measured")


if __name__ == "__main__":
    main()
