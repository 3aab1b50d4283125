"""Fetching from a mirror or a public address (a server on this machine), and every way it can go wrong."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from latency_predictor.data.errors import DataError
from latency_predictor.data.fetch import fetch
from latency_predictor.data.sources import SourceFile

CONTENT = b"src,dst,rtt\n" * 20_000
PATH = "some_set/rtt.csv"


class Answers(BaseHTTPRequestHandler):
    """Serves good, altered, short, long and cut-off copies by path, and counts requests."""

    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        bodies = {
            "/good": CONTENT,
            "/cut": CONTENT,
            "/altered": CONTENT.replace(b"rtt", b"RTT", 1),
            "/short": CONTENT[:-100],
            "/long": CONTENT * 2,
        }
        body = bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client stops reading a file that is too long
            self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Answers.requests = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def source_file(url: str | None) -> SourceFile:
    return SourceFile("latency", PATH, url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_downloads_once_and_reports_every_byte(server: str, tmp_path: Path) -> None:
    arrived: list[int] = []
    path = fetch(source_file(f"{server}/good"), tmp_path, None, arrived.append)
    assert path == tmp_path / PATH
    assert path.read_bytes() == CONTENT
    assert sum(arrived) == len(CONTENT)
    assert len(arrived) > 1
    assert fetch(source_file(f"{server}/good"), tmp_path, None) == path
    assert Answers.requests == 1


def test_replaces_a_damaged_copy_in_the_cache(server: str, tmp_path: Path) -> None:
    (tmp_path / PATH).parent.mkdir()
    (tmp_path / PATH).write_bytes(CONTENT[:-1] + b"!")
    assert fetch(source_file(f"{server}/good"), tmp_path, None).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("altered", r"SHA-256 differs: expected [0-9a-f]{64}, found [0-9a-f]{64}"),
        ("short", r"truncated: expected 240,000 bytes, found 239,900"),
        ("cut", r"truncated: expected 240,000 bytes, found 120,000|IncompleteRead"),
        ("long", r"too long: expected 240,000 bytes, found at least 240,001"),
        ("absent", r"answered 404"),
    ],
)
def test_a_bad_download_is_refused_and_leaves_nothing(server: str, tmp_path: Path, answer: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        fetch(source_file(f"{server}/{answer}"), tmp_path, None)
    assert f"{server}/{answer}" in str(raised.value)
    assert PATH in str(raised.value)
    assert "LATENCY_DATA_MIRROR" in str(raised.value)
    assert files_in(tmp_path) == []


def test_no_connection_is_an_error_with_a_cure(server: str, tmp_path: Path) -> None:
    # Port 9 (discard) has no listener.
    with pytest.raises(DataError, match=r"could not download http://127\.0\.0\.1:9/x .* LATENCY_DATA_MIRROR"):
        fetch(source_file("http://127.0.0.1:9/x"), tmp_path, None)


def test_a_cache_that_cannot_be_written_is_an_error(server: str, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(DataError, match="could not download"):
        fetch(source_file(f"{server}/good"), blocked, None)


def test_a_mirror_is_read_in_place_and_nothing_is_downloaded(server: str, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / PATH).parent.mkdir(parents=True)
    (mirror / PATH).write_bytes(CONTENT)
    arrived: list[int] = []
    found = fetch(source_file(f"{server}/good"), tmp_path / "cache", mirror, arrived.append)
    assert found == mirror / PATH
    assert arrived == [len(CONTENT)]
    assert Answers.requests == 0
    assert not (tmp_path / "cache").exists()


def test_a_mirror_that_lacks_the_file_is_an_error_not_a_download(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"some_set/rtt\.csv is missing: expected in the mirror folder .*unset"):
        fetch(source_file(f"{server}/good"), tmp_path / "cache", tmp_path)
    assert Answers.requests == 0


def test_a_damaged_mirror_is_an_error(tmp_path: Path) -> None:
    (tmp_path / PATH).parent.mkdir()
    (tmp_path / PATH).write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"rtt\.csv is not the published file: it is truncated"):
        fetch(source_file(None), tmp_path / "cache", tmp_path)
    (tmp_path / PATH).write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(DataError, match=r"SHA-256 differs: expected .* found .* Replace it"):
        fetch(source_file(None), tmp_path / "cache", tmp_path)


def test_a_file_without_public_address_needs_a_mirror(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"some_set/rtt\.csv has no public address.*Set LATENCY_DATA_MIRROR"):
        fetch(source_file(None), tmp_path, None)
    (tmp_path / PATH).parent.mkdir()
    (tmp_path / PATH).write_bytes(CONTENT)
    assert fetch(source_file(None), tmp_path, None) == tmp_path / PATH
    with pytest.raises(DataError, match="SHA-256 differs"):
        fetch(replace(source_file(None), sha256="0" * 64), tmp_path, None)
