"""Makes `paths.json`: 1,000 paths and what the bundled model predicts for them, to the bit.

Run after each training of the bundled model; every language's tests read the file.
"""

import json
from pathlib import Path

import numpy as np

from latency_predictor import Predictor

ROWS = 1000
SEED = 1000
# Where formulas break first: poles, antimeridian, meridian of the ends' order, antipodes, the same point twice.
CORNERS = [
    ((90, 0), (-90, 0)), ((0, -180), (0, 180)), ((0, -30), (10, -30)), ((51.5, 0), (-51.5, 180)), ((0, 0), (0, 0)),
    ((-0.0, -0.0), (0.0, 179.9999999999)), ((1e-300, 5e-324), (89.99999999999999, -179.99999999999997)),
]  # fmt: skip


def main() -> None:
    """Writes the file beside this script."""
    predictor = Predictor.bundled()
    rng = np.random.default_rng(SEED)
    rows = []
    for index in range(ROWS):
        if index < len(CORNERS):
            (src_lat, src_lon), (dst_lat, dst_lon) = CORNERS[index]
        else:
            src_lat, dst_lat = rng.uniform(-90, 90, 2)
            src_lon, dst_lon = rng.uniform(-180, 180, 2)
        row = {
            name: float(value)
            for name, value in zip(
                ("src_lat", "src_lon", "dst_lat", "dst_lon"),
                (src_lat, src_lon, dst_lat, dst_lon),
                strict=True,
            )
        }
        for field in predictor.schema["fields"]:
            if field["type"] == "category" and rng.random() < 0.6:
                row[field["name"]] = str(rng.choice(field["categories"]))
        rows.append(row)
    predictions = [predictor._core.predict(row) for row in rows]
    for prediction in predictions:
        del prediction["warnings"], prediction["missing"]
    model = json.dumps({"sha256": predictor.model_info["sha256"]})
    lists = {"rows": rows, "predictions": predictions}
    parts = [f'"{name}": [\n' + ",\n".join(json.dumps(item) for item in items) + "\n]" for name, items in lists.items()]
    text = "{\n" + ",\n".join([f'"model": {model}', *parts]) + "\n}\n"
    (Path(__file__).parent / "paths.json").write_text(text)


if __name__ == "__main__":
    main()
