#!/usr/bin/env python3
"""Writes dashboards/*.json. `generate.py --check` says whether they are what it would write."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infrastructure import infrastructure
from model import model
from service import service

FOLDER = Path(__file__).resolve().parent / "dashboards"


def written(folder: Path = FOLDER) -> dict[Path, str]:
    """The files and what is to stand in them."""
    made = (service(), model(), infrastructure())
    return {
        folder / f"{one['uid']}.json": json.dumps(one, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for one in made
    }


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        found = {path: path.read_text() for path in FOLDER.glob("*.json")}
        if found != written():
            print("the dashboards are not what generate.py writes: run monitoring/grafana/generate.py")
            return 1
        return 0
    for path, text in written().items():
        path.write_text(text)
        print(path.relative_to(FOLDER.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
