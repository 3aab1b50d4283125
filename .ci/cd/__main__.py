"""`make cd-pipeline DOCKER_USERNAME=name`. Also read: REGISTRY, DOCKER_PASSWORD, DRY_RUN=1, RESUME=1, SKIP_CI=reason,
WATCH_SECONDS=30, MLFLOW_TRACKING_URI. Exit code 1: a step failed, and what served before serves still."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from . import steps
from .deploy import deploy
from .report import Report
from .settings import Failed, Settings

# What each step would do, for a dry run; None: it changes nothing, and is run then too.
STEPS: list[tuple[str, Callable[[Settings], dict[str, Any]], str | None]] = [
    ("verify", steps.verify, None),
    ("build", steps.build, "build the image {exact}"),
    ("tag", steps.tag, "tag it {tags}"),
    ("smoke", steps.smoke, "run it alone, confined, and compare its predictions of the golden rows to the last bit"),
    ("sbom", steps.sbom, "write its SBOM (CycloneDX)"),
    ("push", steps.push, "push {image} to {registry} if there are credentials"),
    ("analyse", steps.analyse, None),
    ("deploy", deploy, "replace the app of the Compose stack behind a gate, and roll back if it does not pass"),
]


def step(
    settings: Settings, report: Report, name: str, work: Callable[[Settings], dict[str, Any]], plan: str | None
) -> bool:
    """Whether the run goes on."""
    if settings.dry_run and plan is not None:
        said = plan.format(
            exact=settings.exact, tags=", ".join(settings.tags[1:]), image=settings.image, registry=settings.registry
        )
        report.add(name, "planned", 0.0, said)
        print(f"  would    {name}: {said}", flush=True)
        return True
    # What changes nothing is looked at again: between two runs the tree can change, and so can the models.
    if settings.resume and report.is_done(name) and plan is not None:
        print(f"  before   {name}", flush=True)
        return True
    print(f"  ...      {name}", end="\r", flush=True)
    begun = time.monotonic()
    status, found = "done", None
    with (report.folder / f"{name}.log").open("a") as log, redirect_stdout(log):
        try:
            found = work(settings)
        except steps.Skipped as reason:
            status, found = "skipped", str(reason)
        except Failed as reason:
            status, found = "failed", str(reason)
    seconds = time.monotonic() - begun
    report.add(name, status, seconds, found)
    print(f"  {status:8} {name} ({seconds:.0f} s){'' if status == 'done' else f': {found}'}", flush=True)
    return status != "failed"


def main() -> int:
    try:
        settings = Settings.of_environment()
        report = Report.last(settings) if settings.resume else Report.begin(settings)
    except Failed as error:
        print(f"cd-pipeline: {error}", file=sys.stderr)
        return 1
    print(f"{settings.exact}: {report.folder.relative_to(report.folder.parents[1])}/index.html", flush=True)
    try:
        good = all(step(settings, report, *entry) for entry in STEPS)
    except BaseException:
        report.end("interrupted")
        raise
    report.end("done" if good else "failed")
    if not good:
        print("failed. When the cause is gone: make cd-pipeline RESUME=1 and the same variables", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
