"""No secret is committed. What detect-secrets takes for one, and is none, stands in .ci/secrets.baseline:
`no_secrets.py --accept` writes it anew, and its diff is to be read."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import ROOT, TOOLS, end, files

BASELINE = ROOT / ".ci" / "secrets.baseline"
# What was found in a file, by the sum of its path and bytes: a file that did not change is not read again.
CACHE = ROOT / "target" / "secrets.json"
# Sums, tables and drawings: all of it looks random, and none is written by hand.
MACHINE = (
    "Cargo.lock",
    "package-lock.json",
    ".ci/secrets.baseline",
    ".csv",
    ".svg",
    ".png",
    ".onnx",
    ".parquet",
    ".snap",
)
TABLES = ("latency-core/assets/", "data/golden/", "models/evaluation.json", ".ci/containers.txt", ".ci/onnxruntime.txt")


Found = dict[str, list[list[str]]]


def scan(paths: list[str]) -> Found:
    """What looks like a secret in these files: kind and sum of each, by file."""
    if not paths:
        return {}
    command = [sys.executable, "-m", "detect_secrets", "scan", "--no-verify", *paths]
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    said = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(said)["results"]
    return {path: sorted({(entry["type"], entry["hashed_secret"]) for entry in found.get(path, [])}) for path in paths}


def scanned(paths: list[str]) -> Found:
    """The same, on all cores, and only of files that are new."""
    tool = (TOOLS / "pinned.txt").read_bytes()
    sums = {
        path: hashlib.blake2b(tool + path.encode() + b"\0" + (ROOT / path).read_bytes()).hexdigest() for path in paths
    }
    cache: Found = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    fresh = [path for path in paths if sums[path] not in cache]
    width = os.cpu_count() or 2
    with ThreadPoolExecutor(width) as pool:
        for part in pool.map(scan, [fresh[start::width] for start in range(width)]):
            cache.update((sums[path], entries) for path, entries in part.items())
    CACHE.parent.mkdir(exist_ok=True)
    beside = CACHE.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({total: cache[total] for total in sums.values()}))
    beside.replace(CACHE)
    return {path: cache[total] for path, total in sums.items() if cache[total]}


def main() -> None:
    read = [path for path in files() if not path.endswith(MACHINE) and not path.startswith(TABLES)]
    found = scanned([path for path in read if not (ROOT / path).is_symlink()])
    if sys.argv[1:] == ["--accept"]:
        BASELINE.write_text(json.dumps(found, indent=1) + "\n")
        print(f"wrote {BASELINE.relative_to(ROOT)}: {sum(map(len, found.values()))} that are none")
        return
    known = {path: {tuple(entry) for entry in entries} for path, entries in json.loads(BASELINE.read_text()).items()}
    wrong = [
        f"{path}: found {kind}; a secret has no place in a repository: revoke it, and take it out. "
        f"If it is none: .venv/bin/python .ci/own/{Path(__file__).name} --accept"
        for path, entries in sorted(found.items())
        for kind, total in entries
        if (kind, total) not in known.get(path, set())
    ]
    end(wrong, f"{len(read)} files, no secret that .ci/secrets.baseline does not know to be none")


main()
