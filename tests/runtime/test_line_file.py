"""Lines in a file: whole, in order, and none lost while the disk is full."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime import line_file
from webrtcproxy.runtime.line_file import LineFile


class LineFileCase(SynchronousTestCase):
    """A file in a folder of its own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "lines"
        self.file = self.make()

    def make(self, limit: int = 1000) -> LineFile:
        file = LineFile(self.clock, self.path, limit)
        self.addCleanup(file.stop)
        return file

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def full(self, room: int) -> None:
        """Let the disk take only so many more octets."""
        self.room, self.writes = room, 0
        real = os.write

        def write(descriptor: int, data: bytes) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.writes += 1
            taken = real(descriptor, data[: self.room])
            self.room -= taken
            return taken

        self.patch(line_file.os, "write", write)


class Batches(LineFileCase):
    """Lines are written once a second."""

    def test_each_second(self) -> None:
        """What has come within a second is written together, at its end."""
        self.file.add(b"one")
        self.clock.advance(0.5)
        self.file.add(b"two")
        self.assertFalse(self.path.exists())
        self.clock.advance(0.5)
        self.assertEqual(self.lines(), ["one", "two"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.file.add(b"three")
        self.clock.advance(1)
        self.assertEqual(self.lines(), ["one", "two", "three"])

    def test_many(self) -> None:
        """Very many are written in several batches, one in each turn of the reactor."""
        count = 2 * LineFile.BATCH + 1
        file = self.make(count)
        for number in range(count):
            file.add(b"%d" % number)
        self.full(1_000_000)
        self.clock.advance(1)
        self.assertEqual(self.lines(), [str(number) for number in range(count)])
        self.assertEqual(self.writes, 3)

    def test_stop(self) -> None:
        """At the end all is written at once, however much there is."""
        count = LineFile.BATCH + 1
        file = self.make(count)
        for number in range(count):
            file.add(b"%d" % number)
        file.stop()
        self.assertEqual(self.lines(), [str(number) for number in range(count)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_mode(self) -> None:
        """A new file is for its user and group only, whatever the umask; one that exists keeps its permissions."""
        for mask in (0o000, 0o077):
            self.addCleanup(os.umask, os.umask(mask))
            self.file.add(b"one")
            self.clock.advance(1)
            self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
            self.path.unlink()
        self.path.touch()
        self.path.chmod(0o600)
        self.file.add(b"one")
        self.clock.advance(1)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_renamed_or_removed(self) -> None:
        """After logrotate has renamed the file, it is made once more; so after it was removed."""
        self.file.add(b"one")
        self.clock.advance(1)
        self.path.rename(self.folder / "lines.1")
        self.file.add(b"two")
        self.clock.advance(1)
        self.assertEqual((self.lines(), (self.folder / "lines.1").read_text()), (["two"], "one\n"))
        self.path.rename(self.folder / "lines.2")
        self.path.touch()
        self.file.add(b"more")
        self.clock.advance(1)
        self.assertEqual(self.lines(), ["more"])
        self.path.unlink()
        self.file.add(b"three")
        self.clock.advance(1)
        self.assertEqual(self.lines(), ["three"])

    def test_emptied(self) -> None:
        """After logrotate has copied the file and cut it to nothing, lines go to its beginning."""
        self.file.add(b"one")
        self.clock.advance(1)
        os.truncate(self.path, 0)
        self.file.add(b"two")
        self.clock.advance(1)
        self.assertEqual(self.path.read_bytes(), b"two\n")

    def test_line_without_end(self) -> None:
        """What was left without an end, as after a loss of power, does not run into the next line."""
        self.path.write_text('{"half')
        self.file.add(b"one")
        self.clock.advance(1)
        self.assertEqual(self.lines(), ['{"half', "one"])

    def test_several_processes(self) -> None:
        """Two that write to the same file both have their lines in it, and one waits for the other's lock."""
        other = self.make()
        self.file.add(b"one")
        other.add(b"two")
        self.clock.advance(1)
        self.assertEqual(sorted(self.lines()), ["one", "two"])
        descriptor = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.file.add(b"three")
        with capturedLogs() as events:
            self.clock.advance(1)
            self.assertEqual(len(self.lines()), 2)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            self.clock.advance(LineFile.BUSY)
        self.assertEqual((self.lines()[2:], events), (["three"], []))

    def test_locked_for_long(self) -> None:
        """A lock that somebody keeps is a fault as others are, at the end of the process, too."""
        self.path.touch()
        descriptor = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.file.add(b"one")
        with capturedLogs() as events:
            self.clock.advance(1)
            self.clock.pump([LineFile.BUSY] * LineFile.MAX_BUSY)
            self.assertEqual(len(events), 1)
            self.patch(line_file.time, "sleep", lambda seconds: None)
            self.file.stop()
        self.assertIn("1 lines for", formatEvent(events[-1]) or "")


class Full(LineFileCase):
    """The disk is full for a while."""

    def test_waits(self) -> None:
        """Lines wait, whole, and follow when there is room; the log has one line at the beginning and one at the
        end."""
        self.full(6)
        for line in (b"one", b"two", b"three"):
            self.file.add(line)
        with capturedLogs() as events:
            self.clock.pump([1.0] * 5)
            self.assertEqual((self.lines(), len(self.file)), (["one"], 2))
            self.room = 1000
            self.file.add(b"four")
            self.clock.pump([1.0] * 2)
        self.assertEqual(self.lines(), ["one", "two", "three", "four"])
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error, LogLevel.warn])
        texts = [formatEvent(event) or "" for event in events]
        self.assertIn("No space left on device. Up to 1000 lines wait", texts[0])
        self.assertIn("is written again; 0 lines are lost", texts[1])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """Above the limit lines are lost; how many, the log says when it works again."""
        file = self.make(limit=2)
        self.full(0)
        with capturedLogs() as events:
            for line in (b"one", b"two", b"three", b"four"):
                file.add(line)
            self.clock.advance(1)
            self.room = 1000
            self.clock.advance(1)
        self.assertEqual(self.lines(), ["one", "two"])
        self.assertIn("2 lines are lost", formatEvent(events[-1]) or "")
        self.assertEqual(file.lost, 0)

    def test_no_folder(self) -> None:
        """A file that can't be opened is the same; and so is one that is no file."""
        self.folder.rename(f"{self.folder}.away")
        self.file.add(b"one")
        with capturedLogs() as events:
            self.clock.advance(1)
            self.folder.mkdir()
            self.path.mkdir()
            self.clock.advance(1)
            self.path.rmdir()
            os.mkfifo(self.path)
            self.clock.advance(1)
            self.path.unlink()
            self.clock.advance(1)
        self.assertEqual((self.lines(), len(events)), (["one"], 2))

    def test_at_the_end(self) -> None:
        """What can't be written at the end is lost, and the log says how many lines."""
        self.full(4)
        self.file.add(b"one")
        self.file.add(b"two")
        with capturedLogs() as events:
            self.file.stop()
        self.assertEqual(self.lines(), ["one"])
        self.assertIn("1 lines for", formatEvent(events[-1]) or "")
        self.file.lost = 0
