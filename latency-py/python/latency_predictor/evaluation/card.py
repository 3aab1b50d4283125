"""The model card: what the bundled model is, what it was trained on, and how good it is beside the baselines."""

from __future__ import annotations

from typing import Any

from ..predictor import Predictor
from . import strata
from .evaluate import STRATUM_ROWS
from .held_out import MODEL, QUICK
from .selection import NEAREST

CASES = {"C2": "one end new", "C3": "both ends new"}
OTHER_SPLITS = {
    "pairs": "new pairs of known places (flatters)",
    "countries": "whole countries held out",
    "sets": "a whole data set held out",
}


def write_card(predictor: Predictor, result: dict[str, Any], pictures: str | None = None) -> str:
    """The card as Markdown, from the model and its evaluation alone. `pictures`: their folder, as seen from the card."""
    info = predictor.model_info
    sections = [
        _head(info),
        _data(info["provenance"]),
        _rebuild(),
        _accuracy(result, pictures),
        _other_splits(result),
        _selection(result),
        _interval(result, pictures),
        _measurement(result),
        _hidden_labels(result),
        _why(result, pictures),
        _meaning(),
        _limits(),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _head(info: dict[str, Any]) -> list[str]:
    return [
        "# The bundled model",
        "",
        "`models/latency.onnx` predicts the round-trip time (RTT) between two places that never measured each other, from",
        "their coordinates and, where known, how each end is connected and hosted. This card is written by",
        "`latency evaluate`; every figure in it comes from that run.",
        "",
        "| | |",
        "| --- | --- |",
        f"| version | `{info['version']}` (first 12 hex digits of the file's SHA-256) |",
        f"| size | {info['bytes']:,} bytes, {info['features']} features |",
        f"| rows | {info['provenance']['rows']:,} |",
    ]


def _data(provenance: dict[str, Any]) -> list[str]:
    rows = []
    for name, source in provenance["data_sets"].items():
        cells = [source.get("title", name), f"{source['rows']:,}"]
        cells += [str(source.get(key, "")) for key in ("measured", "licence", "attribution")]
        rows.append(cells)
    return [
        "## Data",
        "",
        *_table(["set", "rows", "measured", "licence", "attribution"], rows),
        "",
        "None of the measurements is in this repository: [data/README.md](../data/README.md) says where they come from.",
        "City coordinates: GeoNames, CC BY 4.0.",
    ]


def _rebuild() -> list[str]:
    return [
        "## Make it again",
        "",
        "```sh",
        "make model    # LATENCY_DATA_MIRROR names a folder that has the measurements; else the public ones are downloaded",
        "```",
        "",
        "fetches and cleans the measurements, trains (`latency train`), judges and writes this card with its pictures",
        "(`latency evaluate --studies`). The same table gives the same bytes, with the versions in `.ci/requirements.txt`:",
        "`.ci/reproducible` checks it. The RIPE set has no public file, so the same bytes need a mirror folder that holds it;",
        "without it the commands work on the other sets.",
    ]


def _accuracy(result: dict[str, Any], pictures: str | None) -> list[str]:
    lines = [
        "## How good it is",
        "",
        "Five folds by place: a fold's model saw no row that touches the fold's places. Figures are means over the folds, in",
        "brackets a 90 % Bayesian bootstrap over places. The rules are fitted per data set. The quick model is an untuned XGBoost on",
        "distance, coordinates, continents and labels; *over quick* is the ratio of the two median errors.",
        "",
        *_picture(
            pictures, "baselines.svg", "Median relative error per data set: this model, the quick model, and rules"
        ),
    ]
    places = result["accuracy"]["places"]
    for case, meaning in CASES.items():
        rows = []
        for dataset, cases in places.items():
            if case not in cases:
                continue
            entry = cases[case]
            for method, found in entry["methods"].items():
                own = method == MODEL
                median = f"{found['median_relative_error']:.1%}"
                p90 = f"{found['p90_relative_error']:.0%}"
                if own:
                    low, high = entry["intervals"]["median_relative_error"]
                    median = f"**{median}** ({low:.1%}–{high:.1%})"
                    low, high = entry["intervals"]["p90_relative_error"]
                    p90 += f" ({low:.0%}–{high:.0%})"
                low, high = entry["over_quick_interval"]
                rows.append(
                    [
                        f"{dataset} ({entry['rows']:,} rows)" if own else "",
                        method,
                        median,
                        f"{entry['over_quick']:.2f} ({low:.2f}–{high:.2f})" if own else "",
                        p90,
                        f"{found['within_20_percent']:.0%}",
                        f"{found['mae_ms']:.1f}",
                        f"{found['r2']:.2f}",
                    ]
                )
        if rows:
            head = [
                "set",
                "method",
                "median rel. error",
                "over quick",
                "p90 rel. error",
                "within 20 %",
                "MAE, ms",
                "R²",
            ]
            lines += [f"### {case}: {meaning}", "", *_table(head, rows), ""]
    lines += [
        *_picture(pictures, "predicted-measured.png", "Predicted against measured RTT, per data set"),
        *_picture(pictures, "error-by-distance.svg", "Median relative error by distance, per data set"),
        *_picture(pictures, "map.png", "World map of the median relative error by region"),
    ]
    return lines[:-1] if lines[-1] == "" else lines


def _other_splits(result: dict[str, Any]) -> list[str]:
    rows = [
        [
            meaning if first else "",
            f"{dataset}, {case} ({entry['rows']:,} rows)",
            f"{entry['methods'][MODEL]['median_relative_error']:.1%}",
            f"{entry['methods'][QUICK]['median_relative_error']:.1%}",
            f"{entry['over_quick']:.2f}",
            f"{entry['methods'][MODEL]['p90_relative_error']:.0%}",
            f"{entry['methods'][QUICK]['p90_relative_error']:.0%}",
        ]
        for name, meaning in OTHER_SPLITS.items()
        for first, (dataset, case, entry) in _first(
            (dataset, case, entry)
            for dataset, cases in result["accuracy"].get(name, {}).items()
            for case, entry in cases.items()
        )
    ]
    head = ["held out", "set", "median rel. error", "quick model", "over quick", "p90", "p90, quick"]
    return ["### Held out in other ways", "", *_table(head, rows)]


def _selection(result: dict[str, Any]) -> list[str]:
    if not result["selection"]:
        return []
    rows = []
    for dataset, found in result["selection"].items():
        for method in (MODEL, QUICK, NEAREST, "ratio by continents"):
            own = found["methods"][method]
            rows.append(
                [
                    f"{dataset} ({found['clients']} clients)" if method == MODEL else "",
                    method,
                    f"{own['top_1']:.0%}",
                    f"{own['within_5_ms']:.0%}",
                    f"{own['top_3']:.0%}",
                    f"{own['mean_stretch']:.2f}",
                    f"{own['p90_penalty_ms']:.1f}",
                ]
            )
    head = ["set", "method", "best", "within 5 ms", "best in top 3", "mean stretch", "p90 penalty, ms"]
    return [
        "### Choosing one of ten servers for a client that was never seen",
        "",
        "Twenty draws of ten servers per client. *Within 5 ms*: the chosen server is at most 5 ms slower than the best;",
        "*stretch*: chosen over best; *penalty*: chosen minus best.",
        "",
        *_table(head, rows),
    ]


def _interval(result: dict[str, Any], pictures: str | None) -> list[str]:
    interval = result["interval"]
    rows = [["all", *_coverage_cells(interval["all"])]]
    for by in ("case", "dataset", "access", "distance"):
        groups = interval["by"][by]
        names = [name for name in strata.distance_bins() if name in groups] if by == "distance" else sorted(groups)
        rows += [[f"{by} {name}" if by in ("access",) else name, *_coverage_cells(groups[name])] for name in names]
    lines = [
        "## The 90 % interval on unseen places",
        "",
        "Offsets for a fold come from models and rows that never saw the fold's places.",
        "",
        *_table(["rows", "count", "coverage", "below", "above", "median high / low"], rows),
        "",
    ]
    worst = interval.get("worst")
    if worst:
        lines += [
            f"The worst stratum with at least {STRATUM_ROWS} rows, pairs of continents included: {worst['stratum']}, "
            f"{worst['coverage']:.1%}.",
            "",
        ]
    others = ", ".join(
        f"{meaning}: {result['interval_by_split'][name]['coverage']:.1%}"
        for name, meaning in OTHER_SPLITS.items()
        if name in result["interval_by_split"]
    )
    lines += [
        f"Coverage where the interval was not made for it: {others}.",
        "",
        "Pinball loss of ln RTT, × 1,000:",
        "",
        *_table(
            ["set", *(f"quantile {level}" for level in next(iter(result["pinball"].values())))],
            [[name, *(f"{1000 * loss:.1f}" for loss in losses.values())] for name, losses in result["pinball"].items()],
        ),
        "",
        *_picture(pictures, "coverage.svg", "Coverage of the interval per stratum"),
        *_picture(pictures, "reliability.svg", "Reliability of the quantiles of the path's median"),
    ]
    return lines[:-1] if lines[-1] == "" else lines


def _coverage_cells(found: dict[str, Any]) -> list[str]:
    return [
        f"{found['rows']:,}",
        f"{found['coverage']:.1%}",
        f"{found['below']:.1%}",
        f"{found['above']:.1%}",
        f"{found['width_ratio']:.2f}",
    ]


def _measurement(result: dict[str, Any]) -> list[str]:
    rows = [
        [
            kind,
            f"{found['rows']:,}",
            f"{found['below_p90']:.1%}",
            f"{found['below_p99']:.1%}",
            f"{found['p95_rows']:,}" if found["p95_rows"] else "",
            "" if found["p95_below_p99"] is None else f"{found['p95_below_p99']:.1%}",
        ]
        for kind, found in result["measurements"].items()
    ]
    return [
        "## One measurement on unseen places",
        "",
        "The share of a path's measurements below `p90_ms` and `p99_ms` that its median and scatter let expect, as a mean",
        "over paths: 90 % and 99 % are meant, the second an extrapolation. Beside it what was measured: how many paths of",
        "more than three measurements have a 95 % quantile below `p99_ms`.",
        "",
        *_table(["paths", "rows", "below p90", "below p99", "rows with a p95", "p95 below p99"], rows),
    ]


def _hidden_labels(result: dict[str, Any]) -> list[str]:
    names = list(next(iter(next(iter(result["hidden_labels"].values())).values())))
    rows = [
        [
            f"{dataset}, {case}",
            *(f"{found[name]['median_relative_error']:.1%} ({found[name]['coverage']:.0%})" for name in names),
        ]
        for dataset, cases in result["hidden_labels"].items()
        for case, found in cases.items()
    ]
    return [
        "## What a missing label costs",
        "",
        "Median relative error, in brackets the coverage of the 90 % interval. A missing label means unknown; most rows with",
        "no label at all are servers, so a home whose access is unknown is predicted too fast.",
        "",
        *_table(["set", *names], rows),
    ]


def _why(result: dict[str, Any], pictures: str | None) -> list[str]:
    lines = [
        "## Why it is as it is",
        "",
        *_picture(pictures, "importance.svg", "Permutation importance of the feature groups on held-out places"),
    ]
    for name, intro, first in (
        (
            "ablations",
            "Median relative error when models are trained without a group of features, C2 / C3:",
            "features",
        ),
        ("learning_curve", "Trained on a share of the places only, C2 / C3:", "share of the places"),
    ):
        if name not in result:
            continue
        sets = list(next(iter(result[name].values())))
        rows = []
        for variant, found in result[name].items():
            cells = [
                " / ".join(f"{100 * figures['median_relative_error']:.1f}" for figures in found[dataset].values())
                + " %"
                for dataset in sets
            ]
            errors = [figures["mean_log_error"] for cases in found.values() for figures in cases.values()]
            rows.append([variant, *cells, f"{100 * sum(errors) / len(errors):.1f}"])
        head = [first, *sets, "mean of \\|ln(predicted / measured)\\|, × 100"]
        lines += [intro, "", *_table(head, rows), ""]
    rows = [
        [dataset, f"{found['median_relative_error']:.1%}", f"{found['with_place_effects']:.1%}"]
        for dataset, found in result["noise_ceiling"].items()
    ]
    smooth = result["smoothness"]
    lines += [
        "How far a better model could get: part of the error belongs to the unseen place itself (its network, its last mile),",
        "which coordinates and labels do not tell. Taking away what each end's other rows share leaves:",
        "",
        *_table(["set", "median rel. error", "if each place's own effect were known"], rows),
        "",
        f"Smoothness: along rays of {smooth['step_km']:.0f} km steps, p50 falls in {smooth['falls']:.0%} of the steps, by "
        f"{smooth['median_fall']:.1%} in the median and by more than",
        f"5 % in {smooth['falls_above_5_percent']:.1%}. XGBoost's monotone constraint does not hold for quantile objectives, "
        "and a further place can",
        f"really be faster where a cable lands. Predictions below the floor: {smooth['below_the_floor']:.0%}. Crossed "
        f"quantiles: {smooth['crossings']:.0%}.",
    ]
    return lines


def _meaning() -> list[str]:
    return [
        "## What its numbers mean",
        "",
        "- `p50_ms` is the path's median RTT, `low_ms`..`high_ms` a 90 % interval for that median: quantile regression,",
        "  made to hold on unseen places by conformal offsets from held-out places.",
        "- `p90_ms` and `p99_ms` are about one measurement: the path's uncertainty convolved with how measurements scatter",
        "  around a path's median, learned from min/avg/max and 95 % quantiles: for each quantile a time plus a share of the",
        "  median, by the kind of end that scatters more. `p99_ms` is an extrapolation: no source holds a 99 % quantile.",
        "- Nothing is predicted below the floor, light in fibre along the great circle.",
    ]


def _limits() -> list[str]:
    return [
        "## Limits",
        "",
        "- Measured 2020 to 2026: the same 420 cloud pairs measured four years apart differ by 8.4 % in the median.",
        "- Residential rows are countries and US states, placed at their population-weighted centres.",
        "- Starlink, cellular and Wi-Fi were seen at one end only, against cloud servers.",
        "- The recipe was chosen while looking at the folds by place, so their figures flatter a little; countries and data",
        "  sets held out were looked at to confirm.",
        "- How homes of unknown technology scatter (`residential`) was not measured: they are taken as the mean of wired",
        "  and Wi-Fi homes.",
        "- What lies outside what training saw is answered with the warning `OUT_OF_RANGE`: values, distances, parts of the",
        "  Earth without data, and technologies of the two ends that were never seen together.",
    ]


def _first(items: Any) -> Any:
    for position, item in enumerate(items):
        yield position == 0, item


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _picture(folder: str | None, name: str, text: str) -> list[str]:
    return [f"![{text}]({folder}/{name})", ""] if folder else []
