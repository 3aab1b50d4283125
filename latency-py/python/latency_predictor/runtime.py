"""Where the pip package `onnxruntime` keeps its library. Only looks; never imports or loads it."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def library_folder() -> Path | None:
    """The folder with `libonnxruntime.so.*` of the installed `onnxruntime`, if there is one."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))).resolve() / "capi"
    return folder if folder.is_dir() else None
