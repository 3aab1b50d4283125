"""The doctor beside everything that may answer in the place of an MLflow server, or stand in front of one."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import shlex
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModelOutput, Run, RunData, RunInfo, RunOutputs
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from rich.console import Console

from doctor_lab import Lab
from doctor_words import doctor, errors, the, typed
from latency_predictor.cli.mlflow_doctor import _again
from latency_predictor.mlflow.doctor import (
    Code,
    Examination,
    Finding,
    RepairError,
    Report,
    Scope,
    Severity,
    collect,
    diagnose,
    experiments,
    http,
    models,
    plan,
    registry,
    repair,
    round_trip,
    runs,
)
from latency_predictor.mlflow.doctor import report as reports
from latency_predictor.mlflow.doctor.collect import ExperimentView, Held, RunView
from latency_predictor.mlflow.doctor.findings import EXIT_FAULTS, EXIT_GOOD, EXIT_UNREACHABLE
from latency_predictor.mlflow.doctor.http import Answer, Server

Reply = tuple[int, dict[str, str], bytes]
Answers = Callable[[str, str, bytes], Reply]
HTML = {"Content-Type": "text/html"}
SERVER = Server("http://mlflow:5001")
RUN_ID = "0123456789abcdef0123456789abcdef"
HOSTILE = "x'; $(touch owned) \"`id`"
"""Harmless only as one quoted word."""

# As MLflow 3.17 says it, in server/handlers.py.
ARTIFACTS_ONLY = b"Endpoint: /x disabled due to the mlflow server running in `--artifacts-only` mode."


@contextlib.contextmanager
def listening(answers: Answers) -> Iterator[str]:
    """An HTTP server that answers so; gives its URI."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = answers(self.command, self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def always(status: int, headers: dict[str, str], body: bytes) -> Answers:
    return lambda method, path, sent: (status, headers, body)


def in_front_of(uri: str, but: dict[tuple[str, str], Reply]) -> Answers:
    """A proxy in front of a real server, which answers some requests itself: by method and a part of the path."""

    def forward(method: str, path: str, body: bytes) -> Reply:
        for (its_method, part), reply in but.items():
            if method == its_method and part in path:
                return reply
        headers = {"Content-Type": "application/json"}
        answer = requests.request(method, uri + path, data=body, headers=headers, timeout=10)
        return answer.status_code, {"Content-Type": answer.headers.get("Content-Type", "")}, answer.content

    return forward


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        (always(200, HTML, b"<html>Welcome to nginx!</html>"), Code.NOT_MLFLOW, "Content-Type: text/html"),
        (always(404, HTML, b"<html>Not Found</html>"), Code.NOT_MLFLOW, "→ 404"),
        (
            always(401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, b"You are not authenticated."),
            Code.ACCESS_DENIED,
            'www-authenticate: Basic realm="mlflow"',
        ),
        (always(403, HTML | {"Via": "1.1 squid"}, b"<html>Forbidden</html>"), Code.ACCESS_DENIED, "via: 1.1 squid"),
        (always(500, HTML, b"Internal Server Error"), Code.SERVER_FAILING, "→ 500 Internal Server Error"),
        (always(502, HTML, b"<html>Bad Gateway</html>"), Code.SERVER_FAILING, "→ 502"),
        (always(503, HTML, ARTIFACTS_ONLY), Code.ARTIFACTS_ONLY, "--artifacts-only"),
        (always(302, {"Location": "/login?next=/"}, b""), Code.SERVER_REDIRECTS, "/login"),
    ],
)
def test_what_answers_in_the_place_of_mlflow_is_named(answers: Answers, code: Code, words: str) -> None:
    with listening(answers) as uri:
        report = diagnose(uri).report
    assert {finding.code for finding in report.findings} == {code}
    assert words in "\n".join(the(report, code).evidence)
    assert report.exit_code == EXIT_FAULTS


def test_a_redirect_to_another_address_is_named_with_that_address() -> None:
    def answers(method: str, path: str, body: bytes) -> Reply:
        return 301, {"Location": f"https://mlflow.example.com{path}"}, b""

    with listening(answers) as uri:
        finding = the(diagnose(uri).report, Code.SERVER_REDIRECTS)
    assert typed(finding) == "export MLFLOW_TRACKING_URI=https://mlflow.example.com"


