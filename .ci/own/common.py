"""What the checks of our own share: the files of the repository, and how a check ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target" / "checks"


def files() -> list[str]:
    """Paths of the files that are committed or about to be: what git ignores is not among them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted({path for path in said.split("\0") if path and (ROOT / path).is_file()})


def scripts(word: str) -> list[str]:
    """Files without an ending whose first line names a program: `python`, `bash`."""
    found = []
    for path in files():
        if not Path(path).suffix and not (ROOT / path).is_symlink():
            with (ROOT / path).open("rb") as file:
                first = file.readline(80)
            if first.startswith(b"#!") and word.encode() in first:
                found.append(path)
    return found


def run(*command: str | Path) -> int:
    """Runs a program at the root; what it says is shown."""
    sys.stdout.flush()
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


def end(wrong: list[str], well: str) -> NoReturn:
    """Ends a check: with what is wrong, or what is well."""
    for line in wrong:
        print(line)
    if not wrong:
        print(f"ok: {well}")
    sys.exit(min(len(wrong), 1))
