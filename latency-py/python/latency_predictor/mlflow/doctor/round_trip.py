"""One small file of the doctor's own through the artifact service: PUT, LIST, GET with its SHA-256, DELETE."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from .cures import DESTINATION, Cures
from .findings import Code, Finding, Severity, Step
from .http import ARTIFACTS, Answer, NoAnswerError, Server

NAME = "probe.bin"
BYTES = 4096


def make(server: Server) -> Finding:
    """The round trip, below a folder that nothing else uses; says what was left behind, if anything."""
    folder = f"latency-doctor-{secrets.token_hex(8)}"
    content = secrets.token_bytes(BYTES)
    done: list[str] = []
    try:
        finding = _go(server, folder, content, done)
    except NoAnswerError as error:
        return _failed(server, [*done, str(error)], folder, "The connection ended on the way.")
    return finding


def _go(server: Server, folder: str, content: bytes, done: list[str]) -> Finding:
    path = f"{ARTIFACTS}/{folder}/{NAME}"
    put = server.ask("PUT", path, data=content, extra_headers={"Content-Type": "application/octet-stream"})
    done.append(put.shown)
    if put.status != 200:
        return _put_refused(server, put, done)
    listed = server.get(ARTIFACTS, path=folder)
    done.append(listed.shown)
    # JSON may hold 64-bit numbers as texts.
    there = any(each.get("path") == NAME and str(each.get("file_size")) == str(BYTES) for each in _files(listed))
    if listed.status != 200 or not there:
        return _failed(server, done, folder, "The file was taken, but is not in the list that follows.")
    got = server.ask("GET", path)
    sent, found = hashlib.sha256(content).hexdigest(), hashlib.sha256(got.body).hexdigest()
    done.append(f"{got.request} → {got.status}, SHA-256 {found[:12]}…, sent {sent[:12]}…")
    if got.status != 200 or found != sent:
        return _failed(server, done, folder, "What comes back is not what was sent.")
    deleted = server.ask("DELETE", path)
    done.append(deleted.shown)
    left = server.get(ARTIFACTS, path=folder)
    if deleted.status != 200 or _files(left):
        done.append(left.shown)
        return _delete_refused(server, done, folder)
    # The empty folder, which stores with folders keep; its loss or stay is of no account.
    server.ask("DELETE", f"{ARTIFACTS}/{folder}")
    return Finding(Code.ROUND_TRIP_OK, Severity.OK, "an artifact goes there and back", tuple(done))


def _files(answer: Answer) -> list[dict[str, Any]]:
    """The entries of a list, whoever sent it."""
    files = (answer.json or {}).get("files", [])
    return [each for each in files if isinstance(each, dict)] if isinstance(files, list) else []


def _put_refused(server: Server, put: Answer, done: list[str]) -> Finding:
    cures = Cures(server)
    if put.status != 500:
        return _failed(server, done, None, "The upload is refused; the answer says why.")
    folder = f'"${{MLFLOW_ARTIFACTS_DESTINATION:-{DESTINATION}}}"'
    look = f"id; ls -ld {folder}; df -h {folder}; touch {folder}/.probe && rm {folder}/.probe"
    return Finding(
        Code.ARTIFACT_ROOT_NOT_WRITABLE,
        Severity.ERROR,
        "the server cannot write where it stores artifacts",
        tuple(done),
        "The server took the upload and failed to store it: its user may not write to --artifacts-destination, the "
        "disk is full or read-only, the path is no folder, or the driver or the credentials of an object store are "
        "missing. MLflow tells only its own log which.",
        (
            cures.logs,
            Step("Try it as the server's user", f"docker compose exec {cures.service} sh -c '{look}'"),
            Step(
                "If it is the permission, give the folder to the server's user",
                f"docker compose exec --user root {cures.service} sh -c "
                f"'chown -R '\"$(docker compose exec -T {cures.service} id -u)\"' {folder}'",
            ),
            cures.restart,
        ),
    )


def _failed(server: Server, done: list[str], folder: str | None, cause: str) -> Finding:
    left = () if folder is None else (f"left behind, perhaps: {folder}/{NAME}",)
    return Finding(
        Code.ROUND_TRIP_FAILED,
        Severity.ERROR,
        "an artifact does not come back",
        (*done, *left),
        f"{cause} A proxy that limits or changes bodies, or several servers with disks of their own behind one "
        "address, do this.",
        (Cures(server).logs,),
    )


def _delete_refused(server: Server, done: list[str], folder: str) -> Finding:
    path = f"{server.shown}{ARTIFACTS}/{folder}/{NAME}"
    return Finding(
        Code.DELETE_REFUSED,
        Severity.WARNING,
        "an artifact can be stored and read, but not deleted",
        (*done, f"left behind: {folder}/{NAME}, {BYTES:,} bytes"),
        "The store or a proxy does not allow deleting. Nothing of MLflow needs it but its garbage collection.",
        (Step("Whoever may, deletes the probe", f"curl -X DELETE '{path}'"),),
    )
