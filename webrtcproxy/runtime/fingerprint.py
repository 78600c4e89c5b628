"""Fingerprint: tells whether files have changed since they were read."""

from __future__ import annotations

from pathlib import Path

Fingerprint = tuple[tuple[int, int, int] | None, ...]
"""Time, size and inode of each file; None for one that is not there."""


def fingerprint(*paths: Path | None) -> Fingerprint:
    """A value that changes when one of the files changes."""
    return tuple(_state(path) for path in paths if path is not None)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
