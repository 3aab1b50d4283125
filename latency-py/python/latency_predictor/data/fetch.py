"""Gets the published files, from a mirror folder or from their public addresses, and checks every byte."""

import contextlib
import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from .errors import DataError
from .sources import SourceFile

MIRROR_VARIABLE = "LATENCY_DATA_MIRROR"
TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 16

Progress = Callable[[int], None]
"""Called with the number of bytes that have just arrived."""


def mirror_from_environment() -> Path | None:
    """The mirror folder that LATENCY_DATA_MIRROR names, if any."""
    value = os.environ.get(MIRROR_VARIABLE)
    return Path(value) if value else None


def fetch(file: SourceFile, cache: Path, mirror: Path | None, advance: Progress = lambda _: None) -> Path:
    """The path of a verified copy of `file`.

    With a mirror, the file is read where it lies and nothing is downloaded. Without one, a good copy in
    `cache` is used, else the file is downloaded there. DataError if it is missing, truncated or altered.
    """
    if mirror is not None:
        path = mirror / file.path
        if not path.is_file():
            raise DataError(
                f"{file.path} is missing: expected in the mirror folder {mirror} ({MIRROR_VARIABLE}). "
                + ("Add it there, or unset the mirror to download it." if file.url else "Add it there.")
            )
        problem = _problem(path, file)
        if problem:
            raise DataError(f"{path} is not the published file: {problem}. Replace it with a good copy.")
        advance(file.bytes)
        return path
    path = cache / file.path
    problem = _problem(path, file) if path.is_file() else "it is not in the cache"
    if problem is None:
        advance(file.bytes)
        return path
    if file.url is None:
        raise DataError(
            f"{file.path} has no public address, and {problem} ({cache}). "
            f"Set {MIRROR_VARIABLE} to a mirror folder that holds it."
        )
    _download(file, file.url, path, advance)
    return path


def _download(file: SourceFile, url: str, path: Path, advance: Progress) -> None:
    """Writes a verified copy to `path`, or leaves nothing behind."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    cure = (
        f"Check the connection (HTTPS_PROXY is honoured) and try again, or set {MIRROR_VARIABLE} to a folder "
        f"that holds {file.path}."
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The URLs are those of sources.toml, and what arrives is checked against its SHA-256.
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, part.open("wb") as copy:  # noqa: S310
            left = file.bytes + 1  # one more than expected, to notice a longer file without reading it all
            while left > 0 and (chunk := answer.read(min(CHUNK_BYTES, left))):
                copy.write(chunk)
                left -= len(chunk)
                advance(len(chunk))
        problem = _problem(part, file)
        if problem:
            raise DataError(
                f"{url} did not deliver the published {file.path}: {problem}. Something on the way cut or "
                f"changed it. {cure}"
            )
        part.replace(path)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the open connection
        raise DataError(f"{url} answered {error.code} {error.reason} instead of {file.path}. {cure}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)  # URLError wraps what went wrong
        raise DataError(f"could not download {url} to {path}: {reason}. {cure}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _problem(path: Path, file: SourceFile) -> str | None:
    """What is wrong with a copy, or None."""
    found = path.stat().st_size
    if found < file.bytes:
        return f"it is truncated: expected {file.bytes:,} bytes, found {found:,}"
    if found > file.bytes:
        return f"it is too long: expected {file.bytes:,} bytes, found at least {found:,}"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != file.sha256:
        return f"its SHA-256 differs: expected {file.sha256}, found {sha256}"
    return None