def test_a_server_that_hangs_is_told_apart_from_one_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        report = diagnose(f"http://127.0.0.1:{silent.getsockname()[1]}").report
    assert "connected, no answer within 0.3 s" in the(report, Code.SERVER_HANGS).evidence[0]
    assert report.exit_code == EXIT_UNREACHABLE


def test_https_to_a_server_without_tls_is_named() -> None:
    with listening(always(200, {}, b"OK")) as uri:
        report = diagnose(uri.replace("http:", "https:")).report
    assert uri in typed(the(report, Code.TLS_FAILED))
    assert report.exit_code == EXIT_UNREACHABLE


def test_a_proxy_of_the_environment_is_named_with_the_way_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(always(403, HTML, b"<html>Access denied by policy</html>")) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        finding = the(diagnose("http://mlflow:5001").report, Code.ACCESS_DENIED)
    assert "goes through the proxy 127.0.0.1 (HTTP_PROXY)" in finding.cause
    assert 'export NO_PROXY="${NO_PROXY:+$NO_PROXY,}"mlflow' in typed(finding)


def test_a_delete_that_is_refused_is_a_warning_that_says_what_is_left(lab: Lab) -> None:
    server = lab.servers["healthy"]
    refused = {("DELETE", "/mlflow-artifacts/"): (405, {}, b"Method Not Allowed")}
    with listening(in_front_of(server.uri, refused)) as uri:
        report = diagnose(uri).report
    finding = the(report, Code.DELETE_REFUSED)
    assert finding.severity is Severity.WARNING
    assert report.exit_code == EXIT_GOOD
    left = finding.evidence[-1].removeprefix("left behind: ").split(",")[0]
    stored = server.folder / "mlartifacts" / left
    assert stored.stat().st_size == 4096
    stored.unlink()
    stored.parent.rmdir()


@pytest.mark.parametrize(
    ("but", "words"),
    [
        ({("PUT", "/mlflow-artifacts/"): (413, HTML, b"Request Entity Too Large")}, "→ 413"),
        ({("GET", "/probe.bin"): (200, {}, b"cut short")}, "What comes back is not what was sent"),
        ({("GET", "artifacts?path=latency-doctor-"): (200, {}, b"{}")}, "not in the list that follows"),
    ],
)
def test_what_a_proxy_does_to_artifacts_is_found_by_the_round_trip(
    lab: Lab, but: dict[tuple[str, str], Reply], words: str
) -> None:
    server = lab.servers["worn"]
    with listening(in_front_of(server.uri, but)) as uri:
        report = diagnose(uri).report
    finding = the(report, Code.ROUND_TRIP_FAILED)
    assert words in "\n".join((*finding.evidence, finding.cause))


def test_another_major_version_is_a_warning(lab: Lab) -> None:
    with listening(in_front_of(lab.servers["healthy"].uri, {("GET", "/version"): (200, {}, b"2.22.0")})) as uri:
        report = diagnose(uri).report
    assert the(report, Code.VERSIONS_DIFFER).severity is Severity.WARNING
    assert report.exit_code == EXIT_GOOD


