"""The steps before the deployment. Each returns what the report says of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import golden
from .docker import inspect, run, served
from .settings import ROOT, Failed, Settings, git

SBOM = "target/sbom/latency-server.cdx.json"


class Skipped(Exception):  # noqa: N818  it is no error
    """There is nothing to do here, and that is all right."""


def verify(settings: Settings) -> dict[str, Any]:
    """What is deployed is a commit, and its checks were green."""
    if changed := git("status", "--porcelain"):
        raise Failed(
            f"found changes that are not committed ({len(changed.splitlines())} files); allowed: a clean tree. "
            "Commit them, or git stash"
        )
    if settings.skip_ci:
        return {"commit": settings.commit, "ci": f"skipped: {settings.skip_ci}"}
    for summary in sorted((ROOT / "ci_results").glob("*/summary.json"), reverse=True):
        found = json.loads(summary.read_text())
        if found.get("commit") == settings.commit and found.get("complete") and not found.get("dirty"):
            if found.get("status") == "passed":
                return {"commit": settings.commit, "ci": str(summary.relative_to(ROOT))}
            break
    raise Failed(
        f"found no green run of all checks for {settings.commit[:12]} in ci_results/; run: make ci. "
        'To deploy without: SKIP_CI="the reason", which the report keeps'
    )


def build(settings: Settings) -> dict[str, Any]:
    run(
        *["docker", "build", "--target", "app", "-t", settings.exact],
        *["--build-arg", f"BUILD_COMMIT={settings.commit}", "--build-arg", f"BUILD_DATE={settings.date}"],
        *["--build-arg", f"BUILD_VERSION={settings.version}", "."],
    )
    return {
        "image": settings.exact,
        "id": inspect(settings.exact, "{{.Id}}"),
        "bytes": int(inspect(settings.exact, "{{.Size}}")),
    }


def tag(settings: Settings) -> dict[str, Any]:
    for name in settings.tags[1:]:
        run("docker", "tag", settings.exact, f"{settings.image}:{name}")
    return {"tags": settings.tags}


def smoke(settings: Settings) -> dict[str, Any]:
    """The image alone, confined: it says its version, and predicts the golden rows."""
    said = run("docker", "run", "--rm", settings.exact, "--version")
    if settings.version not in said:
        raise Failed(f"the image says {said}; allowed: version {settings.version}")
    with served(settings.exact) as address:
        return {"says": said, "golden_rows": golden.check(address)}


def sbom(settings: Settings) -> dict[str, Any]:
    run("make", "sbom", f"SBOM_IMAGE={settings.exact}")
    return {"file": SBOM, "components": len(json.loads((ROOT / SBOM).read_text())["components"])}


def _may_push(settings: Settings) -> bool:
    """Signed in, or a registry of this machine, which asks for nothing."""
    if settings.password or urlsplit(f"//{settings.registry}").hostname in {"localhost", "127.0.0.1", "::1"}:
        return True
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    known = json.loads(config.read_text()) if config.exists() else {}
    places = {*known.get("auths", {}), *known.get("credHelpers", {})}
    return any(settings.registry in place for place in places) or bool(known.get("credsStore"))


def push(settings: Settings) -> dict[str, Any]:
    if not _may_push(settings):
        raise Skipped(f"no credentials for {settings.registry}: docker login, or DOCKER_PASSWORD")
    if settings.password:
        where = [settings.registry] if settings.registry != "docker.io" else []
        run("docker", "login", "-u", settings.user, "--password-stdin", *where, hidden=settings.password)
    for name in settings.tags:
        run("docker", "push", f"{settings.image}:{name}")
    digests = json.loads(inspect(settings.exact, "{{json .RepoDigests}}"))
    return {"pushed": settings.tags, "digest": next(d for d in digests if d.startswith(f"{settings.image}@"))}


def _latency(settings: Settings, *arguments: str) -> tuple[int, Any]:
    command = [str(ROOT / ".venv/bin/latency"), "mlflow", *arguments, "--json"]
    print(f"$ {' '.join(command)}", flush=True)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": settings.tracking_uri},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout + done.stderr, flush=True)
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, None


def analyse(settings: Settings) -> dict[str, Any]:
    """MLflow's models: are their files there and whole, who is champion, how does the challenger compare?"""
    code, doctor = _latency(settings, "doctor")
    if code == 3:
        raise Skipped(f"no MLflow at {settings.tracking_uri}: the bundled model is deployed")
    if doctor is None:
        raise Failed("`latency mlflow doctor` could not say anything; see the log of this step")
    errors = [finding for finding in doctor["findings"] if finding["severity"] == "error"]
    if errors:
        names = "; ".join(f"{finding['code']} {finding['subject']}" for finding in errors)
        raise Failed(f"the doctor found {len(errors)} errors: {names}. Causes and cures: make debug-mlflow")
    _, status = _latency(settings, "status")
    found: dict[str, Any] = {"mlflow": settings.tracking_uri, "doctor": "no errors", "registry": status}
    code, comparison = _latency(settings, "compare")
    if comparison is not None:
        found["challenger_against_champion"] = comparison | {"good": code == 0}
    return found
