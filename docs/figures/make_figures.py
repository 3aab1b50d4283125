"""Draws `accuracy.svg` from the evaluation that `latency train` wrote: `python docs/figures/make_figures.py`."""

import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent.parent
METHODS = {
    "this model": "#0b6e99",
    "quick model": "#7fb3c8",
    "line in distance": "#b8b8b8",
    "2.1 × floor": "#d2d2d2",
    "constant": "#e8e8e8",
}
SETS = {
    "wondernetwork": "rented servers\n(WonderNetwork)",
    "skyplane": "cloud regions\n(Skyplane)",
    "ripe": "homes to cloud\n(RIPE Atlas)",
    "poki": "homes to homes\n(poki)",
}


def main() -> None:
    """Median relative error per data set and method, both ends new, on a light ground that suits dark pages too."""
    # Without a date and with fixed ids the same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "latency", "font.size": 9, "svg.fonttype": "none"})
    accuracy = json.loads((ROOT / "models" / "evaluation.json").read_text())["accuracy"]
    figure, axes = plt.subplots(figsize=(7.2, 2.9), layout="constrained")
    for offset, (method, colour) in enumerate(METHODS.items()):
        errors = [100 * accuracy[name]["C3"]["methods"][method]["median_relative_error"] for name in SETS]
        positions = [index + (offset - 2) * 0.17 for index in range(len(SETS))]
        bars = axes.bar(positions, errors, width=0.16, color=colour, label=method)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=1)
    axes.set_xticks(range(len(SETS)), SETS.values())
    axes.set_ylabel("median relative error, %")
    axes.set_title("RTT between places that never measured each other, both unseen in training", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(METHODS), loc="upper left", fontsize=7.5, columnspacing=1.0)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    figure.savefig(Path(__file__).parent / "accuracy.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
