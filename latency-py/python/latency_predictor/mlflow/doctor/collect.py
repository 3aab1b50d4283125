"""What the server knows: experiments, their newest runs and models, and what of their artifacts is where."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path

from ...errors import LatencyError
from .http import AJAX, API, Server

PAGE = 1000
MODELS_PAGE = 50
ID = re.compile(r"(m-)?[0-9a-f]{32}")
REPAIRED_FROM = "latency.repaired_from"
"""Tag of experiments, runs, logged models and versions that the repair made: what they are a copy of."""
REPAIRED_FILES = "latency.repaired_files"
"""Tag that the repair sets last: how many files it uploaded, downloaded again and compared."""

Show = Callable[[str, int, int], None]
"""Called with what is looked at, how many are done, and how many there are."""


class ScopeError(LatencyError):
    """An experiment, run or registered model was named that the server does not have."""

    default_code = "NOT_FOUND"


@dataclass(frozen=True)
class Scope:
    """What to look at: names or ids; None for all. `newest`: how many runs, models and versions of each."""

    experiment: str | None = None
    run: str | None = None
    model: str | None = None
    newest: int = 10
    experiments: int = 100


@dataclass
class Held:
    """Artifacts of a run or model: entries that the server lists, files on this disk (None: not a path), or why not.

    `disk_trouble`: why this user cannot look at this disk; `trouble`: why the server does not list them."""

    listed: int = 0
    on_disk: int | None = None
    trouble: str | None = None
    disk_trouble: str | None = None


@dataclass
class RunView:
    """A run and what is held of it."""

    run: Run
    held: Held

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.run.info.run_id)

    @property
    def model_ids(self) -> list[str]:
        """The logged models that came out of it."""
        return [output.model_id for output in self.run.outputs.model_outputs] if self.run.outputs else []


@dataclass
class ModelView:
    """A logged model and what is held of it."""

    model: LoggedModel
    held: Held

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.model.model_id)


@dataclass
class ExperimentView:
    """An experiment, its newest runs and models, and which of them the repair has already copied, by id."""

    experiment: Experiment
    runs: list[RunView] = field(default_factory=list)
    models: list[ModelView] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    looked_into: bool = True

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.experiment.name)

    @property
    def location(self) -> str:
        """Where its artifacts go."""
        return str(self.experiment.artifact_location)


def is_path(location: str) -> bool:
    """Whether an artifact location is a path or a file: URI: whoever uses it takes its own disk."""
    scheme = urlsplit(location).scheme
    return scheme in ("", "file") or len(scheme) == 1  # C:\…


def is_proxied(location: str) -> bool:
    """Whether artifacts go through a tracking server."""
    return urlsplit(location).scheme in ("mlflow-artifacts", "http", "https")


def disk(location: str) -> Path:
    """The folder of a location that `is_path`."""
    return Path(local_file_uri_to_path(location))


def files_of(location: str, of: str) -> list[Path]:
    """The files of a run or logged model on this disk, in a fixed order; none if it keeps them elsewhere.

    A location comes from the server, and a repair uploads what lies below it. So only a folder is looked into that
    bears the id of the run or model, as MLflow makes them: no server can ask for other folders of this machine.
    Raises `OSError` if this user may not look into it, or into a folder below it.
    """
    if not is_path(location) or not ID.fullmatch(of):
        return []
    folder = disk(location)
    if of not in folder.resolve().parts:
        return []
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    # Not rglob: it takes a folder that may not be read for an empty one.
    found = (Path(base, name) for base, _, names in os.walk(folder, onerror=_raise) for name in names)
    return sorted(path for path in found if path.is_file())


def _raise(error: OSError) -> None:
    raise error


def experiments(client: MlflowClient, scope: Scope) -> list[Experiment]:
    """All active experiments, newest first, or the one that is named."""
    if scope.experiment is not None:
        return [_named(client, scope.experiment)]
    found: list[Experiment] = []
    token: str | None = None
    while True:
        page = client.search_experiments(ViewType.ACTIVE_ONLY, max_results=PAGE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return sorted(found, key=lambda each: -(each.creation_time or 0))


def _named(client: MlflowClient, name: str) -> Experiment:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            found = client.get_experiment(name)
        except MlflowException as error:
            known = ", ".join(f"`{each.name}`" for each in client.search_experiments(max_results=10))
            raise ScopeError(
                f"the server has no experiment with the name or id `{name}`; its newest: {known}", "UNKNOWN_EXPERIMENT"
            ) from error
    return found


def one_run(client: MlflowClient, run_id: str) -> Run:
    """The run that is named."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        raise ScopeError(
            f"the server has no run `{run_id}`; the address of its page in the UI ends with the id", "UNKNOWN_RUN"
        ) from error


