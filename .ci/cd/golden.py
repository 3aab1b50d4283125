"""The golden rows, asked over HTTP: the numbers of a server that predicts what this commit's model predicts."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

from .docker import ask
from .settings import ROOT, Failed


def _bits(number: float) -> bytes:
    """Two ways to write one number of 32 bits differ in the last digit."""
    return struct.pack("<f", number)


def _end(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def check(address: str, *, bundled: bool = True) -> int:
    """How many rows were compared, to the last bit. A server that serves a champion has other numbers: then they must
    only be predictions."""
    golden = json.loads((ROOT / "data/golden/paths.json").read_text())
    rows, expected = golden["rows"], golden["predictions"]
    _wait(address)
    try:
        answer = ask(f"{address}/predict", [{"src": _end(row, "src_"), "dst": _end(row, "dst_")} for row in rows])
    except OSError as error:
        raise Failed(f"the golden rows: found {error}; allowed: predictions") from error
    found = answer["predictions"]
    for number, (want, got) in enumerate(zip(expected, found, strict=True)):
        if "error" in got:
            raise Failed(f"golden row {number}: found the error {got['error']}; allowed: a prediction")
        wrong = [name for name, value in want.items() if name not in got or _bits(got[name]) != _bits(value)]
        if bundled and wrong:
            name = wrong[0]
            raise Failed(f"golden row {number}: found {name} = {got.get(name)}; allowed: {want[name]}, to the last bit")
    return len(rows)


def _wait(address: str) -> None:
    begun = time.monotonic()
    while True:
        try:
            ask(f"{address}/ready")
            return
        except OSError as error:
            if time.monotonic() - begun > 60:
                raise Failed(f"the server at {address} is not ready within a minute: {error}") from error
            time.sleep(0.2)
