"""The list is whole, and a change leads to the checks that it can affect."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ci"))

from checks.model import EVERYDAY, FULL, PART, QUICK, TIERS, affected, chosen  # noqa: E402
from checks.runner import counts_of, coverage_of  # noqa: E402
from checks.table import BY_NAME, CHECKS  # noqa: E402
from checks.tools import TOOLS  # noqa: E402

# What every change is looked at by.
ALWAYS = {"spelling", "links", "secrets", "large-files"}


def test_names_are_unique_and_no_command_of_make() -> None:
    assert len(BY_NAME) == len(CHECKS)
    assert not {"full", "list", "setup", "watch", "tools"} & set(BY_NAME)


def test_needs_and_tiers_are_known() -> None:
    for check in CHECKS:
        assert check.tier in TIERS, check.name
        assert set(check.needs) <= set(TOOLS), check.name
        assert check.paths, check.name


def test_make_has_the_targets_that_checks_name() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for check in CHECKS:
        for words in re.findall(r"\bmake ((?:[a-z][a-z-]* ?)+)", check.command):
            assert set(words.split()) <= targets, f"{check.name}: {check.command}"


def test_scripts_that_checks_name_exist() -> None:
    for check in CHECKS:
        for path in re.findall(r"(?:^| )(\.ci/(?!node/node_modules)[\w./-]+)", check.command):
            assert (ROOT / path).exists(), f"{check.name}: {path}"


@pytest.mark.parametrize(
    ("path", "checks"),
    [
        ("latency-server/templates/page.html", {"pages", "browser"}),
        ("latency-server/static/page.js", {"pages", "browser", "eslint"}),
        ("latency-server/src/health.rs", {"fmt", "clippy", "test-server", "openapi"}),
        (
            "latency-core/src/geo.rs",
            {"fmt", "clippy", "doc", "features", "package", "test-rust", "test-python", "test-node", "openapi"},
        ),
        ("latency-node/lib/batch.js", {"eslint", "test-node"}),
        ("latency-py/python/latency_predictor/table.py", {"ruff", "mypy", "test-python"}),
        ("latency-core/fuzz/src/lib.rs", {"fmt", "clippy"}),
        ("monitoring/prometheus/rules.yml", {"monitoring"}),
        (".github/workflows/ci.yml", {"workflows"}),
        ("latency-server/deploy/kubernetes/service.yaml", {"kubernetes"}),
        ("README.md", set()),
        (".ci/checks/watch.py", {"ruff", "shellcheck", "own"}),
        (".ci/deny.toml", {"ruff", "shellcheck", "licences"}),
    ],
)
def test_a_change_leads_to(path: str, checks: set[str]) -> None:
    assert {check.name for check in affected(CHECKS, [path])} - ALWAYS == checks


def test_slow_checks_are_never_started_by_a_change() -> None:
    everything = [check.paths[0].replace("*", "x") for check in CHECKS]
    assert FULL not in {check.tier for check in affected(CHECKS, everything)}


def test_tiers_hold_each_other_and_no_part_runs_twice() -> None:
    quick, everyday, full = (chosen(CHECKS, tier) for tier in (QUICK, EVERYDAY, FULL))
    assert set(quick) < set(everyday) < set(full)
    assert {check.tier for check in full} == {QUICK, EVERYDAY, FULL}
    assert PART in {check.tier for check in CHECKS}


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("== python: 3 passed, 1 failed, 2 skipped in 4 s\n\n9 passed, 1 failed, 2 skipped", (9, 1, 2)),
        (
            "test result: ok. 3 passed; 0 failed; 1 ignored; x\ntest result: ok. 4 passed; 1 failed; 0 ignored;",
            (7, 1, 1),
        ),
        ("== 2 failed, 5 passed, 1 skipped in 3.20s ==", (5, 2, 1)),
        ("5 passed in 3.20s", (5, 0, 0)),
        ("ok: 12 files", None),
    ],
)
def test_counts_are_read(text: str, counts: tuple[int, int, int] | None) -> None:
    assert counts_of(text) == counts


def test_coverage_is_read() -> None:
    assert coverage_of("a.py   10   1   90%\nTOTAL   1200   84   93%\n") == 93
    assert coverage_of("no table") is None
