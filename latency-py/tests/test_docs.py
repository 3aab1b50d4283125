"""The guides do what they say: their Python blocks and the shell blocks marked `run`, page by page, in order."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?P<kind>python|sh run)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"# => (.*)$", re.MULTILINE)
PAGES = {"docs/python.md": 6, "docs/training.md": 4, "docs/mlflow.md": 3, "latency-py/README.md": 1, "README.md": 1}
"""The pages, and how many blocks each must at least have: a page whose blocks are no longer found proves nothing."""


def run_python(code: str, where: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, where, "exec"), {"__name__": "__main__"})  # noqa: S102  our own pages
    lines = iter(printed.getvalue().splitlines())
    for expected in EXPECTED.findall(code):
        # In order, between lines that the page does not promise.
        assert expected in lines, f"{where}: `{expected}` was not printed; printed: {printed.getvalue()}"


def run_shell(code: str, where: str, programs: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{where}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if page == "docs/mlflow.md":
        request.getfixturevalue("tracking")
        (tmp_path / "model.onnx").write_bytes((ROOT / "models" / "latency.onnx").read_bytes())
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, arguments in (("latency", "-m latency_predictor"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= PAGES[page]
    for block in blocks:
        where = f"{page}:{text[: block.start()].count(chr(10)) + 1}"
        if block["kind"] == "python":
            run_python(block["code"], where)
        else:
            run_shell(block["code"], where, programs)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []
