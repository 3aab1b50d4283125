"""The pictures of a run, as small SVG files: the same figures give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from contenders import NODE, PYTHON, REFERENCE, RUST, Contender
from matplotlib.figure import Figure
from report import number

if TYPE_CHECKING:
    from run import Found

WIDTH = 8.4
OURS = {"native": "#0b6e99", "onnxruntime": "#7fb3c8"}
COLOURS = ("#c8553d", "#3a9d6e", "#8a5fb0", "#b08900", "#5f6f7a", "#a04d6b", "#2f2f2f", "#6b8e23", "#d98cb3", "#8b5a2b")
STYLES = {RUST: "-", PYTHON: "--", NODE: ":"}
BAR_ROWS = (1, 1000)
LABELS = {"trees": "trees", "depth": "depth", "columns": "features"}


def draw(found: Found, folder: Path) -> None:
    """Writes all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"lines.svg": lines, "ratios.svg": ratios, "scaling.svg": scaling}
    # No date and fixed ids.
    with mpl.rc_context({"svg.hashsalt": "latency", "svg.fonttype": "none", "font.size": 8}):
        for name, make in pictures.items():
            figure = make(found)
            figure.savefig(folder / name, format="svg", metadata={"Date": None})


def colour(contender: Contender, peers: list[Contender]) -> str:
    if contender is REFERENCE:
        return OURS["native"]
    if contender.ours:
        return OURS[contender.engine]
    return COLOURS[peers.index(contender) % len(COLOURS)]


def plain(name: str) -> str:
    """A name without the marks of code."""
    return name.replace("`", "")


def lines(found: Found) -> Figure:
    """Microseconds per row over rows in a call, a panel for each language, the native engine in all."""
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    panels = figure.subplots(1, len(STYLES), sharey=True)
    for axes, language in zip(panels, STYLES, strict=True):
        shown = [one for one in found.loads if one is REFERENCE or one.language == language]
        peers = [one for one in shown if not one.ours]
        for contender in shown:
            points = [(rows, times.median) for (one, threads, rows), times in found.times.items()
                      if times and threads == 1 and one is contender]  # fmt: skip
            style = "-" if contender is REFERENCE or not contender.ours else "--"
            width = 2.0 if contender is REFERENCE else 1.2
            axes.plot(*zip(*points, strict=True), style, color=colour(contender, peers), lw=width, marker=".", ms=4,
                      label=plain(contender.name))  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="rows in a call", title=language)
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(frameon=False, fontsize=6, loc="upper right")
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, 8 * high)
    panels[0].set_ylabel("µs per row, one thread")
    return figure


def ratios(found: Found) -> Figure:
    """Bars: time over that of the native engine."""
    shown = [one for one in found.loads if one is not REFERENCE]
    figure = Figure(figsize=(WIDTH, 0.2 * len(shown) + 0.9), layout="constrained")
    panels = figure.subplots(1, len(BAR_ROWS), sharey=True)
    for axes, rows in zip(panels, BAR_ROWS, strict=True):
        reference = found.times[REFERENCE, 1, rows]
        for at, contender in enumerate(reversed(shown)):
            times = found.times[contender, 1, rows]
            if times and reference:
                middle, low, high = times.over(reference)
                axes.barh(at, middle, color=OURS["native"] if contender.ours else "#c9c9c9", height=0.7)
                axes.errorbar(middle, at, xerr=[[middle - low], [high - middle]], ecolor="black", lw=0.7)
                axes.text(high * 1.15, at, number(middle), va="center", fontsize=6.5)
        axes.axvline(1, color="black", lw=0.8)
        axes.set(xscale="log", xlabel="time / native engine, one thread")
        low, high = axes.get_xlim()
        axes.set_xlim(min(0.7, low), 4 * high)
        axes.set_title("1 row in a call" if rows == 1 else f"{rows:,} rows in a call", fontsize=9)
    panels[0].set_yticks(np.arange(len(shown)), [plain(one.title) for one in reversed(shown)], fontsize=7)
    return figure


def scaling(found: Found) -> Figure:
    """Microseconds per row of models that grow: one row dashed, 1,000 rows in a call drawn through."""
    series = list(dict.fromkeys(what for what, *_ in found.scaling))
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(series), sharey=True))
    contenders = list(dict.fromkeys(one for _, _, one, _ in found.scaling))
    peers = [one for one in contenders if not one.ours]
    for axes, what in zip(panels, series, strict=True):
        for contender in contenders:
            for rows, style in ((1, "--"), (1000, "-")):
                points = [(value, times.median) for (kind, value, one, many), times in found.scaling.items()
                          if times and (kind, one, many) == (what, contender, rows)]  # fmt: skip
                label = contender.name if rows > 1 else None
                axes.plot(*zip(*points, strict=True), style, color=colour(contender, peers), marker=".", ms=4, lw=1.3,
                          label=label)  # fmt: skip
        axes.set(xscale="linear" if what == "depth" else "log", yscale="log", xlabel=LABELS[what])
        axes.grid(alpha=0.25, lw=0.5)
    panels[0].set_ylabel("µs per row, one thread")
    panels[0].legend(frameon=False, fontsize=6.5)
    styles = [panels[-1].plot([], [], style, color="black", label=f"{rows} in a call")[0]
              for style, rows in (("--", "1 row"), ("-", "1,000 rows"))]  # fmt: skip
    panels[-1].legend(handles=styles, frameon=False, fontsize=6.5)
    return figure
