"""The words to type, with the values of the server at hand filled in."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from .findings import Step
from .http import Server

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104  names that are compared, not bound
SERVICE = "mlflow"
DESTINATION = "/mlflow-artifacts"
VOLUME = "mlflow-artifacts"
SUFFIX = "-proxied"
"""Of the experiment that a repair copies to."""
COMPOSE = "In docker-compose.yml"
RESTART = "and start it anew"


def allowed_hosts(host: str) -> str:
    """MLFLOW_SERVER_ALLOWED_HOSTS with this `host` or `host:port`. It replaces the defaults, and the port counts."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    names = dict.fromkeys([name, "localhost", "127.0.0.1"])
    # A `[` starts a set of characters in MLflow's patterns.
    return ",".join(pattern for each in names for pattern in (each, each.replace("[", "[[]", 1) + ":*"))


@dataclass(frozen=True)
class Cures:
    """The cures for one server."""

    server: Server

    @property
    def service(self) -> str:
        """The Compose service: the host of the URI where that is one, else `mlflow`."""
        host = self.server.parts.hostname or ""
        return host if host and host not in LOCAL_HOSTS and "." not in host and ":" not in host else SERVICE

    @property
    def restart(self) -> Step:
        """Compose makes a new container from the changed file."""
        return Step(RESTART, f"docker compose up -d {self.service}")

    @property
    def logs(self) -> Step:
        """The server's log has what its answers hide."""
        return Step("The server's log says more", f"docker compose logs --tail 50 {self.service}")

    def doctor(self, *options: str) -> str:
        """This command again."""
        words = ["latency", "mlflow", "doctor", "--tracking-uri", self.server.shown, *options]
        return shlex.join(words)

    def there(self, command: str) -> str:
        """A command of MLflow's or ours, to this server."""
        return f"MLFLOW_TRACKING_URI={shlex.quote(self.server.shown)} {command}"

    def environment(self, **variables: str) -> tuple[Step, ...]:
        """Variables of the server, in a shell and in Compose."""
        return (_shell(variables), Step(COMPOSE, self._compose(variables)), self.restart)

    def proxy(self, root: str | None = None) -> tuple[Step, ...]:
        """Artifacts through the server, which keeps them at `root`."""
        destination = root or DESTINATION
        variables = {"MLFLOW_SERVE_ARTIFACTS": "true", "MLFLOW_ARTIFACTS_DESTINATION": destination}
        return (
            Step(
                "Take `--default-artifact-root` and `--no-serve-artifacts` out of the server's command, and "
                "MLFLOW_DEFAULT_ARTIFACT_ROOT out of its environment",
                "unset MLFLOW_DEFAULT_ARTIFACT_ROOT",
            ),
            _shell(variables),
            Step(f"{COMPOSE}, with a volume that outlives the container", self._compose(variables, destination)),
            self.restart,
        )

    def volume(self) -> tuple[Step, ...]:
        """A volume for the artifacts, which outlives the container."""
        variables = {"MLFLOW_ARTIFACTS_DESTINATION": DESTINATION}
        return (
            Step(f"{COMPOSE}, a volume that outlives the container", self._compose(variables, DESTINATION)),
            self.restart,
        )

    def _compose(self, variables: dict[str, str], volume: str | None = None) -> str:
        lines = ["services:", f"  {self.service}:", "    environment:"]
        lines += [f'      {name}: "{value}"' for name, value in variables.items()]
        if volume is not None:
            lines += ["    volumes:", f"      - {VOLUME}:{volume}", "volumes:", f"  {VOLUME}:"]
        return "\n".join(lines)

    def repair(self, experiments: list[str]) -> tuple[Step, ...]:
        """A copy of experiments whose location cannot be changed."""
        only = ("--experiment", experiments[0]) if len(experiments) == 1 else ()
        return (
            Step(
                "The location of an experiment never changes. See what a copy would take",
                self.doctor(*only, "--repair"),
            ),
            Step("make it", self.doctor(*only, "--repair", "--yes")),
            self.log_to(experiments[0]),
        )

    def log_to(self, experiment: str) -> Step:
        """A new experiment beside one whose location cannot be changed; MLflow makes it if it does not exist."""
        name = shlex.quote(f"{experiment}{SUFFIX}")
        return Step("Log to another experiment from now on", f"export MLFLOW_EXPERIMENT_NAME={name}")

    def retrain(self) -> Step:
        """The last resort."""
        return Step(
            "If there is no copy, train again; this logs, lists and downloads again to compare",
            self.there("latency mlflow retrain"),
        )


def _shell(variables: dict[str, str]) -> Step:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return Step("In the shell that starts the server, before it is started anew", "\n".join(lines))