def view(server: Server, client: MlflowClient, experiment: Experiment, scope: Scope) -> ExperimentView:
    """An experiment with its newest runs and models, or with the run that is named and its models."""
    ids = [experiment.experiment_id]
    seen = ExperimentView(experiment)
    if scope.run is not None:
        runs = [one_run(client, scope.run)]
        models = [
            client.get_logged_model(each.model_id)
            for each in (runs[0].outputs.model_outputs if runs[0].outputs else [])
        ]
    else:
        runs = list(client.search_runs(ids, max_results=scope.newest))
        newest = [{"field_name": "creation_time", "ascending": False}]
        models = list(client.search_logged_models(ids, max_results=scope.newest, order_by=newest))
    for run in runs:
        path = f"{API}/artifacts/list"
        seen.runs.append(
            RunView(run, held(server, path, run.info.run_id, run.info.artifact_uri, run_id=run.info.run_id))
        )
    for model in models:
        seen.models.append(ModelView(model, held_of_model(server, model.model_id, model.artifact_location)))
    return seen


def held(server: Server, path: str, of: str, location: str, /, **params: str) -> Held:
    """Asks the server, as its UI does, and looks on this disk, as MLflow's client does for a path."""
    answer = server.get(path, **params)
    here = Held()
    if is_path(location):
        try:
            here.on_disk = len(files_of(location, of))
        except (OSError, ValueError) as error:
            # ValueError: a path that no disk can have.
            here.disk_trouble = str(error)
    if answer.status == 200 and answer.json is not None:
        here.listed = len(answer.json.get("files") or [])
    else:
        here.trouble = answer.shown
    return here


def held_of_model(server: Server, model_id: str, location: str) -> Held:
    """What is held of a logged model."""
    return held(server, f"{AJAX}/logged-models/{model_id}/artifacts/directories", model_id, location)


def copies(client: MlflowClient, of: Experiment, among: list[Experiment], complete: bool = True) -> dict[str, str]:
    """What the repair copied out of an experiment: ids of runs and models → ids of their copies, or of those begun."""
    into = [each.experiment_id for each in among if each.tags.get(REPAIRED_FROM) == of.experiment_id]
    if not into:
        return {}
    found: dict[str, str] = {}
    for run in all_runs(client, into):
        if not complete or REPAIRED_FILES in run.data.tags:
            found[run.data.tags.get(REPAIRED_FROM, "")] = run.info.run_id
    for model in all_models(client, into):
        if not complete or REPAIRED_FILES in model.tags:
            found[model.tags.get(REPAIRED_FROM, "")] = model.model_id
    return found


def all_runs(client: MlflowClient, experiment_ids: list[str]) -> Iterator[Run]:
    """All active runs of some experiments, oldest first."""
    token: str | None = None
    while True:
        page = client.search_runs(
            experiment_ids, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def all_models(client: MlflowClient, experiment_ids: list[str]) -> Iterator[LoggedModel]:
    """All logged models of some experiments."""
    token: str | None = None
    while True:
        page = client.search_logged_models(experiment_ids, max_results=MODELS_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
