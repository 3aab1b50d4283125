"""Turns: all contenders take one after the other, again and again, so that a busy machine disturbs all alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from contenders import Process

TURN_SECONDS = 0.1
# For threads of the one before that still spin.
PAUSE_SECONDS = 0.01


@dataclass
class Times:
    """Microseconds per row, turn by turn."""

    us: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.us)

    def over(self, other: Times) -> tuple[float, float, float]:
        """This / other: the median over the turns, and its middle half."""
        ratios = [mine / theirs for mine, theirs in zip(self.us, other.us, strict=True)]
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        return median(ratios), low, high


def take_turns(processes: Sequence[Process], rows: int, turns: int, most_seconds: float) -> list[Times | None]:
    """The times of each, None where a call would take longer than `most_seconds`.

    How long a call takes is estimated with fewer rows, where those are many.
    """
    calls: list[int] = []
    for process in processes:
        few = min(rows, 1000)
        call = min(process.seconds(few, 1), process.seconds(few, 1)) * rows / few
        calls.append(0 if call > most_seconds else max(1, round(TURN_SECONDS / max(call, 1e-7))))
    times = [Times() for _ in processes]
    for turn in range(turns):
        order = range(len(processes)) if turn % 2 == 0 else reversed(range(len(processes)))
        for at in order:
            if calls[at]:
                time.sleep(PAUSE_SECONDS)
                times[at].us.append(1e6 * processes[at].seconds(rows, calls[at]) / (calls[at] * rows))
    return [found if count else None for found, count in zip(times, calls, strict=True)]
