"""The model card's pictures, drawn from the evaluation's own figures and held-out predictions.

Small SVG files where there are few marks, PNG where there are many; the same figures give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..predictor import Predictor
from . import metrics, strata
from .held_out import MODEL, QUICK

WIDTH = 7.2
DARK, MIDDLE, PALE = "#0b6e99", "#7fb3c8", "#c9c9c9"
SET_COLOURS = {"wondernetwork": "#0b6e99", "skyplane": "#3a9d6e", "ripe": "#c8553d", "poki": "#8a5fb0"}
OTHER_COLOURS = ("#b08900", "#5f6f7a", "#a04d6b")
LEVELS = np.linspace(0.05, 0.95, 19)
CELL_DEGREES = 10
LEAST_ROWS = 20
DPI = 110


def draw(predictor: Predictor, result: dict[str, Any], rows: pd.DataFrame) -> dict[str, bytes]:
    """File name → content. `rows` are the predictions for held-out places."""
    pictures: dict[str, Callable[[], Figure]] = {
        "baselines.svg": lambda: baselines(result),
        "error-by-distance.svg": lambda: error_by_distance(rows),
        "coverage.svg": lambda: coverage(result),
        "importance.svg": lambda: importance(result),
        "reliability.svg": lambda: reliability(rows),
        "predicted-measured.png": lambda: predicted_against_measured(rows),
        "map.png": lambda: error_map(predictor, rows),
    }
    # No date and fixed ids: the same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "latency", "svg.fonttype": "none", "font.size": 8}):
        return {name: _bytes(make(), name.rsplit(".", 1)[1]) for name, make in pictures.items()}


def baselines(result: dict[str, Any]) -> Figure:
    """Bars: median relative error per data set and method, both ends new."""
    accuracy = {name: cases["C3"] for name, cases in result["accuracy"]["places"].items() if "C3" in cases}
    methods = list(next(iter(accuracy.values()))["methods"])
    figure, axes = _panel(3.0)
    width = 0.85 / len(methods)
    greys = mpl.colormaps["Greys"](np.linspace(0.45, 0.15, max(len(methods) - 2, 1)))
    for index, method in enumerate(methods):
        errors = [100 * entry["methods"][method]["median_relative_error"] for entry in accuracy.values()]
        at = np.arange(len(accuracy)) + (index - (len(methods) - 1) / 2) * width
        colour = DARK if method == MODEL else MIDDLE if method == QUICK else greys[index - 2]
        bars = axes.bar(at, errors, width=0.93 * width, color=colour, label=method)
        if method != MODEL:
            axes.bar_label(bars, fmt="%.0f", fontsize=6.5, padding=1)
        else:
            axes.bar_label(bars, fmt="%.0f", fontsize=6.5, label_type="center", color="white", fontweight="bold")
            spans = [entry["intervals"]["median_relative_error"] for entry in accuracy.values()]
            below = [error - 100 * low for error, (low, _) in zip(errors, spans, strict=True)]
            above = [100 * high - error for error, (_, high) in zip(errors, spans, strict=True)]
            axes.errorbar(at, errors, [np.maximum(below, 0), np.maximum(above, 0)], fmt="none", ecolor="black", lw=0.8)
    axes.set_xticks(range(len(accuracy)), list(accuracy))
    axes.set_ylabel("median relative error, %")
    axes.set_title("Both ends in places that training never saw", fontsize=9)
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    axes.legend(frameon=False, ncols=len(methods), loc="upper left", fontsize=7, columnspacing=1.0)
    return figure


def error_by_distance(rows: pd.DataFrame) -> Figure:
    """Lines: median relative error in bins of distance per data set, with the quick model pale beside it."""
    figure, axes = _panel(3.0)
    edges = np.array([0, 100, 300, 600, 1000, 2000, 3000, 5000, 8000, 11000, 14000, 20100])
    for dataset, colour in _colours(rows["dataset"].unique()).items():
        own = rows[rows["dataset"] == dataset]
        bins = np.digitize(own["distance_km"], edges) - 1
        for method, style in ((MODEL, "-"), (QUICK, ":")):
            error = pd.Series(metrics.relative_error(own["actual"].to_numpy(), own[method].to_numpy()))
            found = error.groupby(bins).agg(["median", "size"])
            found = found[found["size"] >= LEAST_ROWS]
            middle = (edges[found.index] + edges[found.index + 1]) / 2
            label = dataset if method == MODEL else None
            axes.plot(middle, 100 * found["median"], style, color=colour, lw=1.4, marker=".", ms=4, label=label)
    axes.plot([], [], ":", color="black", label=QUICK)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("great-circle distance, km")
    axes.set_ylabel("median relative error, %")
    axes.set_yticks([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=7)
    axes.set_title("Error on held-out places, by distance", fontsize=9)
    return figure


def coverage(result: dict[str, Any]) -> Figure:
    """Dots: coverage of the 90 % interval per stratum."""
    interval = result["interval"]
    entries = [("all", interval["all"])]
    for by in strata.STRATA:
        groups = interval["by"][by]
        names = [name for name in strata.distance_bins() if name in groups] if by == "distance" else sorted(groups)
        entries += [(name, groups[name]) for name in names if groups[name]["rows"] >= LEAST_ROWS]
    figure, axes = _panel(0.165 * len(entries) + 0.7)
    for line, (_, found) in enumerate(reversed(entries)):
        small = found["rows"] < 500
        axes.plot(100 * found["coverage"], line, "o", ms=4, color=MIDDLE if small else DARK)
        axes.text(101, line, f"{found['rows']:,}", fontsize=6.5, va="center")
    axes.axvline(90, color="black", lw=0.8)
    axes.axvspan(88.5, 91.5, color=PALE, alpha=0.4, lw=0)
    axes.set_yticks(range(len(entries)), [name for name, _ in reversed(entries)], fontsize=7)
    axes.set_xlim(70, 100)
    axes.set_xlabel("share of held-out rows inside low_ms..high_ms, %   (number of rows at the right; pale: below 500)")
    axes.set_title("Coverage of the 90 % interval on places that training never saw", fontsize=9)
    return figure


def importance(result: dict[str, Any]) -> Figure:
    """Bars: how much the mean log error grows when a feature group is shuffled."""
    found = sorted(result["importance"].items(), key=lambda item: item[1])
    figure, axes = _panel(0.22 * len(found) + 0.8)
    bars = axes.barh([name for name, _ in found], [100 * grown for _, grown in found], color=DARK)
    axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    axes.set_xlabel("mean |ln(predicted / measured)| grows by, points of 0.01, when the group's columns are shuffled")
    axes.set_title("Permutation importance on held-out places", fontsize=9)
    return figure


def reliability(rows: pd.DataFrame) -> Figure:
    """Lines: share of held-out medians below each predicted quantile of the path's median."""
    figure, axes = _panel(3.4, 3.6)
    axes.plot([0, 100], [0, 100], color="black", lw=0.8)
    for dataset, colour in _colours(rows["dataset"].unique()).items():
        own = rows[rows["dataset"] == dataset]
        share = [100 * float(np.mean(own["actual"] <= quantile_of_median(own, level))) for level in LEVELS]
        axes.plot(100 * LEVELS, share, marker=".", ms=4, lw=1.2, color=colour, label=dataset)
    axes.set_xlabel("predicted quantile of the path's median, %")
    axes.set_ylabel("held-out rows at or below it, %")
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=7)
    axes.set_title("Reliability on held-out places", fontsize=9)
    return figure


