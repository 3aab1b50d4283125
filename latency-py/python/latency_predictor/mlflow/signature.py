"""The MLflow signature of a model file: what its pyfunc takes and gives."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType

from ..predictor import Predictor

ENDS = ("src", "dst")
PLACE = "a place: London, LHR, aws:eu-west-2, or 51.51,-0.13"
EXAMPLE_ROWS = 4


def signature(predictor: Predictor, strict: bool = False) -> ModelSignature:
    """The model's fields in order and, for a model with coordinates, `src` and `dst` for names of places.

    Models with coordinates have optional columns only, since an end may be given either way; what is missing is refused
    by the model itself, by name. Types are left to the model (`Any`): it takes integers where it has numbers, and
    columns without a value. MLflow takes neither for its `double` and `string`. With `strict` the types are those,
    which `text/csv` over HTTP needs.
    """
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(_type(field["type"], strict), name, required=required)
        for name, field, required in _columns(predictor.schema)
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.float, name) for name in example_answer(predictor)]
    return ModelSignature(inputs=Schema(columns), outputs=Schema(outputs))


def describe_fields(predictor: Predictor) -> dict[str, str]:
    """Each input column in words, for people who look at the model in MLflow."""
    return {name: _words(field) for name, field, _ in _columns(predictor.schema)}


def example(predictor: Predictor) -> pd.DataFrame:
    """A few of the golden rows that the model file holds."""
    fields = [field["name"] for field in predictor.schema["fields"]]
    rows = [golden["row"] for golden in predictor.schema["golden"][:EXAMPLE_ROWS]]
    table = pd.DataFrame(rows, columns=fields)
    # Missing words as None, which JSON has.
    return table.astype({name: object for name in table if not pd.api.types.is_numeric_dtype(table[name])}).where(
        table.notna(), None
    )


def example_answer(predictor: Predictor) -> pd.DataFrame:
    """What the model answers for `example`."""
    answer: pd.DataFrame = predictor.predict_batch(example(predictor))
    return answer


def _columns(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any], bool]]:
    places = "coordinates" in schema
    columns = [(field["name"], field, bool(field.get("required")) and not places) for field in schema["fields"]]
    if places:
        columns += [(end, {"type": "category", "description": PLACE}, False) for end in ENDS]
    return columns


def _type(kind: str, strict: bool) -> DataType | AnyType:
    if not strict:
        return AnyType()
    return DataType.double if kind == "number" else DataType.string


def _words(field: dict[str, Any]) -> str:
    if field["type"] == "number":
        limits = [f"{field[end]:g}" for end in ("min", "max") if end in field]
        words = " ".join(filter(None, ["number", " to ".join(limits), field.get("unit", "")]))
    else:
        words = ", ".join(field.get("categories", []))
    return "; ".join(filter(None, [field.get("description", ""), words]))
