"""A model on its way from the driver to the executors, which need no shared disk."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from .. import __version__
from ..errors import ModelError
from ..predictor import Predictor
from .errors import ClusterError

Model = str | PathLike[str] | bytes | Predictor | None
"""The bundled model (None), the path of a file on the driver, its bytes, or a predictor."""

MODELS_PER_PROCESS = 4


@dataclass(frozen=True)
class ShippedModel:
    """What an executor needs to load the driver's model. Equal by the model's SHA-256."""

    sha256: str
    version: str
    """Of the driver's package."""
    content: bytes | None = field(compare=False, repr=False)
    """None for the bundled model, which executors take from their own package."""

    def predictor(self) -> Predictor:
        """The predictor of this process, loaded at the first call.

        Raises `ClusterError` if this process has another version of the package, or another bundled model.
        """
        return _load(self)


@functools.lru_cache(MODELS_PER_PROCESS)
def _load(model: ShippedModel) -> Predictor:
    if __version__ != model.version:
        raise ClusterError(
            f"the driver has latency-predictor {model.version}, an executor {__version__}; install the same version "
            "everywhere"
        )
    # A Python process of Spark runs one task at a time.
    predictor = Predictor(model.content, sessions=1)
    if predictor.model_info["sha256"] != model.sha256:
        raise ClusterError(
            f"the driver's bundled model is {model.sha256[:12]}, an executor's {predictor.model_info['version']}; "
            "install the same wheel everywhere"
        )
    return predictor


def ship(model: Model) -> tuple[ShippedModel, Predictor]:
    """A model made ready to travel, and loaded on the driver.

    Raises `ModelError` for a file that cannot be read or is no model.
    """
    source = model._model if isinstance(model, Predictor) else model
    content = source if isinstance(source, bytes) or source is None else _read(Path(source))
    predictor = model if isinstance(model, Predictor) else Predictor(content, sessions=1)
    if content is not None and hashlib.sha256(content).hexdigest() != predictor.model_info["sha256"]:
        raise ModelError(
            f"{source!r} is no longer the file that this predictor was loaded from; load it again",
            "MODEL_NOT_READABLE",
        )
    return ShippedModel(predictor.model_info["sha256"], __version__, content), predictor


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read {path} on the driver: {error.strerror}; give the path of a model file that the driver sees",
            "MODEL_NOT_READABLE",
        ) from error