def quantile_of_median(rows: pd.DataFrame, level: float) -> np.ndarray:
    """The path's median at a level, as the core has it: ln RTT normal, with a width of its own on each side of p50."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf(level) / NormalDist().inv_cdf(0.95)
    middle = np.log(rows[MODEL].to_numpy())
    side = np.log(rows["high_ms"].to_numpy()) - middle if z > 0 else middle - np.log(rows["low_ms"].to_numpy())
    quantile: np.ndarray = np.exp(middle + z * side)
    return quantile


def predicted_against_measured(rows: pd.DataFrame) -> Figure:
    """Hexagons: predicted against measured per data set, on logarithmic axes."""
    names = list(_colours(rows["dataset"].unique()))
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, names, strict=True):
        own = rows[rows["dataset"] == dataset]
        axes.hexbin(
            own["actual"], own[MODEL], xscale="log", yscale="log", bins="log", gridsize=45, cmap="Blues", mincnt=1
        )
        axes.plot([0.5, 600], [0.5, 600], color="black", lw=0.7)
        axes.set_title(dataset, fontsize=8)
        axes.set_xlabel("measured, ms", fontsize=7)
        axes.tick_params(labelsize=7)
        _plain(axes)
    panels[0].set_ylabel("predicted p50, ms", fontsize=7)
    return figure


def error_map(predictor: Predictor, rows: pd.DataFrame) -> Figure:
    """Map: the learned cables, and per cell of 10 degrees the median relative error of held-out paths ending there."""
    figure, axes = _panel(3.7)
    schema = predictor.schema
    for a, b, _ in schema.get("cables", {"links": []})["links"]:
        start, end = ((schema["hubs"][hub]["lon"], schema["hubs"][hub]["lat"]) for hub in (a, b))
        if abs(start[0] - end[0]) < 180:
            axes.plot(*zip(start, end, strict=True), color=PALE, lw=0.6, zorder=0)
        else:
            for point, other in ((start, end), (end, start)):
                shifted = other[0] + (360 if point[0] > 0 else -360)
                axes.plot([point[0], shifted], [point[1], other[1]], color=PALE, lw=0.6, zorder=0)
    error = metrics.relative_error(rows["actual"].to_numpy(), rows[MODEL].to_numpy())
    ends = pd.concat(
        [pd.DataFrame({"lat": rows[f"{end}_lat"], "lon": rows[f"{end}_lon"], "error": error}) for end in ("src", "dst")]
    )
    cell = ends[["lat", "lon"]].floordiv(CELL_DEGREES).mul(CELL_DEGREES).add(CELL_DEGREES / 2)
    found = ends.groupby([cell["lat"], cell["lon"]])["error"].agg(["median", "size"]).reset_index()
    found = found[found["size"] >= LEAST_ROWS]
    marks = axes.scatter(
        found["lon"], found["lat"], s=6 + 9 * np.log10(found["size"]), c=100 * found["median"], cmap="YlOrRd",
        vmin=5, vmax=30, edgecolors="black", linewidths=0.3,
    )  # fmt: skip
    axes.set_xlim(-180, 180)
    axes.set_ylim(-58, 75)
    axes.set_aspect("equal")
    axes.set_xticks(range(-180, 181, 60))
    axes.set_yticks(range(-40, 61, 20))
    axes.set_title("Median relative error of held-out paths by region of an end; grey: the map of cables", fontsize=9)
    figure.colorbar(marks, ax=axes, label="%", shrink=0.8, extend="max")
    return figure


def _panel(height: float, width: float = WIDTH) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(labelsize=7.5)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    _plain(axes)
    return figure, axes


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _colours(names: Any) -> dict[str, str]:
    known = {name: colour for name, colour in SET_COLOURS.items() if name in names}
    others = sorted(set(names) - set(known))
    return known | {name: OTHER_COLOURS[index % len(OTHER_COLOURS)] for index, name in enumerate(others)}


def _bytes(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    figure.savefig(buffer, format=form, dpi=DPI, metadata=metadata, facecolor="white")
    return buffer.getvalue()
