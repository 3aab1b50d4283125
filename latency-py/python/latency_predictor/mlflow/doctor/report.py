"""The report for people. Commands stand alone on their lines, so that they can be copied."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.markup import escape

from .findings import Finding, Report, Severity, number, printable
from .plan import ExperimentPlan, Plan
from .repair import Outcome

STYLES = {Severity.OK: "green", Severity.INFO: "cyan", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}
WIDTH = 110
LEVELS = (Severity.ERROR, Severity.WARNING, Severity.INFO, Severity.OK)


def show(out: Console, report: Report) -> None:
    """The whole report; what is worst comes last, where the eye is."""
    line(out, f"[bold]{escape(report.tracking_uri)}[/]")
    if report.looked_at:
        counts = (number(count, what.replace("_", " ")[:-1]) for what, count in report.looked_at.items())
        line(out, f"looked at {', '.join(counts)} (the newest)")
    order = sorted(report.findings, key=lambda finding: -LEVELS.index(finding.severity))
    for finding in order:
        show_finding(out, finding)
    errors, warnings, notes = (sum(finding.severity is level for finding in order) for level in LEVELS[:3])
    line(out, "")
    if errors + warnings == 0:
        line(out, "[green]No faults found.[/]")
    else:
        line(out, f"{number(errors, 'error')}, {number(warnings, 'warning')}, {number(notes, 'note')}")


def show_finding(out: Console, finding: Finding) -> None:
    """One finding: what, evidence, cause, and the words to type."""
    style = STYLES[finding.severity]
    line(out, f"\n[{style}]{finding.severity.value:7} {finding.code.value}[/] {escape(finding.subject)}")
    for text in finding.evidence:
        line(out, f"  [dim]·[/] {escape(text)}")
    if finding.cause:
        paragraph(out, finding.cause)
    for step in finding.cure:
        line(out, f"  [bold]→[/] {escape(step.say)}{':' if step.run else ''}")
        if step.run:
            line(out, escape(textwrap.indent(step.run, "      ")))


def show_plan(out: Console, plan: Plan, report: Report, command: str) -> None:
    """What a repair would do, and how to let it."""
    line(out, "\n[bold]The repair[/] copies; it deletes nothing, and leaves what exists as it is.")
    for each in plan.experiments:
        _show_experiment(out, each)
    for version in plan.versions:
        what = f"version {version.version.version} of {version.version.name}"
        done = f"is registered again as version {version.copy}" if version.copy else "would be registered again"
        line(out, f"  {escape(what)} {done}")
    if not plan.experiments and not plan.versions:
        line(out, "  Nothing here can be repaired by a client.")
    elif plan.is_done:
        line(out, "  Everything that lies on this disk is copied.")
    else:
        size = sum(item.bytes for item in plan.items)
        files = sum(len(item.files) for item in plan.items)
        line(
            out, f"  {len(plan.items)} runs and models, {files:,} files, {size:,} bytes. Nothing is done yet; to do it:"
        )
        line(out, f"      {escape(command)}")
    left = plan.beyond(report)
    if left:
        line(out, f"  No client can repair these; their cures are above: {', '.join(left)}")


def _show_experiment(out: Console, each: ExperimentPlan) -> None:
    exists = "exists" if each.target_id else f"new, at {each.location}"
    line(out, f"  experiment {escape(each.experiment.name)} → {escape(each.target)} ({escape(exists)})")
    for what, items in (("run", each.runs), ("model", each.models)):
        for item in items:
            done = f"copied already: {item.copy}" if item.copy else f"{len(item.files)} files, {item.bytes:,} bytes"
            line(
                out, f"    {what} {item.id} ({escape(item.name or 'no name')}): {done}, from {escape(str(item.folder))}"
            )
    if each.not_readable:
        line(
            out,
            f"    not readable by this user: {', '.join(each.not_readable[:5])}" + " …" * (len(each.not_readable) > 5),
        )
    if each.not_here:
        line(
            out, f"    without files on this disk: {', '.join(each.not_here[:5])}" + (" …" if each.not_here[5:] else "")
        )
        paragraph(out, "If another machine logged them, type the same there.")


def show_outcome(out: Console, outcome: Outcome) -> None:
    """What a repair did."""
    line(
        out,
        f"\n[bold]Repaired[/] {len(outcome.copies)} runs and models have copies; {outcome.files:,} files were "
        "uploaded, listed, downloaded again and compared by SHA-256.",
    )
    for old, new in outcome.copies.items():
        line(out, f"  {old} → {new}")
    for version, new in outcome.versions.items():
        line(out, f"  version {escape(version)} → version {new}; aliases stay where they were")
    for failed in outcome.failed:
        line(out, f"  [bold red]REPAIR_FAILED[/] {escape(failed)}")


def line(out: Console, text: str) -> None:
    """A line that is never broken: it may hold a command."""
    out.print(printable(text), soft_wrap=True, highlight=False)


def paragraph(out: Console, text: str) -> None:
    """Prose, broken into lines."""
    for part in textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False):
        line(out, f"  {escape(part)}")
