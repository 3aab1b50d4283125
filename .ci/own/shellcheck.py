"""shellcheck, on every shell script: those without an ending are found by their first line."""

import sys

from common import TOOLS, files, run, scripts

named = sorted({*scripts("bash"), *scripts("/sh"), *(path for path in files() if path.endswith(".sh"))})
code = run(TOOLS / "bin" / "shellcheck", *named)
print(f"shellcheck: {len(named)} scripts")
sys.exit(code)
