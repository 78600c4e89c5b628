"""LineFile: appends lines to a file, in batches. What the disk does not take waits, up to a bound.

Several processes may append to the same file: each writes whole lines, under a lock that is held for one batch.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from webrtcproxy.runtime.schedule import Clock

log = Logger()

MODE = 0o640
"""The permissions of a file that is made; one that exists keeps its own."""


class LineFile:
    """One file of lines.

    A file that has been renamed or removed, as by logrotate, is made once more at its path. What can't be written, as
    on a full disk, is tried again each second: one line in the log says so, and one when it works again. A line is in
    the hands of the kernel once it is written, so that it survives the end of the process by any signal.

    :param clock: for the delays.
    :param path: of the file; it is opened with the first line.
    :param limit: lines that may wait; further ones are lost, and counted.
    """

    DELAY: ClassVar[float] = 1.0
    """Most seconds that a line waits for others, and between two tries."""
    BUSY: ClassVar[float] = 0.02
    """Seconds until the next try where another process is writing."""
    MAX_BUSY: ClassVar[int] = 50
    """Tries in a row after which a lock of another process counts as a fault."""
    BATCH: ClassVar[int] = 500
    """Most lines that are written at once."""

    def __init__(self, clock: Clock, path: Path, limit: int) -> None:
        self._clock = clock
        self._path = path
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._descriptor: int | None = None
        self._timer: IDelayedCall | None = None
        self._is_failing = False
        self._busy = 0
        self.lost = 0

    def __len__(self) -> int:
        """How many lines wait."""
        return len(self._waiting)

    def add(self, line: bytes) -> None:
        """Add a line.

        :param line: without its end, and without line breaks.
        """
        if len(self._waiting) >= self._limit:
            self.lost += 1
            return
        self._waiting.append(line + b"\n")
        if self._timer is None:
            self._timer = self._clock.callLater(self.DELAY, self._due)

    def stop(self) -> None:
        """Write all that waits, and close the file. Lines that can't be written then are lost; the log says how
        many."""
        self._stop_timer()
        while self._waiting:
            try:
                self._write_batch()
            except BlockingIOError:
                self._busy += 1
                if self._busy > self.MAX_BUSY:
                    break
                time.sleep(self.BUSY / 2)
            except OSError as error:
                self._failed(error)
                break
        self.lost += len(self._waiting)
        self._waiting.clear()
        if self.lost:
            log.error("{lost} lines for {path} are lost", lost=self.lost, path=str(self._path))
        self._close()

    def _due(self) -> None:
        """Write one batch, and have more written later where there are more."""
        self._timer = None
        delay = 0.0
        try:
            self._write_batch()
        except BlockingIOError as error:
            self._busy += 1
            delay = self.BUSY
            if self._busy >= self.MAX_BUSY:
                delay = self.DELAY
                self._failed(error)
        except OSError as error:
            delay = self.DELAY
            self._failed(error)
        else:
            self._busy = 0
            self._works()
        if self._waiting:
            self._timer = self._clock.callLater(delay, self._due)

    def _failed(self, error: OSError) -> None:
        self._close()
        if not self._is_failing:
            self._is_failing = True
            log.error(
                "{path} can't be written: {why}. Up to {limit} lines wait until it can be",
                path=str(self._path),
                why=error.strerror or error,
                limit=self._limit,
            )

    def _works(self) -> None:
        if self._is_failing:
            self._is_failing = False
            log.warn("{path} is written again; {lost} lines are lost", path=str(self._path), lost=self.lost)
            self.lost = 0

    def _write_batch(self) -> None:
        """Write some of the lines that wait; a line is whole in the file, or not at all.

        :raises BlockingIOError: another process is writing.
        :raises OSError: not all of them could be written.
        """
        lines = list(islice(self._waiting, self.BATCH))
        descriptor = self._opened()
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            begin = os.fstat(descriptor).st_size
            # What another program, or a machine that has lost its power, has left without an end gets one.
            first = b"\n" if begin and os.pread(descriptor, 1, begin - 1) != b"\n" else b""
            data = first + b"".join(lines)
            written = os.write(descriptor, data)
            if written < len(data):
                written = data.rfind(b"\n", 0, written) + 1
                os.ftruncate(descriptor, begin + written)
            self._drop(data[len(first) : written].count(b"\n"))
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()

    def _opened(self) -> int:
        """The file that is at the path now, opened.

        :raises OSError: it can't be opened, or is no regular file.
        """
        descriptor = self._descriptor
        if descriptor is not None:
            opened = os.fstat(descriptor)
            with suppress(OSError):
                there = self._path.stat()
                if (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino):
                    return descriptor
            self._close()
        descriptor = self._descriptor = _open(self._path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._close()
            raise OSError(errno.EINVAL, "this is no regular file")
        return descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


def _open(path: Path) -> int:
    """Open a file to append to it. A new one gets the permissions of `MODE`, whatever the umask is."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:  # another process was faster, or it is a link to nowhere
        return os.open(path, flags)
    os.fchmod(descriptor, MODE)
    return descriptor
