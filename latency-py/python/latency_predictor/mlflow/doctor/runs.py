"""Runs and logged models of experiments whose artifacts go through the server or to an object store."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from mlflow.entities import LoggedModelStatus

from . import models
from .collect import ExperimentView, ModelView, RunView
from .cures import Cures
from .findings import Code, Finding, Severity, Step, number, some
from .http import Server
from .models import Models


def judge(server: Server, view: ExperimentView, stored: Models) -> Iterator[Finding]:
    """What is wrong with the runs and models of an experiment; alike ones in one finding."""
    readable = [model for model in view.models if model.held.trouble is None]
    ready = [model for model in readable if model.model.status == LoggedModelStatus.READY]
    gone = [model for model in ready if not model.held.listed]
    there = [model for model in ready if model.held.listed]
    yield from _troubles(server, view)
    if gone:
        lines = [f"logged model {each.id} is READY, the server lists no files: {_location(each)}" for each in gone]
        what = f"{len(gone)} of {number(len(ready), 'logged model')} of experiment `{view.name}`"
        yield models.missing(server, what, some(lines), all_of_them=len(gone) == len(ready))
    for each in there:
        finding = models.judge(server, f"logged model {each.id} (`{each.model.name}`)", stored.at(_location(each)))
        if finding is not None:
            yield finding
    unfinished = [model for model in readable if model.model.status != LoggedModelStatus.READY]
    if unfinished:
        yield _not_uploaded(server, view, unfinished)
    yield from _empty_runs(server, view, {each.id for each in there}, {each.id for each in gone + unfinished})


def _location(view: ModelView) -> str:
    return str(view.model.artifact_location)


def _troubles(server: Server, view: ExperimentView) -> Iterator[Finding]:
    lines = [f"run {run.id}: {run.held.trouble}" for run in view.runs if run.held.trouble]
    lines += [f"logged model {model.id}: {model.held.trouble}" for model in view.models if model.held.trouble]
    if lines:
        yield Finding(
            Code.STORE_NOT_READABLE,
            Severity.ERROR,
            f"the server cannot list artifacts of experiment `{view.name}`",
            (*some(lines), f"artifact_location: {view.location}"),
            "The server itself fails to read that store: the driver (boto3 for s3:, for instance) or the credentials "
            "are missing on the server, the bucket's name is wrong, or a permission is.",
            (
                Cures(server).logs,
                Step("Which drivers and credentials has it?", _probe(Cures(server).service)),
            ),
        )


def _probe(service: str) -> str:
    drivers = 'pip list | grep -iE "boto3|azure|google-cloud"'
    return f"docker compose exec {service} sh -c '{drivers}; env | cut -d= -f1 | sort'"


def _not_uploaded(server: Server, view: ExperimentView, found: list[ModelView]) -> Finding:
    cures = Cures(server)
    return Finding(
        Code.MODEL_NOT_UPLOADED,
        Severity.WARNING,
        f"{number(len(found), 'logged model')} of experiment `{view.name}` never uploaded whole",
        some([f"logged model {each.id}: {each.model.status.value}, {each.held.listed} entries" for each in found]),
        "log_model made the entry, then its upload failed or was interrupted.",
        (Step("See that uploads work: the round trip at the end", cures.doctor()), cures.retrain()),
    )


def _empty_runs(server: Server, view: ExperimentView, there: set[str], broken: set[str]) -> Iterator[Finding]:
    """Runs of which the server lists nothing, by the reason."""
    empty = [run for run in view.runs if run.held.trouble is None and not run.held.listed]
    only_model = [run for run in empty if set(run.model_ids) & there]
    bare = [run for run in empty if not set(run.model_ids) & (there | broken)]
    failed = [run for run in empty if run not in only_model and run.run.info.status in ("FAILED", "KILLED")]
    running = [run for run in bare if run.run.info.status in ("RUNNING", "SCHEDULED")]
    rest = [run for run in bare if run not in failed and run not in running and run not in only_model]
    if only_model:
        yield _logged_model_only(server, view, only_model)
    if failed:
        yield _failed(server, view, failed)
    if running:
        yield Finding(
            Code.RUN_UNFINISHED,
            Severity.INFO,
            f"{number(len(running), 'run')} of experiment `{view.name}` not ended, and without artifacts",
            some([f"run {run.id}: {run.run.info.status}" for run in running]),
            "They still run, or the process that made them died without saying so.",
        )
    if rest:
        yield Finding(
            Code.RUN_WITHOUT_ARTIFACTS,
            Severity.INFO,
            f"{number(len(rest), 'run')} of experiment `{view.name}` without artifacts and models",
            some([f"run {run.id}: {run.run.info.status}, the server lists no files" for run in rest]),
            "They logged none (autologging without log_models, or only parameters and metrics); or the files are lost. "
            "MLflow keeps no list of what was logged, so nothing tells the two apart.",
        )


def _logged_model_only(server: Server, view: ExperimentView, runs: list[RunView]) -> Finding:
    first = runs[0].model_ids[0]
    listing = f"mlflow.MlflowClient().list_logged_model_artifacts({json.dumps(first)})"
    code = f"import mlflow; print([f.path for f in {listing}])"
    return Finding(
        Code.LOGGED_MODEL_ONLY,
        Severity.INFO,
        f"{number(len(runs), 'run')} of experiment `{view.name}` with models instead of files: nothing is wrong",
        some([f"run {run.id}: no files of its own, logged models {', '.join(run.model_ids)}" for run in runs]),
        "MLflow 3 stores a model beside its run, not below it. list_artifacts(run_id) and older pages of the UI show "
        "`No Artifacts Recorded`; the model is on the tab Models, and loads.",
        (
            Step("List its files", Cures(server).there(f"python -c {shlex.quote(code)}")),
            Step("Load it by its own address", f"mlflow.pyfunc.load_model({f'models:/{first}'!r})"),
        ),
    )


def _failed(server: Server, view: ExperimentView, runs: list[RunView]) -> Finding:
    return Finding(
        Code.RUN_FAILED,
        Severity.WARNING,
        f"{number(len(runs), 'run')} of experiment `{view.name}` ended before an artifact was logged",
        some([f"run {run.id}: {run.run.info.status}, the server lists no files" for run in runs]),
        "The program that logged ended by an error or was stopped. Its own output says why; MLflow does not keep it.",
        (Step("Run it again, and read its output to the end"), Cures(server).retrain()),
    )
