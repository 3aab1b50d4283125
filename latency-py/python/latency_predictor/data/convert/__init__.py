"""From published files to the tidy table, one module per set."""

from collections.abc import Mapping
from pathlib import Path

from ..sources import Reference
from . import poki, ripe, skyplane, wondernetwork
from .cleaning import Converted, Dropped

__all__ = ["Converted", "Dropped", "convert"]


def convert(name: str, files: Mapping[str, Path], reference: Reference) -> Converted:
    """Converts the set `name` (as in `sources.toml`) from its files by role."""
    match name:
        case "wondernetwork":
            return wondernetwork.convert(files["servers"], files["pings"], reference)
        case "skyplane":
            return skyplane.convert(files["latency"], reference)
        case "poki":
            return poki.convert(files["latencies"], reference)
        case "ripe":
            return ripe.convert(files["pairs"])
    raise ValueError(f"there is no converter for the set {name!r}")
