"""The audit trail: every change of the champion as a tag of its own on the registered model, and what is unfinished."""

from __future__ import annotations

import datetime
import getpass
import json
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel

PREFIX = "latency.audit."
PENDING = "latency.pending"
ROLLED_BACK = "latency.rolled_back_at"
OF_A_VERSION = ("latency.promoted_", "latency.promotion", ROLLED_BACK)
"""How the tags of a version begin that tell its history: a copy of the version has none of it."""


@dataclass(frozen=True)
class Event:
    """A change of `@champion`: what, when (UTC, ISO 8601), who, to and from which version, why."""

    id: str
    event: str
    when: str
    who: str
    version: str
    from_version: str | None
    reason: str
    forced: bool = False
    previous: str | None = None
    """What `@previous` was before."""
    checks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The tag that holds it; sorts by time, and no two are the same."""
        return f"{PREFIX}{self.when.replace(':', '').replace('+0000', 'Z')}.{self.id}"


def new(event: str, who: str | None, version: str, from_version: str | None, reason: str, **more: Any) -> Event:
    """An event that happens now."""
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    return Event(secrets.token_hex(4), event, when, who or whoami(), version, from_version, reason, **more)


def whoami() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def write(client: MlflowClient, name: str, event: Event) -> None:
    """Adds an event to the trail, and to the version that it is about."""
    client.set_registered_model_tag(name, event.key, json.dumps(asdict(event)))
    tags = {
        "latency.promoted_at": event.when,
        "latency.promoted_by": event.who,
        "latency.promoted_from": event.from_version or "",
        "latency.promotion": event.event,
        "latency.promotion_reason": event.reason,
        "latency.promotion_forced": str(event.forced).lower(),
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, event.version, key, value)
    if event.event == "rollback" and event.from_version is not None:
        client.set_model_version_tag(name, event.from_version, ROLLED_BACK, event.when)


def history(model: RegisteredModel) -> list[Event]:
    """All events, the newest first."""
    found = [_read(value) for key, value in model.tags.items() if key.startswith(PREFIX)]
    return sorted((event for event in found if event), key=lambda event: event.when, reverse=True)


def pending(model: RegisteredModel) -> Event | None:
    """What was begun and not finished."""
    return _read(model.tags[PENDING]) if PENDING in model.tags else None


def begin(client: MlflowClient, name: str, event: Event) -> None:
    """Notes what is about to be done."""
    client.set_registered_model_tag(name, PENDING, json.dumps(asdict(event)))


def finish(client: MlflowClient, name: str, event: Event) -> None:
    """Forgets the note, if it is still this event's."""
    current = pending(client.get_registered_model(name))
    if current and current.id == event.id:
        client.delete_registered_model_tag(name, PENDING)


def age_seconds(event: Event) -> float:
    """How long ago it was."""
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(event.when)).total_seconds()


def _read(text: str) -> Event | None:
    try:
        event = Event(**json.loads(text))
    except (TypeError, ValueError):
        # A tag that somebody else wrote.
        return None
    return replace(event, checks=tuple(event.checks))
