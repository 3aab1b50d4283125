"""Errors of executors, carried through Spark's text to the driver."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from .. import errors
from ..errors import LatencyError

_MARKED = re.compile(
    r"latency_predictor(?:\.spark)?\.errors\.(?P<kind>\w+): (?P<message>[^\x00]*?) "
    # The last mark of a line: the message may repeat a caller's value, which may hold anything.
    r"(?P<mark>\{\"code\": (?:(?!\{\"code\": )[^\n])*\})$",
    re.MULTILINE,
)
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '(?P<package>[\w.]+)'", re.MULTILINE)


class ClusterError(LatencyError):
    """The cluster: executors without this package, with another version of it, or with too few slots."""

    default_code = "CLUSTER_ERROR"


def marked(error: LatencyError, cure: str = "") -> LatencyError:
    """The error as an executor raises it: without the row, which counts from the start of one Arrow batch, and with
    code and field in its text, as text is all that Spark hands to the driver.
    """
    message = without_row(error) + cure
    mark = json.dumps({"code": error.code, "field": error.field})
    return type(error)(f"{message} {mark}", error.code, error.field)


def without_row(error: LatencyError) -> str:
    """Its message, without the number of the row."""
    return str(error).removeprefix(f"row {error.row}: ")


@contextmanager
def readable_errors() -> Iterator[None]:
    """Around whatever starts a Spark job: raises what went wrong on an executor as the error of this package that it
    was there, with `code` and `field`, in place of Spark's exception. Other exceptions pass unchanged.

    Raises `InvalidInputError` for a bad value in a row, `ClusterError` for an executor without this package or with
    another version, and any other `LatencyError` of an executor.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        found = _found_in(str(error))
        if found is None:
            raise
        raise found from None


def _found_in(text: str) -> LatencyError | None:
    if matches := list(_MARKED.finditer(text)):
        last = matches[-1]
        kind = ClusterError if last["kind"] == ClusterError.__name__ else getattr(errors, last["kind"], LatencyError)
        mark = json.loads(last["mark"])
        error: LatencyError = kind(last["message"], mark["code"], mark["field"])
        return error
    if missing := _MISSING.search(text):
        return ClusterError(
            f"an executor's Python has no package `{missing['package']}`; install latency-predictor[spark] on every "
            "executor, or ship an environment that has it (spark.archives), and let spark.pyspark.python name its "
            "interpreter"
        )
    return None
