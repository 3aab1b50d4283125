"""Does the server answer, to this client, as an MLflow server does?"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import mlflow
from requests.utils import get_environ_proxies

from .cures import LOCAL_HOSTS, Cures, allowed_hosts
from .findings import Code, Finding, Severity, Step
from .http import API, ARTIFACTS, Answer, NoAnswerError, Server

HOST_CHECK = "Invalid Host header"
NO_PROXYING = ("--no-serve-artifacts", "Artifact serving is disabled", "Artifact serving is not configured")
SEARCH = f"{API}/experiments/search"


@dataclass
class ServerState:
    """What is known of the server. `usable`: its API answers; `proxies`: it passes artifacts on."""

    findings: list[Finding] = field(default_factory=list)
    version: str | None = None
    usable: bool = False
    proxies: bool = False
    not_proxied: tuple[str, ...] = ()


def check(server: Server) -> ServerState:
    """Asks /health, /version, the API and the artifact service, and says what is wrong."""
    state = ServerState()
    cures = Cures(server)
    try:
        health = server.get("/health")
        version = server.get("/version")
        if version.status == 200 and len(version.text) < 40 and version.text[:1].isdigit():
            state.version = version.text.strip()
        api = server.get(SEARCH, max_results="1")
        trouble = _trouble(server, cures, health, api)
        if trouble is not None:
            state.findings.append(trouble)
            return state
        state.usable = True
        artifacts = server.get(ARTIFACTS, path="latency-doctor")
    except NoAnswerError as error:
        state.findings.append(_no_answer(server, cures, error))
        return state
    state.proxies = not (artifacts.status == 503 and any(words in artifacts.text for words in NO_PROXYING))
    if not state.proxies:
        state.not_proxied = (artifacts.shown,)
    state.findings.append(
        Finding(Code.SERVER_OK, Severity.OK, f"the server answers: MLflow {state.version or 'of unknown version'}")
    )
    if state.version and state.version.split(".")[0] != mlflow.__version__.split(".")[0]:
        state.findings.append(_versions_differ(version, state.version))
    return state


def _no_answer(server: Server, cures: Cures, error: NoAnswerError) -> Finding:
    evidence = (str(error),)
    where = server.shown
    if error.kind == "tls":
        return Finding(
            Code.TLS_FAILED,
            Severity.ERROR,
            f"no TLS connection to {where}",
            evidence,
            "The server speaks plain HTTP, or its certificate is not signed by anyone this client trusts.",
            (
                Step("If it speaks plain HTTP", f"export MLFLOW_TRACKING_URI=http://{server.host}"),
                Step(
                    "If the certificate is signed by your own authority",
                    "export MLFLOW_TRACKING_SERVER_CERT_PATH=/etc/ssl/certs/my-authority.pem",
                ),
            ),
        )
    if error.kind == "hangs":
        return Finding(
            Code.SERVER_HANGS,
            Severity.ERROR,
            f"{where} takes connections and does not answer",
            evidence,
            "Something listens there, but it is busy, stuck (on its database, for instance), still starting, or no "
            "HTTP server.",
            (
                Step("See whether it is starting or stuck", f"docker compose logs --tail 50 {cures.service}"),
                Step("Start it anew", f"docker compose restart {cures.service}"),
                Step("Look again", cures.doctor()),
            ),
        )
    causes = {
        "refused": "Nothing listens on that port of that host: the server is not running, listens on another port, or "
        "only on another interface. Inside a container `localhost` is the container itself, not the host.",
        "unknown host": "That name does not resolve here. Compose resolves the names of services between containers of "
        "one network only, not on the host.",
        "no route": "Nothing answers at that address: a firewall, another network, or a host that is down.",
    }
    host = server.parts.hostname or ""
    inside, outside = f"http://{cures.service}:{server.port}", f"http://localhost:{server.port}"
    return Finding(
        Code.SERVER_UNREACHABLE,
        Severity.ERROR,
        f"{where} cannot be reached",
        evidence,
        causes.get(error.kind, "No connection could be made."),
        (
            Step("Is it running, and on which port?", f"docker compose ps {cures.service}"),
            cures.logs,
            Step(
                "Start it", f"docker compose up -d {cures.service}  # from a checkout without Compose: make mlflow-ui"
            ),
            Step("From another container, by the service's name and its port inside", _uri(inside))
            if host in LOCAL_HOSTS
            else Step("From the host, by the published port", _uri(outside)),
        ),
    )


def _uri(uri: str) -> str:
    return f"export MLFLOW_TRACKING_URI={shlex.quote(uri)}"


def _trouble(server: Server, cures: Cures, health: Answer, api: Answer) -> Finding | None:
    """What the first answers say, or None if the API works."""
    if api.status == 200 and api.json is not None:
        return None
    evidence = (health.shown, api.shown)
    if api.status == 403 and HOST_CHECK in api.text:
        return _host_check(server, cures, evidence)
    if api.status in (401, 403, 407):
        return _access_denied(server, api, evidence)
    if 300 <= api.status < 400:
        return _redirect(api, evidence)
    if api.status == 503 and "--artifacts-only" in api.text:
        return Finding(
            Code.ARTIFACTS_ONLY,
            Severity.ERROR,
            f"{server.shown} serves artifacts only",
            evidence,
            "The server was started with --artifacts-only: it knows no experiments, runs or models.",
            (
                Step("Take `--artifacts-only` out of its command and its environment", "unset MLFLOW_ARTIFACTS_ONLY"),
                cures.restart,
                Step("or name the tracking server instead", _uri("http://localhost:5001")),
            ),
        )
    if api.status >= 500:
        return Finding(
            Code.SERVER_FAILING,
            Severity.ERROR,
            f"{server.shown} answers with an error of its own",
            evidence,
            "Usually its database: unreachable, full, locked, or of another MLflow version; or a proxy in front of it "
            "that does not reach it.",
            (
                cures.logs,
                Step(
                    "If the log says that the schema is out of date: make a backup of the database, then, with the "
                    "server's --backend-store-uri",
                    f"docker compose exec {cures.service} sh -c 'mlflow db upgrade \"$MLFLOW_BACKEND_STORE_URI\"'",
                ),
            ),
        )
    return _not_mlflow(server, evidence, api)


def _host_check(server: Server, cures: Cures, evidence: tuple[str, ...]) -> Finding:
    hosts = allowed_hosts(server.host)
    healthy = " /health is exempt from it, so that health checks stay green." if " → 200" in evidence[0] else ""
    return Finding(
        Code.HOST_HEADER_REFUSED,
        Severity.ERROR,
        f"the server refuses the name `{server.host}`",
        evidence,
        "MLflow compares the request's Host header with a list (against DNS rebinding), by default localhost and "
        f"private addresses. `{server.host}` is not on it.{healthy}",
        (
            *cures.environment(MLFLOW_SERVER_ALLOWED_HOSTS=hosts),
            Step(
                "or as an option of the server: it replaces the default list, and the port counts",
                f"--allowed-hosts {shlex.quote(hosts)}",
            ),
        ),
    )


def _access_denied(server: Server, answer: Answer, evidence: tuple[str, ...]) -> Finding:
    asked = [
        f"{name}: {answer.headers[name]}" for name in ("www-authenticate", "server", "via") if name in answer.headers
    ]
    return Finding(
        Code.ACCESS_DENIED,
        Severity.ERROR,
        f"{server.shown} wants to know who asks",
        (*evidence, *asked),
        "Not MLflow's check of the host (its words are missing), but a check of who asks: MLflow's own login, or a "
        f"proxy on the way.{_through_proxy(server)}",
        (
            Step("With a name and a password", "export MLFLOW_TRACKING_USERNAME=me MLFLOW_TRACKING_PASSWORD=secret"),
            Step("or with a token", "export MLFLOW_TRACKING_TOKEN=secret"),
            *_without_proxy(server),
        ),
    )


def _redirect(answer: Answer, evidence: tuple[str, ...]) -> Finding:
    target = urljoin(answer.request.split(" ")[1], answer.headers.get("location", ""))
    found = urlsplit(target)
    base = found._replace(path=found.path.partition("/api/")[0], query="", fragment="").geturl()
    login = "/api/" not in found.path
    return Finding(
        Code.SERVER_REDIRECTS,
        Severity.ERROR,
        "the server sends clients elsewhere",
        (*evidence, f"Location: {target}"),
        "It looks like the page of a login, which programs cannot pass."
        if login
        else "A redirected upload or POST arrives as a GET, or not at all: reading seems to work, writing does not.",
        (
            Step(
                "Ask its administrator for the address for programs, or for a token",
                "export MLFLOW_TRACKING_TOKEN=secret",
            )
            if login
            else Step("Use the address it sends you to", _uri(base)),
        ),
    )


def _not_mlflow(server: Server, evidence: tuple[str, ...], api: Answer) -> Finding:
    kind = api.headers.get("content-type", "no content type")
    return Finding(
        Code.NOT_MLFLOW,
        Severity.ERROR,
        f"{server.shown} is no MLflow tracking server, or not at this address",
        (*evidence, f"Content-Type: {kind}"),
        "Something else listens on this port, or MLflow lies below a path (--static-prefix, a proxy), or a proxy "
        f"answers in its place.{_through_proxy(server)}",
        (
            Step("What listens there?", f"docker compose ps; curl -si {shlex.quote(server.shown + '/version')}"),
            Step("If MLflow lies below a path, name it", _uri(f"{server.shown}/mlflow")),
            *_without_proxy(server),
        ),
    )


def _through_proxy(server: Server) -> str:
    found = get_environ_proxies(server.uri).get(server.parts.scheme)
    return f" This client goes through the proxy {urlsplit(found).hostname} (HTTP_PROXY)." if found else ""


def _without_proxy(server: Server) -> tuple[Step, ...]:
    if not _through_proxy(server):
        return ()
    host = shlex.quote(server.parts.hostname or "")
    return (Step("Go past the proxy", f'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}"{host}'),)


def _versions_differ(answer: Answer, found: str) -> Finding:
    return Finding(
        Code.VERSIONS_DIFFER,
        Severity.WARNING,
        f"the server is MLflow {found}, this client {mlflow.__version__}",
        (answer.shown,),
        "Across major versions parts of the API are missing: MLflow 2 knows no logged models.",
        (
            Step("Where the server is installed, the client's version", f"pip install 'mlflow=={mlflow.__version__}'"),
            Step("or here the server's", f"pip install {shlex.quote(f'mlflow=={found}')}"),
        ),
    )
