"""The bundled model is the one that was judged: its SHA-256 is that of the golden vectors, and its card's version begins it."""

import hashlib
import json
import re

from common import ROOT, end

found = hashlib.sha256((ROOT / "models/latency.onnx").read_bytes()).hexdigest()
said = {
    name: json.loads((ROOT / name).read_text())["model"]["sha256"]
    for name in ("data/golden/paths.json", "data/golden/questions.json")
}
card = re.search(r"^\| version \| `([0-9a-f]{12})`", (ROOT / "models/README.md").read_text(), re.MULTILINE)
said["models/README.md"] = card[1] if card else "no version"
said["latency-core/assets/latency.onnx"] = hashlib.sha256(
    (ROOT / "latency-core/assets/latency.onnx").read_bytes()
).hexdigest()
wrong = [
    f"{name} is of the model {stated}; models/latency.onnx is {found}: make model (a new model), or git checkout models/latency.onnx"
    for name, stated in said.items()
    if not found.startswith(stated)
]
end(wrong, f"models/latency.onnx is {found}, as {', '.join(said)} say")
