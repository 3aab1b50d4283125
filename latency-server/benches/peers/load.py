"""Load on a server, and what it found: by oha, and at a steady rate by `benches/steady.rs`."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Load:
    """Answers per second, and their times; of oha those that were 200."""

    rate: float
    p50_ms: float
    p99_ms: float
    statuses: Counter[int]
    errors: dict[str, int]

    @property
    def answered(self) -> float:
        """The share of requests that was answered with 200."""
        return self.statuses[200] / max(1, self.statuses.total() + sum(self.errors.values()))

    @property
    def accepted_rate(self) -> float:
        return self.rate * self.answered


@dataclass(frozen=True)
class Generator:
    """oha; POST with a JSON body, over HTTP/1.1 with connections that are kept where the server keeps them."""

    program: Path
    connections: int = 16

    def run(
        self,
        url: str,
        body: Path,
        seconds: float,
        *,
        per_second: float | None = None,
        connections: int | None = None,
        since_due: bool = True,
    ) -> Load:
        """The next request follows an answer, or, with `per_second`, comes at its time whatever was answered.

        Times then count from when a request was due, or else from when it was sent: later, if no connection was free.
        """
        rate = [] if per_second is None else ["-q", f"{per_second:.0f}", *["--latency-correction"] * since_due]
        command = [
            *(self.program, "--no-tui", "--output-format", "json", "--stats-success-breakdown"),
            *("-z", f"{seconds * 1e3:.0f}ms", "-c", str(connections or self.connections), *rate),
            *("-m", "POST", "-T", "application/json", "-D", body, url),
        ]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        times = found["latencyPercentilesSuccessful"]
        return Load(
            rate=found["summary"]["requestsPerSec"],
            p50_ms=1e3 * (times["p50"] or 0),
            p99_ms=1e3 * (times["p99"] or 0),
            statuses=Counter({int(status): count for status, count in found["statusCodeDistribution"].items()}),
            # What was under way at the end is neither good nor bad.
            errors={why: count for why, count in found["errorDistribution"].items() if "deadline" not in why},
        )


def steady(url: str, body: Path, per_second: float, seconds: float, connections: int = 16) -> Load:
    """One request after another at a fixed rate, whatever was answered; times count from when each was due.

    oha's timer wakes once in a millisecond, which is more than what is measured here.
    """
    options = ["--quiet", "--locked", "--profile", "ci", "--package", "latency-server", "--bench", "steady"]
    arguments = [url, body, f"{per_second:.0f}", f"{seconds:g}", str(connections)]
    found = json.loads(
        subprocess.run(["cargo", "bench", *options, "--", *arguments], stdout=subprocess.PIPE, check=True).stdout
    )
    return Load(
        rate=found["per_second"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        statuses=Counter({int(status): count for status, count in found["statuses"].items()}),
        errors={},
    )
