"""The registry: what becomes champion, what is refused and why, who did it, and the way back."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models.model import Model
from typer.testing import CliRunner, Result

from conftest import radio_table
from latency_predictor import Predictor, cli
from latency_predictor.errors import LatencyError
from latency_predictor.mlflow import (
    PromotionRefused,
    RegistryError,
    audit,
    figures,
    load_predictor,
    log_model,
    registry,
    tracking,
)
from latency_predictor.mlflow.gate import Holdout
from latency_predictor.mlflow.model import read_model
from latency_predictor.training import outcome, tables

pytestmark = pytest.mark.usefixtures("tracking")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, outcome.Trained]:
    """`good`, `worse` on the same table without its best column, `other` on another table; small and quick."""
    folder = tmp_path_factory.mktemp("tables")
    paths = {name: folder / f"{name}.csv" for name in ("table", "other")}
    radio_table().to_csv(paths["table"], index=False)
    radio_table(seed=2).to_csv(paths["other"], index=False)
    kinds = {"good": (paths["table"], ()), "worse": (paths["table"], ("band",)), "other": (paths["other"], ())}
    small = tuple(dataclasses.replace(output, rounds=20, eta=0.3, max_depth=3) for output in tables.RECIPE.outputs)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "RECIPE", dataclasses.replace(tables.RECIPE, outputs=small))
        return {
            name: outcome.train_table(path, "rtt_ms", drop, "radio", 1, report=lambda _: None)
            for name, (path, drop) in kinds.items()
        }


@pytest.fixture(scope="module")
def logged(mlflow_server: str, trained: dict[str, outcome.Trained]) -> dict[str, tracking.LoggedRun]:
    """These trainings in MLflow."""
    mlflow.set_tracking_uri(mlflow_server)
    return {name: tracking.log_training(training, "registry") for name, training in trained.items()}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of this test's own."""
    return str(request.node.name)[:80]


def add(name: str, run: tracking.LoggedRun) -> str:
    return str(registry.register(name, run.model_uri).version)


def latency(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["mlflow", *arguments])


def test_the_first_version_becomes_champion_without_a_comparison(name: str, logged: dict[str, Any]) -> None:
    version = add(name, logged["good"])
    assert registry.aliases(name) == {"challenger": version}
    done = registry.promote(name, by="ann@desk", reason="first")
    assert registry.aliases(name) == {"champion": version}
    assert done.verdict is not None
    assert [check.result for check in done.verdict.checks] == ["passed"] * 4
    assert "agree to the bit on" in done.verdict.checks[2].detail
    tags = MlflowClient().get_model_version(name, version).tags
    assert (tags["latency.promoted_by"], tags["latency.promotion_reason"]) == ("ann@desk", "first")
    assert tags["latency.sha256"] == logged["good"].sha256


def test_registering_the_same_model_again_makes_no_second_version(name: str, logged: dict[str, Any]) -> None:
    assert add(name, logged["good"]) == add(name, logged["good"])
    assert len(registry.versions(name)) == 1


