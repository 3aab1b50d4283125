"""The audit trail: every change of the champion as a tag of its own on the registered model, and what is unfinished."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel

from .errors import RegistryError

PREFIX = "latency.audit."
PENDING = "latency.pending"
ROLLED_BACK = "latency.rolled_back_at"
MOST_WORDS = 1000
MOST_OF_A_CHECK = 300
"""An event is one tag, and MLflow's database has 5,000 characters for one."""
ABANDONED_AFTER_SECONDS = 60
"""What somebody else began longer ago than this, and did not finish, is put in order by the next command."""
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
    process: str = ""
    """Which process of which host began it."""

    @property
    def key(self) -> str:
        """The tag that holds it; sorts by time, and no two are the same."""
        return f"{PREFIX}{self.when.replace(':', '').replace('+0000', 'Z')}.{self.id}"


def new(event: str, who: str | None, version: str, from_version: str | None, reason: str, **more: Any) -> Event:
    """An event that happens now."""
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    if len(reason) > MOST_WORDS:
        raise RegistryError(
            f"reason: found {len(reason):,} characters; allowed: {MOST_WORDS:,}, as it is kept in a tag; shorten it"
        )
    checks = tuple(check[:MOST_OF_A_CHECK] for check in more.pop("checks", ()))
    return Event(
        secrets.token_hex(4), event, when, who or whoami(), version, from_version, reason,
        checks=checks, process=process(), **more,
    )  # fmt: skip


def process() -> str:
    """This process: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_cut_off(event: Event) -> bool:
    """Whether nobody is at it any more: its process is this one or gone, or, on another host, it is long ago."""
    host, _, pid = event.process.rpartition(":")
    if event.process == process():
        return True
    if host == socket.gethostname() and pid.isdigit():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            # It is there, and somebody else's.
            pass
    return age_seconds(event) > ABANDONED_AFTER_SECONDS


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
    client.set_registered_model_tag(name, event.key, json.dumps(asdict(event), ensure_ascii=False))
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
    client.set_registered_model_tag(name, PENDING, json.dumps(asdict(event), ensure_ascii=False))


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
        return replace(event, checks=tuple(event.checks))
    except (TypeError, ValueError):
        # A tag that somebody else wrote.
        return None
