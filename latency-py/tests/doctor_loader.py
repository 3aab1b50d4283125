"""The loader of the models that the doctor's tests log: what `loader_module` names."""

from pathlib import Path
from typing import Any

from latency_predictor import Predictor


class _Model:
    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Any:
        return self._predictor.predict_batch(rows)


def _load_pyfunc(path: str) -> _Model:
    return _Model(Predictor(Path(path)))
