"""Who takes part, how each is started, and how a running one is asked."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
NODE_WORKER = ROOT / "latency-node" / "benches" / "engine.mjs"
RUST, PYTHON, NODE = "Rust", "Python", "Node.js"
NATIVE = "native engine"


@dataclass(frozen=True)
class Contender:
    """`word` is its name for the worker of its language, `engine` which one our package is told to use.

    Without `several`, it uses one thread whatever it is told.
    """

    name: str
    language: str
    word: str
    ours: bool = False
    several: bool = True
    own_trees: bool = False
    takes_gaps: bool = True
    engine: str = ""

    @property
    def title(self) -> str:
        return f"{self.name}, {self.language}"


def package(language: str, engine: str) -> Contender:
    """This project's package with one of its engines, from named fields to a prediction."""
    word = f"predictor-{engine}" if language == RUST else "package"
    name = "`Predictor`, native" if engine == "native" else "`Predictor`, ONNX Runtime"
    return Contender(name, language, word, ours=True, engine=engine)


REFERENCE = Contender(NATIVE, RUST, "native", several=False, ours=True)
CONTENDERS = (
    REFERENCE,
    *(package(language, engine) for language in (RUST, PYTHON, NODE) for engine in ("native", "onnxruntime")),
    Contender("ort", RUST, "ort"),
    Contender("gbdt", RUST, "gbdt", several=False),
    Contender("hessboost", RUST, "hessboost"),
    Contender("silva", RUST, "silva", several=False, takes_gaps=False),
    Contender("XGBoost", PYTHON, "xgboost"),
    Contender("onnxruntime", PYTHON, "onnxruntime"),
    Contender("Treelite GTIL", PYTHON, "gtil"),
    Contender("TL2cgen", PYTHON, "tl2cgen"),
    Contender("oneDAL (daal4py)", PYTHON, "onedal"),
    Contender("quickgrove", PYTHON, "quickgrove", several=False),
    Contender("scikit-learn, trees of its own", PYTHON, "scikit-learn", own_trees=True),
    Contender("onnxruntime-node", NODE, "onnxruntime-node"),
)


class Process:
    """A contender with its model in a process of its own."""

    def __init__(self, contender: Contender, threads: int, folder: Path, columns: int, rust: Path, log: Path) -> None:
        program = {RUST: [rust], PYTHON: [sys.executable, HERE / "worker.py"], NODE: ["node", NODE_WORKER]}
        self.contender, self.threads, self.folder, self.log = contender, threads, folder, log
        # For those that take their threads from there: rayon, OpenMP.
        variables = {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
        if contender.engine:
            variables["LATENCY_ENGINE"] = contender.engine
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [*program[contender.language], contender.word, str(threads), folder, str(columns)],
                env={**os.environ, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, order: str, **given: Any) -> dict[str, Any]:
        """Gives an order and waits until it is carried out."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"order": order, **given}), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            # Some libraries talk in between.
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        sys.exit(f"{self.contender.title} ended:\n{self.log.read_text(errors='replace')[-3000:]}")

    def seconds(self, rows: int, calls: int) -> float:
        """The time of so many calls of so many rows."""
        return float(self.ask("time", rows=rows, calls=calls)["seconds"])

    def stop(self) -> None:
        """Ends it: it stops when nobody asks any more."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
