"""The registry: versions of one registered model, and the aliases `@champion`, `@challenger` and `@previous`."""

from __future__ import annotations

import contextlib
import io
from dataclasses import asdict, dataclass
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info

from ..errors import LatencyError
from . import audit, figures, gate
from .audit import Event
from .errors import PromotionRefused, RegistryError, readable_mlflow_errors
from .gate import Holdout, Verdict
from .model import SHA256_KEY

DEFAULT_NAME = "latency"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


class Refused(PromotionRefused):
    """A refusal with everything that was found."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


@dataclass(frozen=True)
class Promotion:
    """What a promotion did. `event` is None if the version was champion already."""

    name: str
    version: str
    event: Event | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Status:
    """A registered model at a glance."""

    name: str
    aliases: dict[str, str]
    versions: list[dict[str, Any]]
    history: list[Event]
    unfinished: Event | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def register(name: str, model_uri: str) -> ModelVersion:
    """Makes a version of a logged model, with its SHA-256 as the tag `latency.sha256`, and sets `@challenger` on it.

    A logged model that has a version already keeps it. Raises `RegistryError` for a model that `log_model` did not
    make.
    """
    client = MlflowClient()
    with readable_mlflow_errors(f"registering {model_uri}"):
        info = get_model_info(model_uri)
        metadata = info.metadata or {}
        if SHA256_KEY not in metadata:
            raise RegistryError(
                f"{model_uri} was not logged by latency_predictor.mlflow.log_model: its metadata has no "
                f"`{SHA256_KEY}`. Register the model file itself with: latency mlflow register --file model.onnx"
            )
        source = f"models:/{info.model_id}" if info.model_id else model_uri
        found = next((version for version in versions(name) if version.source in (source, model_uri)), None)
        if found is None:
            tags = {SHA256_KEY: metadata[SHA256_KEY], "latency.name": metadata.get("latency.name", "")}
            tags["latency.version"] = metadata[SHA256_KEY][:12]
            # It prints what it does, in words of its own.
            with contextlib.redirect_stderr(io.StringIO()):
                found = mlflow.register_model(source, name, tags=tags)
        if aliases(name).get(CHAMPION) != str(found.version):
            client.set_registered_model_alias(name, CHALLENGER, str(found.version))
        registered: ModelVersion = client.get_model_version(name, str(found.version))
        return registered


def promote(
    name: str = DEFAULT_NAME,
    version: str | None = None,
    *,
    by: str | None = None,
    reason: str = "",
    force: bool = False,
    holdout: Holdout | None = None,
    tolerance: float = figures.TOLERANCE,
) -> Promotion:
    """Makes a version (default: `@challenger`) the champion, if the gate lets it; the old champion becomes `@previous`.

    `force` with a `reason` overrides worse or missing figures and a missing record of parity, never a file that is not
    what was logged or gives other bits. Raises `Refused`, a `PromotionRefused`, with all that was found.
    """
    if force and not reason.strip():
        raise RegistryError("--force needs a reason, which is recorded; say why with --reason '…'")
    client = MlflowClient()
    with readable_mlflow_errors(f"promoting {name}"):
        settle(name)
        chosen = find(name, version or f"@{CHALLENGER}")
        number = str(chosen.version)
        current = aliases(name)
        if current.get(CHAMPION) == number:
            _drop_challenger(client, name, number)
            return Promotion(name, number, None, None)
        champion = find(name, f"@{CHAMPION}") if CHAMPION in current else None
        verdict = gate.judge(chosen, champion, holdout, tolerance)
        if not verdict.sound or not (verdict.good or force):
            reasons = "; ".join(verdict.why_not())
            raise Refused(f"version {number} of {name} does not become champion: {reasons}", verdict)
        event = audit.new(
            "promote",
            by,
            number,
            current.get(CHAMPION),
            reason,
            forced=force and not verdict.good,
            previous=current.get(PREVIOUS),
            checks=tuple(f"{check.name} {check.result}: {check.detail}" for check in verdict.checks),
        )
        audit.begin(client, name, event)
        # In this order: whoever is cut off in between leaves a champion that serves, and a rollback that knows its way.
        if event.from_version is not None:
            client.set_registered_model_alias(name, PREVIOUS, event.from_version)
        client.set_registered_model_alias(name, CHAMPION, number)
        _complete(client, name, event)
        return Promotion(name, number, event, verdict)


def rollback(name: str = DEFAULT_NAME, *, by: str | None = None, reason: str = "") -> Event:
    """Makes `@previous` the champion again, and the champion `@previous`: a second rollback goes forward again.

    Raises `RegistryError` without a previous version, `ArtifactError` if its file is not what was registered.
    """
    client = MlflowClient()
    with readable_mlflow_errors(f"rolling back {name}"):
        settle(name)
        current = aliases(name)
        if PREVIOUS not in current or current.get(PREVIOUS) == current.get(CHAMPION):
            raise RegistryError(
                f"{name} has no version to go back to: @{PREVIOUS} is "
                f"{'the champion itself' if PREVIOUS in current else 'not set'}. Promote one with: latency mlflow "
                f"promote VERSION --name {name}"
            )
        target = find(name, f"@{PREVIOUS}")
        gate.fetch(target)
        event = audit.new(
            "rollback", by, str(target.version), current.get(CHAMPION), reason, previous=current[PREVIOUS]
        )
        audit.begin(client, name, event)
        # What serves first.
        client.set_registered_model_alias(name, CHAMPION, event.version)
        if event.from_version is not None:
            client.set_registered_model_alias(name, PREVIOUS, event.from_version)
        _complete(client, name, event)
        return event


def settle(name: str) -> Event | None:
    """Finishes or takes back what was begun and cut off; returns what it was."""
    client = MlflowClient()
    model = _model(name)
    event = audit.pending(model)
    if event is None or not audit.is_cut_off(event):
        return None
    current = aliases(name)
    if current.get(CHAMPION) == event.version:
        if event.from_version is not None:
            client.set_registered_model_alias(name, PREVIOUS, event.from_version)
        _complete(client, name, event)
    else:
        if event.event == "promote" and current.get(PREVIOUS) == event.from_version != event.previous:
            if event.previous is None:
                client.delete_registered_model_alias(name, PREVIOUS)
            else:
                client.set_registered_model_alias(name, PREVIOUS, event.previous)
        audit.finish(client, name, event)
    return event


def compare(
    name: str = DEFAULT_NAME,
    challenger: str = f"@{CHALLENGER}",
    champion: str = f"@{CHAMPION}",
    *,
    holdout: Holdout | None = None,
    tolerance: float = figures.TOLERANCE,
) -> Verdict:
    """What the gate finds about a version beside another; changes nothing."""
    with readable_mlflow_errors(f"comparing versions of {name}"):
        return gate.judge(find(name, challenger), find(name, champion), holdout, tolerance)


def status(name: str = DEFAULT_NAME, limit: int = 10) -> Status:
    """Aliases, the newest versions and the newest changes of the champion."""
    with readable_mlflow_errors(f"reading {name}"):
        model = _model(name)
        named: dict[str, list[str]] = {}
        for alias, version in aliases(name).items():
            named.setdefault(version, []).append(alias)
        shown = [
            {
                "version": str(version.version),
                "aliases": sorted(named.get(str(version.version), [])),
                "sha256": version.tags.get(SHA256_KEY),
                "run_id": version.run_id,
                "created_ms": version.creation_timestamp,
            }
            for version in versions(name)[:limit]
        ]
        return Status(name, aliases(name), shown, audit.history(model)[:limit], audit.pending(model))


def find(name: str, version: str) -> ModelVersion:
    """A version by number (`3`) or alias (`@champion`)."""
    client = MlflowClient()
    try:
        if version.startswith("@"):
            return client.get_model_version_by_alias(name, version[1:])
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        have = ", ".join(
            [str(entry.version) for entry in versions(name)[:10]] + [f"@{alias}" for alias in aliases(name)]
        )
        raise RegistryError(
            f"{name} has no version {version}; it has: {have or 'none'}. Register one with: latency mlflow register"
        ) from error


def versions(name: str) -> list[ModelVersion]:
    """All versions, the newest first; none if there is no such registered model."""
    client, found, token = MlflowClient(), [], None
    quoted = name.replace("'", "\\'")
    while True:
        page = client.search_model_versions(
            f"name='{quoted}'", max_results=200, order_by=["version_number DESC"], page_token=token
        )
        found += list(page)
        token = page.token
        if not token:
            return found


def aliases(name: str) -> dict[str, str]:
    """Alias → version."""
    return {alias: str(version) for alias, version in _model(name).aliases.items()}


def newest_logged(experiment: str) -> str:
    """The URI of the newest model that this package logged in an experiment.

    Raises `RegistryError` if there is none.
    """
    client = MlflowClient()
    with readable_mlflow_errors("looking for logged models"):
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise RegistryError(f"there is no experiment `{experiment}`; train with: latency mlflow retrain")
        ours, token = None, None
        while ours is None:
            models = client.search_logged_models(
                experiment_ids=[found.experiment_id],
                order_by=[{"field_name": "creation_timestamp", "ascending": False}],
                page_token=token,
            )
            ours = next((model for model in models if SHA256_KEY in model.tags and str(model.status) == "READY"), None)
            token = models.token
            if not token:
                break
    if ours is None:
        raise RegistryError(f"no model has been logged in {experiment} yet; log one with: latency mlflow retrain")
    return f"models:/{ours.model_id}"


def newest_good(
    name: str = DEFAULT_NAME,
    *,
    by: str | None = None,
    reason: str = "",
    holdout: Holdout | None = None,
    tolerance: float = figures.TOLERANCE,
) -> tuple[Promotion | None, list[LatencyError]]:
    """Promotes the newest version that the gate lets through, from the newest down to the champion.

    Versions that were rolled back are left out: name them to promote them. Returns what was promoted (None if the
    champion stays), and the refusals on the way.
    """
    with readable_mlflow_errors(f"looking for versions of {name}"):
        champion, candidates = aliases(name).get(CHAMPION), versions(name)
    refused: list[LatencyError] = []
    for version in candidates:
        number = str(version.version)
        if champion is not None and int(number) <= int(champion):
            break
        if audit.ROLLED_BACK in version.tags:
            refused.append(
                PromotionRefused(
                    f"version {number} of {name} was rolled back at {version.tags[audit.ROLLED_BACK]}; promote it by "
                    f"its number if it is to have another chance: latency mlflow promote {number} --name {name}"
                )
            )
            continue
        try:
            return promote(name, number, by=by, reason=reason, holdout=holdout, tolerance=tolerance), refused
        except PromotionRefused as error:
            refused.append(error)
    return None, refused


def _complete(client: MlflowClient, name: str, event: Event) -> None:
    audit.write(client, name, event)
    _drop_challenger(client, name, event.version)
    audit.finish(client, name, event)


def _drop_challenger(client: MlflowClient, name: str, version: str) -> None:
    if aliases(name).get(CHALLENGER) == version:
        client.delete_registered_model_alias(name, CHALLENGER)


def _model(name: str) -> RegisteredModel:
    try:
        return MlflowClient().get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"there is no registered model `{name}`. Register one with: latency mlflow register --name {name}"
        ) from error
