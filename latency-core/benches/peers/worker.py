"""`worker.py CONTENDER THREADS FOLDER COLUMNS`: a contender in a process of its own; orders are lines of JSON."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS, Loaded, Matrix

# As in the other languages: the rows that the calls of a turn go through.
DIFFERENT = 4096
# Imported before a load is timed: what is asked is how long a model takes.
LIBRARIES = {
    "package": ["latency_predictor"],
    "gtil": ["treelite"],
    "scikit-learn": ["joblib", "sklearn.ensemble"],
    "onedal": ["daal4py", "xgboost"],
    "quickgrove": ["quickgrove", "pyarrow"],
}


def main() -> None:
    """Answers until nobody asks."""
    contender, threads, folder, columns = sys.argv[1:]
    for library in LIBRARIES.get(contender, [contender]):
        importlib.import_module(library)
    # Libraries talk on the standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(contender, int(threads), Path(folder), int(columns))
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(worker, order.pop("order"))(**order)), file=answers, flush=True)


class Worker:
    """Each method is an order."""

    def __init__(self, contender: str, threads: int, folder: Path, columns: int) -> None:
        self.contender, self.threads, self.folder, self.columns = contender, threads, folder, columns
        self.loaded: Loaded | None = None
        self.inputs: tuple[int, list[Any]] = (0, [])

    def load(self) -> dict[str, Any]:
        """Loads the model, and predicts one row."""
        row = self.read(self.folder / "rows.f32", 1)
        before = resident_kib()
        started = time.perf_counter()
        self.loaded = PEERS[self.contender](self.folder, self.threads)
        seconds = time.perf_counter() - started
        self.loaded.predict(self.loaded.ready(row))
        return {"seconds": seconds, "kib": max(resident_kib() - before, 0)}

    def check(self, rows: str, answers: str) -> dict[str, Any]:
        """Predicts all rows of one file into another."""
        found = self.loaded.predict(self.loaded.ready(self.read(Path(rows), -1)))
        np.ravel(np.asarray(found)).astype(np.float32).tofile(answers)
        return {}

    def time(self, rows: int, calls: int) -> dict[str, Any]:
        """So many calls of so many rows each."""
        if self.inputs[0] != rows:
            matrix = self.read(self.folder / "rows.f32", max(DIFFERENT // rows, 1) * rows)
            self.inputs = (rows, [self.loaded.ready(part) for part in np.split(matrix, len(matrix) // rows)])
        predict = self.loaded.predict
        asked = list(itertools.islice(itertools.cycle(self.inputs[1]), calls))
        started = time.perf_counter()
        for each in asked:
            predict(each)
        return {"seconds": time.perf_counter() - started}

    def read(self, path: Path, rows: int) -> Matrix:
        """The first rows of a file, all if -1."""
        numbers = -1 if rows < 0 else rows * self.columns
        return np.fromfile(path, np.float32, numbers).reshape(-1, self.columns)


def resident_kib() -> int:
    """What the process holds in memory."""
    (kib,) = re.findall(r"^VmRSS:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(kib)


if __name__ == "__main__":
    main()
