"""The model card: what the bundled model is, what it was trained on, how good it is beside the baselines."""

from __future__ import annotations

from typing import Any

from ..predictor import Predictor
from . import baselines
from .evaluate import MODEL, QUICK

CASES = {"C2": "one end new", "C3": "both ends new"}


def write_card(predictor: Predictor, result: dict[str, Any]) -> str:
    """The card as Markdown, from the model and its evaluation alone."""
    info = predictor.model_info
    provenance = info["provenance"]
    lines = [
        "# The bundled model",
        "",
        "`latency.onnx` predicts the round-trip time (RTT) between two places that never measured each other, from their",
        "coordinates and, where known, how each end is connected and hosted. This card is written by the command that",
        "trains the model; every figure in it comes from that run.",
        "",
        "| | |",
        "| --- | --- |",
        f"| version | `{info['version']}` (first 12 hex digits of the file's SHA-256) |",
        f"| size | {info['bytes']:,} bytes, {info['features']} features |",
        f"| rows | {provenance['rows']:,} |",
        f"| command | `{provenance['command']}`: see below |",
        "",
        "## Data",
        "",
        "| set | rows | measured | licence | attribution |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, source in provenance["data_sets"].items():
        cells = [source.get("title", name), f"{source['rows']:,}"]
        cells += [str(source.get(key, "")) for key in ("measured", "licence", "attribution")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "None of the measurements is in this repository: `data/README.md` says where they come from. City coordinates:",
        "GeoNames, CC BY 4.0.",
        "",
        "## Make it again",
        "",
        "```sh",
        "latency data    # downloads the public sets; LATENCY_DATA_MIRROR names a folder that already has them",
        "latency train --out models/latency.onnx --evaluation models/evaluation.json --card models/README.md",
        "```",
        "",
        "The same table gives the same bytes, with the versions in `.ci/requirements.txt`: `.ci/reproducible` checks it. The",
        "RIPE set has no public file, so rebuilding this file byte for byte needs a mirror folder that holds it; without it",
        "the command trains on the other sets.",
        "",
        "## How good it is",
        "",
        "Five folds by place: a fold's model saw no row that touches the fold's places. Figures are means over the folds;",
        "the interval behind the median error is a 90 % bootstrap over places. The rules are fitted per data set. The quick",
        "model is an untuned XGBoost on distance, coordinates, continents and labels.",
        "",
    ]
    for case, meaning in CASES.items():
        lines += _accuracy_table(result, case, meaning)
    lines += _interval_table(result)
    lines += _measurements_table(result)
    lines += [
        "",
        "## What its numbers mean",
        "",
        "- `p50_ms` is the path's median RTT, `low_ms`..`high_ms` a 90 % interval for that median: quantile regression,",
        "  made to hold on unseen places by conformal offsets from held-out places.",
        "- `p90_ms` and `p99_ms` are about one measurement: the path's uncertainty convolved with how measurements scatter",
        "  around a path's median, learned from min/avg/max and 95 % quantiles: for each quantile a time plus a share of the",
        "  median, by the kind of end that scatters more. `p99_ms` is an extrapolation: no source holds a 99 % quantile.",
        "- Nothing is predicted below the floor, light in fibre along the great circle.",
        "",
        "## Limits",
        "",
        "- Measured 2020 to 2026: the same 420 cloud pairs measured four years apart differ by 8.4 % in the median.",
        "- Residential rows are countries and US states, placed at their population-weighted centres.",
        "- Starlink, cellular and Wi-Fi were seen at one end only, against cloud servers.",
        "- How homes of unknown technology scatter (`residential`) was not measured: they are taken as the mean of wired",
        "  and Wi-Fi homes.",
        "- What lies outside what training saw is answered with the warning `OUT_OF_RANGE`: values, distances, parts of the",
        "  Earth without data, and technologies of the two ends that were never seen together.",
        "",
    ]
    return "\n".join(lines)


def _accuracy_table(result: dict[str, Any], case: str, meaning: str) -> list[str]:
    lines = [
        f"### {case}: {meaning}",
        "",
        "| set | method | median rel. error | p90 rel. error | within 20 % | MAE, ms | R² |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for dataset, cases in result["accuracy"].items():
        if case not in cases:
            continue
        for method in (MODEL, QUICK, *baselines.RULES):
            found = cases[case]["methods"][method]
            median = f"{found['median_relative_error']:.1%}"
            if method == MODEL:
                low, high = found["median_relative_error_interval"]
                median = f"**{median}** ({low:.1%}–{high:.1%})"
            first = f"{dataset} ({cases[case]['rows']:,} rows)" if method == MODEL else ""
            lines.append(
                f"| {first} | {method} | {median} | {found['p90_relative_error']:.0%} | "
                f"{found['within_20_percent']:.0%} | {found['mae_ms']:.1f} | {found['r2']:.2f} |"
            )
    return [*lines, ""]


def _interval_table(result: dict[str, Any]) -> list[str]:
    lines = [
        "### The 90 % interval on unseen places",
        "",
        "| rows | count | coverage | median high / low |",
        "| --- | --- | --- | --- |",
    ]
    interval = result["interval"]
    groups = {"all": interval["all"]}
    for key, label in (("by_case", ""), ("by_data_set", ""), ("by_access", "access ")):
        groups |= {f"{label}{name}": found for name, found in interval[key].items()}
    for name, found in groups.items():
        lines.append(f"| {name} | {found['rows']:,} | {found['coverage']:.1%} | {found['width_ratio']:.2f} |")
    return lines


def _measurements_table(result: dict[str, Any]) -> list[str]:
    lines = [
        "",
        "### One measurement on unseen places",
        "",
        "The share of a path's measurements below `p90_ms` and `p99_ms` that its median and scatter let expect, as a mean",
        "over paths: 90 % and 99 % are meant, the second an extrapolation. Beside it what was measured: how many paths of",
        "more than three measurements have a 95 % quantile below `p99_ms`.",
        "",
        "| paths | rows | below p90 | below p99 | rows with a p95 | p95 below p99 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, found in result["measurements"].items():
        checked = "" if found["p95_below_p99"] is None else f"{found['p95_below_p99']:.1%}"
        lines.append(
            f"| {kind} | {found['rows']:,} | {found['below_p90']:.1%} | {found['below_p99']:.1%} | "
            f"{found['p95_rows'] or ''} | {checked} |"
        )
    return lines
