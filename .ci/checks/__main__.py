"""Runs checks: `python -m checks run [NAME ...] [--tier everyday]`, `list`, `affected PATH ...`, `setup`, `watch`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from types import FrameType

from . import report, results
from .model import EVERYDAY, FULL, QUICK, TIERS, Check, affected, chosen
from .runner import PASSED, SKIPPED, Runner
from .table import BY_NAME, CHECKS
from .tools import TOOLS, missing


def run(checks: list[Check], what: str) -> int:
    """Runs checks, and says what came of them; 1 if one is not good, 130 after Ctrl-C."""
    begun, folder = time.monotonic(), results.new()
    verbose = bool(os.environ.get("CI"))
    runner = Runner(folder, report.one, lambda check: print(f"started  {check.name}", flush=True) if verbose else None)

    def stop(number: int, _frame: FrameType | None) -> None:
        print(f"stopping ({signal.Signals(number).name})", flush=True)
        runner.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    found = runner.run(checks)
    results.write(folder, found, what, complete=set(chosen(CHECKS, EVERYDAY)) <= set(checks))
    report.end(found, folder, time.monotonic() - begun)
    if runner.stopping.is_set():
        return 130
    return 0 if all(result.status in (PASSED, SKIPPED) for result in found) else 1


def show() -> None:
    """Lists all checks by tier."""
    for tier, about in TIERS.items():
        print(f"{tier}: {about}")
        for check in CHECKS:
            if check.tier == tier:
                print(f"  make ci-{check.name:16} {check.about}")


def setup() -> int:
    """Says what is there and what is missing; what everyday checks need must be there."""
    needed = {name for check in chosen(CHECKS, EVERYDAY) for name in check.needs if not check.optional}
    bad = 0
    for name, tool in TOOLS.items():
        there, wanted = tool.there(), name in needed
        bad += wanted and not there
        users = ", ".join(check.name for check in CHECKS if name in check.needs)
        state = "ok      " if there else "MISSING " if wanted else "absent  "
        print(f"{state} {name:12} for {users}" + ("" if there else f"\n         {tool.cure}"))
    return min(bad, 1)


def named(names: list[str]) -> list[Check]:
    """The checks of these names, in the order of the list."""
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        sys.exit(f"found {', '.join(unknown)}; allowed: {', '.join(BY_NAME)} (`make ci-list` tells them apart)")
    return [check for check in CHECKS if check.name in names]


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="checks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run checks by name, or those of a tier")
    running.add_argument("names", nargs="*")
    running.add_argument("--tier", choices=(QUICK, EVERYDAY, FULL), default=EVERYDAY)
    commands.add_parser("list", help="list all checks")
    commands.add_parser("setup", help="say which tools are there")
    commands.add_parser("watch", help="run what a change can affect, until Ctrl-C")
    paths = commands.add_parser("affected", help="name the checks that a change of these files can affect")
    paths.add_argument("paths", nargs="+")
    asked = parser.parse_args()
    if asked.command == "list":
        show()
    elif asked.command == "setup":
        return setup()
    elif asked.command == "affected":
        print("\n".join(check.name for check in affected(CHECKS, asked.paths)))
    elif asked.command == "watch":
        if gone := missing(("tools",)):
            sys.exit(gone[0])
        from .watch import watch

        return watch()
    else:
        checks = named(asked.names) if asked.names else chosen(CHECKS, asked.tier)
        return run(checks, " ".join(asked.names) or asked.tier)
    return 0


if __name__ == "__main__":
    sys.exit(main())
