"""The doctor's repair: from a server that does not proxy to one that does, on one database, in this order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from doctor_lab import OWN_DISK, Lab, TrackingServer, log, standing_in
from doctor_words import doctor, errors, examine, the, typed
from latency_predictor.mlflow import audit
from latency_predictor.mlflow.doctor import Code, Report, Severity, collect
from latency_predictor.mlflow.doctor import repair as repairs
from latency_predictor.mlflow.doctor.findings import EXIT_FAULTS, EXIT_GOOD

pytestmark = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="disks of their own are made by /proc")


@pytest.fixture(scope="session")
def before_the_move(lab: Lab) -> Report:
    """The report while the server still runs with --no-serve-artifacts and a bare path."""
    return examine(lab, "moved")


@pytest.fixture(scope="session")
def moved(lab: Lab, before_the_move: Report) -> TrackingServer:
    """The same database behind a server that proxies."""
    server = lab.servers["moved"]
    server.stop()
    server.options = ()
    server.start().wait()
    return server


def test_artifacts_that_are_not_proxied_are_named(lab: Lab, before_the_move: Report) -> None:
    assert errors(before_the_move) == {
        Code.ARTIFACTS_NOT_PROXIED,
        Code.CLIENT_SIDE_ARTIFACT_ROOT,
        Code.VERSION_NOT_PROXIED,
    }
    finding = the(before_the_move, Code.ARTIFACTS_NOT_PROXIED)
    assert "→ 503" in finding.evidence[0]
    assert f"artifact_location of `older`: {OWN_DISK}/1" in finding.evidence
    assert "unset MLFLOW_DEFAULT_ARTIFACT_ROOT" in typed(finding)
    assert not before_the_move.has(Code.ROUND_TRIP_OK)


def test_an_experiment_from_before_the_proxy_is_named(lab: Lab, moved: TrackingServer) -> None:
    after = log(moved, lab.disks["moved"], {"newer": "file"})
    report = examine(lab, "moved")
    finding = the(report, Code.EXPERIMENT_BEFORE_PROXY)
    assert finding.severity is Severity.ERROR
    assert lab.made["moved"]["older"]["run"] in " ".join(finding.evidence)
    assert not report.has(Code.ARTIFACTS_NOT_PROXIED, Code.CLIENT_SIDE_ARTIFACT_ROOT)
    newer = MlflowClient(moved.uri).list_artifacts(after["newer"]["run"])
    assert [each.path for each in newer] == ["reports"]


def test_a_repair_is_a_dry_run_first_and_then_copies_and_is_done_once(lab: Lab, moved: TrackingServer) -> None:
    client, made = MlflowClient(moved.uri), lab.made["moved"]["older"]
    arguments = ("--tracking-uri", moved.uri, "--repair", "--reregister", "--json")
    audit.write(client, "older", audit.new("rollback", "me", "1", "1", "as if it had been promoted and rolled back"))
    disk = lab.disks["moved"]
    kept = {path: path.read_bytes() for path in sorted(disk.rglob("*")) if path.is_file()}
    old_run = client.get_run(made["run"]).to_dictionary()
    with standing_in(disk):
        dry = json.loads(doctor(*arguments).stdout)
    assert dry["repair"]["dry_run"] is True
    (plan,) = [each for each in dry["repair"]["plan"]["experiments"] if each["experiment"] == "older"]
    assert (plan["target"], plan["exists"], len(plan["runs"]), len(plan["models"])) == ("older-proxied", False, 1, 1)
    assert client.get_experiment_by_name("older-proxied") is None

    with standing_in(disk):
        result = doctor(*arguments, "--yes")
    done = json.loads(result.stdout)
    assert done["repair"]["done"]["failed"] == []
    codes = {finding["code"]: finding["severity"] for finding in done["findings"]}
    assert codes["EXPERIMENT_REPAIRED"] == "info"
    assert codes["VERSION_NOT_PROXIED"] == "info"
    assert result.exit_code == EXIT_GOOD
    _check_copy(client, moved, made, done["repair"]["done"]["copies"])

    # Nothing old was touched, neither in the database nor on the disk.
    assert client.get_run(made["run"]).to_dictionary() == old_run
    assert {path: path.read_bytes() for path in sorted(disk.rglob("*")) if path.is_file()} == kept

    runs = len(client.search_runs([client.get_experiment_by_name("older-proxied").experiment_id]))
    with standing_in(disk):
        again = json.loads(doctor(*arguments, "--yes").stdout)
    assert again["repair"]["done"] is None
    assert len(client.search_runs([client.get_experiment_by_name("older-proxied").experiment_id])) == runs == 1
    versions = {each.version: each.tags for each in client.search_model_versions("name='older'")}
    assert len(versions) == 2
    # What the version is goes along, what became of it does not.
    assert {"latency.promoted_at", "latency.promotion_reason", "latency.rolled_back_at"} < versions["1"].keys()
    assert versions["2"] == {"latency.sha256": versions["1"]["latency.sha256"], "latency.repaired_from": "older/1"}


def _check_copy(client: MlflowClient, server: TrackingServer, made: dict[str, str], copies: dict[str, str]) -> None:
    """The copy has all that the run had, and its model predicts, from the server alone."""
    old, new = client.get_run(made["run"]), client.get_run(copies[made["run"]])
    model = client.get_logged_model(copies[made["model"]])
    assert new.data.params == old.data.params
    assert new.data.metrics == old.data.metrics
    assert new.info.status == "FINISHED"
    assert (new.info.start_time, new.info.end_time) == (old.info.start_time, old.info.end_time)
    assert new.data.tags["latency.repaired_from"] == made["run"]
    history = client.get_metric_history(new.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert [output.model_id for output in new.outputs.model_outputs] == [model.model_id]
    metrics = [
        {(point.key, point.value, point.step, point.timestamp) for point in each.metrics}
        for each in (model, client.get_logged_model(made["model"]))
    ]
    assert metrics[0] == metrics[1] != set()
    assert new.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert [each.path for each in client.list_artifacts(new.info.run_id, "reports")] == ["reports/figures.txt"]
    (version,) = [each for each in client.search_model_versions("name='older'") if each.version == "2"]
    assert version.source == f"models:/{model.model_id}"
    assert version.tags["latency.repaired_from"] == "older/1"
    local = mlflow.artifacts.download_artifacts(artifact_uri=model.artifact_location, tracking_uri=server.uri)
    loaded = mlflow.pyfunc.load_model(local)
    assert loaded.metadata.model_id == model.model_id
    assert loaded.metadata.run_id == new.info.run_id
    answer = loaded.predict({"src": ["London"], "dst": ["Tokyo"]})
    assert float(answer["p50_ms"][0]) > 95


def test_a_repair_that_was_interrupted_goes_on_where_it_was(
    lab: Lab, moved: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection to the store breaks after the model, before the run's own files."""
    with standing_in(lab.disks["moved"]):
        made = log(moved, lab.disks["moved"], {"older": "model file"})["older"]
        whole, calls = repairs.upload, []

        def breaking(*arguments: object) -> Iterator[str]:
            calls.append(arguments)
            if len(calls) == 2:
                raise ConnectionError("the network is gone")
            return whole(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(repairs, "upload", breaking)
        arguments = ("--tracking-uri", moved.uri, "--experiment", "older", "--repair", "--yes", "--json")
        broken = doctor(*arguments)
        monkeypatch.undo()
        finished = doctor(*arguments)
    assert broken.exit_code == EXIT_FAULTS
    assert "the network is gone" in json.loads(broken.stdout)["repair"]["done"]["failed"][0]
    assert finished.exit_code == EXIT_GOOD
    client = MlflowClient(moved.uri)
    target = client.get_experiment_by_name("older-proxied").experiment_id
    found = [run for run in client.search_runs([target]) if run.data.tags["latency.repaired_from"] == made["run"]]
    assert len(found) == 1
    assert found[0].info.status == "FINISHED"
    models = [
        each for each in client.search_logged_models([target]) if each.tags["latency.repaired_from"] == made["model"]
    ]
    assert len(models) == 1
    assert [output.model_id for output in found[0].outputs.model_outputs] == [models[0].model_id]
    assert len(client.get_metric_history(found[0].info.run_id, "loss")) == 3


@pytest.mark.parametrize("by", ["runs:/{run}/model", "{uri}/model"])
def test_a_version_that_is_a_folder_of_its_run_is_registered_again(lab: Lab, moved: TrackingServer, by: str) -> None:
    """As before MLflow 3: the model lies among the artifacts of its run."""
    client, disk, name = MlflowClient(moved.uri), lab.disks["moved"], f"by-{by[1:4]}"
    with standing_in(disk):
        run = client.create_run(client.get_experiment_by_name("older").experiment_id).info
        client.log_text(run.run_id, "flavors: {}", "model/MLmodel")
        client.create_registered_model(name)
        source = by.format(run=run.run_id, uri=run.artifact_uri)
        client.create_model_version(name, source, run.run_id, tags={"owner": "me"}, await_creation_for=0)
        found = examine(lab, "moved", model=name)
        result = doctor("--tracking-uri", moved.uri, "--model", name, "--repair", "--reregister", "--yes", "--json")
    assert Code.VERSION_NOT_PROXIED in errors(found)
    done = json.loads(result.stdout)["repair"]["done"]
    assert done["failed"] == []
    assert done["versions"] == {f"{name}/1": "2"}
    version = client.get_model_version(name, "2")
    assert version.source == f"runs:/{done['copies'][run.run_id]}/model"
    assert version.tags == {"owner": "me", "latency.repaired_from": f"{name}/1"}
    assert result.exit_code == EXIT_GOOD
    local = mlflow.artifacts.download_artifacts(artifact_uri=version.source, tracking_uri=moved.uri)
    assert (Path(local) / "MLmodel").read_text() == "flavors: {}"


def test_a_repair_is_refused_while_the_server_loses_artifacts(lab: Lab) -> None:
    client = MlflowClient(lab.servers["unwritable"].uri)
    disk = lab.disks["unwritable"]
    disk.mkdir(exist_ok=True)
    with standing_in(disk):
        experiment = client.create_experiment("stuck", artifact_location=f"file://{OWN_DISK}/stuck")
        client.log_text(client.create_run(experiment).info.run_id, "here", "note.txt")
        result = doctor("--tracking-uri", lab.servers["unwritable"].uri, "--repair", "--yes")
    assert result.exit_code == EXIT_FAULTS
    assert "REPAIR_FAILED an artifact does not go through this server and back" in result.stderr
    assert "error   ARTIFACT_ROOT_NOT_WRITABLE" in result.stdout
    assert client.get_experiment_by_name("stuck-proxied") is None
    client.delete_experiment(experiment)


def test_a_server_cannot_make_the_repair_upload_other_folders(tmp_path: Path) -> None:
    """What lies below a location is uploaded, and the server says where that is."""
    run = "0123456789abcdef0123456789abcdef"
    (tmp_path / run / "artifacts").mkdir(parents=True)
    (tmp_path / run / "artifacts" / "model.onnx").touch()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").touch()
    assert len(collect.files_of(f"file://{tmp_path}/{run}/artifacts", run)) == 1
    for location in (f"{tmp_path}/secrets", f"{tmp_path}/{run}/../secrets", str(tmp_path)):
        assert collect.files_of(location, run) == []
    assert collect.files_of(f"{tmp_path}/secrets", "secrets") == []
