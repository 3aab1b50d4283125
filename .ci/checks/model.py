"""What a check is, and which checks a changed file can affect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

QUICK, EVERYDAY, FULL, PART = "quick", "everyday", "full", "part"
TIERS = {
    QUICK: "seconds, builds nothing: run side by side",
    EVERYDAY: "builds or tests: with the quick ones, what `make ci` and `.ci/run` run",
    FULL: "slow, or needs what few have: `make ci-full` runs these too",
    PART: "a part of another check: run by name, and by the watcher",
}


@dataclass(frozen=True)
class Check:
    """One check: a line of bash, run at the root of the repository, that exits with 0 if all is well."""

    name: str
    tier: str
    about: str
    command: str
    # Patterns of paths that can change its result. A star matches slashes too: `latency-core/*` is all that is in it.
    paths: tuple[str, ...]
    # Names in `tools.TOOLS`.
    needs: tuple[str, ...] = ()
    # Without what it needs it is skipped, and says so, instead of failing.
    optional: bool = False

    @property
    def again(self) -> str:
        """How to run this check alone."""
        return f"make ci-{self.name}"

    def matches(self, path: str) -> bool:
        """Whether a change of this file can change the result. A pattern that starts with `!` takes paths out again."""
        found = False
        for pattern in self.paths:
            if pattern.startswith("!"):
                found = found and not fnmatchcase(path, pattern[1:])
            else:
                found = found or fnmatchcase(path, pattern)
        return found


def affected(checks: Iterable[Check], paths: Iterable[str]) -> list[Check]:
    """The checks that a change of these files can affect, in the order of the list; the slow ones are not among them."""
    changed = list(paths)
    return [check for check in checks if check.tier != FULL and any(check.matches(path) for path in changed)]


def chosen(checks: Iterable[Check], tier: str) -> list[Check]:
    """The checks of a tier, and of the quicker ones."""
    tiers = {QUICK: {QUICK}, EVERYDAY: {QUICK, EVERYDAY}, FULL: {QUICK, EVERYDAY, FULL}}
    return [check for check in checks if check.tier in tiers[tier]]