def test_a_worse_model_on_the_same_table_is_refused_with_every_figure(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    registry.promote(name)
    worse = add(name, logged["worse"])
    result = latency("promote", "--name", name)
    assert result.exit_code == 1
    assert f"version {worse} of {name} does not become champion" in result.stderr
    assert "Traceback" not in result.stderr
    document = json.loads(latency("promote", "--name", name, "--json").stdout)
    found = {figure["name"]: figure for figure in document["verdict"]["figures"]}
    held = [
        Predictor(logged_bytes(logged[kind])).model_info["provenance"]["held_out_metrics"] for kind in ("good", "worse")
    ]
    for metric in ("mae", "median_relative_error"):
        assert (found[metric]["champion"], found[metric]["challenger"]) == (held[0][metric], held[1][metric])
        assert found[metric]["allowed"] == f"at most {held[0][metric] * 1.02:.4f}"
        assert not found[metric]["good"]
        assert metric in result.stdout
    assert registry.aliases(name) == {"champion": "1", "challenger": worse}
    assert latency("compare", "--name", name).exit_code == 1


def logged_bytes(run: tracking.LoggedRun) -> bytes:
    path = Path(mlflow.artifacts.download_artifacts(run.model_uri)) / "data" / "model.onnx"
    return read_model(path)


def test_a_model_of_another_table_needs_held_out_rows(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["worse"])
    registry.promote(name)
    better = add(name, logged["other"])
    with pytest.raises(PromotionRefused, match="--holdout FILE"):
        registry.promote(name)
    rows = Holdout(radio_table(300, seed=9), "rtt_ms", "june.csv")
    done = registry.promote(name, holdout=rows)
    assert done.verdict is not None
    assert done.verdict.compared_on == "300 rows of june.csv"
    assert {figure.name for figure in done.verdict.figures} >= {
        "median_relative_error",
        "interval_coverage",
        "p90_pinball",
    }
    assert registry.aliases(name) == {"champion": better, "previous": "1"}


def test_held_out_rows_that_are_no_fair_ground_are_refused(name: str, logged: dict[str, Any], tmp_path: Path) -> None:
    add(name, logged["good"])
    registry.promote(name)
    add(name, logged["worse"])
    blind = Holdout(radio_table(300, seed=9).drop(columns="band"), "rtt_ms", "june.csv")
    with pytest.raises(PromotionRefused, match="no column `band`, which only the champion reads"):
        registry.promote(name, holdout=blind)
    # What neither is told of is fair.
    assert registry.compare(name, "1", "1", holdout=blind).figures
    seen = tmp_path / "seen.csv"
    radio_table().to_csv(seen, index=False)
    result = latency("compare", "--name", name, "--holdout", str(seen))
    assert result.exit_code == 1
    assert "seen.csv is the table that the model" in result.stdout.replace("\n", " ")


def test_held_out_rows_refuse_a_worse_model_too(name: str, logged: dict[str, Any], tmp_path: Path) -> None:
    add(name, logged["good"])
    registry.promote(name)
    add(name, logged["worse"])
    path = tmp_path / "june.parquet"
    radio_table(300, seed=9).to_parquet(path)
    result = latency("promote", "--name", name, "--holdout", str(path))
    assert result.exit_code == 1
    assert "median_relative_error is" in result.stderr
    assert "On 300 rows of june.parquet" in result.stdout
    wrong = latency("promote", "--name", name, "--holdout", str(path), "--target", "rtt")
    assert "no column `rtt`; they have: band, load" in wrong.stderr


def test_figures_on_held_out_rows_are_what_they_say(radio_model: bytes) -> None:
    predictor, rows = Predictor(radio_model), radio_table(50, seed=4)
    found = figures.on_rows(predictor, rows.assign(note="x"), "rtt_ms")
    errors, inside, loss = [], 0, []
    for row in rows.to_dict("records"):
        alone = predictor.predict(
            **{key: row[key] for key in ("band", "load", "rsrp") if row[key] == row[key] and row[key]}
        )
        errors.append(abs(alone.p50_ms - row["rtt_ms"]) / row["rtt_ms"])
        inside += alone.low_ms <= row["rtt_ms"] <= alone.high_ms
        above = row["rtt_ms"] - alone.p90_ms
        loss.append(0.9 * above if above > 0 else -0.1 * above)
    assert found["median_relative_error"] == pytest.approx(pd.Series(errors).median(), rel=1e-5)
    assert found["interval_coverage"] == inside / 50
    assert found["p90_pinball"] == pytest.approx(sum(loss) / 50, rel=1e-5)


def test_limits_are_what_is_stated() -> None:
    champion = {
        "mae": 10.0,
        "x/within_20_percent": 0.5,
        "below_p90": 0.87,
        "set a C3/median_relative_error": 0.1,
        "rows": 5.0,
    }
    edge = {
        "mae": 10.2,
        "x/within_20_percent": 0.49,
        "below_p90": 0.949,
        "set a C3/median_relative_error": 0.106,
        "rows": 5.0,
    }
    beyond = {
        "mae": 10.21,
        "x/within_20_percent": 0.48,
        "below_p90": 0.951,
        "set a C3/median_relative_error": 0.107,
        "rows": 6.0,
    }
    assert all(figure.good for figure in figures.compare(champion, edge, 0.02))
    assert not any(figure.good for figure in figures.compare(champion, beyond, 0.02))
    # Two standard errors of a share of 0.9 on 900 rows are 0.02 more.
    noisy = figures.compare({"below_p90": 0.9}, {"below_p90": 0.939}, 0.02, rows=900)
    assert noisy[0].allowed == "0.8600 to 0.9400"
    assert noisy[0].good
    lacking = figures.compare(champion, {}, 0.02)
    assert [figure.allowed for figure in lacking] == ["given by both models"] * 5


def test_figures_of_the_paths_model_are_means_and_single_sets() -> None:
    predictor = Predictor.bundled()
    accuracy = predictor.model_info["provenance"]["held_out_metrics"]["accuracy"]
    found = figures.in_file(predictor)
    values = [cases["C3"]["mae_ms"] for cases in accuracy.values()]
    assert found["mean C3/mae_ms"] == pytest.approx(sum(values) / len(values))
    assert found["set ripe C2/median_relative_error"] == accuracy["ripe"]["C2"]["median_relative_error"]
    assert len(found) == 8 + 2 * len(accuracy)


def test_force_needs_a_reason_and_is_recorded(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    registry.promote(name)
    version = add(name, logged["worse"])
    refused = latency("promote", "--name", name, "--force")
    assert (refused.exit_code, "--reason" in refused.stderr) == (1, True)
    done = latency("promote", "--name", name, "--force", "--reason", "band is gone", "--by", "ops", "--json")
    assert json.loads(done.stdout)["event"]["forced"] is True
    assert registry.aliases(name) == {"champion": version, "previous": "1"}
    event = registry.status(name).history[0]
    assert (event.who, event.reason, event.forced, event.from_version) == ("ops", "band is gone", True, "1")


def test_a_file_that_was_changed_is_refused_even_by_force(
    name: str, logged: dict[str, Any], mlflow_folder: Path, radio_model: bytes
) -> None:
    model = log_model(radio_model)
    version = str(registry.register(name, model.model_uri).version)
    stored = next((mlflow_folder / "artifacts").rglob(f"{model.model_id}/artifacts/data/model.onnx"))
    stored.write_bytes(logged_bytes(logged["other"]))
    with pytest.raises(PromotionRefused, match="SHA-256"):
        registry.promote(name, version, force=True, reason="I insist")
    assert "champion" not in registry.aliases(name)


@pytest.mark.parametrize("change", [{"loader_module": "planted"}, {"code": "code"}])
def test_a_model_that_brings_code_is_refused_before_any_of_it_runs(
    name: str, mlflow_folder: Path, radio_model: bytes, change: dict[str, str]
) -> None:
    model = log_model(radio_model, registered_model_name=name)
    folder = next((mlflow_folder / "artifacts").rglob(f"{model.model_id}/artifacts"))
    described = Model.load(str(folder))
    described.flavors["python_function"] |= change
    described.save(str(folder / "MLmodel"))
    (folder / "code").mkdir()
    (folder / "code" / "planted.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    for ask in (
        lambda: registry.promote(name, force=True, reason="I insist"),
        lambda: load_predictor(model.model_uri),
    ):
        with pytest.raises(LatencyError, match="code that is not this package's"):
            ask()
    assert not (folder / "ran").exists()
    assert "champion" not in registry.aliases(name)


def test_a_reason_that_no_tag_can_hold_is_refused(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    with pytest.raises(RegistryError, match=r"reason: found 1,001 characters; allowed: 1,000"):
        registry.promote(name, reason="x" * 1001)
    done = registry.promote(name, reason="ü" * 1000)
    assert done.event is not None
    assert len(json.dumps(vars(done.event), ensure_ascii=False)) < 5000
    assert registry.status(name).history[0].reason == "ü" * 1000


def test_a_process_that_is_gone_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    event = audit.new("promote", None, "1", None, "")
    assert audit.is_cut_off(event)
    host = event.process.rpartition(":")[0]
    assert audit.is_cut_off(dataclasses.replace(event, process=f"{host}:{gone.pid}"))
    assert not audit.is_cut_off(dataclasses.replace(event, process=f"{host}:{os.getppid()}"))
    assert not audit.is_cut_off(dataclasses.replace(event, process="elsewhere:1"))


@pytest.mark.parametrize("content", [b"no json", b"[]", b"{}", b"\xff"])
def test_boosters_that_cannot_be_read_are_no_proof(
    name: str, trained: dict[str, outcome.Trained], mlflow_folder: Path, content: bytes
) -> None:
    run = tracking.log_training(trained["good"], "unreadable")
    add(name, run)
    stored = next((mlflow_folder / "artifacts").rglob(f"{run.run_id}/artifacts/boosters"))
    (stored / "boosters.json").write_bytes(content)
    with pytest.raises(PromotionRefused, match=r"parity: the boosters of run \w+ cannot be read"):
        registry.promote(name)


def test_a_bare_file_needs_somebody_to_vouch_for_its_parity(name: str, radio_model: bytes) -> None:
    log_model(radio_model, registered_model_name=name)
    with pytest.raises(PromotionRefused, match="neither XGBoost's boosters nor a record"):
        registry.promote(name)
    done = registry.promote(name, force=True, reason="trained by hand, parity printed")
    assert done.event is not None
    assert done.event.forced


def test_without_xgboost_the_record_of_training_counts(
    name: str, logged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latency_predictor.mlflow.parity.NEEDED", ("a_package_that_is_not_installed",))
    add(name, logged["good"])
    verdict = registry.promote(name).verdict
    assert verdict is not None
    assert "recorded at training: XGBoost" in verdict.checks[2].detail


def test_boosters_of_another_model_disprove_parity(
    name: str, trained: dict[str, outcome.Trained], logged: dict[str, Any], mlflow_folder: Path
) -> None:
    run = tracking.log_training(trained["other"], "swapped")
    add(name, run)
    stored = next((mlflow_folder / "artifacts").rglob(f"{run.run_id}/artifacts/boosters"))
    boosters = {path: content for path, content in logged["good"].artifacts.items() if path.startswith("boosters/")}
    for path, content in boosters.items():
        (stored / Path(path).name).write_bytes(content)
    with pytest.raises(PromotionRefused, match="belong to the model"):
        registry.promote(name, force=True, reason="no")
    # Now somebody also says that they belong to this one.
    index = json.loads(boosters["boosters/boosters.json"]) | {"model_sha256": run.sha256}
    (stored / "boosters.json").write_text(json.dumps(index))
    with pytest.raises(PromotionRefused, match="rows differ"):
        registry.promote(name, force=True, reason="no")


def test_rollback_goes_back_and_forth_and_is_recorded(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    registry.promote(name)
    with pytest.raises(RegistryError, match="no version to go back to"):
        registry.rollback(name)
    add(name, logged["worse"])
    registry.promote(name, force=True, reason="trial")
    result = latency("rollback", "--name", name, "--reason", "timeouts", "--by", "ops")
    assert (result.exit_code, registry.aliases(name)) == (0, {"champion": "1", "previous": "2"})
    assert latency("rollback", "--name", name).exit_code == 0
    assert registry.aliases(name) == {"champion": "2", "previous": "1"}
    told = [(event.event, event.version, event.from_version) for event in registry.status(name).history]
    assert told == [("rollback", "2", "1"), ("rollback", "1", "2"), ("promote", "2", "1"), ("promote", "1", None)]
    shown = latency("status", "--name", name).stdout
    assert "timeouts" in shown
    document = json.loads(latency("status", "--name", name, "--json").stdout)
    assert document["aliases"] == {"champion": "2", "previous": "1"}
    assert document["unfinished"] is None
    assert document["versions"][0]["sha256"] == logged["worse"].sha256


def test_promoting_the_champion_changes_nothing(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    registry.promote(name)
    assert registry.promote(name, "1").event is None
    assert "nothing to do" in latency("promote", "1", "--name", name).stdout
    assert len(registry.status(name).history) == 1


class CutOff(BaseException):
    """As if somebody had pulled the plug."""


@pytest.mark.parametrize("cut_at", ["previous", "champion", "audit"])
@pytest.mark.parametrize("move", ["promote", "rollback"])
def test_a_change_that_was_cut_off_is_put_in_order(
    name: str, logged: dict[str, Any], monkeypatch: pytest.MonkeyPatch, cut_at: str, move: str
) -> None:
    for kind in ("good", "worse", "other"):
        add(name, logged[kind])
    registry.promote(name, "1")
    registry.promote(name, "2", force=True, reason="trial")
    before = registry.aliases(name)
    set_alias, write = MlflowClient.set_registered_model_alias, audit.write

    def change() -> None:
        if move == "promote":
            registry.promote(name, "3", force=True, reason="trial")
        else:
            registry.rollback(name)

    def cut_alias(client: MlflowClient, model: str, alias: str, version: str) -> None:
        if alias == cut_at:
            raise CutOff
        set_alias(client, model, alias, version)

    def cut_audit(*arguments: Any) -> None:
        if cut_at == "audit":
            raise CutOff
        write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_registered_model_alias", cut_alias)
        patched.setattr(audit, "write", cut_audit)
        with pytest.raises(CutOff):
            change()
    halfway = registry.status(name)
    assert halfway.unfinished is not None
    assert "unfinished" in latency("status", "--name", name).stdout
    champion = halfway.aliases["champion"]
    assert champion in ("1", "2", "3")
    # Another machine leaves it alone for a minute: somebody may still be at it. This process knows that nobody is.
    with monkeypatch.context() as patched:
        patched.setattr(audit.socket, "gethostname", lambda: "another-host")
        assert registry.settle(name) is None
        patched.setattr(audit, "ABANDONED_AFTER_SECONDS", -1)
        assert audit.is_cut_off(halfway.unfinished)
    assert registry.settle(name) is not None
    settled = registry.aliases(name)
    done = champion != before["champion"]
    assert settled["champion"] == champion
    assert settled["previous"] == (before["champion"] if done else before["previous"])
    assert len(registry.status(name).history) == (3 if done else 2)
    if not done:
        change()
        assert registry.aliases(name)["previous"] == before["champion"]
        assert registry.aliases(name)["champion"] == ("3" if move == "promote" else before["previous"])
    assert registry.status(name).unfinished is None


def test_promotions_at_the_same_time_both_stand_in_the_trail(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    registry.promote(name)
    client, events = MlflowClient(), [audit.new("promote", who, "1", None, "") for who in ("ann", "bob")]
    events[1] = dataclasses.replace(events[1], when=events[0].when)
    for event in events:
        audit.begin(client, name, event)
    for event in events:
        audit.write(client, name, event)
        audit.finish(client, name, event)
    assert {event.who for event in registry.status(name).history} >= {"ann", "bob"}
    assert registry.status(name).unfinished is None


def test_the_newest_good_version_is_found_past_the_bad_ones(name: str, logged: dict[str, Any]) -> None:
    for kind in ("worse", "good"):
        add(name, logged[kind])
    registry.promote(name, "1")
    add(name, logged["other"])
    # The third was trained on another table: nobody can say that it is not worse.
    result = latency("promote", "--newest", "--name", name)
    assert (result.exit_code, registry.aliases(name)["champion"]) == (0, "2")
    assert "left out version 3" in result.stderr.replace("\n", " ")
    registry.rollback(name, reason="it was not that good")
    again = latency("promote", "--newest", "--name", name)
    assert (again.exit_code, "was rolled back at" in again.stderr) == (1, True)
    assert registry.aliases(name)["champion"] == "1"


def test_the_newest_logged_model_is_registered_by_default(name: str, logged: dict[str, Any]) -> None:
    found = json.loads(latency("register", "--experiment", "registry", "--name", name, "--json").stdout)
    assert found["tags"]["latency.sha256"] == logged["other"].sha256
    assert found["aliases"] == ["challenger"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("promote", "--name", "nobody"), "there is no registered model `nobody`"),
        (("status", "--name", "nobody"), "latency mlflow register"),
        (("register", "--uri", "models:/nobody/1"), "nobody"),
        (("register", "--file", "absent.onnx"), "cannot read absent.onnx"),
        (("register", "--experiment", "nowhere"), "no experiment `nowhere`"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], words: str) -> None:
    result = latency(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


def test_a_version_that_is_not_there_is_answered_by_those_that_are(name: str, logged: dict[str, Any]) -> None:
    add(name, logged["good"])
    with pytest.raises(RegistryError, match=r"has no version 7; it has: 1, @challenger"):
        registry.promote(name, "7")
