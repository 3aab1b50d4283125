"""The Spark guide does what it says: its Python blocks run in order, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from test_docs import BLOCK, run_python

BLOCKS = 5


def test_the_blocks_of_the_guide_run(
    spark: SparkSession, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = list(BLOCK.finditer((root / "docs" / "spark.md").read_text(encoding="utf-8")))
    assert len(blocks) >= BLOCKS
    assert {block["kind"] for block in blocks} == {"python"}
    # One session, as a reader has it: names go from block to block.
    run_python("".join(block["code"] for block in blocks), "docs/spark.md")


def test_its_links_lead_somewhere(root: Path) -> None:
    text = (root / "docs" / "spark.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (root / "docs" / link).exists()] == []
