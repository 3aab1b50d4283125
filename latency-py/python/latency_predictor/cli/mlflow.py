"""`latency mlflow`: train, register, promote, roll back; the doctor is next door."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from . import console
from .console import JsonOption
from .mlflow_doctor import doctor
from .tracking import later
from .train import TABLE, DataOption, DropOption, TableOption, TargetOption, ThreadsOption

if TYPE_CHECKING:
    from ..mlflow.gate import Holdout, Verdict

app = typer.Typer(help="MLflow: tracking, registry, doctor.", no_args_is_help=True)
app.command()(doctor)

UriOption = Annotated[
    str | None,
    typer.Option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="The server; default: http://localhost:5001."),
]
NameOption = Annotated[str, typer.Option("--name", help="The registered model.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who does it; default: user@host.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
HoldoutOption = Annotated[
    Path | None, typer.Option("--holdout", help="Rows that neither model saw (CSV or Parquet), to compare them on.")
]
HoldoutTargetOption = Annotated[str, typer.Option("--target", help="The measured column of --holdout.")]
ToleranceOption = Annotated[
    float, typer.Option("--tolerance", min=0, help="How much worse a figure may be: a share of the champion's.")
]
NAME = "latency"
TOLERANCE = 0.02


@app.command()
def retrain(
    data: DataOption = None,
    target: TargetOption = "rtt_ms",
    drop: DropOption = None,
    table: TableOption = TABLE,
    output: Annotated[Path, typer.Option("--out", help="The model file to write as well.")] = Path("model.onnx"),
    model_name: Annotated[str, typer.Option(help="The model's own name, for your own table.")] = "custom",
    threads: ThreadsOption = 1,
    name: NameOption = NAME,
    experiment: Annotated[str | None, typer.Option(help="Default: $MLFLOW_EXPERIMENT_NAME, else latency.")] = None,
    register: Annotated[
        bool, typer.Option("--register/--no-register", help="Also make a version, @challenger.")
    ] = True,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train, log to MLflow, and prove that every artifact is there: listed, downloaded again, compared by SHA-256.

    Example: latency mlflow retrain --data mine.csv --target rtt_ms --drop timestamp
    """
    with console.readable_errors():
        from ..mlflow import artifacts, registry, server, tracking
        from .train import run_training

        # First, so that nobody trains for minutes to find out that nobody listens.
        uri = server.connect(tracking_uri)
        trained = run_training(data, target, tuple(drop or ()), table, output, model_name, threads)
        with later(output, name, tracking_uri, experiment):
            run = tracking.log_training(trained, experiment)
            verified = artifacts.verify_run(run.run_id, run.artifacts)
            verified += artifacts.verify_model(run.model_id, run.sha256)
            version = str(registry.register(name, run.model_uri).version) if register else None
    if as_json:
        show_json(
            {
                "tracking_uri": uri, "run_id": run.run_id, "experiment": run.experiment, "model_uri": run.model_uri,
                "sha256": run.sha256, "version": version, "artifacts": [vars(entry) for entry in verified],
            }
        )  # fmt: skip
        return
    show = console.out.print
    show(f"run {run.run_id} in experiment {escape(run.experiment)} on {escape(uri)}", soft_wrap=True)
    for entry in verified:
        show(f"  {escape(entry.path)}  {entry.bytes:,} bytes  SHA-256 {entry.sha256[:12]}…", soft_wrap=True)
    show(f"{len(verified)} artifacts are listed and come back as they were logged")
    if version is not None:
        show(f"version {version} of {escape(name)} is @challenger; next: latency mlflow promote --name {escape(name)}")


