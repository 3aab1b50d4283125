"""Contenders in Python, each as its documentation says is fastest, and this project's package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


class Loaded(Protocol):
    """A model, loaded. `ready` is not timed: rows in the form that `predict` takes."""

    def ready(self, matrix: Matrix) -> Any: ...
    def predict(self, rows: Any) -> Any: ...


class Package:
    """This project's: a row by names, or columns of 64-bit floats. `LATENCY_ENGINE` names the engine."""

    def __init__(self, folder: Path, threads: int) -> None:
        from latency_predictor import Predictor

        self.predictor = Predictor(folder / "predictor.onnx", sessions=1, threads=threads)

    def ready(self, matrix: Matrix) -> Any:
        names = [f"f{index}" for index in range(matrix.shape[1])]
        if len(matrix) == 1:
            return dict(zip(names, matrix[0].tolist(), strict=True))
        return {name: matrix[:, index].astype(np.float64) for index, name in enumerate(names)}

    def predict(self, rows: Any) -> Any:
        if isinstance(rows["f0"], float):
            return self.predictor.predict(**rows).p50_ms
        return self.predictor.predict_batch(rows)["p50_ms"]


class XGBoost:
    """`inplace_predict` on a matrix of 32-bit floats; features are not validated."""

    def __init__(self, folder: Path, threads: int) -> None:
        import xgboost

        self.booster = xgboost.Booster({"nthread": threads}, model_file=folder / "model.ubj")

    def ready(self, matrix: Matrix) -> Any:
        return matrix

    def predict(self, rows: Any) -> Any:
        return self.booster.inplace_predict(rows, validate_features=False)


class OnnxRuntime:
    """`InferenceSession.run` on a matrix of 32-bit floats."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(folder / "trees.onnx", options, providers=["CPUExecutionProvider"])

    def ready(self, matrix: Matrix) -> Any:
        return {"features": matrix}

    def predict(self, rows: Any) -> Any:
        return self.session.run(None, rows)[0]


class Gtil:
    """Treelite's own interpreter, which takes NumPy arrays."""

    def __init__(self, folder: Path, threads: int) -> None:
        import treelite

        self.run, self.threads = treelite.gtil.predict, threads
        self.model = treelite.frontend.load_xgboost_model(folder / "model.ubj")

    def ready(self, matrix: Matrix) -> Any:
        return matrix

    def predict(self, rows: Any) -> Any:
        return self.run(self.model, rows, nthread=self.threads)


class Tl2cgen:
    """Trees as C, compiled by gcc; its `DMatrix` is made before."""

    def __init__(self, folder: Path, threads: int) -> None:
        import tl2cgen

        self.predictor, self.matrix = tl2cgen.Predictor(folder / "tl2cgen.so", nthread=threads), tl2cgen.DMatrix

    def ready(self, matrix: Matrix) -> Any:
        return self.matrix(matrix)

    def predict(self, rows: Any) -> Any:
        return self.predictor.predict(rows)


class ScikitLearn:
    """`HistGradientBoostingRegressor.predict` on 64-bit floats, its own type; threads by `OMP_NUM_THREADS`."""

    def __init__(self, folder: Path, threads: int) -> None:
        import joblib

        self.model = joblib.load(folder / "scikit-learn.joblib")

    def ready(self, matrix: Matrix) -> Any:
        return matrix.astype(np.float64)

    def predict(self, rows: Any) -> Any:
        return self.model.predict(rows)


class OneDal:
    """oneDAL by `daal4py`: a model converted from XGBoost's."""

    def __init__(self, folder: Path, threads: int) -> None:
        import daal4py
        import xgboost

        daal4py.daalinit(threads)
        self.model = daal4py.mb.convert_model(xgboost.Booster(model_file=folder / "model.ubj"))

    def ready(self, matrix: Matrix) -> Any:
        return matrix

    def predict(self, rows: Any) -> Any:
        return self.model.predict(rows)


class QuickGrove:
    """A Rust engine with bindings for Python alone; an Arrow record batch is made before."""

    def __init__(self, folder: Path, threads: int) -> None:
        import quickgrove

        self.model = quickgrove.json_load(str(folder / "model-2.json"))

    def ready(self, matrix: Matrix) -> Any:
        import pyarrow

        columns = [pyarrow.array(np.ascontiguousarray(column)) for column in matrix.T]
        return [pyarrow.RecordBatch.from_arrays(columns, names=[f"f{index}" for index in range(len(columns))])]

    def predict(self, rows: Any) -> Any:
        return self.model.predict_batches(rows)


PEERS: dict[str, Callable[[Path, int], Loaded]] = {
    "package": Package,
    "xgboost": XGBoost,
    "onnxruntime": OnnxRuntime,
    "gtil": Gtil,
    "tl2cgen": Tl2cgen,
    "scikit-learn": ScikitLearn,
    "onedal": OneDal,
    "quickgrove": QuickGrove,
}
