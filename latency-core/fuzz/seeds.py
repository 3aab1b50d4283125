"""Writes what fuzzing starts from: `seeds.py <folder>` fills <folder>/{metadata,rows,places} and <folder>/*.dict.

Everything comes from the models, the tests and the golden vectors, so that no second copy of it grows old.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def schema_of(model: str) -> dict[str, Any]:
    """The schema as it stands in a model's file."""
    text = (ROOT / model).read_bytes().split(b"latency.schema", 1)[1].decode(errors="replace")
    return json.JSONDecoder().raw_decode(text, text.index("{"))[0]


def shortened(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with one feature of each kind and three hubs: edits of it hit something more often."""
    links = [[0, 1, 10.0], [1, 2, 10.0]]
    schema = schema | {
        "target": dict(schema["target"]),
        "hubs": schema["hubs"][:3],
        "cables": schema["cables"] | {"links": links, "nearest": 2},
    }
    features = {feature["kind"]: feature for feature in schema["features"]}
    schema |= {"features": [feature | {"hub": 2} if "hub" in feature else feature for feature in features.values()]}
    if base := schema["target"].get("base"):
        base["feature"] = next(i for i, feature in enumerate(schema["features"]) if feature["kind"] == "cable_ms")
    return schema | {"provenance": {"rows": 3}, "golden": schema["golden"][:1]}


def keys(value: Any) -> set[str]:
    """Every key and short word of a JSON value."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return {value} if isinstance(value, str) and len(value) <= 12 else set()


def literals(*paths: str) -> list[str]:
    """The strings in Rust sources."""
    text = "\n".join((ROOT / path).read_text() for path in paths)
    return sorted({json.loads(found, strict=False) for found in re.findall(r'"(?:[^"\\\n{}]|\\["\\nt])+"', text)})


def rows() -> list[str]:
    """Rows from the golden vectors and from the Rust tests, which write every form and every mistake."""
    golden = json.loads((ROOT / "data/golden/paths.json").read_text())["rows"][:6]
    tests = (ROOT / "latency-core/tests/input.rs").read_text()
    written = re.findall(r'r#"(\{.*\})"#', tests) + re.findall(r"refuse_json\(&json!\((\{.*\})\)\)", tests)
    return [json.dumps(row) for row in golden] + [row for row in written if "many" not in row]


def write(folder: Path, seeds: list[str], words: set[str]) -> None:
    """One file per seed, named by its content, and a dictionary beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for seed in seeds:
        (folder / hashlib.sha256(seed.encode()).hexdigest()[:12]).write_text(seed)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in sorted(words))
    folder.with_suffix(".dict").write_text("".join(f'"{word}"\n' for word in escaped))


def main() -> None:
    """Writes all of it."""
    folder = Path(sys.argv[1])
    bundled = schema_of("models/latency.onnx")
    schemas = [bundled, shortened(bundled), schema_of("latency-core/tests/models/own.onnx")]
    quoted = {json.dumps(key) for schema in schemas for key in keys(schema)}
    write(folder / "metadata", [json.dumps(schema, separators=(",", ":")) for schema in schemas], quoted)
    ends = {json.dumps(key) for key in ("src", "dst", "lat", "lon", "place", "access", "provider", "tier")}
    fields = {json.dumps(key) for key in keys(bundled["fields"])}
    names = literals("latency-core/tests/places.rs", "latency-core/tests/input.rs")
    places = [name for name in names if len(name) < 40]
    write(folder / "rows", rows(), ends | fields | {json.dumps(name, ensure_ascii=False) for name in places[:100]})
    write(folder / "places", places, set(places[::3]))


if __name__ == "__main__":
    main()
