"""One fit: rows → schema, matrix, boosters; and boosters → a checked model file."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost

from .. import _core, table
from ..errors import TrainingError
from . import boosters as xgb
from . import calibration, export, golden, parity

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

GOLDEN_SEED = 7
PARITY_SEED = 11
PARITY_ROWS = 10_000


@dataclass(frozen=True)
class Fit:
    """A schema without golden rows, and its boosters."""

    schema: dict[str, Any]
    boosters: list[xgboost.Booster]
    recipe: xgb.Recipe

    def margins(self, rows: pd.DataFrame) -> Floats:
        """What the boosters predict for rows, one column per output, in target space with the base added."""
        matrix = featurize(self.schema, rows)
        return xgb.margins(self.boosters, matrix) + base(self.schema, matrix)[:, None]

    def with_offsets(self, offsets: list[calibration.Offset]) -> Fit:
        """The same fit with conformal offsets in its schema."""
        outputs = calibration.schema_outputs(self.recipe.outputs, offsets)
        return replace(self, schema=self.schema | {"outputs": outputs})

    def with_provenance(self, provenance: dict[str, Any]) -> Fit:
        """The same fit with its origin in its schema."""
        return replace(self, schema=self.schema | {"provenance": provenance})

    def to_bytes(self) -> bytes:
        """The model file: exported, passed through the parity gate, with golden rows.

        Raises ParityError if ONNX Runtime does not give XGBoost's bits.
        """
        return self.proven()[0]

    def proven(self) -> tuple[bytes, parity.ParityReport]:
        """The model file, and what the parity gate compared before it was written."""
        columns = len(self.schema["features"])
        draft = export.to_bytes(self.boosters, columns, self.schema | {"golden": []})
        unseen = golden.synthetic_rows(self.schema, PARITY_ROWS, PARITY_SEED)
        report = parity.check(draft, self.boosters, featurize(self.schema, unseen))
        rows = golden.as_rows(golden.synthetic_rows(self.schema, golden.GOLDEN_ROWS, GOLDEN_SEED))
        predictor = _predictor(draft)
        answers = [predictor.predict(row) for row in rows]
        expected = [
            {"row": row, "prediction": {name: value for name, value in answer.items() if isinstance(value, float)}}
            for row, answer in zip(rows, answers, strict=True)
        ]
        return export.to_bytes(self.boosters, columns, self.schema | {"golden": expected}), report


def _predictor(model: bytes) -> _core.Predictor:
    from ..runtime import library_folder

    return _core.Predictor(model, library_folder=library_folder(), sessions=1, golden_rows=False)


def featurize(schema: dict[str, Any], rows: pd.DataFrame | Mapping[str, Any]) -> Matrix:
    """The matrix that the model sees, from the same code that serves predictions; rows by the schema's field names."""
    fields = [field["name"] for field in schema["fields"]]
    text = json.dumps(schema | {"golden": []})
    return _core.featurize(text, table.columns({name: rows[name] for name in fields if name in rows}))


def columns(schema: dict[str, Any], features: list[dict[str, Any]], rows: pd.DataFrame) -> Matrix:
    """These features of rows, with what the schema knows of fields, hubs and cables."""
    target = {name: value for name, value in schema["target"].items() if name != "base"}
    # Nothing is predicted, but a schema is checked as a whole.
    outputs = [{"name": name, "quantile": xgb.MEDIAN} for name in ("low_ms", "p50_ms", "high_ms", "p90_ms", "p99_ms")]
    return featurize(schema | {"features": features, "target": target, "outputs": outputs}, rows)


def base(schema: dict[str, Any], matrix: Matrix) -> Floats:
    """What the trees' margin is relative to, in target space; zero without a base."""
    found = schema["target"].get("base")
    if found is None:
        return np.zeros(len(matrix))
    guess: Floats = np.log(matrix[:, found["feature"]].astype(np.float64) + found["add"])
    return guess


def to_target_space(schema: dict[str, Any], values: npt.ArrayLike) -> Floats:
    """The target as the trees see it, before the base is taken off."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.log(numbers) if schema["target"]["transform"] == "log" else numbers


@dataclass(frozen=True)
class Prepared:
    """Rows as the trees see them: what fits with different settings share."""

    schema: dict[str, Any]
    matrix: Matrix
    margin: Floats
    """What the trees learn: the target in target space, without the base."""
    weight: Floats


def prepare(
    schema: dict[str, Any],
    outputs: tuple[xgb.Output, ...],
    rows: pd.DataFrame,
    target: npt.ArrayLike,
    weight: Floats,
    spread: dict[str, Any] | None = None,
) -> Prepared:
    """Everything but the boosters, from rows by the schema's field names."""
    if len(rows) == 0:
        raise TrainingError("there are no rows to train on")
    schema = copy.deepcopy(schema) | {"outputs": calibration.schema_outputs(outputs)}
    if spread is not None:
        schema["spread"] = spread
    matrix = featurize(schema, rows)
    return Prepared(schema, matrix, to_target_space(schema, target) - base(schema, matrix), weight)


def fit_prepared(prepared: Prepared, recipe: xgb.Recipe, progress: xgb.Progress | None = None) -> Fit:
    """One booster per output of the recipe, which has the outputs that the rows were prepared for."""
    boosters = xgb.train(recipe, prepared.matrix, prepared.margin, prepared.weight, progress)
    return Fit(prepared.schema, boosters, recipe)