def test_a_server_that_fails_half_way_is_reported_and_no_traceback(lab: Lab) -> None:
    broken = {("POST", "/logged-models/search"): (500, HTML, b"database is locked")}
    with listening(in_front_of(lab.servers["healthy"].uri, broken)) as uri:
        result = doctor("--tracking-uri", uri, "--json")
    assert result.exit_code == EXIT_FAULTS
    found = {finding["code"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert "/logged-models/search" in found["CHECK_FAILED"]["evidence"][0]
    assert "500" in found["CHECK_FAILED"]["evidence"][0]


def test_a_model_that_is_listed_and_not_given_is_not_called_lost(lab: Lab) -> None:
    broken = {("GET", "/MLmodel"): (403, HTML, b"AccessDenied")}
    with listening(in_front_of(lab.servers["healthy"].uri, broken)) as uri:
        report = diagnose(uri).report
    assert errors(report) == {Code.STORE_NOT_READABLE}
    assert {each.code for each in report.findings if "AccessDenied" in " ".join(each.evidence)} == errors(report)


def test_credentials_in_the_uri_are_used_and_never_shown(lab: Lab) -> None:
    asked: list[str] = []
    real = in_front_of(lab.servers["healthy"].uri, {})

    def answers(method: str, path: str, body: bytes) -> Reply:
        asked.append(path)
        return real(method, path, body)

    with listening(answers) as uri:
        result = doctor("--tracking-uri", uri.replace("http://", "http://me:secret@"), "--json")
        shown = doctor("--tracking-uri", uri.replace("http://", "http://me:secret@"))
    assert asked
    assert result.exit_code == EXIT_GOOD
    assert "secret" not in result.stdout + result.stderr + shown.stdout + shown.stderr


def test_an_experiment_behind_another_host_is_a_warning(lab: Lab) -> None:
    """Present servers refuse to make such an experiment; older ones did, and databases keep it."""
    real = MlflowClient(lab.servers["healthy"].uri).get_experiment("0")
    elsewhere = {"experiment_id": "0", "name": real.name, "artifact_location": "mlflow-artifacts://other:5001/0"}
    reply = (200, {"Content-Type": "application/json"}, json.dumps({"experiments": [elsewhere]}).encode())
    but = {("POST", "/experiments/search"): reply, ("GET", "/experiments/search"): reply}
    with listening(in_front_of(lab.servers["healthy"].uri, but)) as uri:
        finding = the(diagnose(uri).report, Code.ARTIFACT_HOST_DIFFERS)
    assert finding.severity is Severity.WARNING
    assert "http://other:5001/health" in typed(finding)


def test_the_healthy_server_stays_clean(lab: Lab) -> None:
    """After all these round trips through proxies."""
    assert errors(diagnose(lab.servers["healthy"].uri).report) == set()
    names = [path.name for path in Path(lab.servers["healthy"].folder / "mlartifacts").iterdir()]
    assert names == ["1"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"- a\n- list\n", "a list where a mapping"),
        (b"<html>Sign in</html>", "a str where a mapping"),
        (b"", "nothing where a mapping"),
        (b"flavors:\n", "`flavors` in MLmodel is nothing"),
        (b"flavors:\n  python_function: [1]\n", "`python_function` in MLmodel is a list"),
        (b"metadata: [1]\nflavors: {}\n", "`metadata` in MLmodel is a list"),
        (b"\x89PNG\xff\xfe\x00", "is not YAML"),
        (b"flavors: {", "is not YAML"),
        (b"utc_time_created: 2026-99-99\n", "is not YAML"),
    ],
)
def test_a_damaged_mlmodel_is_a_finding(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "MLmodel").write_bytes(content)
    finding = models.judge(SERVER, "a model", models.Models(SERVER).at(str(tmp_path)))
    assert finding is not None
    assert (finding.code, finding.severity) == (Code.CHECKSUM_MISMATCH, Severity.ERROR)
    assert words in finding.evidence[1]
    assert "latency mlflow rollback" in typed(finding)


