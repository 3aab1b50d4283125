"""`python -m latency_predictor` and the `latency` command."""

from __future__ import annotations

import sys

CLI_MODULES = {"typer", "rich"}


def main() -> None:
    """Runs the command line, or says which extra it needs."""
    try:
        from .cli import app
    except ModuleNotFoundError as error:
        if error.name not in CLI_MODULES:
            raise
        sys.exit(f"The command `latency` needs {error.name}: pip install 'latency-predictor[cli]'")
    app(prog_name="latency")


if __name__ == "__main__":
    main()
