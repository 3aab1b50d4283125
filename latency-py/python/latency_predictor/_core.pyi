from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str
ERROR_CODES: list[str]

class Predictor:
    def __new__(
        cls,
        model: bytes | str | PathLike[str] | None = None,
        *,
        library: str | PathLike[str] | None = None,
        library_folder: str | PathLike[str] | None = None,
        sessions: int | None = None,
        threads: int | None = None,
        golden_rows: bool = True,
    ) -> Predictor: ...
    def predict(self, values: dict[str, Any]) -> dict[str, Any]: ...
    def predict_batch(
        self, columns: dict[str, Any]
    ) -> tuple[dict[str, NDArray[np.float32]], list[tuple[int, str, str, str]], list[str]]: ...
    def schema_json(self) -> str: ...
    def model_info_json(self) -> str: ...
    @staticmethod
    def bundled_model() -> bytes: ...

def featurize(schema_json: str, columns: dict[str, Any]) -> NDArray[np.float32]: ...
def find_place(query: str) -> tuple[str, str | None, str | None, float, float, str | None]: ...
