"""Messages that somebody has broken: the torture messages and some of our own, changed at random, the same with each
seed. For tests that put in any octets and want no exception.

``FUZZ_SECONDS=600 .venv/bin/trial tests.sip.test_fuzz tests.call.test_fuzz`` looks further than a run of all tests:
each test goes on for so long, from seeds of its own; a failure names the octets.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.messages import wire

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long each test goes on; 0 for a fixed number of rounds."""

TORTURE = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "data" / "torture").glob("rfc*/*.dat"))]

OURS = [
    wire(text) for text in (Path(__file__).parents[1] / "data" / "fuzz" / "messages.txt").read_text().split("=====\n")
]
"""One message of each kind that the proxy knows, with the headers that it acts on."""

_WORDS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b'"', b"<", b">", b"@", b"\\", b"%", b"=", b"?"),
    *(b"*", b"[", b"]", b"[::1]", b"%00", b"%ff", b"\xff", b"\x80", b"\x85", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xc2\x85"),
    *(b"\x1b", b"\x1c", b"0", b"-1", b"99999999999999999999", b"1" * 5000, b"\xd9\xa1", b"\xc2\xb2", b"SIP/2.0"),
    *(b"SIP/2.0 ", b"sip:", b"tel:", b"sips:", b"\r\n\r\n", b"\r\n ", b"()", b";;", b",,", b"<>", b'""', b"*, *"),
    *(b"z9hG4bK", b";tag=", b"&", b"#"),
]
"""What is put in."""


class Mutator:
    """Makes broken messages.

    :param seed: with the same one come the same messages.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def message(self) -> bytes:
        """The next message."""
        return self.change(self.random.choice(self.random.choice((TORTURE, OURS, OURS))))

    def change(self, data: bytes) -> bytes:
        """A message with one or a few changes."""
        for _ in range(self.random.choice((1, 1, 2, 3, 6))):
            data = self.random.choice(_CHANGES)(self, data)
        return data

    def text(self) -> str:
        """A value out of a broken message, as the parsers of header values get it."""
        head = self.message().partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape")
        line = self.random.choice(head.split("\r\n"))
        return line.partition(":")[2].strip(" \t") if self.random.random() < 0.9 else line

    def _place(self, data: bytes) -> int:
        return self.random.randint(0, len(data))

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _put_in(self, data: bytes) -> bytes:
        at, leave = self._place(data), self.random.choice((0, 0, 1, 4))
        return data[:at] + self.random.choice(_WORDS) + data[at + leave :]

    def _change(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + self.random.randbytes(1) + data[at + 1 :]

    def _leave_out(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + data[at + self.random.randint(1, 30) :]

    def _end_a_line(self, data: bytes) -> bytes:
        """A line ends early, which is where a value lacks its last parts."""
        lines = data.split(b"\r\n")
        at = self.random.randrange(len(lines))
        lines[at] = self._cut(lines[at]) + self.random.choice((b"", b" "))
        return b"\r\n".join(lines)

    def _lines(self, data: bytes) -> bytes:
        """A line is doubled, left out, or stands elsewhere, perhaps as one of another message."""
        lines = data.split(b"\r\n")
        line = lines.pop(self.random.randrange(len(lines)))
        others = self.random.choice(OURS).split(b"\r\n")
        for each in self.random.choice(([], [line], [line, line], [self.random.choice(others)])):
            lines.insert(self.random.randint(0, len(lines)), each)
        return b"\r\n".join(lines)

    def _values(self, data: bytes) -> bytes:
        """A header has the value of another, or none."""
        lines = data.split(b"\r\n")
        name, colon, _ = self.random.choice(lines).partition(b":")
        value = self.random.choice(lines).partition(b":")[2]
        lines[self.random.randrange(len(lines))] = name + colon + self.random.choice((b"", b" ", value, value))
        return b"\r\n".join(lines)


_CHANGES: tuple[Callable[[Mutator, bytes], bytes], ...] = (
    Mutator._cut, Mutator._put_in, Mutator._put_in, Mutator._change, Mutator._leave_out, Mutator._end_a_line,
    Mutator._lines, Mutator._values,
)  # fmt: skip


def rounds(count: int) -> Iterator[Mutator]:
    """`count` times the same mutator of a fixed seed; or, with FUZZ_SECONDS, new ones until they are over."""
    if not SECONDS:
        fixed = Mutator(4475)
        for _ in range(count):
            yield fixed
        return
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        fresh = Mutator(random.SystemRandom().getrandbits(32))
        for _ in range(1000):
            yield fresh
