"""Writes what fuzzing starts from: `seeds.py <folder>` fills <folder>/{metadata,rows,places,trees} and <folder>/*.dict.

Everything comes from the models, the tests and the golden vectors, so that no second copy of it grows old.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
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


def message(field: int, *parts: bytes | str) -> bytes:
    """A protobuf field of bytes, or of a message."""
    value = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(field << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def trees(depth: int, count: int, columns: int, mode: str) -> bytes:
    """An ONNX file of complete trees, by hand as the tests do it: two targets in turn."""
    branches, nodes = 2**depth - 1, 2 ** (depth + 1) - 1
    places = [(tree, node) for tree in range(count) for node in range(nodes)]
    leaves = [(tree, node) for tree, node in places if node >= branches]

    def integers(name: str, values: list[int]) -> bytes:
        return message(5, message(1, name), b"".join(b"\x40" + varint(value) for value in values), b"\xa0\x01\x07")

    def floats(name: str, values: list[float]) -> bytes:
        return message(5, message(1, name), *(b"\x3d" + struct.pack("<f", value) for value in values), b"\xa0\x01\x06")

    def matrix(field: int, name: str, width: int) -> bytes:
        shape = message(2, message(1, message(2, "n")), message(1, b"\x08" + varint(width)))
        return message(field, message(1, name), message(2, message(1, b"\x08\x01", shape)))

    modes = [mode if node < branches else "LEAF" for _, node in places]
    node = message(
        1,
        *(message(1, "x"), message(2, "y"), message(4, "TreeEnsembleRegressor"), message(7, "ai.onnx.ml")),
        message(5, message(1, "n_targets"), b"\x18\x02", b"\xa0\x01\x02"),
        integers("nodes_treeids", [tree for tree, _ in places]),
        integers("nodes_nodeids", [node for _, node in places]),
        integers("nodes_featureids", [(tree + node) % columns for tree, node in places]),
        message(5, message(1, "nodes_modes"), *(message(9, word) for word in modes), b"\xa0\x01\x08"),
        floats("nodes_values", [(tree * 7 + node * 3) % 11 - 5 for tree, node in places]),
        integers("nodes_truenodeids", [2 * node + 1 if node < branches else 0 for _, node in places]),
        integers("nodes_falsenodeids", [2 * node + 2 if node < branches else 0 for _, node in places]),
        integers("nodes_missing_value_tracks_true", [node % 2 for _, node in places]),
        integers("target_treeids", [tree for tree, _ in leaves]),
        integers("target_nodeids", [node for _, node in leaves]),
        integers("target_ids", [tree % 2 for tree, _ in leaves]),
        floats("target_weights", [0.1 * node for _, node in leaves]),
    )
    return b"\x08\x08" + message(7, node, matrix(11, "x", columns), matrix(12, "y", 2))


def write(folder: Path, seeds: list[str] | list[bytes], words: set[str]) -> None:
    """One file per seed, named by its content, and a dictionary beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for seed in seeds:
        content = seed.encode() if isinstance(seed, str) else seed
        (folder / hashlib.sha256(content).hexdigest()[:12]).write_bytes(content)
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
    words = {"BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE", "LEAF", "SUM", "NONE"}
    names = set(re.findall(r'b"(\w+)"', (ROOT / "latency-core/src/engine/onnx.rs").read_text()))
    files = [
        trees(0, 2, 1, "LEAF"),
        trees(2, 3, 3, "BRANCH_LT"),
        trees(3, 2, 2, "BRANCH_GTE"),
        trees(9, 1, 4, "BRANCH_LEQ"),
    ]
    write(folder / "trees", files, words | names)


if __name__ == "__main__":
    main()
