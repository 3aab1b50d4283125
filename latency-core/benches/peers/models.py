"""The models of the comparison and their rows: made with fixed seeds, in every form that a contender reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import tl2cgen
import treelite
import xgboost as xgb
from sklearn.ensemble import HistGradientBoostingRegressor

from latency_predictor.training import boosters, calibration, export, fit, schemas

Matrix = npt.NDArray[np.float32]

TRAINING_ROWS = 50_000
CHECKED_ROWS = 10_000
MISSING = 0.02
ETA = 0.1
COMPILER_PARTS = 16
# What the package's other outputs are, far from the trees' own: they need no tree.
CONSTANTS = {"low_ms": (0.05, -1e6), "high_ms": (0.95, 1e6), "p90_ms": (0.9, 1e6), "p99_ms": (0.99, 1e6)}


@dataclass(frozen=True)
class Shape:
    """What a model is like; `rows` are made beside it."""

    trees: int = 300
    depth: int = 6
    columns: int = 12
    rows: int = 1_000_000

    def folder(self, below: Path) -> Path:
        """Where it lies: another one if this file or a library changes."""
        versions = (xgb.__version__, treelite.__version__, tl2cgen.__version__, joblib.__version__)
        text = json.dumps([asdict(self), versions, Path(__file__).read_text()])
        return below / f"{self.trees}x{self.depth}x{self.columns}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def make(shape: Shape, below: Path, everything: bool) -> Path:
    """Makes a model unless it is there; `everything` for the contenders that are not measured on every shape."""
    folder = shape.folder(below)
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    draw = np.random.default_rng(7)
    matrix, target = sample(draw, TRAINING_ROWS, shape.columns)
    matrix[draw.random(matrix.shape) < MISSING] = np.nan
    booster = train(shape, matrix, target)
    write_rows(shape, booster, folder)
    booster.save_model(folder / "model.ubj")
    (folder / "trees.onnx").write_bytes(export.ensemble([booster]).model(shape.columns, {}).SerializeToString())
    write_for_crates(booster, folder)
    if everything:
        write_package(booster, matrix, folder)
        write_compiled(booster, folder)
        write_scikit_learn(shape, matrix, target, folder)
    (folder / "done").touch()
    return folder


def sample(draw: np.random.Generator, rows: int, columns: int) -> tuple[Matrix, Matrix]:
    """Uniform numbers, and a target with steps, waves and products in it: trees come out nearly full."""
    x = draw.random((rows, columns), dtype=np.float32)
    at = [x[:, index % columns] for index in range(12)]
    target = np.sin(6 * at[0]) * at[1] + 3 * at[2] * at[3] + np.abs(at[4] - 0.5) * at[5] + (at[6] > at[7])
    target += np.cos(9 * at[8] * at[9]) + 0.5 * at[10] * at[11] + x.mean(axis=1) + draw.normal(0, 0.1, rows)
    return x, target.astype(np.float32)


def train(shape: Shape, matrix: Matrix, target: Matrix) -> xgb.Booster:
    """XGBoost's `hist`, as `latency train` uses it, for squared error."""
    parameters = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "max_depth": shape.depth,
        "eta": ETA,
        "seed": 1,
        # Threads that wait for each other take minutes where other work has the cores.
        "nthread": 1,
    }
    return xgb.train(parameters, xgb.DMatrix(matrix, target), shape.trees)


def write_rows(shape: Shape, booster: xgb.Booster, folder: Path) -> None:
    """The rows that are timed, those that are checked, the same with gaps, and what XGBoost says of both."""
    draw = np.random.default_rng(11)
    sample(draw, shape.rows, shape.columns)[0].tofile(folder / "rows.f32")
    checked, target = sample(draw, CHECKED_ROWS, shape.columns)
    target.tofile(folder / "check-target.f32")
    gaps = checked.copy()
    gaps[draw.random(gaps.shape) < MISSING] = np.nan
    for name, rows in (("check", checked), ("gaps", gaps)):
        rows.tofile(folder / f"{name}.f32")
        booster.inplace_predict(rows).astype(np.float32).tofile(folder / f"{name}-expected.f32")


def write_package(booster: xgb.Booster, matrix: Matrix, folder: Path) -> None:
    """A model file as `latency train` writes it: the trees are its median, the other outputs constants."""
    table = pd.DataFrame(matrix[:1000].astype(np.float64), columns=[f"f{index}" for index in range(matrix.shape[1])])
    table["rtt_ms"] = 1.0
    schema = schemas.table_schema(table, "rtt_ms", (), [], "identity", "bench")
    outputs = [boosters.Output("p50_ms", 0.5, booster.num_boosted_rounds())]
    outputs += [boosters.Output(name, quantile, 0) for name, (quantile, _) in CONSTANTS.items()]
    one_row = xgb.DMatrix(matrix[:1], [0.0])
    constants = [xgb.train({"base_score": value}, one_row, 0) for _, value in CONSTANTS.values()]
    recipe = boosters.Recipe(outputs=tuple(outputs))
    fitted = fit.Fit(schema, [booster, *constants], recipe).with_offsets([calibration.Offset()] * len(outputs))
    (folder / "predictor.onnx").write_bytes(fitted.to_bytes())


def write_for_crates(booster: xgb.Booster, folder: Path) -> None:
    """Forms that crates read which know XGBoost up to version 2: there `base_score` is a number and not a list."""
    model = json.loads(booster.save_raw("json"))
    parameters = model["learner"]["learner_model_param"]
    parameters["base_score"] = parameters["base_score"].strip("[]")
    (folder / "model-2.json").write_text(json.dumps(model))
    trees = ",\n".join(booster.get_dump(dump_format="json"))
    (folder / "gbdt.model").write_text(f"{parameters['base_score']}\n[{trees}]\n")


def write_compiled(booster: xgb.Booster, folder: Path) -> None:
    """TL2cgen's shared library, built by gcc; minutes."""
    model = treelite.frontend.from_xgboost(booster)
    library = folder / "tl2cgen.so"
    tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": COMPILER_PARTS})


def write_scikit_learn(shape: Shape, matrix: Matrix, target: Matrix, folder: Path) -> None:
    """Trees of its own, of the same number and depth: it reads no others."""
    model = HistGradientBoostingRegressor(
        max_iter=shape.trees, max_depth=shape.depth, max_leaf_nodes=None, learning_rate=ETA, early_stopping=False
    )
    joblib.dump(model.fit(matrix, target), folder / "scikit-learn.joblib")
