"""Everything behind `latency data`: fetch, convert, clean, report, write."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from . import table as tidy_table
from .convert import Converted, convert
from .errors import DataError
from .fetch import MIRROR_VARIABLE, fetch, mirror_from_environment
from .sources import Source, load_reference, load_sources


@dataclass(frozen=True)
class SetReport:
    """What became of one set: rows in = rows kept + rows dropped."""

    source: Source
    rows_in: int
    rows_kept: int
    dropped: dict[str, int]


@dataclass(frozen=True)
class Report:
    """What `prepare` wrote, set by set, and which sets it had to leave out."""

    out: Path
    sets: list[SetReport] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows in the table."""
        return sum(entry.rows_kept for entry in self.sets)


def prepare(mirror: Path | None, cache: Path, out: Path, sets: list[str] | None, progress: Console) -> Report:
    """Makes the tidy table `out` (Parquet) from the sets named, or from all that can be had.

    `mirror` None means the folder in LATENCY_DATA_MIRROR, if set; with a mirror nothing is downloaded. A set
    without a public address is left out with a notice when no mirror holds it; named, it is an error.
    """
    mirror = mirror or mirror_from_environment()
    if mirror is not None and not mirror.is_dir():
        raise DataError(
            f"the mirror folder {mirror} does not exist. Correct --mirror or {MIRROR_VARIABLE}, or unset it to "
            "download."
        )
    sources = load_sources()
    chosen, absent = _choose(sources, sets, mirror or cache)
    for name in absent:
        progress.print(
            f"{sources[name].title}: left out. It has no public address and joins only from a mirror folder "
            f"({MIRROR_VARIABLE}). Rebuilding the bundled model byte for byte needs it.",
            style="yellow",
        )
    files = _fetch(chosen, cache, mirror, progress)
    reference = load_reference()
    report = Report(out, absent=absent)
    converted: list[Converted] = []
    for source in chosen:
        with progress.status(f"Cleaning {source.title}"):
            result = convert(source.name, files[source.name], reference)
        converted.append(result)
        dropped = {entry.reason: entry.rows for entry in result.dropped}
        report.sets.append(SetReport(source, result.rows_in, len(result.table), dropped))
    with progress.status(f"Writing {escape(str(out))}"):
        tidy_table.write(tidy_table.concatenate(result.table for result in converted), out)
    _print(report, progress)
    return report


def _choose(sources: dict[str, Source], sets: list[str] | None, have: Path) -> tuple[list[Source], list[str]]:
    """The sets to convert, in the order of `sources.toml`, and the names of those left out."""
    if sets is not None:
        unknown = [name for name in sets if name not in sources]
        if unknown or not sets:
            found = ", ".join(unknown) or "none"
            raise DataError(f"sets: found {found}; allowed are {', '.join(sources)}.")
        return [source for source in sources.values() if source.name in sets], []
    absent = [
        source.name
        for source in sources.values()
        if not source.is_public and not all((have / file.path).is_file() for file in source.files)
    ]
    return [source for source in sources.values() if source.name not in absent], absent


def _fetch(chosen: list[Source], cache: Path, mirror: Path | None, progress: Console) -> dict[str, dict[str, Path]]:
    """Verified copies of all files, by set and role."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=progress, transient=True) as bars:
        found: dict[str, dict[str, Path]] = {}
        for source in chosen:
            bar = bars.add_task(source.name, total=sum(file.bytes for file in source.files))
            advance = partial(bars.advance, bar)
            found[source.name] = {file.role: fetch(file, cache, mirror, advance) for file in source.files}
    return found


def _print(report: Report, progress: Console) -> None:
    grid = Table("set", "rows", title="Measurements", title_justify="left")
    grid.columns[1].justify = "right"
    for entry in report.sets:
        grid.add_row(f"[bold]{entry.source.name}[/bold] in", f"{entry.rows_in:,}")
        for reason, rows in entry.dropped.items():
            grid.add_row(f"  dropped: {reason}", f"-{rows:,}", style="dim")
        grid.add_row("  kept", f"{entry.rows_kept:,}", end_section=True)
    grid.add_row("[bold]table[/bold]", f"{report.rows:,}")
    progress.print(grid)
    for entry in report.sets:
        progress.print(
            f"{entry.source.name}: {entry.source.attribution}. Licence: {entry.source.licence}.", style="dim"
        )
    progress.print(f"Wrote {escape(str(report.out))}", soft_wrap=True)
