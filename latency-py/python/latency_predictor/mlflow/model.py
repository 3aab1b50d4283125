"""The model flavour: a model file as an MLflow model, without pickle and without copied code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models.model import Model, ModelInfo

from .. import _core
from ..errors import ModelError
from ..predictor import Engine, Predictor
from . import signature as signatures
from .errors import ArtifactError, readable_mlflow_errors
from .pyfunc import OPTIONS

SHA256_KEY = "latency.sha256"
"""Where the SHA-256 of the .onnx file stands: in the MLmodel's metadata, and as a tag of models and versions."""

PARITY_KEY = "latency.parity"
LOADER_MODULE = "latency_predictor.mlflow"
FILE_NAME = "model.onnx"
AGAIN = "do not use it; log and register the model again, and find the cause with: latency mlflow doctor"
NEEDED = ("numpy", "onnxruntime", "pandas")

ModelFile = str | PathLike[str] | bytes | None


def log_model(
    model: ModelFile = None,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    pip_requirements: Sequence[str] | None = None,
    strict_types: bool = False,
    metadata: dict[str, Any] | None = None,
    model_config: Mapping[str, int | str | None] | None = None,
) -> ModelInfo:
    """Logs a model file (a path, its bytes, or by default the bundled model), in the active run if there is one.

    The logged model is loaded by this package from the file itself (`loader_module` and `data_path`): nothing is
    pickled and no code is copied. It has a signature, an input example, pinned requirements, and the file's SHA-256 as
    `latency.sha256` in its metadata and tags. `pip_requirements` replaces the pinned ones, for example by the address
    of a wheel. `strict_types` puts `double` and `string` into the signature instead of `Any`: `text/csv` over HTTP then
    works, integer columns no longer do. `registered_model_name` also registers a version, which becomes `@challenger`.
    `model_config` sets `engine`, `sessions` and `threads` of the predictor, and can be overridden when it is loaded.

    Raises `ModelError` if the file does not load, `TrackingError` if the server fails.
    """
    content = read_model(model)
    predictor = Predictor(content)
    info = predictor.model_info
    facts = {
        SHA256_KEY: info["sha256"],
        "latency.name": info["name"],
        "latency.fields": signatures.describe_fields(predictor),
        **(metadata or {}),
    }
    tags = {SHA256_KEY: info["sha256"], "latency.name": info["name"], "latency.version": info["version"]}
    with tempfile.TemporaryDirectory() as folder, readable_mlflow_errors("logging the model"):
        path = Path(folder) / FILE_NAME
        path.write_bytes(content)
        logged: ModelInfo = mlflow.pyfunc.log_model(
            name=name,
            loader_module=LOADER_MODULE,
            data_path=str(path),
            signature=signatures.signature(predictor, strict_types),
            input_example=signatures.example(predictor),
            pip_requirements=list(pip_requirements) if pip_requirements is not None else requirements(),
            metadata=facts,
            # What is not named here could not be set when the model is loaded.
            model_config={**dict.fromkeys(OPTIONS), **(model_config or {})},
            tags=tags,
        )
    if registered_model_name is not None:
        from .registry import register

        register(registered_model_name, logged.model_uri)
    return logged


def requirements() -> list[str]:
    """What loading needs, in the versions installed here."""
    return [
        f"latency-predictor=={_core.__version__}",
        *(f"{package}=={importlib.metadata.version(package)}" for package in ("mlflow", *NEEDED)),
    ]


def read_model(model: ModelFile) -> bytes:
    """The bytes of a model file, or of the bundled model.

    Raises `ModelError` if it cannot be read.
    """
    if model is None:
        return _core.Predictor.bundled_model()
    if isinstance(model, bytes):
        return model
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read {Path(model)}: {error.strerror or error}; give the path of an .onnx file",
            "MODEL_NOT_READABLE",
        ) from error


def download_model(model_uri: str, folder: Path) -> Path:
    """Downloads a logged model and returns the path of its .onnx file, checked against the SHA-256 in its metadata.

    `model_uri` is `models:/latency@champion`, `models:/latency/3`, `models:/m-…` or `runs:/…`. Raises `ArtifactError`
    for a model that `log_model` did not make, and for a file that is not the one that was logged.
    """
    with readable_mlflow_errors(f"downloading {model_uri}"):
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=str(folder)))
    return checked_file(local, model_uri)


def checked_file(local: Path, shown: str) -> Path:
    """The .onnx file of a model that has been downloaded, after comparing it with the metadata beside it."""
    try:
        described = Model.load(str(local))
    except Exception as error:  # mlflow, yaml and the disk each raise their own
        raise ArtifactError(f"{shown}: the MLmodel file is missing or cannot be read ({error}); {AGAIN}") from error
    expected = (described.metadata or {}).get(SHA256_KEY)
    data = described.flavors.get("python_function", {}).get("data")
    if expected is None or data is None:
        raise ArtifactError(
            f"{shown} was not logged by latency_predictor.mlflow.log_model: its metadata has no `{SHA256_KEY}`. "
            "Log the model file again with: latency mlflow register --file model.onnx"
        )
    pyfunc = described.flavors["python_function"]
    if pyfunc.get("loader_module") != LOADER_MODULE or pyfunc.get("code") is not None:
        raise ArtifactError(
            f"{shown}: its MLmodel has the loader {pyfunc.get('loader_module')!r} and the code {pyfunc.get('code')!r}; "
            f"allowed: {LOADER_MODULE!r} and none, as log_model writes them. Loading it would run "
            f"code that is not this package's; {AGAIN}"
        )
    path: Path = local / data
    if not path.is_file():
        raise ArtifactError(f"{shown}: {data} is missing from the artifact store; {AGAIN}")
    found = sha256_of(path)
    if found != expected:
        raise ArtifactError(f"{shown}: {data} has SHA-256 {found}, but {expected} was logged; {AGAIN}")
    return path


def load_predictor(
    model_uri: str, *, engine: Engine | None = None, sessions: int | None = None, threads: int | None = None
) -> Predictor:
    """The predictor of a logged model, from any MLflow URI; its SHA-256 is checked first.

    >>> predictor = load_predictor("models:/latency@champion")  # doctest: +SKIP
    """
    with tempfile.TemporaryDirectory() as folder:
        content = download_model(model_uri, Path(folder)).read_bytes()
    return Predictor(content, engine=engine, sessions=sessions, threads=threads)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
