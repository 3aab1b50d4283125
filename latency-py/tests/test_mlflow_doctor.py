"""The doctor beside real MLflow servers, each broken in one way, and one that is not."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from rich.console import Console

from doctor_lab import MODEL, NAME, OWN_DISK, Lab, free_port, standing_in
from doctor_words import doctor, errors, examine, the, typed
from latency_predictor.cli import console
from latency_predictor.mlflow.doctor import Code, Scope, Severity, diagnose
from latency_predictor.mlflow.doctor.cures import allowed_hosts
from latency_predictor.mlflow.doctor.findings import EXIT_FAULTS, EXIT_GOOD, EXIT_UNREACHABLE

pytestmark = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="disks of their own are made by /proc")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide consoles that follow the runner's streams, and none of the user's own settings."""
    monkeypatch.setattr(console, "out", Console(width=200))
    monkeypatch.setattr(console, "err", Console(stderr=True, width=200))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_ARTIFACT_ROOT"):
        monkeypatch.delenv(name, raising=False)


# The server


def test_a_healthy_server_has_no_faults(lab: Lab) -> None:
    report = examine(lab, "healthy")
    assert {finding.code for finding in report.findings} == {Code.SERVER_OK, Code.CHECKSUM_OK, Code.ROUND_TRIP_OK}
    assert report.exit_code == EXIT_GOOD
    assert report.server_version == mlflow.__version__
    assert report.looked_at == {"experiments": 2, "runs": 1, "logged_models": 1, "registered_versions": 1}
    asked = [line.split()[0] for line in the(report, Code.ROUND_TRIP_OK).evidence]
    assert asked == ["PUT", "GET", "GET", "DELETE"]


def test_the_round_trip_leaves_nothing_behind(lab: Lab) -> None:
    examine(lab, "healthy")
    store = lab.servers["healthy"].folder / "mlartifacts"
    assert sorted(path.name for path in store.iterdir()) == ["1"]


def test_without_the_probe_nothing_is_written(lab: Lab) -> None:
    result = doctor("--tracking-uri", lab.servers["healthy"].uri, "--no-probe", "--json")
    assert "ROUND_TRIP_OK" not in [finding["code"] for finding in json.loads(result.stdout)["findings"]]


def test_a_closed_port_is_unreachable_and_says_so_at_once() -> None:
    result = doctor("--tracking-uri", f"http://127.0.0.1:{free_port()}", "--json")
    assert result.exit_code == EXIT_UNREACHABLE
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding["code"] == "SERVER_UNREACHABLE"
    assert "connection refused" in finding["evidence"][0]
    assert "docker compose up -d mlflow" in json.dumps(finding["cure"])


def test_a_name_that_does_not_resolve_is_told_apart_from_a_closed_port() -> None:
    finding = the(diagnose("http://no-such-host.invalid:5001").report, Code.SERVER_UNREACHABLE)
    assert "not known" in finding.evidence[0]
    assert "Compose resolves the names of services" in finding.cause


def test_the_host_check_is_named_although_health_is_green(lab: Lab) -> None:
    report = examine(lab, "refusing")
    assert errors(report) == {Code.HOST_HEADER_REFUSED}
    assert report.exit_code == EXIT_FAULTS
    finding = the(report, Code.HOST_HEADER_REFUSED)
    assert "/health → 200" in finding.evidence[0]
    assert "→ 403 Invalid Host header" in finding.evidence[1]
    hosts = allowed_hosts(f"127.0.0.1:{lab.servers['refusing'].port}")
    assert f"export MLFLOW_SERVER_ALLOWED_HOSTS='{hosts}'" in typed(finding)


@pytest.mark.parametrize("host", [NAME, "localhost", "127.0.0.1"])
def test_the_cure_of_the_host_check_lets_the_name_and_loopback_in(lab: Lab, host: str) -> None:
    """The healthy server was started with the value that the doctor prints."""
    server = lab.servers["healthy"]
    for name, status in ((f"{host}:{server.port}", 200), (host, 200), (f"other.{host}", 403)):
        answer = requests.get(
            f"{server.uri}/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Host": name}, timeout=10
        )
        assert answer.status_code == status


def test_a_store_that_the_server_cannot_write_is_found_by_the_round_trip(lab: Lab) -> None:
    report = examine(lab, "unwritable")
    assert errors(report) == {Code.ARTIFACT_ROOT_NOT_WRITABLE}
    finding = the(report, Code.ARTIFACT_ROOT_NOT_WRITABLE)
    assert "PUT" in finding.evidence[0]
    assert "→ 500" in finding.evidence[0]
    assert "docker compose exec mlflow sh -c 'id; ls -ld" in typed(finding)


# Where artifacts go


