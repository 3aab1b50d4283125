"""How large what is shipped may be. `budgets.py` looks at what lies here; `budgets.py FILE ...` at these files, by name."""

import sys
from fnmatch import fnmatch
from pathlib import Path

from common import ROOT, end

# Patterns below the root, or of a name, and the bytes that each may have.
BUDGETS = {
    "models/latency.onnx": 1_500_000,
    "target/package/latency-core-*.crate": 1_500_000,
    "target/wheel/dist/*.whl": 4 * 1024 * 1024,
    # 24.5 MB before it read and wrote files of Parquet, 28.7 since.
    "target/release/latency-server": 30 * 1024 * 1024,
}


def budget(path: Path) -> int:
    """What a file may have, by its path or by its name alone."""
    for pattern, most in BUDGETS.items():
        if fnmatch(str(path), str(ROOT / pattern)) or fnmatch(path.name, Path(pattern).name):
            return most
    sys.exit(f"no budget for {path.name}; there is one for {', '.join(BUDGETS)}")


found = [Path(name).resolve() for name in sys.argv[1:]] or [path for pattern in BUDGETS for path in ROOT.glob(pattern)]
wrong = []
for path in found:
    size, most = path.stat().st_size, budget(path)
    print(f"{path.name}: {size:,} of {most:,} bytes")
    if size > most:
        wrong.append(
            f"{path.name}: found {size:,} bytes; allowed: {most:,} (make it smaller, or argue for more in .ci/own/budgets.py)"
        )
if not sys.argv[1:]:
    absent = [pattern for pattern in BUDGETS if not any(ROOT.glob(pattern))]
    print(f"not built here: {', '.join(absent) or 'nothing'}")
end(wrong, f"{len(found)} within their budgets")
