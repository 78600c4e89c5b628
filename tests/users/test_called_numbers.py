"""Numbers files of trunks."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import Trunk
from webrtcproxy.config.numbers import NumberMap
from webrtcproxy.users.called_numbers import CalledNumbers, broken_numbers
from webrtcproxy.users.users_file import MAX_OCTETS

TEXT = """
# the office; = none
+49 (30) 1234-00 = sales@example.com  ; by day
+49301234*=alice@EXAMPLE.com, bob@example.com
\t+4930* = registered
"""


class FilesTests(SynchronousTestCase):
    """A trunk with a file, and one without."""

    def setUp(self) -> None:
        self.time = 0
        self.path = Path(self.mktemp())
        self.write(TEXT)
        own = NumberMap((("+49301", ("boss@example.com",)),), (("+49", ("all@example.com",)),))
        self.trunk = Trunk("one", "one.example", numbers=own, numbers_file=self.path)
        self.other = Trunk("two", "two.example", numbers=own)
        self.numbers = CalledNumbers((self.trunk, self.other))

    def write(self, text: str | bytes) -> None:
        """Write the file; each time is later than the one before."""
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.time += 1
        os.utime(self.path, (self.time, self.time))

    def find(self, number: str) -> tuple[str, ...]:
        return self.numbers.of(self.trunk).find(number)

    def broken(self) -> list[tuple[int | None, str]]:
        return [(mistake.line, mistake.problem) for mistake in broken_numbers((self.trunk, self.other))]

    def test_found(self) -> None:
        """Lines are as those of `numbers`, which come first where both have a number; comments are none."""
        for number, rung in (
            ("+4930123400", ("sales@example.com",)),
            ("+49301234", ("alice@example.com", "bob@example.com")),
            ("+4930999", ("registered",)),
            ("+49301", ("boss@example.com",)),
            ("+4940", ("all@example.com",)),
            ("4930", ()),
        ):
            self.assertEqual(self.find(number), rung, number)
        self.assertEqual(self.numbers.of(self.other).find("+4930123400"), ("all@example.com",))
        self.assertEqual(self.broken(), [])

    def test_change(self) -> None:
        """It is read again when it changes; while it can't be read, the numbers stay, and that is said once."""
        self.write("+4930123400 = bob@example.com\n")
        self.assertEqual(self.find("+4930123400"), ("sales@example.com",))
        self.numbers.refresh()
        self.assertEqual(self.find("+4930123400"), ("bob@example.com",))
        self.assertEqual(self.find("+4930999"), ("all@example.com",))
        for text in (b"+4930123400 = a@example.com \xff", None, b"#" * (MAX_OCTETS + 1)):
            self.path.unlink() if text is None else self.write(text)
            with capturedLogs() as events:
                self.numbers.refresh()
                self.numbers.refresh()
            self.assertEqual(len(events), 1)
            self.assertEqual(self.find("+4930123400"), ("bob@example.com",))

    def test_broken(self) -> None:
        """A line that can't be used is named by its number, in the log and for ``--check``; the others stand, and of
        two with one number the first."""
        self.write("+4930 = a@example.com\nalice = b@h\n\n+49-30 = c@example.com\n+4931\n+4932=x\n+4933=y@h\n")
        with capturedLogs() as events:
            self.numbers.refresh()
        self.assertEqual(len(events), 5)
        self.assertEqual((self.find("+4930"), self.find("+4933")), (("a@example.com",), ("y@h",)))
        found = self.broken()
        self.assertEqual([line for line, _ in found], [2, 4, 5, 6])
        for (_, problem), told in zip(found, ("'alice'", "+4930 stands", "NUMBER = USER@DOMAIN", "'x'"), strict=True):
            self.assertIn(told, problem)

    def test_of_other_editors(self) -> None:
        """A byte-order mark, line ends of Windows, tabs, blanks at the end, commas, semicolons after a blank, no line
        end after ten thousand lines; a number that stands there in two spellings is told."""
        lines = [f"+4930{each:05}\t= user{each}@example.com, x@example.com \t" for each in range(10_000)]
        lines += ["# the office", ";", "", "+49 (30) 00007 = other@example.com", "* = rest@example.com ; the others"]
        self.write(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
        self.numbers.refresh()
        for each in (0, 7, 9_999):
            self.assertEqual(self.find(f"+4930{each:05}"), (f"user{each}@example.com", "x@example.com"))
        self.assertEqual(self.find("4711"), ("rest@example.com",))
        self.assertEqual(self.broken(), [(10_004, "+493000007 stands in an earlier line too")])

    def test_many_broken(self) -> None:
        """Of a file of something else not each line is logged."""
        self.write("rubbish\n" * 1000)
        with capturedLogs() as events:
            self.numbers.refresh()
        self.assertEqual(len(events), 22)
        self.assertEqual(len(self.broken()), 1000)

    def test_many(self) -> None:
        """A look-up among a hundred thousand lines asks only for as many beginnings as the number has digits."""
        lines = (f"+4930{each:06}{'*' if each % 2 else ''} = user{each % 500}@example.com" for each in range(100_000))
        self.write("\n".join(lines))
        self.numbers.refresh()
        asked = _Asked(self.numbers.of(self.trunk).prefixes)
        self.numbers.of(self.trunk).prefixes = asked
        self.assertEqual(self.find("+4930099999123"), ("user499@example.com",))
        self.assertEqual(self.find("+4930099998"), ("user498@example.com",))
        self.assertEqual(self.find("4930099998123"), ())
        self.assertLess(asked.count, 32)


class _Asked(dict[str, tuple[str, ...]]):
    """A dictionary that counts look-ups, and can't be gone through."""

    count = 0

    def get(self, *key: str) -> tuple[str, ...] | None:  # type: ignore[override]
        self.count += 1
        return super().get(*key)

    def __iter__(self) -> None:  # type: ignore[override]
        raise AssertionError("all lines are looked at")

    items = keys = values = __iter__  # type: ignore[assignment]
