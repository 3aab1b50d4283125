"""Lints, and the format, of all Python: also of scripts that have no ending, which ruff finds only if they are named."""

import sys

from common import ROOT, run, scripts

RUFF = ROOT / ".venv" / "bin" / "ruff"
named = scripts("python")
fix = sys.argv[1:] == ["--fix"]
lint = run(RUFF, "check", *(["--fix"] if fix else []), "--force-exclude", ".", *named)
form = run(RUFF, "format", *([] if fix else ["--check"]), "--force-exclude", ".", *named)
sys.exit(lint or form)
