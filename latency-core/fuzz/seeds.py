"""Writes what fuzzing starts from: `seeds.py <folder>` fills <folder>/{metadata,rows,places} and <folder>/*.dict.

Everything comes from the model, the tests and the golden vectors, so that no second copy of it grows old.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def bundled_schema() -> dict[str, Any]:
    """The schema as it stands in the bundled model's file."""
    text = (ROOT / "models/latency.onnx").read_bytes().split(b"latency.schema", 1)[1].decode(errors="replace")
    return json.JSONDecoder().raw_decode(text, text.index("{"))[0]


def own_schema() -> dict[str, Any]:
    """A small schema with every kind of field, feature and spread: edits of it hit something more often."""
    schema = bundled_schema()
    links = [[0, 1, 10.0], [1, 2, 10.0]]
    schema |= {"hubs": schema["hubs"][:3], "cables": schema["cables"] | {"links": links, "nearest": 2}}
    features = {json.dumps({"kind": feature["kind"]}): feature for feature in schema["features"]}
    schema |= {"features": [feature | {"hub": 2} if "hub" in feature else feature for feature in features.values()]}
    if base := schema["target"].get("base"):
        base["feature"] = next(i for i, feature in enumerate(schema["features"]) if feature["kind"] == "cable_ms")
    return schema | {"provenance": {"rows": 3}, "golden": schema["golden"][:1]}


def without_places() -> dict[str, Any]:
    """A schema of a model of one's own."""
    outputs = [{"name": name, "quantile": 0.5} for name in ("low_ms", "p50_ms", "high_ms", "p90_ms", "p99_ms")]
    return {
        "format": 1,
        "name": "own",
        "fields": [
            {"name": "hops", "type": "number", "min": 0, "seen": [1, 9]},
            {"name": "link", "type": "category", "categories": ["fibre", "radio"], "seen": ["fibre"]},
        ],
        "features": [
            {"kind": "number", "field": "hops"},
            {"kind": "category", "field": "link", "category": "radio"},
        ],
        "target": {"name": "rtt_ms", "unit": "ms", "transform": "identity"},
        "outputs": outputs,
        "golden": [{"row": {"hops": 1, "link": None}, "prediction": {"p50_ms": 1.5}}],
    }


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
    return sorted({json.loads(found) for found in re.findall(r'"(?:[^"\\\n{}]|\\["\\nt])+"', text)})


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
    schemas = [bundled_schema(), own_schema(), without_places()]
    quoted = {json.dumps(key) for schema in schemas for key in keys(schema)}
    write(folder / "metadata", [json.dumps(schema, separators=(",", ":")) for schema in schemas], quoted)
    ends = {json.dumps(key) for key in ("src", "dst", "lat", "lon", "place", "access", "provider", "tier")}
    fields = {json.dumps(key) for key in keys(bundled_schema()["fields"])}
    names = literals("latency-core/tests/places.rs", "latency-core/tests/input.rs")
    places = [name for name in names if len(name) < 40]
    write(folder / "rows", rows(), ends | fields | {json.dumps(name, ensure_ascii=False) for name in places[:100]})
    write(folder / "places", places, set(places[::3]))


if __name__ == "__main__":
    main()
