"""What the doctor says: findings with a stable code, evidence, a cause and a cure, and the report that holds them."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Severity(str, Enum):
    """How bad it is. Only `error` is a fault: it decides the exit code."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Code(str, Enum):
    """Every word that the doctor may say; docs/mlflow-doctor.md explains each."""

    # The server
    SERVER_OK = "SERVER_OK"
    SERVER_UNREACHABLE = "SERVER_UNREACHABLE"
    SERVER_HANGS = "SERVER_HANGS"
    TLS_FAILED = "TLS_FAILED"
    HOST_HEADER_REFUSED = "HOST_HEADER_REFUSED"
    ACCESS_DENIED = "ACCESS_DENIED"
    SERVER_REDIRECTS = "SERVER_REDIRECTS"
    NOT_MLFLOW = "NOT_MLFLOW"
    SERVER_FAILING = "SERVER_FAILING"
    ARTIFACTS_ONLY = "ARTIFACTS_ONLY"
    ARTIFACTS_NOT_PROXIED = "ARTIFACTS_NOT_PROXIED"
    VERSIONS_DIFFER = "VERSIONS_DIFFER"
    CHECK_FAILED = "CHECK_FAILED"
    # Where artifacts go
    ARTIFACT_ROOT_VARIABLE = "ARTIFACT_ROOT_VARIABLE"
    CLIENT_SIDE_ARTIFACT_ROOT = "CLIENT_SIDE_ARTIFACT_ROOT"
    EXPERIMENT_BEFORE_PROXY = "EXPERIMENT_BEFORE_PROXY"
    EXPERIMENT_REPAIRED = "EXPERIMENT_REPAIRED"
    ARTIFACT_HOST_DIFFERS = "ARTIFACT_HOST_DIFFERS"
    ARTIFACT_ROOT_NOT_WRITABLE = "ARTIFACT_ROOT_NOT_WRITABLE"
    # Runs and models
    ARTIFACTS_MISSING = "ARTIFACTS_MISSING"
    STORE_NOT_READABLE = "STORE_NOT_READABLE"
    LOGGED_MODEL_ONLY = "LOGGED_MODEL_ONLY"
    MODEL_NOT_UPLOADED = "MODEL_NOT_UPLOADED"
    RUN_FAILED = "RUN_FAILED"
    RUN_UNFINISHED = "RUN_UNFINISHED"
    RUN_WITHOUT_ARTIFACTS = "RUN_WITHOUT_ARTIFACTS"
    VERSION_NOT_PROXIED = "VERSION_NOT_PROXIED"
    VERSION_SOURCE_GONE = "VERSION_SOURCE_GONE"
    CHECKSUM_OK = "CHECKSUM_OK"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"
    NO_CHECKSUM = "NO_CHECKSUM"
    # The round trip
    ROUND_TRIP_OK = "ROUND_TRIP_OK"
    ROUND_TRIP_FAILED = "ROUND_TRIP_FAILED"
    DELETE_REFUSED = "DELETE_REFUSED"


UNREACHABLE = {Code.SERVER_UNREACHABLE, Code.SERVER_HANGS, Code.TLS_FAILED}

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

EXIT_GOOD = 0
EXIT_FAULTS = 1
EXIT_UNREACHABLE = 3


@dataclass(frozen=True)
class Step:
    """One step of a cure: what it does, and what to type (or to write into a file), if anything."""

    say: str
    run: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing found. `evidence` is what was asked and what came back, `cure` in the order in which to do it."""

    code: Code
    severity: Severity
    subject: str
    evidence: tuple[str, ...] = ()
    cause: str = ""
    cure: tuple[Step, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"code": self.code.value, "severity": self.severity.value}


@dataclass
class Report:
    """One examination: what was looked at, and what was found."""

    tracking_uri: str
    server_version: str | None = None
    client_version: str | None = None
    looked_at: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def has(self, *codes: Code) -> bool:
        """Whether any of these was found."""
        return any(finding.code in codes for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0: no fault. 1: at least one `error`. 3: the server does not answer at all."""
        if self.has(*UNREACHABLE):
            return EXIT_UNREACHABLE
        faults = any(finding.severity is Severity.ERROR for finding in self.findings)
        return EXIT_FAULTS if faults else EXIT_GOOD

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tracking_uri": self.tracking_uri,
            "server_version": self.server_version,
            "client_version": self.client_version,
            "looked_at": self.looked_at,
            "findings": [finding.as_dict() for finding in self.findings],
            "exit_code": self.exit_code,
        }


def printable(text: str) -> str:
    """A text without control characters but newline and tab: a server's answer could steer the terminal."""
    return CONTROL.sub("", text)


def number(count: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def some(lines: list[str], most: int = 5) -> tuple[str, ...]:
    """The first few lines of evidence, and how many more there are."""
    if len(lines) <= most:
        return tuple(lines)
    return (*lines[:most], f"and {len(lines) - most:,} more")
