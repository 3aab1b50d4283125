"""Makes `paths.json`, 1,000 paths and what the bundled model predicts for them, and `questions.json`, what it answers
when it is asked to rank, for a timeout and for a verdict; all of it to the bit.

Run after each training of the bundled model; every language's tests read the files.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from latency_predictor import Place, Predictor

ROWS = 1000
QUESTIONS = 36
SEED = 1000
NAMES = [
    "London",
    "Portland, OR",
    "Sao Paulo",
    "Tokyo",
    "LHR",
    "JFK",
    "Nairobi",
    "Sydney",
    "Berlin",
    "Mumbai",
    "51.51,-0.13",
]
# Where formulas break first: poles, antimeridian, meridian of the ends' order, antipodes, the same point twice.
CORNERS = [
    ((90, 0), (-90, 0)), ((0, -180), (0, 180)), ((0, -30), (10, -30)), ((51.5, 0), (-51.5, 180)), ((0, 0), (0, 0)),
    ((-0.0, -0.0), (0.0, 179.9999999999)), ((1e-300, 5e-324), (89.99999999999999, -179.99999999999997)),
]  # fmt: skip


def main() -> None:
    """Writes the files beside this script."""
    predictor = Predictor.bundled()
    rows, predictions = paths(predictor)
    write("paths.json", predictor, {"rows": rows, "predictions": predictions})
    write("questions.json", predictor, questions(predictor))


def write(name: str, predictor: Predictor, lists: dict[str, list[Any]]) -> None:
    """One line for each item, so that a change shows which."""
    model = json.dumps({"sha256": predictor.model_info["sha256"]})
    parts = [f'"{name}": [\n' + ",\n".join(json.dumps(item) for item in items) + "\n]" for name, items in lists.items()]
    text = "{\n" + ",\n".join([f'"model": {model}', *parts]) + "\n}\n"
    (Path(__file__).parent / name).write_text(text)


def paths(predictor: Predictor) -> tuple[list[Any], list[Any]]:
    """Rows by flat names, and their predictions."""
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
    return rows, predictions


def questions(predictor: Predictor) -> dict[str, list[Any]]:
    """Questions in their JSON form, each with its `answer`, as HTTP gives it."""
    rng = np.random.default_rng(SEED)
    access = next(field for field in predictor.schema["fields"] if field["name"] == "src_access")["categories"]
    regions = [str(place) for place in Place.cloud_regions()]

    def end() -> Any:
        name = str(rng.choice(NAMES))
        match rng.integers(4):
            case 0:
                return name
            case 1:
                return {"place": name, "access": str(rng.choice(access))}
            case 2:
                return str(rng.choice(regions))
            case _:
                lat, lon = (float(value) for value in rng.uniform([-60, -180], [70, 180]).round(2))
                return {"lat": lat, "lon": lon, "access": str(rng.choice(access))}

    rank, timeout, judge = [], [], []
    for count in range(QUESTIONS):
        src, candidates, budget_ms = end(), [end() for _ in range(count % 12 + 1)], float(rng.integers(5, 300))
        answers = [ranked.to_dict() for ranked in predictor.rank(src, candidates, budget_ms=budget_ms)]
        for answer in answers:
            del answer["candidate"]
        rank.append({"src": src, "candidates": candidates, "budget_ms": budget_ms, "answer": answers})
        src, dst, quantile = end(), end(), float(rng.choice([0.5, 0.75, 0.9, 0.95, 0.99, 0.999]))
        answer = predictor.timeout(src, dst, quantile=quantile).to_dict()
        timeout.append({"src": src, "dst": dst, "quantile": quantile, "answer": answer})
        src, dst, share = end(), end(), float(rng.choice([0.3, 0.8, 1, 1.2, 5]))
        measured_ms = round(share * predictor.predict(src, dst).p50_ms, 2)
        answer = predictor.judge(src, dst, measured_ms=measured_ms).to_dict()
        judge.append({"src": src, "dst": dst, "measured_ms": measured_ms, "answer": answer})
    return {"rank": rank, "timeout": timeout, "judge": judge}


if __name__ == "__main__":
    main()
