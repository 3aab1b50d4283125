"""No file is larger than it needs to be: a repository never forgets one."""

from common import ROOT, end, files

MOST = 400_000
# What may be larger, and why.
LARGER = {
    "models/latency.onnx": 1_500_000,  # the bundled model; budgets.py has the same bar
    "latency-core/assets/cities.txt": 800_000,  # names of places that ship in every package
}

sizes = {path: (ROOT / path).lstat().st_size for path in files()}
wrong = [
    f"{path}: found {size:,} bytes; allowed: {LARGER.get(path, MOST):,} (fetch it when needed, or name it in .ci/own/large_files.py)"
    for path, size in sizes.items()
    if size > LARGER.get(path, MOST)
]
end(wrong, f"{len(sizes)} files, {sum(sizes.values()):,} bytes, the largest {max(sizes.values()):,}")
