"""The repair: copies into an experiment whose artifacts go through the server, each file compared by SHA-256.

Nothing is deleted, nothing that exists is changed. What was interrupted goes on where it was; what is done stays done.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from ...errors import LatencyError
from .. import audit
from .collect import REPAIRED_FILES, REPAIRED_FROM, Show, disk, is_path
from .diagnose import Examination
from .findings import Code
from .models import MLMODEL, DamagedError, read_mlmodel
from .plan import ExperimentPlan, Item, ModelItem, Plan, RunItem, VersionPlan, tag_of
from .registry import location_of
from .upload import upload

METRICS_PER_CALL = 500
TAGS_PER_CALL = 100
PARENT = "mlflow.parentRunId"


class RepairError(LatencyError):
    """A repair that cannot be begun, or a file that does not come back as it was sent."""

    default_code = "REPAIR_FAILED"


@dataclass
class Outcome:
    """What a repair did. `copies`: ids of runs and models → their copies; `failed`: what could not be, and why."""

    files: int = 0
    copies: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        shown = {"files": self.files, "copies": self.copies, "versions": self.versions}
        return {**shown, "failed": self.failed}


def refuse_if_hopeless(seen: Examination) -> None:
    """Raises `RepairError` unless an artifact has just gone through the server and back."""
    if not seen.report.has(Code.ROUND_TRIP_OK, Code.DELETE_REFUSED):
        raise RepairError(
            "an artifact does not go through this server and back, so copies would be lost as well; first cure the "
            "errors about the server above, then type the same again"
        )


def repair(client: MlflowClient, seen: Examination, plan: Plan, show: Show | None = None) -> Outcome:
    """Carries out a plan. One run that fails does not stop the others."""
    outcome = Outcome()
    work = _Work(client, seen.server.uri, outcome, show or (lambda *_: None), len(plan.items))
    for experiment in plan.experiments:
        work.copy_experiment(experiment)
    for version in plan.versions:
        if version.copy is None:
            work.register(version)
    return outcome


@dataclass
class _Work:
    client: MlflowClient
    uri: str
    outcome: Outcome
    show: Show
    total: int
    done: int = 0

    def copy_experiment(self, plan: ExperimentPlan) -> None:
        copies = self.outcome.copies
        copies |= {item.id: item.copy for item in (*plan.runs, *plan.models) if item.copy}
        if not plan.to_do:
            return
        target = plan.target_id or self.client.create_experiment(
            plan.target, plan.location, tags={REPAIRED_FROM: plan.experiment.experiment_id}
        )
        by_run: dict[str | None, list[ModelItem]] = {}
        for model in plan.models:
            by_run.setdefault(model.model.source_run_id, []).append(model)
        for run in plan.runs:
            models = by_run.pop(run.id, [])
            if run.copy is None or any(model.copy is None for model in models):
                self._try(run, self._run, target, models)
        for models in by_run.values():
            for model in models:
                if model.copy is None:
                    self._try(model, self._model, target, None)

    def _try(self, item: Item, copy: Any, *arguments: Any) -> None:
        self.show(f"{item.name}", self.done, self.total)
        try:
            copy(item, *arguments)
        except (LatencyError, MlflowException, OSError) as error:
            self.outcome.failed.append(f"{item.id}: {error}")
        self.done += 1

    def _run(self, item: RunItem, target: str, models: list[ModelItem]) -> None:
        """Models first: the run's metrics name them."""
        run = item.run
        copy = item.copy or item.begun or self._begin(run, target)
        for model in models:
            if model.copy is None:
                self._model(model, target, copy)
        self._link(run, copy, models)
        if item.copy is not None:
            return
        self._describe(run, copy, models)
        self._upload(item, item.folder, self.client.get_run(copy).info.artifact_uri)
        self.client.set_tag(copy, REPAIRED_FILES, str(len(item.files)), synchronous=True)
        if run.info.end_time:
            self.client.set_terminated(copy, run.info.status, run.info.end_time)
        self.outcome.copies[item.id] = copy

    def _link(self, run: Run, copy: str, models: list[ModelItem]) -> None:
        """The copies of models come out of the copy of the run."""
        made = self.client.get_run(copy)
        known = {output.model_id for output in made.outputs.model_outputs} if made.outputs else set()
        steps = {each.model_id: each.step for each in run.outputs.model_outputs} if run.outputs else {}
        new = [(self.outcome.copies[model.id], steps.get(model.id, 0)) for model in models]
        outputs = [LoggedModelOutput(model_id, step) for model_id, step in new if model_id not in known]
        if outputs:
            self.client.log_outputs(copy, outputs)

    def _begin(self, run: Run, target: str) -> str:
        tags = {REPAIRED_FROM: run.info.run_id}
        made = self.client.create_run(target, run.info.start_time, tags, run.info.run_name)
        return str(made.info.run_id)

    def _describe(self, run: Run, copy: str, models: list[ModelItem]) -> None:
        """Parameters, tags, data sets, and metrics with their history. To say the same twice is harmless."""
        tags = dict(run.data.tags)
        if PARENT in tags:
            tags[PARENT] = self.outcome.copies.get(tags[PARENT], tags[PARENT])
        labels = [RunTag(key, value) for key, value in tags.items() if key != REPAIRED_FROM]
        params = [Param(key, value) for key, value in run.data.params.items()]
        for start in range(0, max(len(labels), len(params)), TAGS_PER_CALL):
            part = slice(start, start + TAGS_PER_CALL)
            self.client.log_batch(copy, params=params[part], tags=labels[part], synchronous=True)
        metrics = self._metrics(run, models)
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self.client.log_batch(copy, metrics=metrics[start : start + METRICS_PER_CALL], synchronous=True)
        if run.inputs and run.inputs.dataset_inputs:
            self.client.log_inputs(copy, run.inputs.dataset_inputs)

    def _metrics(self, run: Run, models: list[ModelItem]) -> list[Metric]:
        """The whole history. It does not say which points are a model's; the models do."""
        run_id = run.info.run_id
        of_models = {
            _key(point): point for each in models for point in each.model.metrics or [] if point.run_id == run_id
        }
        history = [point for key in run.data.metrics for point in self.client.get_metric_history(run_id, key)]
        return [self._metric(of_models.get(_key(point), point)) for point in history]

    def _metric(self, point: Metric) -> Metric:
        model_id = self.outcome.copies.get(point.model_id) if point.model_id else None
        return Metric(
            point.key, point.value, point.timestamp, point.step, model_id, point.dataset_name, point.dataset_digest
        )

    def _model(self, item: ModelItem, target: str, run_id: str | None) -> None:
        model = item.model
        copy = item.begun
        if copy is None:
            tags = {**model.tags, REPAIRED_FROM: item.id}
            made = self.client.create_logged_model(target, model.name, run_id, tags, model.params, model.model_type)
            copy = str(made.model_id)
        location = self.client.get_logged_model(copy).artifact_location
        with tempfile.TemporaryDirectory(prefix="latency-doctor-") as folder:
            changed = _readdressed(item.folder, Path(folder), copy, run_id, location)
            self._upload(item, item.folder, location, changed)
        self.client.finalize_logged_model(copy, "READY")
        self.client.set_logged_model_tags(copy, {REPAIRED_FILES: str(len(item.files))})
        self.outcome.copies[item.id] = copy

    def _upload(self, item: Item, folder: Path, location: str, changed: dict[Path, Path] | None = None) -> None:
        store = get_artifact_repository(location, tracking_uri=self.uri)
        for problem in upload(store, folder, item.files, changed or {}):
            raise RepairError(f"{problem}; the copy stays without the tag {REPAIRED_FILES}, type the same again")
        self.outcome.files += len(item.files)

    def register(self, plan: VersionPlan) -> None:
        """A new version of the copy; aliases stay where they are."""
        version = plan.version
        try:
            source, run_id, model_id = self._source(version)
            made = self.client.create_model_version(
                version.name,
                source,
                run_id,
                {**_kept(version), REPAIRED_FROM: tag_of(version)},
                description=version.description,
                await_creation_for=0,
                model_id=model_id,
            )
            self.outcome.versions[tag_of(version)] = made.version
        except (LatencyError, MlflowException) as error:
            self.outcome.failed.append(f"version {tag_of(version)}: {error}")

    def _source(self, version: ModelVersion) -> tuple[str, str | None, str | None]:
        copies = self.outcome.copies
        model_id = str(version.source).removeprefix("models:/")
        run_id = copies.get(version.run_id or "")
        if model_id in copies:
            return f"models:/{copies[model_id]}", run_id, copies[model_id]
        location = location_of(self.client, version)
        if run_id and version.run_id and is_path(location):
            below = disk(location).relative_to(disk(self.client.get_run(version.run_id).info.artifact_uri))
            return f"runs:/{run_id}/{below.as_posix()}", run_id, None
        raise RepairError(f"its files are not among those that were copied (source: {version.source})")


def _kept(version: ModelVersion) -> dict[str, str]:
    """Its tags, but not its history: the copy was never promoted or rolled back."""
    return {key: value for key, value in version.tags.items() if not key.startswith(audit.OF_A_VERSION)}


def _key(point: Metric) -> tuple[str, int, int]:
    return point.key, point.step, point.timestamp


def _readdressed(folder: Path, to: Path, model_id: str, run_id: str | None, location: str) -> dict[Path, Path]:
    """MLmodel names the model and its run: the copy's names the copies. All other files stay as they are."""
    path = folder / MLMODEL
    if not path.is_file():
        return {}
    try:
        content = read_mlmodel(path)
    except DamagedError as error:
        raise RepairError(f"{error}: {path} is damaged, and no model can be made of it") from error
    for key, value in {
        "model_id": model_id,
        "model_uuid": model_id,
        "run_id": run_id,
        "artifact_path": location,
    }.items():
        if content.get(key) is not None and value is not None:
            content[key] = value
    changed = to / MLMODEL
    changed.write_text(yaml.safe_dump(content, sort_keys=False))
    return {path: changed}
