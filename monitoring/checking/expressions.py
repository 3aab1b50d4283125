"""Which metrics and labels a PromQL expression names. It is known to be valid: promtool has seen it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
RANGE = re.compile(r"\[[^]]*\]")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# Not a function, and not part of a number.
SELECTOR = re.compile(r"(?<![\w.:])([a-zA-Z_:][\w:]*)\b(?!\s*\()\s*(\{[^}]*\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
# Of Grafana, with what stands for any value of them.
VARIABLES = {
    "$__rate_interval": "1m",
    "$instance": ".*",
    "$job": ".*",
    "$model": ".*",
    "$route": "/predict",
}


@dataclass
class Used:
    """What an expression names."""

    metrics: list[tuple[str, set[str]]] = field(default_factory=list)
    """Metrics, each with the labels by which its series are chosen."""
    grouping: set[str] = field(default_factory=set)
    """Labels by which series are summed up or matched."""


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def used(expr: str) -> Used:
    """The metrics and labels of an expression."""
    expr = RANGE.sub("", STRING.sub('""', expr))
    grouping = set().union(*(words(labels) for labels in GROUPING.findall(expr)))
    found = selectors(GROUPING.sub("", expr))
    return Used(list(found), grouping)


def selectors(expr: str) -> Iterator[tuple[str, set[str]]]:
    for name, matchers in SELECTOR.findall(expr):
        if name.lower() not in WORDS:
            yield name, set(MATCHER.findall(matchers))


def filled_in(expr: str, rate_interval: str = "1m") -> str:
    """An expression of a dashboard without Grafana's variables."""
    for name, value in (VARIABLES | {"$__rate_interval": rate_interval}).items():
        expr = expr.replace(name, value)
    if "$" in expr:
        raise ValueError(f"a variable that is not known: {expr}")
    return expr
