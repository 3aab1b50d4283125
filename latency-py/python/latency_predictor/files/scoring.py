"""A file of paths → a file with predictions: scored on all cores while reading and writing go on."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from ..predictor import Predictor
from . import names
from .scorer import Scored, Scorer
from .sinks import Rejects, whole
from .sources import Load, opened

CHUNK_ROWS = 1 << 15
"""Enough that the work outweighs handing it on, and little enough that a few chunks hardly count as memory."""

Progress = Callable[[int, int | None, int], None]
"""Takes how far the source is read, out of how much if that is known, and how many rows are done."""


@dataclass(slots=True)
class Summary:
    """What became of a file: `rows` = `predicted` + `rejected`. `warnings` counts rows by code and field."""

    rows: int = 0
    predicted: int = 0
    rejected: int = 0
    warnings: Counter[tuple[str, str]] = field(default_factory=Counter)
    ignored_columns: tuple[str, ...] = ()

    def add(self, scored: Scored) -> None:
        """Counts a chunk."""
        self.predicted += scored.predicted
        self.rejected += scored.rejected
        self.rows += scored.predicted + scored.rejected
        self.warnings += scored.warnings


def predict_file(
    predictor: Predictor,
    path: Path,
    out: Path,
    rejects: Path,
    *,
    rows: int = CHUNK_ROWS,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Predicts each row of `path` into `out`, in order; rows that cannot be predicted go to `rejects`, a CSV file.

    Both are written whole or not at all, and `rejects` only if there are any. `workers` is how many chunks of about
    `rows` rows are scored at once, by default one per core.

    Raises `DataError` for a file that cannot be read, `InvalidInputError` for what concerns all rows, and `OSError`.
    """
    _apart(path, out, rejects)
    with opened(path, rows) as source:
        scorer = Scorer(predictor, source, path, out)
        summary = Summary(ignored_columns=scorer.ignored_columns)
        side = Rejects(rejects, source.unit, source.schema.names)
        try:
            with whole(out) as stream:
                with scorer.sink.writer(stream) as write:
                    for scored in _in_order(scorer.score, source.chunks(), workers or _cores()):
                        write(scored.lines)
                        if scored.rejected:
                            side.write(scored.rejects)
                        summary.add(scored)
                        if progress:
                            progress(source.position(), source.total, summary.rows)
                # First the rejects: predictions without them would look as if nothing were missing.
                side.finish()
        finally:
            side.discard()
    return summary


def _in_order(score: Callable[[Load], Scored], chunks: Iterator[Load], workers: int) -> Iterator[Scored]:
    """Scores side by side and gives the results in the order of the chunks; few of them are ever in memory."""
    with _pool(workers) as pool:
        waiting: deque[Future[Scored]] = deque()
        for load in chunks:
            waiting.append(pool.submit(score, load))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers, "score")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _apart(path: Path, out: Path, rejects: Path) -> None:
    """Finds mistakes in the names before the work begins."""
    if rejects == names.STREAM:
        raise DataError("--rejects: found -; allowed: the name of a file, as predictions may go to standard output")
    for one in (out, rejects):
        if one.is_dir():
            raise IsADirectoryError(f"{one} is a folder; allowed: the name of a file")
    given = [one.resolve() for one in (path, out, rejects) if one != names.STREAM]
    if len(set(given)) < len(given):
        raise DataError(
            f"found one name twice among the files to read ({path}), to write ({out}) and for rejects ({rejects}); "
            "allowed: a name of its own for each"
        )
