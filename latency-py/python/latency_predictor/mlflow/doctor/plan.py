"""What a repair would copy: runs and models whose files lie on this disk, out of experiments that have a path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion

from . import collect, registry
from .collect import REPAIRED_FROM
from .cures import SUFFIX
from .diagnose import Examination
from .findings import Code, Report, Severity

REPAIRABLE = {Code.CLIENT_SIDE_ARTIFACT_ROOT, Code.EXPERIMENT_BEFORE_PROXY, Code.VERSION_NOT_PROXIED}
MOST_VERSIONS = 1000


@dataclass(kw_only=True)
class Item:
    """A run or a logged model. `files` lie below `folder`; `copy` is the id of its copy, `begun` of a part of it."""

    id: str
    name: str
    folder: Path
    files: list[Path]
    copy: str | None = None
    begun: str | None = None

    @property
    def bytes(self) -> int:
        """How much there is to upload."""
        return sum(path.stat().st_size for path in self.files)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        shown = {"id": self.id, "name": self.name, "folder": str(self.folder), "files": len(self.files)}
        return {**shown, "bytes": self.bytes, "copy": self.copy}


@dataclass(kw_only=True)
class RunItem(Item):
    """A run; it may have no files itself, but models."""

    run: Run


@dataclass(kw_only=True)
class ModelItem(Item):
    """A logged model."""

    model: LoggedModel


@dataclass
class ExperimentPlan:
    """One experiment, the one its copies go to (which may not exist yet), and what to copy. `not_here`: runs and models
    without files on this disk; `not_readable`: those whose files this user may not read."""

    experiment: Experiment
    target: str
    target_id: str | None
    runs: list[RunItem] = field(default_factory=list)
    models: list[ModelItem] = field(default_factory=list)
    not_here: list[str] = field(default_factory=list)
    not_readable: list[str] = field(default_factory=list)

    @property
    def location(self) -> str:
        """Where the copies go; the name is free, and the id of the old experiment is unique on its server."""
        return f"mlflow-artifacts:/repaired-{self.experiment.experiment_id}"

    @property
    def to_do(self) -> list[Item]:
        """What is not copied yet."""
        return [item for item in (*self.runs, *self.models) if item.copy is None]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "experiment": self.experiment.name,
            "target": self.target,
            "exists": self.target_id is not None,
            "runs": [item.as_dict() for item in self.runs],
            "models": [item.as_dict() for item in self.models],
            "not_here": self.not_here,
            "not_readable": self.not_readable,
        }


@dataclass
class VersionPlan:
    """A registered version whose files lie on this disk; `copy`: the version that replaces it."""

    version: ModelVersion
    copy: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.version.name, "version": self.version.version, "copy": self.copy}


@dataclass
class Plan:
    """All that a repair would do. `versions` is empty unless versions are to be registered again."""

    experiments: list[ExperimentPlan] = field(default_factory=list)
    versions: list[VersionPlan] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        """All runs and models that are not copied yet."""
        return [item for each in self.experiments for item in each.to_do]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.items and all(each.copy for each in self.versions)

    def beyond(self, report: Report) -> list[str]:
        """The codes of errors that only a change of the server can cure."""
        errors = {each.code.value for each in report.findings if each.severity is Severity.ERROR}
        return sorted(errors - {code.value for code in REPAIRABLE})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "experiments": [each.as_dict() for each in self.experiments],
            "versions": [each.as_dict() for each in self.versions],
            "files": sum(len(item.files) for item in self.items),
            "bytes": sum(item.bytes for item in self.items),
        }


def make(client: MlflowClient, seen: Examination, reregister: bool) -> Plan:
    """The plan for the experiments that were examined; looks at all of their runs, not only at the newest."""
    plan = Plan()
    everything = collect.experiments(client, collect.Scope())
    for view in seen.views:
        if collect.is_path(view.location):
            each = _experiment(client, view.experiment, everything, seen.scope.run)
            if each.runs or each.models or each.not_here or each.not_readable:
                plan.experiments.append(each)
    if reregister:
        plan.versions = _versions(client, seen, plan)
    return plan


def _experiment(
    client: MlflowClient, experiment: Experiment, everything: list[Experiment], only_run: str | None
) -> ExperimentPlan:
    target, target_id = _target(client, experiment)
    plan = ExperimentPlan(experiment, target, target_id)
    complete = collect.copies(client, experiment, everything)
    begun = collect.copies(client, experiment, everything, complete=False)
    ids = [experiment.experiment_id]
    runs: Iterable[Run] = collect.all_runs(client, ids) if only_run is None else [client.get_run(only_run)]
    for model in collect.all_models(client, ids):
        if only_run in (None, model.source_run_id) and model.status == LoggedModelStatus.READY:
            folder, files = _here(model.artifact_location, model.model_id)
            if files is None:
                plan.not_readable.append(model.model_id)
            elif files:
                plan.models.append(
                    ModelItem(model=model, id=model.model_id, name=model.name, folder=folder, files=files)
                )
            else:
                plan.not_here.append(model.model_id)
    with_models = {item.model.source_run_id for item in plan.models}
    for run in runs:
        run_id = run.info.run_id
        folder, files = _here(run.info.artifact_uri, run_id)
        if files is None:
            # Without its own files a copy would count as whole; its models wait for their run.
            plan.not_readable.append(run_id)
            plan.models = [item for item in plan.models if item.model.source_run_id != run_id]
        elif files or run_id in with_models:
            plan.runs.append(RunItem(run=run, id=run_id, name=run.info.run_name, folder=folder, files=files))
        elif not (run.outputs and run.outputs.model_outputs):
            plan.not_here.append(run_id)
    for item in (*plan.runs, *plan.models):
        item.copy, item.begun = complete.get(item.id), begun.get(item.id)
    return plan


def _here(location: str, of: str) -> tuple[Path, list[Path] | None]:
    """The folder of a run or model on this disk, and its files; None if this user may not look at them."""
    folder = collect.disk(location) if collect.is_path(location) else Path()
    try:
        return folder, collect.files_of(location, of)
    except (OSError, ValueError):
        return folder, None


def _target(client: MlflowClient, experiment: Experiment) -> tuple[str, str | None]:
    """The name for the copy, and its id if it exists. A name that others took gets a number."""
    number = 1
    while True:
        name = f"{experiment.name}{SUFFIX}" + (f"-{number}" if number > 1 else "")
        found = client.get_experiment_by_name(name)
        if found is None:
            return name, None
        ours = found.tags.get(REPAIRED_FROM) == experiment.experiment_id
        if ours and found.lifecycle_stage == "active" and collect.is_proxied(found.artifact_location):
            return name, str(found.experiment_id)
        number += 1


def _versions(client: MlflowClient, seen: Examination, plan: Plan) -> list[VersionPlan]:
    """Versions on this disk that belong to what is copied or to the model in scope, and which have a copy already."""
    sources = {item.id for each in plan.experiments for item in (*each.runs, *each.models)}
    plans = []
    for version in registry.versions(client, replace(seen.scope, newest=MOST_VERSIONS)):
        ours = {str(version.source).removeprefix("models:/"), version.run_id} & sources
        if REPAIRED_FROM in version.tags or not (ours or seen.scope.model):
            continue
        if collect.is_path(registry.location_of(client, version)):
            name = version.name.replace("'", "\\'")
            copies = client.search_model_versions(f"name='{name}' and tag.`{REPAIRED_FROM}` = '{tag_of(version)}'")
            plans.append(VersionPlan(version, copies[0].version if copies else None))
    return plans


def tag_of(version: ModelVersion) -> str:
    """How the copy of a version names it."""
    return f"{version.name}/{version.version}"
