"""`latency mlflow doctor`: why artifacts are missing, and the way back."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError
from . import console
from .console import JsonOption

if TYPE_CHECKING:
    from ..mlflow.doctor import Examination
    from ..mlflow.doctor.plan import Plan
    from ..mlflow.doctor.repair import Outcome

EXIT_USAGE = 2
TrackingUriOption = Annotated[
    str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="The tracking server, as its clients name it.")
]


def doctor(
    tracking_uri: TrackingUriOption = "http://localhost:5001",
    experiment: Annotated[str | None, typer.Option(help="Only this experiment, by name or id.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run, by id.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Only this registered model, by name, and where it is from.")
    ] = None,
    newest: Annotated[
        int, typer.Option(min=1, max=1000, help="How many runs and models of each experiment, and registered versions.")
    ] = 10,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Store, list, read and delete one small file at the end.")
    ] = True,
    repair: Annotated[bool, typer.Option("--repair", help="Show what a repair would copy.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --repair: do it. Deletes nothing, changes nothing old.")
    ] = False,
    reregister: Annotated[
        bool, typer.Option("--reregister", help="With --repair: also register copies of registered versions.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find out why MLflow shows no artifacts, and repair what a client can repair.

    Exit codes: 0 no errors, 1 errors (or left after a repair), 2 usage, 3 the server does not answer.

    Examples: latency mlflow doctor --tracking-uri http://mlflow:5001

    latency mlflow doctor --experiment latency --repair --yes
    """
    if (yes or reregister) and not repair:
        raise typer.BadParameter("--yes and --reregister belong to --repair")
    if repair and not probe:
        raise typer.BadParameter("--repair needs the round trip at the end: leave out --no-probe")
    with console.readable_errors():
        from ..mlflow.doctor import RepairError, Scope, ScopeError, diagnose
        from ..mlflow.doctor.findings import printable

        def examine() -> Examination:
            with console.progress("looking at") as progress:
                return diagnose(tracking_uri, Scope(experiment, run, model, newest), probe, progress)

        try:
            seen = examine()
        except (ScopeError, InvalidInputError) as error:
            console.err.print(
                printable(f"{error.code} {error}"), style="bold red", markup=False, highlight=False, soft_wrap=True
            )
            raise typer.Exit(EXIT_USAGE) from error
        try:
            plan, outcome = _repair(seen, yes, reregister) if repair else (None, None)
        except RepairError:
            _show(seen, None, None, as_json)
            raise
        if outcome is not None:
            seen = examine()
        _show(seen, plan, outcome, as_json)
    raise typer.Exit(_exit_code(seen, outcome))


def _repair(seen: Examination, yes: bool, reregister: bool) -> tuple[Plan | None, Outcome | None]:
    """The plan, and what was done if it was asked for; neither if the server is out of reach."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    from ..mlflow.doctor import plan as plans
    from ..mlflow.doctor import repair as repairs
    from ..mlflow.doctor.http import mlflow_client

    if not seen.views and not seen.versions:
        return None, None
    with mlflow_client(quick=False):
        try:
            client = MlflowClient(seen.server.uri)
            plan = plans.make(client, seen, reregister)
            if not yes or plan.is_done:
                return plan, None
            repairs.refuse_if_hopeless(seen)
            with console.progress("copying") as progress:
                return plan, repairs.repair(client, seen, plan, progress)
        except MlflowException as error:
            raise repairs.RepairError(f"the server stopped answering: {seen.server.hide(error)}") from error


def _show(seen: Examination, plan: Plan | None, outcome: Outcome | None, as_json: bool) -> None:
    if as_json:
        repair: dict[str, Any] | None = None
        if plan is not None:
            repair = {
                "dry_run": outcome is None,
                "plan": plan.as_dict(),
                "beyond": plan.beyond(seen.report),
                "done": outcome and outcome.as_dict(),
            }
        code = _exit_code(seen, outcome)
        print(json.dumps(seen.report.as_dict() | {"repair": repair, "exit_code": code}, indent=1))
        return
    from ..mlflow.doctor import report

    report.show(console.out, seen.report)
    if outcome is not None:
        report.show_outcome(console.out, outcome)
    elif plan is not None:
        report.show_plan(console.out, plan, seen.report, _again(seen))


def _exit_code(seen: Examination, outcome: Outcome | None) -> int:
    return seen.report.exit_code or (1 if outcome is not None and outcome.failed else 0)


def _again(seen: Examination) -> str:
    """The command that was typed, with --yes, and without the credentials that its URI may hold."""
    words = [seen.server.hide(word) for word in sys.argv[1:] if word != "--yes"]
    return shlex.join(["latency", *words, "--yes"])
