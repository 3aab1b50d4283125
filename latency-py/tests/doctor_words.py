"""What the doctor's tests ask, and how they read the answers."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from doctor_lab import Lab, standing_in
from latency_predictor import cli
from latency_predictor.mlflow.doctor import Code, Finding, Report, Scope, Severity, diagnose

RUNNER = CliRunner()


def examine(lab: Lab, name: str, **scope: str) -> Report:
    """What the doctor says, standing where the client of that server stood."""
    lab.disks[name].mkdir(exist_ok=True)
    with standing_in(lab.disks[name]):
        return diagnose(lab.servers[name].uri, Scope(**scope)).report


def the(report: Report, code: Code) -> Finding:
    """The one finding with this code, with everything that belongs to it."""
    found = [finding for finding in report.findings if finding.code is code]
    assert len(found) == 1, [(finding.code.value, finding.subject, finding.evidence) for finding in report.findings]
    assert found[0].evidence
    if found[0].severity is Severity.ERROR:
        assert found[0].cause
        assert any(step.run for step in found[0].cure)
    return found[0]


def errors(report: Report) -> set[Code]:
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


def typed(finding: Finding) -> str:
    """All that its cure tells to type."""
    return "\n".join(step.run for step in finding.cure)


def doctor(*arguments: str) -> Result:
    return RUNNER.invoke(cli.app, ["mlflow", "doctor", *arguments])
