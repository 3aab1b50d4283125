"""What a run found out, as the section of a Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from contenders import NODE, PYTHON, REFERENCE, RUST, Contender

if TYPE_CHECKING:
    from run import Found

BEGIN, END = "<!-- bench-engine:begin -->", "<!-- bench-engine:end -->"
FIGURES = "figures/bench"
RATIO_ROWS = (1, 100, 1000, 100_000)
CONCERNS = {"trees": "trees, depth 6, 12 features", "depth": "depth, 300 trees", "columns": "features, 300 trees"}
LIBRARIES = (
    "The libraries of peers were loaded before; Python's and Node.js's `Predictor` loads ONNX Runtime's with the model."
)
CALLED = {"trees": "trees", "depth": "depth", "columns": "features"}
Choice = Callable[[Contender], bool]


def any_shape(contender: Contender) -> bool:
    """Whether it takes a model without minutes of compiling, and takes any at all."""
    return not contender.own_trees and contender.word != "tl2cgen"


def best_peer(found: Found, threads: int, rows: int, choice: Choice = lambda contender: True) -> Contender:
    """The fastest that is not ours."""
    medians = {
        contender: times.median
        for (contender, used, many), times in found.times.items()
        if times and (used, many) == (threads, rows) and not contender.ours and choice(contender)
    }
    return min(medians, key=medians.__getitem__)


def put(section: str, page: Path) -> None:
    """Puts the section between its marks."""
    text = page.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{section}\n{END}{after}")


def section(found: Found) -> str:
    parts = [
        where(found),
        "\n".join(statements(found)),
        figure("lines.svg", "Microseconds per row over rows in a call, one thread"),
        "One thread, µs per row: medians." + left_out(found, 1) + "\n\n" + table_of_times(found, 1),
        f"The same as time / native engine, with the middle half of the turns:\n\n{table_of_ratios(found, 1)}",
        figure("ratios.svg", "Time over that of the native engine, one row and 1,000"),
    ]
    if found.threads[-1] > 1:
        threads = found.threads[-1]
        parts.append(
            f"{threads} threads, for those that can use them, µs per row: medians."
            + left_out(found, threads)
            + "\n\n"
            + table_of_times(found, threads)
        )
    parts += [
        "How near the predictions are to XGBoost's; how long loading the model takes, in a new process each time; and "
        f"what the process has grown by after one prediction. {LIBRARIES}\n\n{table_of_loads(found)}",
        "Models that grow, one thread; time / native engine, whose own µs per row come first:\n\n" + scaling(found),
        figure("scaling.svg", "Microseconds per row over trees, depth and features"),
    ]
    return "\n\n".join(parts)


def where(found: Found) -> str:
    machine, versions = found.machine, ", ".join(f"{name} {number}" for name, number in found.versions.items())
    return (
        f"On {machine['processor']}, {machine['cores']} cores, {machine['system']}; programs that wanted a core: "
        f"{machine['load']} when it began, {machine['load at the end']} at the end (one is this benchmark). {versions}."
    )


def statements(found: Found) -> Iterable[str]:
    """Who is ahead of whom, as measured."""
    rust = compared(found, REFERENCE, lambda contender: True)
    yield f"- The native engine beside the fastest peer of all languages, one thread: {rust}."
    for language, others in ((RUST, "crate"), (PYTHON, "Python package"), (NODE, "Node.js package")):
        whole = next(one for one in found.loads if one.ours and one.language == language and one.word != REFERENCE.word)
        result = compared(found, whole, lambda contender, language=language: contender.language == language)
        yield f"- The whole `Predictor` in {language}, native, beside the fastest {others}: {result}."
    behind = [
        f"{CALLED[what]} {value}, {called(rows)}: {contender.name} {times.over(reference)[0]:.1f}"
        for (what, value, contender, rows), times in found.scaling.items()
        if times and (reference := found.scaling[what, value, REFERENCE, rows]) and times.over(reference)[0] < 1
    ]
    if behind:
        yield f"- **Behind** among the models that grow, as time / native engine: {'; '.join(behind)}."


def compared(found: Found, ours: Contender, choice: Choice) -> str:
    parts = []
    for rows in (1, 1000, 100_000):
        if (ours, 1, rows) not in found.times:
            continue
        peer = best_peer(found, 1, rows, choice)
        mine, theirs = found.times[ours, 1, rows], found.times[peer, 1, rows]
        if mine and theirs:
            ratio = theirs.over(mine)[0]
            word = "ahead" if ratio > 1 else "**behind**"
            parts.append(f"{called(rows)} {word} by {max(ratio, 1 / ratio):.1f} ({peer.name})")
    return "; ".join(parts)


def called(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"


def figure(name: str, text: str) -> str:
    return f"![{text}]({FIGURES}/{name})"


def table(heads: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    marks = ["---"] * left + ["---:"] * (len(heads) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, marks, *lines])


def contenders(found: Found, threads: int) -> list[Contender]:
    return list(dict.fromkeys(one for one, used, _ in found.times if used == threads))


def sizes(found: Found) -> list[int]:
    return list(dict.fromkeys(rows for _, _, rows in found.times))


def number(us: float) -> str:
    return f"{us:,.0f}" if us >= 100 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def table_of_times(found: Found, threads: int) -> str:
    lines = []
    for contender in contenders(found, threads):
        times = [found.times[contender, threads, rows] for rows in sizes(found)]
        lines.append([contender.name, contender.language, *(number(each.median) if each else "–" for each in times)])
    return table(["", "", *(f"{rows:,}" for rows in sizes(found))], lines, left=2)


def left_out(found: Found, threads: int) -> str:
    out = any(times is None for (_, used, _), times in found.times.items() if used == threads)
    return " A dash: a call takes longer than the benchmark waits." if out else ""


def table_of_ratios(found: Found, threads: int) -> str:
    shown = [rows for rows in RATIO_ROWS if rows in sizes(found)]
    lines = []
    for contender in contenders(found, threads):
        cells = []
        for rows in shown:
            times, reference = found.times[contender, threads, rows], found.times[REFERENCE, threads, rows]
            cells.append("{:.2f} ({:.2f} to {:.2f})".format(*times.over(reference)) if times and reference else "–")
        if contender is not REFERENCE:
            lines.append([contender.name, contender.language, *cells])
    return table(["", "", *(f"{rows:,}" for rows in shown)], lines, left=2)


def table_of_loads(found: Found) -> str:
    lines = []
    for contender, loads in found.loads.items():
        milliseconds = number(1000 * median(load["seconds"] for load in loads))
        mebibytes = f"{median(load['kib'] for load in loads) / 1024:.1f}"
        difference, same, gaps = found.checks[contender]
        near = "as good (R²)" if contender.own_trees else "to the bit" if same else f"within {difference:.0e}"
        near += ", not where values are missing" if gaps is False else ""
        lines.append([contender.name, contender.language, near, milliseconds, mebibytes])
    return table(["", "", "predictions", "load, ms", "memory, MiB"], lines, left=3)


def scaling(found: Found) -> str:
    return "\n\n".join(scaling_of(found, what) for what in dict.fromkeys(what for what, *_ in found.scaling))


def scaling_of(found: Found, what: str) -> str:
    keys = [key for key in found.scaling if key[0] == what]
    rows_of, values = dict.fromkeys(key[3] for key in keys), dict.fromkeys(key[1] for key in keys)
    others = [one for one in dict.fromkeys(key[2] for key in keys) if one is not REFERENCE]
    heads = [CONCERNS[what]]
    for rows in rows_of:
        heads += [f"{called(rows)}, µs", *(other.name for other in others)]
    lines = []
    for value in values:
        cells = [str(value)]
        for rows in rows_of:
            reference = found.scaling[what, value, REFERENCE, rows]
            cells.append(number(reference.median) if reference else "–")
            for other in others:
                times = found.scaling[what, value, other, rows]
                cells.append(f"{times.over(reference)[0]:.1f}" if times and reference else "–")
        lines.append(cells)
    return table(heads, lines)