@app.command()
def register(
    file: Annotated[Path | None, typer.Option("--file", help="A model file to log first.")] = None,
    uri: Annotated[str | None, typer.Option("--uri", help="A logged model: models:/m-…, runs:/…/model.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Default: $MLFLOW_EXPERIMENT_NAME, else latency.")] = None,
    name: NameOption = NAME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version of a logged model, by default of the newest one in the experiment, and set @challenger on it.

    Examples: latency mlflow register

    latency mlflow register --file model.onnx
    """
    if file is not None and uri is not None:
        raise typer.BadParameter("give --file or --uri, not both")
    with console.readable_errors():
        from ..mlflow import registry, server, tracking

        server.connect(tracking_uri)
        if file is not None:
            uri = tracking.log_file(file, experiment)
        version = registry.register(name, uri or registry.newest_logged(tracking.experiment_name(experiment)))
        aliases = sorted(version.aliases)
    if as_json:
        show_json({"name": name, "version": str(version.version), "aliases": aliases, "tags": dict(version.tags)})
        return
    marks = ", ".join(f"@{alias}" for alias in aliases)
    console.out.print(f"version {version.version} of {escape(name)} is {marks or 'registered'}")


@app.command()
def promote(
    version: Annotated[str | None, typer.Argument(help="A version number; default: @challenger.")] = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest good version instead.")] = False,
    holdout: HoldoutOption = None,
    target: HoldoutTargetOption = "rtt_ms",
    tolerance: ToleranceOption = TOLERANCE,
    force: Annotated[bool, typer.Option("--force", help="Also with worse or missing figures; needs --reason.")] = False,
    reason: ReasonOption = "",
    by: ByOption = None,
    name: NameOption = NAME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version @champion, if its file, its parity with XGBoost and its figures hold.

    Examples: latency mlflow promote

    latency mlflow promote 7 --holdout june.csv --target rtt_ms
    """
    if newest and (version is not None or force):
        raise typer.BadParameter("--newest goes with neither a version nor --force")
    with console.readable_errors():
        from ..mlflow import registry, server

        server.connect(tracking_uri)
        rows = _holdout(holdout, target)
        if newest:
            found, refused = registry.newest_good(name, by=by, reason=reason, holdout=rows, tolerance=tolerance)
            for error in refused:
                console.err.print(f"[yellow]left out[/] {escape(str(error))}", soft_wrap=True)
            if found is None and refused:
                if as_json:
                    words = [{"code": error.code, "message": str(error)} for error in refused]
                    show_json({"name": name, "promoted": False, "refused": words})
                raise refused[0]
        else:
            try:
                found = registry.promote(
                    name, version, by=by, reason=reason, force=force, holdout=rows, tolerance=tolerance
                )
            except registry.Refused as error:
                if as_json:
                    show_json({"name": name, "promoted": False, "verdict": error.verdict.as_dict()})
                else:
                    _show_verdict(error.verdict)
                raise
    if found is None or found.event is None:
        champion = f"version {found.version}" if found else "the champion"
        if as_json:
            show_json({"name": name, "promoted": False, "version": found.version if found else None})
        else:
            console.out.print(f"nothing to do: {champion} of {escape(name)} is @champion, and there is no newer one")
        return
    if as_json:
        verdict = found.verdict.as_dict() if found.verdict else None
        show_json(
            {"name": name, "promoted": True, "version": found.version, "event": vars(found.event), "verdict": verdict}
        )
        return
    if found.verdict:
        _show_verdict(found.verdict)
    forced = " by force" if found.event.forced else ""
    console.out.print(f"version {found.version} of {escape(name)} is @champion{forced}")


@app.command()
def rollback(
    reason: ReasonOption = "",
    by: ByOption = None,
    name: NameOption = NAME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make @previous the champion again. A second rollback goes forward again.

    Example: latency mlflow rollback --reason "timeouts in Asia"
    """
    with console.readable_errors():
        from ..mlflow import registry, server

        server.connect(tracking_uri)
        event = registry.rollback(name, by=by, reason=reason)
    if as_json:
        show_json({"name": name, "event": vars(event)})
        return
    console.out.print(
        f"version {event.version} of {escape(name)} is @champion again; {event.from_version} is @previous"
    )


@app.command()
def status(
    limit: Annotated[int, typer.Option(min=1, help="How many versions and changes to show.")] = 10,
    name: NameOption = NAME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show versions, aliases, and who changed the champion when and why."""
    with console.readable_errors():
        from ..mlflow import registry, server

        uri = server.connect(tracking_uri)
        found = registry.status(name, limit)
    if as_json:
        show_json(found.as_dict())
        return
    versions = Table(
        "version", "aliases", "SHA-256", "run", title=f"{escape(name)} on {escape(uri)}", title_justify="left"
    )
    for entry in found.versions:
        marks = ", ".join(f"@{alias}" for alias in entry["aliases"])
        versions.add_row(entry["version"], marks, (entry["sha256"] or "none")[:12], entry["run_id"] or "none")
    console.out.print(versions)
    changes = Table("when (UTC)", "what", "version", "from", "who", "why", title="Changes", title_justify="left")
    for event in found.history:
        what = f"{event.event}{' by force' if event.forced else ''}"
        cells = (event.when[:19], what, event.version, event.from_version or "", event.who, event.reason)
        changes.add_row(*(escape(cell) for cell in cells))
    console.out.print(changes)
    if found.unfinished:
        begun = found.unfinished
        console.out.print(
            f"[yellow]unfinished[/] {begun.event} of version {begun.version} by {escape(begun.who)} at {begun.when}: "
            "the next promote or rollback puts it in order",
            soft_wrap=True,
        )


@app.command()
def compare(
    challenger: Annotated[str, typer.Argument(help="A version, or an alias with @.")] = "@challenger",
    champion: Annotated[str, typer.Argument(help="Compared with.")] = "@champion",
    holdout: HoldoutOption = None,
    target: HoldoutTargetOption = "rtt_ms",
    tolerance: ToleranceOption = TOLERANCE,
    name: NameOption = NAME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the gate finds about a version, and both models' figures; changes nothing. Exit code 1: not good.

    Example: latency mlflow compare 7 @champion --holdout june.csv
    """
    with console.readable_errors():
        from ..mlflow import registry, server

        server.connect(tracking_uri)
        verdict = registry.compare(name, challenger, champion, holdout=_holdout(holdout, target), tolerance=tolerance)
    if as_json:
        show_json(verdict.as_dict())
    else:
        _show_verdict(verdict)
    if not verdict.good:
        raise typer.Exit(console.EXIT_ERROR)


def _holdout(path: Path | None, target: str) -> Holdout | None:
    if path is None:
        return None
    from ..mlflow.gate import Holdout
    from ..training.tables import read_table

    return Holdout(read_table(path), target, path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def _show_verdict(verdict: Verdict) -> None:
    from ..mlflow.gate import PASSED, shown

    for check in verdict.checks:
        colour = "green" if check.result == PASSED else "red"
        console.out.print(f"  {check.name:8} [{colour}]{check.result}[/]  {escape(check.detail)}", soft_wrap=True)
    if not verdict.figures:
        return
    figures = Table("metric", "champion", "challenger", "allowed", "verdict", title=f"On {escape(verdict.compared_on)}")
    figures.title_justify = "left"
    for figure in verdict.figures:
        mark = "[green]ok[/]" if figure.good else "[red]worse[/]"
        figures.add_row(figure.name, shown(figure.champion), shown(figure.challenger), figure.allowed, mark)
    console.out.print(figures)


def show_json(document: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(document, ensure_ascii=False))
