"""Where an experiment's artifacts go, and whether the server can see them there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from .collect import ExperimentView, Held, ModelView, RunView, disk, is_path
from .cures import Cures
from .findings import Code, Finding, Severity, Step, some
from .http import Server

VARIABLE = "MLFLOW_ARTIFACT_ROOT"


def judge(server: Server, views: list[ExperimentView], proxied_since: int | None, proxies: bool) -> list[Finding]:
    """What is wrong with the locations of experiments; alike ones in one finding.

    `proxied_since` is when the first experiment was made that proves that the server proxies by default (milliseconds),
    or None if there is none; `proxies` is whether its artifact service works at all.
    """
    found = [finding for view in views if not is_path(view.location) for finding in _elsewhere(server, view)]
    found += [finding for view in views for finding in _not_readable_here(server, view)]
    older: list[ExperimentView] = []
    by_root: dict[str, list[ExperimentView]] = {}
    for view in views:
        if not is_path(view.location):
            continue
        if _copied(view):
            found.append(_repaired(server, view))
        elif proxies and proxied_since is not None and (view.experiment.creation_time or 0) < proxied_since:
            older.append(view)
        else:
            by_root.setdefault(root(view), []).append(view)
    if older:
        found.append(_before_proxy(server, older))
    found += [_client_side(server, path, alike, proxies) for path, alike in by_root.items()]
    return found


def _before_proxy(server: Server, views: list[ExperimentView]) -> Finding:
    return Finding(
        Code.EXPERIMENT_BEFORE_PROXY,
        _severity(views),
        f"made before the server passed artifacts on: {_names(views)}",
        _evidence(views),
        "The server proxies artifacts by now (newer experiments have mlflow-artifacts: locations), but an experiment "
        "keeps the location that it was made with: its runs still go to the client's own disk.",
        _copy_cure(server, views),
    )


def _client_side(server: Server, path: str, views: list[ExperimentView], proxies: bool) -> Finding:
    value = os.environ.get(VARIABLE)
    why = (
        f"{path} is a path. MLflow's client writes to it directly, without the server: to its own disk, or its own "
        "container's. The server then looks at the same path on its disk and finds nothing: `No Artifacts Recorded`. "
        "It was started with --default-artifact-root, or with --no-serve-artifacts, when the experiment was made, or a "
        "client chose the location."
    )
    named = f" It is what {VARIABLE} holds here." if value and _plain(value) == path else ""
    # Without the artifact service there is a finding of its own, with this cure.
    first = Cures(server).proxy(path) if proxies else ()
    return Finding(
        Code.CLIENT_SIDE_ARTIFACT_ROOT,
        _severity(views),
        f"artifacts go to the disk of whoever logs them: {_names(views)}",
        _evidence(views),
        why + named,
        (*first, *_copy_cure(server, views)),
    )


def _names(views: list[ExperimentView]) -> str:
    names = ", ".join(some([f"`{view.name}`" for view in views]))
    return f"experiment {names}" if len(views) == 1 else f"{len(views)} experiments, {names}"


def _evidence(views: list[ExperimentView]) -> tuple[str, ...]:
    """The locations, those with losses first, and who sees what."""
    lines = []
    for view in sorted(views, key=lambda view: not _is_missed(view)):
        lines.append(f"artifact_location of `{view.name}` (id {view.experiment.experiment_id}): {view.location}")
        lines += _where(view)
    return some(lines, 12)


def _copy_cure(server: Server, views: list[ExperimentView]) -> tuple[Step, ...]:
    """A copy, where there is something to copy."""
    used = [view.name for view in views if view.runs or view.models]
    return Cures(server).repair(used) if used else (Cures(server).log_to(views[0].name),)


def variable(server: Server, views: list[ExperimentView]) -> Finding | None:
    """What MLFLOW_ARTIFACT_ROOT in this environment means here."""
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    used = [view.name for view in views if is_path(view.location) and root(view) == _plain(value)]
    meaning = (
        f"MLflow itself does not read {VARIABLE}. It names where the server stores artifacts, that is its option "
        "--artifacts-destination, and `make mlflow-ui` reads it so; a path is right there, because only the server "
        "writes."
    )
    if not is_path(value):
        return Finding(Code.ARTIFACT_ROOT_VARIABLE, Severity.INFO, f"{VARIABLE}={value}", (), meaning)
    if used:
        names = ", ".join(f"`{name}`" for name in used[:5])
        return Finding(
            Code.ARTIFACT_ROOT_VARIABLE,
            Severity.WARNING,
            f"{VARIABLE}={value} became the location of experiments",
            (f"{VARIABLE}={value}", f"the same path is the location of {names}"),
            f"{meaning} Here it was handed on as --default-artifact-root, or as artifact_location by a client: then "
            "every client writes to that path on its own disk.",
            Cures(server).proxy(_plain(value)),
        )
    return Finding(
        Code.ARTIFACT_ROOT_VARIABLE,
        Severity.INFO,
        f"{VARIABLE}={value}",
        (),
        f"{meaning} Do not hand it to --default-artifact-root, nor set it for clients: it would name their own disk.",
    )


def proxied_since(views: list[ExperimentView]) -> int | None:
    """When the first experiment was made whose location is what a proxying server gives by default: root/id."""
    made = [
        view.experiment.creation_time or 0
        for view in views
        if urlsplit(view.location).scheme == "mlflow-artifacts"
        and view.location.endswith(f"/{view.experiment.experiment_id}")
    ]
    return min(made, default=None)


def root(view: ExperimentView) -> str:
    """The root behind a location, which is root/id where nobody chose it."""
    folder = disk(view.location)
    return str(folder.parent if folder.name == view.experiment.experiment_id else folder)


def _plain(value: str) -> str:
    return str(disk(value)) if is_path(value) else value


def _severity(views: list[ExperimentView]) -> Severity:
    """A fault if the server misses anything; else it is one as soon as another machine logs."""
    return Severity.ERROR if any(_is_missed(view) for view in views) else Severity.WARNING


def _is_missed(view: ExperimentView) -> bool:
    return any(_missed(each.held) for _, each in _all(view))


def _missed(held: Held) -> bool:
    return held.trouble is not None or (held.listed == 0 and bool(held.on_disk))


def _all(view: ExperimentView) -> list[tuple[str, RunView | ModelView]]:
    return [*(("run", run) for run in view.runs), *(("logged model", model) for model in view.models)]


def _where(view: ExperimentView) -> list[str]:
    """Who sees what."""
    lines = []
    elsewhere = 0
    for what, each in _all(view):
        held = each.held
        if held.on_disk or held.listed or held.disk_trouble:
            seen = held.trouble or f"the server lists {held.listed} entries"
            disk_has = "this disk was not read" if held.disk_trouble else f"this disk has {held.on_disk or 0} files"
            lines.append(f"{what} {each.id}: {seen}, {disk_has}")
        elif not (isinstance(each, RunView) and each.model_ids):
            elsewhere += 1
    here = len(lines)
    lines = list(some(lines, 3))
    if elsewhere:
        lines.append(
            f"{elsewhere} runs or models have no files, neither on the server nor on this disk: another machine holds "
            "them, or there never were any"
        )
    if here and not _is_missed(view) and not any(each.held.disk_trouble for _, each in _all(view)):
        lines.append("the server lists what this disk has: they share this path, for now")
    if not here and not elsewhere:
        lines.append("no runs in it yet" if view.looked_into else "its runs were not looked at: there are newer ones")
    return lines


def _not_readable_here(server: Server, view: ExperimentView) -> Iterator[Finding]:
    """Files on this disk that the user of this command may not read."""
    found = [(what, each) for what, each in _all(view) if each.held.disk_trouble]
    if not found:
        return
    folder = shlex.quote(str(disk(view.location)))
    yield Finding(
        Code.STORE_NOT_READABLE,
        Severity.ERROR,
        f"this user cannot read artifacts of experiment `{view.name}` on this disk",
        (
            *some([f"{what} {each.id}: {each.held.disk_trouble}" for what, each in found]),
            f"artifact_location: {view.location}",
        ),
        "The location is a path, so every client reads and writes there as its own user. Mostly another user made the "
        "folders, such as root in a container, and this one may not enter them.",
        (
            Step("Who may?", f"id; ls -ld -- {folder}"),
            Step(
                "If nothing but artifacts of MLflow lies there, give it to this user; or look as the user who owns it",
                f'sudo chown -R -- "$(id -u):$(id -g)" {folder}',
            ),
            Step("Look again", Cures(server).doctor("--experiment", view.name)),
        ),
    )


def _copied(view: ExperimentView) -> bool:
    """Whether the repair has copied all that this disk holds of it."""
    held = [each.id for _, each in _all(view) if each.held.on_disk]
    return bool(held) and all(each in view.copies for each in held)


def _repaired(server: Server, view: ExperimentView) -> Finding:
    return Finding(
        Code.EXPERIMENT_REPAIRED,
        Severity.INFO,
        f"experiment `{view.name}` has a copy that goes through the server",
        (f"artifact_location: {view.location}", f"{len(view.copies)} of its runs and models are copied"),
        "The old experiment stays as it was; new runs belong into the copy.",
        (Cures(server).log_to(view.name),),
    )


def _elsewhere(server: Server, view: ExperimentView) -> Iterator[Finding]:
    host = urlsplit(view.location).netloc
    scheme = urlsplit(view.location).scheme
    if scheme not in ("mlflow-artifacts", "http", "https") or host in ("", server.host):
        return
    yield Finding(
        Code.ARTIFACT_HOST_DIFFERS,
        Severity.WARNING,
        f"artifacts of experiment `{view.name}` go through another server",
        (f"artifact_location: {view.location}", f"tracking server: {server.host}"),
        f"Its location names {host}: that address must be reachable from here too, also after a move or through a "
        "forwarded port.",
        (Step("Is it?", f"curl -si {shlex.quote(f'http://{host}/health')}"),),
    )
