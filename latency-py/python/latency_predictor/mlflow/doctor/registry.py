"""Registered versions: what they point to, and whether its file is the one that was registered."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

from ..model import SHA256_KEY
from . import models
from .collect import REPAIRED_FROM, Scope, ScopeError, held, held_of_model, is_path
from .cures import Cures
from .findings import Code, Finding, Severity, Step
from .http import API, Server
from .models import Models


def versions(client: MlflowClient, scope: Scope) -> list[ModelVersion]:
    """The newest registered versions, of one model or of all."""
    wanted = "" if scope.model is None else "name='{}'".format(scope.model.replace("'", "\\'"))
    found = client.search_model_versions(
        wanted, max_results=scope.newest, order_by=["last_updated_timestamp DESC", "name ASC"]
    )
    if scope.model is not None and not found:
        known = ", ".join(f"`{each.name}`" for each in client.search_registered_models(max_results=10))
        raise ScopeError(
            f"the registry has no versions of a model `{scope.model}`; its models: {known or 'none'}", "UNKNOWN_MODEL"
        )
    return list(found)


def experiment_of(client: MlflowClient, version: ModelVersion) -> str | None:
    """The id of the experiment that a version comes from, or None if that is gone."""
    model_id = str(version.source).removeprefix("models:/")
    try:
        if model_id.startswith("m-"):
            return str(client.get_logged_model(model_id).experiment_id)
        return str(client.get_run(version.run_id).info.experiment_id) if version.run_id else None
    except MlflowException:
        return None


def location_of(client: MlflowClient, version: ModelVersion) -> str:
    """Where its files are. The server answers `runs:/…` for some, which only says which run to ask."""
    location = client.get_model_version_download_uri(version.name, version.version)
    if not RunsArtifactRepository.is_runs_uri(location):
        return str(location)
    run_id, path = RunsArtifactRepository.parse_runs_uri(location)
    return f"{client.get_run(run_id).info.artifact_uri}/{path}"


def judge(server: Server, client: MlflowClient, found: list[ModelVersion], stored: Models) -> Iterator[Finding]:
    """What is wrong with registered versions."""
    replaced = {version.tags.get(REPAIRED_FROM) for version in found}
    for version in found:
        what = f"version {version.version} of `{version.name}`"
        try:
            location = location_of(client, version)
        except MlflowException as error:
            yield _source_gone(server, version, what, error)
            continue
        if is_path(location):
            done = f"{version.name}/{version.version}" in replaced
            yield _not_proxied(server, version, what, location, done)
            continue
        tagged = version.tags.get(SHA256_KEY)
        finding = models.judge(server, what, stored.at(location, compare=tagged is not None), tagged)
        if finding is not None:
            yield finding


def _source_gone(server: Server, version: ModelVersion, what: str, error: MlflowException) -> Finding:
    cures = Cures(server)
    restore = f"mlflow runs restore --run-id {shlex.quote(str(version.run_id))}"
    return Finding(
        Code.VERSION_SOURCE_GONE,
        Severity.ERROR,
        f"{what} points to nothing",
        (f"source: {version.source}", f"get-download-uri → {server.hide(error)}"),
        "The logged model or run that it was made from is deleted.",
        (
            Step("If the run was only marked as deleted, take it back", cures.there(restore))
            if version.run_id
            else cures.retrain(),
            Step("Look again", cures.doctor("--model", version.name)),
        ),
    )


def _is_seen(server: Server, version: ModelVersion, location: str) -> bool:
    """Whether the server sees files at a location that is a path."""
    model_id = str(version.source).removeprefix("models:/")
    if model_id.startswith("m-"):
        return held_of_model(server, model_id, location).listed > 0
    _, found, below = location.partition(f"/{version.run_id}/artifacts/")
    params = {"run_id": version.run_id or "", "path": below}
    return bool(found) and held(server, f"{API}/artifacts/list", version.run_id or "", location, **params).listed > 0


def _not_proxied(server: Server, version: ModelVersion, what: str, location: str, done: bool) -> Finding:
    cures = Cures(server)
    shared = _is_seen(server, version, location)
    severity = Severity.WARNING if shared else Severity.ERROR
    options = ("--model", version.name, "--repair", "--reregister")
    return Finding(
        Code.VERSION_NOT_PROXIED,
        Severity.INFO if done else severity,
        f"{what} lies on the disk of whoever logged it" + (", and is registered again" if done else ""),
        (
            f"source: {version.source}",
            f"location: {location}",
            *(["the server sees it too, for now"] if shared else []),
        ),
        "It was logged to an experiment whose location is a path: only a client on that disk can load it.",
        ()
        if done
        else (
            Step("On the machine that has the files, see what would be copied", cures.doctor(*options)),
            Step("copy them, and register the copy as a new version", cures.doctor(*options, "--yes")),
        ),
    )