def test_a_file_root_is_named_when_the_client_wrote_to_its_own_disk(lab: Lab) -> None:
    made = lab.made["file"]["apart"]
    report = examine(lab, "file", experiment="apart")
    assert errors(report) == {Code.CLIENT_SIDE_ARTIFACT_ROOT}
    finding = the(report, Code.CLIENT_SIDE_ARTIFACT_ROOT)
    assert f"artifact_location of `apart` (id 1): file://{OWN_DISK}/1" in finding.evidence
    assert f"run {made['run']}: the server lists 0 entries, this disk has 1 files" in finding.evidence
    assert f"export MLFLOW_ARTIFACTS_DESTINATION={OWN_DISK}" in typed(finding)
    assert f"--tracking-uri {lab.servers['file'].uri} --experiment apart --repair --yes" in typed(finding)


def test_the_registered_version_of_such_a_model_is_named_too(lab: Lab) -> None:
    report = examine(lab, "file")
    assert errors(report) == {Code.CLIENT_SIDE_ARTIFACT_ROOT, Code.VERSION_NOT_PROXIED}
    assert "--model apart --repair --reregister --yes" in typed(the(report, Code.VERSION_NOT_PROXIED))


def test_from_another_machine_the_same_runs_are_said_to_be_elsewhere(lab: Lab, tmp_path: Path) -> None:
    with standing_in(tmp_path):
        report = diagnose(lab.servers["file"].uri, Scope(experiment="apart")).report
    evidence = " ".join(the(report, Code.CLIENT_SIDE_ARTIFACT_ROOT).evidence)
    assert "have no files, neither on the server nor on this disk: another machine holds them" in evidence


def test_a_path_that_client_and_server_share_is_a_warning(lab: Lab, tmp_path: Path) -> None:
    client = MlflowClient(lab.servers["worn"].uri)
    shared = client.create_experiment("shared", artifact_location=str(tmp_path / "shared"))
    run = client.create_run(shared)
    client.log_text(run.info.run_id, "here", "note.txt")
    report = examine(lab, "worn", experiment="shared")
    finding = next(
        each for each in report.findings if each.code in (Code.CLIENT_SIDE_ARTIFACT_ROOT, Code.EXPERIMENT_BEFORE_PROXY)
    )
    assert finding.severity is Severity.WARNING
    assert "the server lists what this disk has: they share this path, for now" in finding.evidence
    assert report.exit_code == EXIT_GOOD
    client.delete_experiment(shared)


