"""The examination, from the outside in: server, experiments, runs and models, registry, round trip."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ...errors import InvalidInputError
from . import collect, experiments, registry, round_trip, runs
from . import server as servers
from .collect import ExperimentView, Scope, Show
from .cures import Cures
from .findings import Code, Finding, Report, Severity, Step, number
from .http import NoAnswerError, Server, mlflow_client, without_login
from .models import Models, Stored


@dataclass
class Examination:
    """The report, and what it was made from: the repair goes on from here."""

    server: Server
    scope: Scope
    report: Report
    views: list[ExperimentView] = field(default_factory=list)
    versions: list[ModelVersion] = field(default_factory=list)


def diagnose(
    tracking_uri: str, scope: Scope | None = None, probe: bool = True, show: Show | None = None
) -> Examination:
    """Examines a tracking server as one of its clients. Changes nothing but, with `probe`, one small file that it
    makes and deletes. Raises `InvalidInputError` for a URI that is not http(s) or names no good host and port,
    `ScopeError` for an unknown name.
    """
    _refuse_other_uris(tracking_uri)
    server = Server(tracking_uri)
    seen = Examination(server, scope or Scope(), Report(server.shown, client_version=mlflow.__version__))
    with mlflow_client(quick=True):
        state = servers.check(server)
        seen.report.server_version = state.version
        seen.report.findings += state.findings
        if state.usable:
            _look_inside(seen, state, show or (lambda *_: None))
            if probe and state.proxies:
                seen.report.findings.append(round_trip.make(server))
    return seen


def _refuse_other_uris(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        # What is no number from 0 to 65535 raises here.
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not uri.lower().startswith(("http://", "https://")):
        allowed = (
            "http:// or https://. A database or folder has no server between client and artifacts, and nothing to "
            "examine"
        )
    elif not good:
        allowed = "http:// or https://, a host, and a port from 1 to 65535 or none"
    else:
        return
    raise InvalidInputError(
        f"found the tracking URI `{without_login(uri)}`; allowed: {allowed}. Type: latency mlflow doctor "
        "--tracking-uri http://localhost:5001",
        "INVALID_FIELD",
        "tracking_uri",
    )


def _look_inside(seen: Examination, state: servers.ServerState, show: Show) -> None:
    server, report = seen.server, seen.report
    try:
        client = MlflowClient(server.uri)
        seen.versions = [] if _narrowed_to_runs(seen.scope) else registry.versions(client, seen.scope)
        everything = collect.experiments(client, Scope())
        chosen = _chosen(client, seen, everything)
        _look_at_experiments(seen, client, chosen, everything, show)
        if not state.proxies:
            report.findings.append(_not_proxied(seen, state))
        since = experiments.proxied_since([ExperimentView(each) for each in everything])
        report.findings += experiments.judge(server, seen.views, since, state.proxies)
        variable = experiments.variable(server, seen.views)
        report.findings += [variable] if variable else []
        _look_at_models(seen, client, show)
    except (MlflowException, NoAnswerError) as error:
        report.findings.append(_check_failed(server, error))
    report.looked_at = {
        "experiments": len(seen.views),
        "runs": sum(len(view.runs) for view in seen.views),
        "logged_models": sum(len(view.models) for view in seen.views),
        "registered_versions": len(seen.versions),
    }


def _narrowed_to_runs(scope: Scope) -> bool:
    return scope.model is None and (scope.run is not None or scope.experiment is not None)


def _chosen(client: MlflowClient, seen: Examination, everything: list[Experiment]) -> list[Experiment]:
    """The experiments in scope: of the run, of the registered model, the one that is named, or all."""
    scope = seen.scope
    if scope.run is not None:
        return [client.get_experiment(collect.one_run(client, scope.run).info.experiment_id)]
    if scope.model is not None and scope.experiment is None:
        ids = {registry.experiment_of(client, version) for version in seen.versions}
        return [each for each in everything if each.experiment_id in ids]
    return everything if scope.experiment is None else collect.experiments(client, scope)


def _look_at_experiments(
    seen: Examination, client: MlflowClient, chosen: list[Experiment], everything: list[Experiment], show: Show
) -> None:
    for done, experiment in enumerate(chosen):
        show(f"experiment {experiment.name}", done, len(chosen))
        deep = done < seen.scope.experiments
        view = (
            collect.view(seen.server, client, experiment, seen.scope)
            if deep
            else ExperimentView(experiment, looked_into=False)
        )
        if collect.is_path(view.location):
            view.copies = collect.copies(client, experiment, everything)
        seen.views.append(view)


def _look_at_models(seen: Examination, client: MlflowClient, show: Show) -> None:
    models = Models(seen.server)
    for done, view in enumerate(seen.views):
        show(f"models of {view.name}", done, len(seen.views))
        if not collect.is_path(view.location):
            seen.report.findings += runs.judge(seen.server, view, models)
    seen.report.findings += registry.judge(seen.server, client, seen.versions, models)
    seen.report.findings += _checksums(models.looked_at)


def _checksums(stored: list[Stored]) -> list[Finding]:
    """How many could be compared."""
    there = [each for each in stored if each.missing is each.unreadable is each.damaged is None]
    good = [each for each in there if each.found and each.expected in (None, each.found)]
    without = [each for each in there if not each.found]
    found = []
    if good:
        found.append(
            Finding(
                Code.CHECKSUM_OK,
                Severity.OK,
                f"{number(len(good), 'model')} compared with the SHA-256 from logging: equal",
            )
        )
    if without:
        found.append(
            Finding(
                Code.NO_CHECKSUM,
                Severity.INFO,
                f"{number(len(without), 'model')} without a SHA-256: not compared",
                (),
                "MLflow records no checksums. Models that latency_predictor.mlflow.log_model logs carry one.",
            )
        )
    return found


def _not_proxied(seen: Examination, state: servers.ServerState) -> Finding:
    paths = [view for view in seen.views if collect.is_path(view.location)]
    cures = Cures(seen.server)
    if seen.views and not paths:
        return Finding(
            Code.ARTIFACTS_NOT_PROXIED,
            Severity.INFO,
            "the server does not pass artifacts on: clients go to the store themselves",
            state.not_proxied,
            "It runs with --no-serve-artifacts, and its experiments lie in an object store. That works where each "
            "client has the store's driver and credentials.",
        )
    return Finding(
        Code.ARTIFACTS_NOT_PROXIED,
        Severity.ERROR,
        "the server does not pass artifacts on, and has no store that clients could reach",
        (*state.not_proxied, *(f"artifact_location of `{view.name}`: {view.location}" for view in paths[:5])),
        "It runs with --no-serve-artifacts: each client writes to the experiment's location itself, and a path is on "
        "the client's own disk.",
        cures.proxy(experiments.root(paths[0]) if paths else None),
    )


def _check_failed(server: Server, error: Exception) -> Finding:
    cures = Cures(server)
    return Finding(
        Code.CHECK_FAILED,
        Severity.ERROR,
        "the examination stopped half-way",
        (server.hide(error),),
        "The server answered the first questions, and not this one.",
        (cures.logs, Step("Look again", cures.doctor())),
    )
