"""The metadata of the bundled model has the documented form, and the documented form refuses others."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from latency_predictor import Predictor

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "model-schema.json").read_text())


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def test_the_bundled_model_has_the_documented_form(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(Predictor.bundled().schema)


def test_every_kind_of_feature_is_documented(validator: jsonschema.Draft202012Validator) -> None:
    source = (Path(__file__).resolve().parents[2] / "latency-core" / "src" / "schema.rs").read_text()
    body = source.split("pub enum Feature {")[1].split("\n}")[0]
    variants = [
        line.strip().split()[0].rstrip(",")
        for line in body.splitlines()
        if line.startswith("    ") and line.strip()[:1].isupper() and not line.startswith("        ")
    ]
    kinds = {"".join("_" + c.lower() if c.isupper() else c for c in variant).lstrip("_") for variant in variants}
    documented = set()
    for option in SCHEMA["$defs"]["feature"]["oneOf"]:
        kind = option["properties"]["kind"]
        documented |= {kind["const"]} if "const" in kind else set(kind["enum"])
    assert kinds == documented


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: schema.update(format=2),
        lambda schema: schema.update(mystery=1),
        lambda schema: schema["fields"][0].update(mystery=1),
        lambda schema: schema["features"].append({"kind": "mystery"}),
        lambda schema: schema["features"].append({"kind": "detour"}),
        lambda schema: schema["outputs"][0].update(name="p42_ms"),
        lambda schema: schema.pop("golden"),
    ],
)
def test_other_forms_are_refused(validator: jsonschema.Draft202012Validator, change) -> None:  # type: ignore[no-untyped-def]
    schema = copy.deepcopy(Predictor.bundled().schema)
    change(schema)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(schema)
