"""XGBoost quantile boosters, one per output of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

SEED = 20261123
THREADS = 1
"""Not the machine's number of cores: XGBoost adds gradients per thread, so that another number of threads may give
other last bits, and the same data must give the same model file. Two threads gain little on tables of this size, and
where another process keeps a core busy they spend most of their time waiting for each other.
"""

MEDIAN = 0.5

Progress = Callable[[str, int, int], None]
"""Called with what is trained, rounds done, and rounds in all."""


@dataclass(frozen=True)
class Output:
    """One output: its name, the quantile that it predicts, and what XGBoost is told for it."""

    name: str
    quantile: float
    rounds: int
    eta: float = 0.1
    max_depth: int = 6
    min_child_weight: float = 2.0
    subsample: float = 0.8
    colsample: float = 1.0
    reg_lambda: float = 1.0
    max_bin: int = 256

    def parameters(self, threads: int) -> dict[str, Any]:
        """XGBoost's parameters."""
        return {
            "objective": "reg:quantileerror",
            "quantile_alpha": self.quantile,
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "eta": self.eta,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "reg_lambda": self.reg_lambda,
            "max_bin": self.max_bin,
            "seed": SEED,
            "nthread": threads,
        }


@dataclass(frozen=True)
class Recipe:
    """The outputs of a model."""

    outputs: tuple[Output, ...]
    threads: int = THREADS


def train(
    recipe: Recipe,
    matrix: npt.NDArray[np.float32],
    target: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    progress: Progress | None = None,
) -> list[xgboost.Booster]:
    """One booster per output of the recipe, for a target that is already in target space."""
    data = {
        bins: xgboost.QuantileDMatrix(matrix, target, weight=weight, nthread=recipe.threads, max_bin=bins)
        for bins in sorted({output.max_bin for output in recipe.outputs})
    }
    return [_train_one(recipe, output, data[output.max_bin], progress) for output in recipe.outputs]


def _train_one(
    recipe: Recipe, output: Output, data: xgboost.QuantileDMatrix, progress: Progress | None
) -> xgboost.Booster:
    callbacks = [_Report(output, progress)] if progress else None
    return xgboost.train(output.parameters(recipe.threads), data, output.rounds, callbacks=callbacks)


class _Report(xgboost.callback.TrainingCallback):
    def __init__(self, output: Output, progress: Progress) -> None:
        self.output = output
        self.progress = progress

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.progress(self.output.name, epoch + 1, self.output.rounds)
        return False


def margins(boosters: Sequence[xgboost.Booster], matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """What the boosters predict, one column each, in target space."""
    columns = [booster.inplace_predict(matrix, missing=np.nan) for booster in boosters]
    return np.column_stack(columns).astype(np.float64)