def test_the_variable_is_named_when_it_became_the_location(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ARTIFACT_ROOT", f"file://{OWN_DISK}")
    report = examine(lab, "file", experiment="apart")
    finding = the(report, Code.ARTIFACT_ROOT_VARIABLE)
    assert finding.severity is Severity.WARNING
    assert "MLflow itself does not read MLFLOW_ARTIFACT_ROOT" in finding.cause
    assert "It is what MLFLOW_ARTIFACT_ROOT holds here" in the(report, Code.CLIENT_SIDE_ARTIFACT_ROOT).cause


def test_the_variable_alone_is_explained_and_no_fault(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ARTIFACT_ROOT", "/srv/artifacts")
    report = examine(lab, "healthy")
    (finding,) = [finding for finding in report.findings if finding.code is Code.ARTIFACT_ROOT_VARIABLE]
    assert finding.severity is Severity.INFO
    assert "--artifacts-destination" in finding.cause
    assert report.exit_code == EXIT_GOOD


# Runs, models, versions


def test_a_run_with_a_logged_model_only_is_no_fault(lab: Lab) -> None:
    made = lab.made["worn"]["only-model"]
    assert MlflowClient(lab.servers["worn"].uri).list_artifacts(made["run"]) == []
    report = examine(lab, "worn", experiment="only-model")
    finding = the(report, Code.LOGGED_MODEL_ONLY)
    assert finding.severity is Severity.INFO
    listing = finding.cure[0].run.replace(" python ", f" {sys.executable} ")
    listed = subprocess.run(["sh", "-c", listing], capture_output=True, text=True, check=True)  # its words work
    assert "'MLmodel'" in listed.stdout
    assert report.exit_code == EXIT_GOOD


def test_a_lost_volume_is_named(lab: Lab) -> None:
    worn = lab.servers["worn"]
    experiment = MlflowClient(worn.uri).get_experiment_by_name("lost").experiment_id
    before = examine(lab, "worn", experiment="lost")
    assert before.exit_code == EXIT_GOOD
    shutil.rmtree(worn.folder / "store" / experiment)
    report = examine(lab, "worn", experiment="lost")
    assert errors(report) == {Code.ARTIFACTS_MISSING}
    finding = the(report, Code.ARTIFACTS_MISSING)
    assert lab.made["worn"]["lost"]["model"] in finding.evidence[0]
    assert "lost volume" in finding.cause
    assert "- mlflow-artifacts:/mlflow-artifacts" in typed(finding)
    registered = examine(lab, "worn", model="lost")
    subjects = [each.subject for each in registered.findings if each.code is Code.ARTIFACTS_MISSING]
    assert any("version 1 of `lost`" in subject for subject in subjects)


def test_a_file_that_was_swapped_in_the_store_is_found_by_its_checksum(lab: Lab) -> None:
    worn, model = lab.servers["worn"], lab.made["worn"]["swapped"]["model"]
    assert examine(lab, "worn", model="swapped").exit_code == EXIT_GOOD
    (stored,) = (worn.folder / "store").glob(f"*/models/{model}/artifacts/data/{MODEL.name}")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    report = examine(lab, "worn", run=lab.made["worn"]["swapped"]["run"])
    assert errors(report) == {Code.CHECKSUM_MISMATCH}
    evidence = the(report, Code.CHECKSUM_MISMATCH).evidence
    assert hashlib.sha256(content).hexdigest() in evidence[1]
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() in evidence[2]
    versions = [each for each in examine(lab, "worn", model="swapped").findings if each.code is Code.CHECKSUM_MISMATCH]
    assert any("the tag of the version says" in " ".join(each.evidence) for each in versions)


def test_a_model_without_a_checksum_is_said_to_be_skipped(lab: Lab) -> None:
    report = examine(lab, "worn", experiment="plain")
    assert [each.severity for each in report.findings if each.code is Code.NO_CHECKSUM] == [Severity.INFO]
    assert not report.has(Code.CHECKSUM_OK)


def test_a_run_that_failed_before_it_logged_is_a_warning(lab: Lab) -> None:
    report = examine(lab, "worn", experiment="crashed")
    finding = the(report, Code.RUN_FAILED)
    assert finding.severity is Severity.WARNING
    assert finding.evidence == (f"run {lab.made['worn']['crashed']['run']}: FAILED, the server lists no files",)
    assert report.exit_code == EXIT_GOOD


def test_a_run_that_logged_nothing_is_told_apart_from_a_failed_one(lab: Lab) -> None:
    report = examine(lab, "worn", experiment="bare")
    assert the(report, Code.RUN_WITHOUT_ARTIFACTS).severity is Severity.INFO
    assert not report.has(Code.RUN_FAILED)


def test_a_store_that_the_server_cannot_read_is_named(lab: Lab) -> None:
    client = MlflowClient(lab.servers["worn"].uri)
    bucket = client.create_experiment("bucket", artifact_location="nosuchstore://bucket/models")
    client.create_run(bucket)
    report = examine(lab, "worn", experiment="bucket")
    assert errors(report) == {Code.STORE_NOT_READABLE}
    client.delete_experiment(bucket)


# The command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--yes",), "belong to --repair"),
        (("--repair", "--no-probe"), "needs the round trip"),
        (("--experiment", "nope"), "UNKNOWN_EXPERIMENT"),
        (("--run", "0" * 32), "UNKNOWN_RUN"),
        (("--model", "nope"), "UNKNOWN_MODEL"),
        (("--tracking-uri", "sqlite:///mlflow.db"), "allowed: http:// or https://"),
    ],
)
def test_usage_has_an_exit_code_of_its_own(lab: Lab, arguments: tuple[str, ...], words: str) -> None:
    result = doctor("--tracking-uri", lab.servers["healthy"].uri, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_the_json_is_one_document_with_everything(lab: Lab) -> None:
    result = doctor("--tracking-uri", lab.servers["healthy"].uri, "--json")
    document = json.loads(result.stdout)
    assert document["exit_code"] == result.exit_code == EXIT_GOOD
    assert document["server_version"] == mlflow.__version__
    assert document["repair"] is None
    for finding in document["findings"]:
        assert set(finding) == {"code", "severity", "subject", "evidence", "cause", "cure"}


def test_the_report_says_what_to_type(lab: Lab) -> None:
    result = doctor("--tracking-uri", lab.servers["refusing"].uri)
    assert result.exit_code == EXIT_FAULTS
    assert "error   HOST_HEADER_REFUSED" in result.stdout
    assert "\n      docker compose up -d mlflow\n" in result.stdout


def test_the_tracking_uri_is_taken_from_the_environment(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lab.servers["healthy"].uri)
    assert json.loads(doctor("--json").stdout)["tracking_uri"] == lab.servers["healthy"].uri


def test_without_mlflow_the_command_says_what_to_install() -> None:
    without = "import sys; sys.modules['mlflow'] = None; from latency_predictor.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", without, "mlflow", "doctor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'latency-predictor[mlflow]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_code_is_explained_in_the_guide(root: Path) -> None:
    guide = (root / "docs" / "mlflow-doctor.md").read_text()
    assert [code.value for code in Code if f"`{code.value}`" not in guide] == []
