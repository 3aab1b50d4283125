"""Pictures of one training, for a tracking server: held-out rows, and what the trees use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..training.boosters import MEDIAN
from ..training.outcome import Trained
from .figures import DARK, PALE, WIDTH, _bytes, _panel, _plain

BINS = 10
SHOWN_FEATURES = 20
BOUNDS = ("low_ms", "high_ms")


def draw(trained: Trained) -> dict[str, bytes]:
    """File name → content."""
    return {
        "held-out.png": _bytes(held_out(trained), "png"),
        "importance.png": _bytes(importance(trained), "png"),
    }


def held_out(trained: Trained) -> Figure:
    """Hexagons: predicted against measured. Dots: the share of rows inside low..high, by tenths of the prediction."""
    names = [output.name for output in trained.fit.recipe.outputs]
    actual, predicted = trained.held_out[:, 0], trained.held_out[:, 1:]
    low, p50, high = (predicted[:, names.index(name)] for name in (BOUNDS[0], "p50_ms", BOUNDS[1]))
    target = trained.fit.schema["target"]
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    scale = "log" if target["transform"] == "log" else "linear"
    left.hexbin(actual, p50, xscale=scale, yscale=scale, bins="log", gridsize=40, cmap="Blues", mincnt=1)
    ends = [min(actual.min(), p50.min()), max(actual.max(), p50.max())]
    left.plot(ends, ends, color="black", lw=0.7)
    left.set(xlabel=f"measured {_with_unit(target)}", ylabel="predicted p50", title=f"{len(actual):,} held-out rows")
    tenth = np.minimum((np.argsort(np.argsort(p50, kind="stable")) * BINS) // len(p50), BINS - 1)
    inside = (low <= actual) & (actual <= high)
    shares = [100 * float(inside[tenth == part].mean()) for part in np.unique(tenth)]
    levels = _interval(trained.fit.recipe.outputs)
    right.axhline(100 * levels, color="black", lw=0.8)
    right.axhspan(100 * levels - 1.5, 100 * levels + 1.5, color=PALE, alpha=0.4, lw=0)
    right.plot(np.unique(tenth) + 1, shares, "o", ms=4, color=DARK)
    right.set(
        xlabel="tenth of the rows, by predicted p50", ylabel="inside low..high, %", title="Coverage of the interval"
    )
    for axes in (left, right):
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=7.5)
        _plain(axes)
    return figure


def importance(trained: Trained) -> Figure:
    """Bars: the share of the total gain of the median's trees, by feature."""
    outputs = trained.fit.recipe.outputs
    median = next(index for index, output in enumerate(outputs) if output.quantile == MEDIAN)
    gain: dict[str, Any] = trained.fit.boosters[median].get_score(importance_type="total_gain")
    names = feature_names(trained.fit.schema)
    found = sorted(((float(value), names[int(key[1:])]) for key, value in gain.items()), reverse=True)
    total = sum(value for value, _ in found) or 1.0
    shown = found[:SHOWN_FEATURES][::-1]
    figure, axes = _panel(0.2 * max(len(shown), 1) + 0.8)
    bars = axes.barh([name for _, name in shown], [100 * value / total for value, _ in shown], color=DARK)
    axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    axes.set_xlabel("share of the total gain in the trees of p50, %")
    axes.set_title("What the trees use", fontsize=9)
    return figure


def feature_names(schema: dict[str, Any]) -> list[str]:
    """A name for each column of the matrix."""
    hubs = [hub["name"] for hub in schema.get("hubs", [])]

    def word(key: str, value: Any) -> str:
        if key == "hub":
            return str(hubs[value])
        return ", ".join(value) if isinstance(value, list) else str(value)

    return [" ".join(word(key, value) for key, value in feature.items()) for feature in schema["features"]]


def _interval(outputs: Sequence[Any]) -> float:
    level = {output.name: output.quantile for output in outputs}
    return float(level[BOUNDS[1]] - level[BOUNDS[0]])


def _with_unit(target: dict[str, Any]) -> str:
    return f"{target['name']}, {target['unit']}" if target.get("unit") else str(target["name"])
