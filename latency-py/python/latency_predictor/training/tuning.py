"""Search for XGBoost's settings, nested: what a fold is judged with was chosen without any row that touches the fold.

Six searches: one per fold of places, on the rows that do not touch it, and one on all rows for the model that ships.
Each holds out other folds of places inside its rows, and looks for the settings whose median has the smallest mean
|ln(predicted / measured)| there, every data set and case weighing the same. The search is Optuna's (tree-structured
Parzen estimator, Bergstra et al. 2011), kept in a file, so that it can be stopped and taken up again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ..data import split
from . import boosters as xgb
from . import fit as fits
from . import paths
from .recipes import UNTUNED, median, search_name, settings_of, with_settings

Floats = npt.NDArray[np.float64]

TRIALS = 20
INNER_FOLDS = 2
SEED = 31
SPACE = {
    "max_depth": IntDistribution(4, 6),
    "rounds": IntDistribution(160, 300, step=20),
    "eta": FloatDistribution(0.04, 0.2, log=True),
    "min_child_weight": FloatDistribution(1.0, 20.0, log=True),
    "subsample": FloatDistribution(0.5, 1.0),
    "colsample": FloatDistribution(0.3, 1.0),
    "reg_lambda": FloatDistribution(0.3, 10.0, log=True),
    "max_bin": CategoricalDistribution([48, 64, 96, 128, 256]),
}
"""The space of `recipes.SETTINGS`: whatever is found there, the file stays below 1.5 MB."""

Show = Callable[[str, int, int, float, float], None]
"""Called after each trial with the search, trials done, trials in all, its score, and the best one so far."""


def tune(table: pd.DataFrame, storage: Path, trials: int = TRIALS, show: Show | None = None) -> dict[str, Any]:
    """Runs what `storage` (a file) lacks of the six searches, and returns the settings found.

    `{"trials": 20, "inner_folds": 2, "searches": {name: {"settings": {...}, "score": 0.1, "untuned_score": 0.1}}}`
    """
    storage.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = JournalStorage(JournalFileBackend(str(storage)))
    # Another table, or other features, are another search.
    state = f"{_digest(table)} {json.dumps(asdict(UNTUNED), sort_keys=True)}"
    searches = {}
    for fold in (*range(split.FOLDS), None):
        name = search_name(fold)
        study = optuna.create_study(study_name=f"{name}: {state}", storage=backend, load_if_exists=True)
        inner = None
        while len(done := _scores(study)) < trials:
            inner = inner or [_inner(table, fold, held) for held in _inner_folds(fold)]
            # A sampler of its own per trial: a search that was stopped goes on as if it had not been.
            study.sampler = optuna.samplers.TPESampler(seed=SEED + len(done), n_startup_trials=6)
            if not done:
                # The settings as they are come first: the search can only do better.
                study.enqueue_trial(settings_of(UNTUNED))
            trial = study.ask(SPACE)
            score = _score(with_settings(UNTUNED, trial.params), inner)
            study.tell(trial, score)
            if show:
                show(name, len(done) + 1, trials, score, min([*done, score]))
        searches[name] = {
            "settings": {
                name: round(value, 4) if isinstance(value, float) else value
                for name, value in study.best_params.items()
            },
            "score": round(min(done), 5),
            "untuned_score": round(done[0], 5),
        }
    return {"trials": trials, "inner_folds": INNER_FOLDS, "searches": searches}


@dataclass(frozen=True)
class _Inner:
    """One inner split, ready to train on and to be asked."""

    prepared: fits.Prepared
    asked: pd.DataFrame
    log_rtt: Floats
    groups: list[npt.NDArray[np.int64]]
    """Positions of the rows of each data set and case."""


def _inner_folds(fold: int | None) -> list[int]:
    first = 0 if fold is None else fold + 1
    return [(first + step) % split.FOLDS for step in range(INNER_FOLDS)]


def _inner(table: pd.DataFrame, fold: int | None, inner_fold: int) -> _Inner:
    usable = np.ones(len(table), dtype=bool) if fold is None else split.by_place(table, fold).train
    held = split.by_place(table, inner_fold)
    asked = table[usable & ~held.train].reset_index(drop=True)
    case = held.c3[usable & ~held.train]
    prepared = paths.prepare_paths(table[usable & held.train], UNTUNED.outputs)
    return _Inner(
        prepared,
        asked,
        fits.to_target_space(prepared.schema, asked["rtt_ms"]),
        list(asked.groupby([asked["dataset"], case]).indices.values()),
    )


def _score(recipe: xgb.Recipe, inner: list[_Inner]) -> float:
    """Mean over the inner splits, data sets and cases of the mean |ln(predicted / measured)|."""
    alone = replace(recipe, outputs=(median(recipe),))
    scores = []
    for part in inner:
        predicted = fits.fit_prepared(part.prepared, alone).margins(part.asked)[:, 0]
        error = np.abs(predicted - part.log_rtt)
        scores.append(np.mean([error[positions].mean() for positions in part.groups]))
    return float(np.mean(scores))


def _scores(study: optuna.Study) -> list[float]:
    """Scores of the trials that were finished, oldest first."""
    return [
        float(trial.value)
        for trial in study.trials
        if trial.state == optuna.trial.TrialState.COMPLETE and trial.value is not None
    ]


def _digest(table: pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(table).to_numpy().tobytes()).hexdigest()[:12]
