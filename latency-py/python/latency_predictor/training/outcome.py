"""A training from file to file: the model, what it was judged by, and what a tracking server wants to know."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import boosters as xgb
from . import parity
from .fit import Fit

Report = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model file that has passed the gate, and how it came to be."""

    model: bytes
    fit: Fit
    proof: parity.ParityReport
    held_out: npt.NDArray[np.float64]
    """Held-out rows: the target, then one column per output of the recipe, in the target's unit."""
    table: Path
    seconds: float

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the model comes from, as its file has it."""
        found: dict[str, Any] = self.fit.schema["provenance"]
        return found


def train_paths(path: Path, progress: xgb.Progress | None = None, report: Report = print) -> Trained:
    """The bundled model's training on the tidy table of `latency data`."""
    from ..data import table as tidy
    from ..evaluation.evaluate import held_out_metrics
    from . import paths

    rows = tidy.read(path)
    started = time.monotonic()
    cross = paths.cross_fit(rows, progress=progress, report=report)
    report("training on all rows")
    fitted = paths.fit_paths(rows, progress=progress).with_offsets(cross.offsets())
    origin = paths.provenance(rows, "latency data && latency train", held_out_metrics(cross))
    return _proven(fitted.with_provenance(origin), cross.held_out(), path, started)


def train_table(
    path: Path,
    target: str,
    drop: tuple[str, ...],
    name: str,
    threads: int,
    progress: xgb.Progress | None = None,
    report: Report = print,
) -> Trained:
    """The training on a table of one's own, CSV or Parquet."""
    from . import tables

    rows = tables.read_table(path)
    started = time.monotonic()
    model = tables.train(rows, target, drop, name, progress, threads)
    if model.rows_without_target:
        report(f"left out {model.rows_without_target:,} rows without a `{target}`")
    options = [value for column in drop for value in ("--drop", column)]
    options += ["--name", name, "--threads", str(threads)]
    command = shlex.join(["latency", "train", "--data", path.name, "--target", target, *options])
    origin = tables.provenance(path, model, command)
    for metric, value in model.metrics.items():
        report(f"  {metric:24} {value:,}")
    return _proven(model.fit.with_provenance(origin), model.held_out, path, started)


def _proven(fitted: Fit, held_out: npt.NDArray[np.float64], path: Path, started: float) -> Trained:
    content, proof = fitted.proven()
    return Trained(content, fitted, proof, held_out, path, time.monotonic() - started)
