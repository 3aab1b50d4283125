"""What the terminal shows of a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .results import tail
from .runner import FAILED, PASSED, SKIPPED, STOPPED, Result
from .tools import ROOT

COLOURS = {PASSED: 32, FAILED: 31, STOPPED: 31, SKIPPED: 33}
SHOWN = 60
"""Lines of the log of a check that failed."""


def paint(text: str, colour: int) -> str:
    """Text in a colour, on a terminal that has not asked for none."""
    return f"\x1b[{colour}m{text}\x1b[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def one(result: Result) -> None:
    """A line for a check; the end of its log if it failed."""
    facts = [result.why] if result.why else []
    if result.counts:
        facts.append("{} passed, {} failed, {} skipped".format(*result.counts))
    if result.coverage is not None:
        facts.append(f"{result.coverage} % covered")
    status = paint(f"{result.status:8}", COLOURS[result.status])
    lines = [f"{status} {result.check.name:14} {result.seconds:6.1f} s  {'; '.join(facts)}".rstrip()]
    if result.status == FAILED:
        lines += [f"    {line}" for line in tail(result.log).splitlines()[-SHOWN:]]
        lines.append(f"    again, alone: {result.check.again}")
    print("\n".join(lines), flush=True)


def end(results: list[Result], folder: Path, seconds: float) -> None:
    """What failed and how to run it again; the last line counts the tests, for those who read that."""
    bad = [result for result in results if result.status in (FAILED, STOPPED)]
    skipped = [result for result in results if result.status == SKIPPED]
    print(f"\n{len(results) - len(bad) - len(skipped)} checks passed, {len(bad)} failed, {len(skipped)} skipped "
          f"in {seconds:.0f} s; {folder.relative_to(ROOT)}/index.html")  # fmt: skip
    for result in bad:
        print(paint(f"  {result.check.name} {result.status}; again, alone: {result.check.again}", 31))
    counted = [result.counts for result in results if result.counts]
    if counted:
        print("{} passed, {} failed, {} skipped".format(*map(sum, zip(*counted, strict=True))), flush=True)
