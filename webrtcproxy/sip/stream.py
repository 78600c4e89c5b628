"""StreamReader: splits the octets of a TCP connection into SIP messages, in linear time and bounded memory (RFC 3261
section 18.3)."""

from __future__ import annotations

import re
from typing import Final

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.framing import MAX_MESSAGE, content_length, find_end
from webrtcproxy.sip.salvage import malformed

PING: Final = b"\r\n\r\n"
"""A keep-alive ping (RFC 5626 section 4.4.1)."""
PONG: Final = b"\r\n"
"""The response to a ping."""

_line_end = b"\r\n"
_fold = re.compile(rb"\n[ \t]+")
_content_length = re.compile(rb"\n(?:content-length|l)[ \t]*:([^\n]*)", re.IGNORECASE)


class StreamReader:
    """The octets of one connection that are not a whole message yet; at most `MAX_MESSAGE` and one chunk."""

    __slots__ = ("_buffer", "_lost", "_need", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no empty line begins before here
        self._need = 0  # octets of the arriving message; 0 while its headers are incomplete
        self._lost: BadMessage | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Add octets that have arrived.

        :returns: the messages that are complete, each for ``read(..., stream=True)``, and a `PING` for each
            keep-alive. A lone CRLF, the pong to our ping, is dropped.
        :raises BadMessage: the framing is lost and the connection is unusable: Content-Length is absent or malformed
            (400), or a message is too large (513). Complete messages that came before are returned first; the next
            call, ``feed(b"")`` for example, then raises the error.
        """
        if self._lost is None:
            self._buffer += data
        items: list[bytes] = []
        try:
            while self._lost is None and (item := self._cut()) is not None:
                items.append(item)
        except BadMessage as error:
            self._lost = error
            self._buffer.clear()
        if self._lost is not None and not items:
            raise self._lost
        return items

    def _cut(self) -> bytes | None:
        """The next item; None where more octets are needed."""
        buffer = self._buffer
        if not self._need:
            if not self._searched and self._skip_line_ends():
                return PING
            if not buffer or buffer[0] in _line_end or not self._measure():
                return None
        if len(buffer) < self._need:
            return None
        message = bytes(buffer[: self._need])
        del buffer[: self._need]
        self._need = self._searched = 0
        return message

    def _skip_line_ends(self) -> bool:
        """Drop line ends before a message; True if they are a keep-alive."""
        buffer = self._buffer
        while buffer and buffer[0] in _line_end:
            if buffer.startswith(PING):
                del buffer[:4]
                return True
            if PING.startswith(buffer):  # perhaps a ping that is still arriving
                return False
            del buffer[: 2 if buffer.startswith(b"\r\n") else 1]
        return False

    def _measure(self) -> bool:
        """Find the length of the first message; False while its headers are incomplete."""
        buffer = self._buffer
        end, begin = find_end(buffer, self._searched)
        if end < 0 and len(buffer) < MAX_MESSAGE:
            self._searched = max(len(buffer) - 2, 0)
            return False
        if end < 0 or begin > MAX_MESSAGE:
            raise malformed(bytes(buffer[:MAX_MESSAGE]), "Message Too Large", 513)
        head = bytes(buffer[:end])
        length = _length(head)
        if isinstance(length, str):
            raise malformed(head, length)
        if begin + length > MAX_MESSAGE:
            raise malformed(head, "Message Too Large", 513)
        self._need = begin + length
        return True


def _length(head: bytes) -> int | str:
    """The octets of the body, or why they are unknown."""
    found = set(_content_length.findall(_fold.sub(b" ", head.replace(b"\r\n", b"\n"))))
    values = {value.strip(b" \t") for value in found}
    if not values:
        return "Missing Content-Length"
    octets = content_length(values.pop().decode("latin-1"), 10**9)
    return "Bad Content-Length" if octets is None or values else octets
