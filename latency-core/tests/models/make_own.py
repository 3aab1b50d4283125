"""Trains own.onnx, a small model without places: `make own-model`. With --check, compares instead of writing.

The table is made up, and small: 600 measurements over a link of fibre or radio, some of whose loads are not known.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from latency_predictor.training import tables

OWN = Path(__file__).with_name("own.onnx")
# Few small trees, which learn fast: the file is for tests, and each test that loads it should be quick.
OUTPUTS = tuple(replace(output, rounds=8, eta=0.5, max_depth=2) for output in tables.RECIPE.outputs)


def table() -> str:
    """The measurements as CSV."""
    draw = random.Random(1)  # noqa: S311  nothing secret
    lines = ["hops,link,load,rtt_ms"]
    for _ in range(600):
        hops, link, load = draw.randint(1, 12), draw.choice(["fibre", "radio"]), draw.random()
        median = (2 + 1.5 * hops) * (1 + load) + (20 if link == "radio" else 0)
        shown = "" if draw.random() < 0.2 else f"{load:.2f}"
        lines.append(f"{hops},{link},{shown},{median * math.exp(draw.expovariate(10)):.2f}")
    return "\n".join(lines) + "\n"


def model() -> bytes:
    """The model file, made by what `latency train --data` runs."""
    tables.RECIPE = replace(tables.RECIPE, outputs=OUTPUTS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.csv"
        path.write_text(table())
        trained = tables.train(tables.read_table(path), "rtt_ms", name="own")
        return trained.fit.with_provenance(tables.provenance(path, trained, "make own-model")).to_bytes()


def main() -> int:
    """Writes the model, or says whether it is still the same."""
    made = model()
    if "--check" in sys.argv[1:]:
        same = OWN.read_bytes() == made
        print(f"{OWN.name}: {'the same bytes' if same else 'OTHER BYTES than its script makes'}")
        return 0 if same else 1
    OWN.write_bytes(made)
    print(f"wrote {OWN.name}, {len(made):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