def test_a_repair_refuses_to_copy_a_damaged_mlmodel(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(RepairError, match="MLmodel is not YAML"):
        repair._readdressed(tmp_path, tmp_path / "copy", "m-1", None, "mlflow-artifacts:/1")


@contextlib.contextmanager
def entered_by_nobody(folder: Path) -> Iterator[None]:
    """A folder that this process may not enter, not even as root: it becomes another user for as long."""
    folder.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("closed", ["", RUN_ID, f"{RUN_ID}/artifacts/reports"])
def test_a_folder_on_this_disk_that_the_user_may_not_enter_is_a_finding(open_folder: Path, closed: str) -> None:
    files = open_folder / "1" / RUN_ID / "artifacts" / "reports"
    files.mkdir(parents=True)
    (files / "figures.txt").touch()
    location = open_folder / "1"
    with listening(always(200, {}, b'{"files": []}')) as uri, entered_by_nobody(location / closed):
        held = collect.held(Server(uri), "/list", RUN_ID, str(location / RUN_ID / "artifacts"))
        _, to_copy = plan._here(str(location / RUN_ID / "artifacts"), RUN_ID)
    # Not an empty list: a run whose files cannot be read must not be copied as one without files.
    assert to_copy is None
    assert held.on_disk is None
    assert held.disk_trouble is not None
    assert "Permission denied" in held.disk_trouble
    finding = _of_a_held_run(str(location), held)
    assert "Permission denied" in finding.evidence[0]
    assert f'chown -R -- "$(id -u):$(id -g)" {location}' in typed(finding)


@pytest.mark.parametrize("name", ["n" * 300, "a\0b"])
def test_a_location_that_no_disk_can_have_is_a_finding(tmp_path: Path, name: str) -> None:
    with listening(always(200, {}, b'{"files": null}')) as uri:
        held = collect.held(Server(uri), "/list", RUN_ID, f"{tmp_path}/{name}/{RUN_ID}/artifacts")
    assert held.disk_trouble
    _of_a_held_run(f"{tmp_path}/{name}", held)


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_location_that_is_not_on_this_disk_holds_no_files_and_is_no_trouble(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with listening(always(200, {}, b'{"files": []}')) as uri:
        held = collect.held(Server(uri), "/list", RUN_ID, f"{tmp_path}/{folder}/{RUN_ID}/artifacts")
    assert held == Held(listed=0, on_disk=0)


def _of_a_held_run(location: str, held: Held) -> Finding:
    info = RunInfo(RUN_ID, "1", "me", "FINISHED", 1, 2, "active", artifact_uri=f"{location}/{RUN_ID}/artifacts")
    view = ExperimentView(Experiment("1", "closed", location, "active"), [RunView(Run(info, RunData()), held)])
    found = experiments.judge(SERVER, [view], None, proxies=True)
    (other,) = [each for each in found if each.code is Code.CLIENT_SIDE_ARTIFACT_ROOT]
    assert "this disk was not read" in "\n".join(other.evidence)
    return the(Report("", findings=found), Code.STORE_NOT_READABLE)


@pytest.mark.parametrize("password", ["secret", "secret/of-mine"])
@pytest.mark.parametrize("host", ["localhost:abc", "localhost:99999", "localhost:0", "[::1", ":5001", ""])
def test_a_uri_without_a_good_host_or_port_is_a_usage_error(host: str, password: str) -> None:
    # A `/` in a password ends the host, and what is before it is taken for a port.
    result = doctor("--tracking-uri", f"http://me:{password}@{host}")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert f"found the tracking URI `http://{host}`" in said
    assert "a port from 1 to 65535" in said
    assert "secret" not in said


def test_what_is_to_be_typed_keeps_values_of_the_server_in_one_word() -> None:
    elsewhere = ExperimentView(Experiment("0", "e", f"mlflow-artifacts://{HOSTILE}/0", "active"))
    (host,) = experiments.judge(SERVER, [elsewhere], None, proxies=True)
    assert shlex.split(typed(host)) == ["curl", "-si", f"http://{HOSTILE}/health"]

    info = RunInfo(RUN_ID, "1", "me", "FINISHED", 1, 2, "active")
    run = Run(info, RunData(), run_outputs=RunOutputs([LoggedModelOutput(HOSTILE, 0)]))
    listed, loaded = runs._logged_model_only(SERVER, elsewhere, [RunView(run, Held())]).cure
    *_, python, option, code = shlex.split(listed.run)
    assert (python, option) == ("python", "-c")
    assert HOSTILE in _texts(code)
    assert f"models:/{HOSTILE}" in _texts(loaded.run)

    version = ModelVersion("m", "1", 0, run_id=HOSTILE)
    gone = registry._source_gone(SERVER, version, "version 1 of `m`", MlflowException("gone"))
    assert shlex.split(gone.cure[0].run)[-2:] == ["--run-id", HOSTILE]


def _texts(code: str) -> set[object]:
    return {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}


def test_control_characters_of_answers_do_not_reach_the_terminal() -> None:
    steering = "\x1b]0;owned\x07\x1b[2J\x9b1A"
    shown = Answer(f"GET http://mlflow/{steering}", 500, {}, f"a {steering} b".encode()).shown
    assert shown.isprintable()
    out = io.StringIO()
    reports.line(Console(file=out), f"one{steering}\n  two")
    assert out.getvalue() == "one]0;owned[2J1A\n  two\n"


def test_the_command_to_type_again_does_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "http://me:s3cret@mlflow:5001/"
    monkeypatch.setattr(sys, "argv", ["latency", "mlflow", "doctor", f"--tracking-uri={uri}", "--repair"])
    shown = _again(Examination(Server(uri), Scope(), Report(uri)))
    assert shown == "latency mlflow doctor --tracking-uri=http://mlflow:5001/ --repair --yes"


@pytest.mark.parametrize("entry", [{"is_dir": False}, "probe.bin", {"path": "probe.bin", "file_size": "many"}])
def test_a_list_with_entries_that_are_none_is_a_fault_of_the_round_trip(entry: object) -> None:
    with listening(always(200, {}, json.dumps({"files": [entry]}).encode())) as uri:
        finding = round_trip.make(Server(uri))
    assert finding.code is Code.ROUND_TRIP_FAILED
    assert "not in the list that follows" in finding.cause
