"""The errors of tracking and registry, and MLflow's own errors turned into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.exceptions import MlflowException

from ..errors import LatencyError
from .uri import shown

DOCTOR = "latency mlflow doctor"


class TrackingError(LatencyError):
    """The tracking server: not reachable, refusing, or without what it should have."""

    default_code = "TRACKING_ERROR"


class ArtifactError(LatencyError):
    """An artifact is missing, or is not what was logged."""

    default_code = "ARTIFACT_ERROR"


class RegistryError(LatencyError):
    """A registered model, version or alias that is not there, or not ours."""

    default_code = "REGISTRY_ERROR"


class PromotionRefused(LatencyError):  # noqa: N818  a verdict, not a fault
    """A version that must not become champion; the message says why."""

    default_code = "PROMOTION_REFUSED"


@contextmanager
def readable_mlflow_errors(doing: str) -> Iterator[None]:
    """Errors of MLflow as a TrackingError that says what was being done, and where to look next."""
    try:
        yield
    except LatencyError:
        raise
    except (MlflowException, OSError) as error:
        # OSError: artifacts go by `requests`, whose errors are OSErrors, or to a disk.
        raise TrackingError(
            f"{doing}: {_first_line(error)} (tracking server {shown(mlflow.get_tracking_uri())}). Find the cause with: "
            f"{DOCTOR}"
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    line = text.splitlines()[0]
    return line if len(line) <= 400 else f"{line[:400]}…"
