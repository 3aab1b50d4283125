"""What type checkers see: the stub says what the native module is, and users' code is checked against the package."""

import subprocess
import sys
from pathlib import Path

GOOD = """
from typing import assert_type

import latency_predictor as lp

predictor = lp.Predictor("model.onnx", engine="native", sessions=2)
assert_type(predictor.predict("London", lp.Place.find("Tokyo"), src_access="wifi").p50_ms, float)
assert_type(predictor.rank("London", ["Tokyo", {"lat": 1.0, "lon": 2}], budget_ms=80), list[lp.Ranked])
assert_type(lp.timeout("London", "Tokyo").timeout_ms, float)
answer, notes = predictor.predict_batch_with_notes({"src": ["London"], "dst": ["Tokyo"]})
assert_type(notes, lp.BatchNotes)
if lp.judge("London", "Tokyo", measured_ms=3).verdict == "impossible":
    print(notes.errors[0].row)
"""

BAD = """
import latency_predictor as lp

lp.predict(5, "Tokyo")
lp.rank("London", ["Tokyo"], 80)
lp.Predictor.bundled().predict("London", "Tokyo").p50
lp.judge("London", "Tokyo")
lp.Place.find("London").lat = 3
lp.Predictor(engine="xgboost")
"""


def mypy(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_stub_is_what_the_native_module_is() -> None:
    done = mypy("mypy.stubtest", "latency_predictor._core")
    assert done.returncode == 0, done.stdout + done.stderr


def test_users_code_is_checked(tmp_path: Path) -> None:
    for name, code in (("good", GOOD), ("bad", BAD)):
        (tmp_path / f"{name}.py").write_text(code)
    good = mypy("mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path / "good.py")
    assert good.returncode == 0, good.stdout
    bad = mypy("mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path / "bad.py")
    wrong = [int(line.split(":")[1]) for line in bad.stdout.splitlines() if ": error:" in line]
    assert wrong == [4, 5, 6, 7, 8, 9]
