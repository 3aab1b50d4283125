"""What a predictor answers: small frozen objects that read well in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from html import escape
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError

Verdict = Literal["plausible", "slow", "suspicious", "impossible"]


@dataclass(frozen=True, slots=True)
class PredictionWarning:
    """Something to know about a prediction: a stable `code`, the `field` it is about, and a sentence. In a batch,
    `row` says which row it is about, from 0.
    """

    code: str
    field: str
    message: str
    row: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Prediction:
    """What is predicted for one path. Times in milliseconds.

    `p50_ms` is the path's median RTT, `low_ms`..`high_ms` its 90 % interval on places that training never
    saw. `p90_ms` and `p99_ms` are about one measurement on the path; p99 is an extrapolation: no training
    source holds one. `floor_ms` and `distance_km` are None for models without coordinates. `missing` names the
    optional fields that were not given.
    """

    p50_ms: float
    low_ms: float
    high_ms: float
    p90_ms: float
    p99_ms: float
    floor_ms: float | None = None
    distance_km: float | None = None
    warnings: tuple[PredictionWarning, ...] = ()
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, as HTTP answers: without what this model does not have."""
        given = {name: value for name, value in self._items() if name not in ("warnings", "missing")}
        told = [{part: getattr(one, part) for part in ("code", "field", "message")} for one in self.warnings]
        return given | {"warnings": told, "missing": list(self.missing)}

    def _items(self) -> Iterator[tuple[str, Any]]:
        """What there is to show, its own fields before those of every prediction."""
        names = [field.name for field in fields(self)]
        shared = [field.name for field in fields(Prediction)]
        for name in [name for name in names if name not in shared] + shared:
            value = getattr(self, name)
            if value is not None:
                yield name, value

    def __repr__(self) -> str:
        # What was not given is everything that the caller left out: it would hide what was predicted.
        shown = (f"{name}={value!r}" for name, value in self._items() if name != "missing" and value != ())
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        parts = [(name, value) for name, value in self._items() if name not in ("warnings", "missing")]
        parts += [(one.code, f"{one.field}: {one.message}") for one in self.warnings]
        left = 'style="text-align:left"'
        cells = "".join(
            f"<tr><th {left}>{escape(str(name))}</th><td {left}>{_shown(value)}</td></tr>" for name, value in parts
        )
        return f"<table>{cells}</table>"


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else escape(str(value))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ranked(Prediction):
    """One candidate among others, and what is predicted for its path.

    `index` is its place in the list that was given, from 0; `p_best` the probability that the median RTT of its
    path is the lowest of all; `p_within_budget` that one measurement stays within the budget, if one was given.
    """

    candidate: Any
    index: int
    p_best: float
    p_within_budget: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Timeout(Prediction):
    """How long to wait: `timeout_ms` is the RTT that one measurement stays below with probability `quantile`."""

    timeout_ms: float
    quantile: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Judgement(Prediction):
    """Whether a measurement can be true.

    `verdict` is `plausible`, `slow` (beyond the 99 % quantile), `suspicious` (below light in fibre) or `impossible`
    (below light in vacuum, positions allowed for); `quantile` the probability of a measurement that is as fast or
    faster; `message` the reason.
    """

    verdict: Verdict
    quantile: float
    message: str


@dataclass(frozen=True, slots=True)
class BatchNotes:
    """What there is to know about a batch besides its numbers.

    `errors` holds one error for each row that could not be predicted, in their order; its `row` counts from 0, and
    the row has NaN in every number. `warnings` say which rows lie outside of what training saw. `missing` has a
    boolean array of shape (rows,) for each optional field: which rows do not give it. `ignored_columns` are those
    that the model has no field for.
    """

    errors: tuple[InvalidInputError, ...]
    warnings: tuple[PredictionWarning, ...]
    missing: dict[str, NDArray[np.bool_]]
    ignored_columns: tuple[str, ...]
