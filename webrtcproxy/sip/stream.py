"""StreamReader: cuts the octets of a TCP connection into SIP messages (RFC 3261 section 18.3), linear and bounded."""

from __future__ import annotations

import re
from typing import Final

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.message import MAX_MESSAGE, find_end, salvage

PING: Final = b"\r\n\r\n"
"""The keep-alive of a peer (RFC 5626 section 4.4.1)."""
PONG: Final = b"\r\n"
"""What answers it."""

_line_end = b"\r\n"
_fold = re.compile(rb"\n[ \t]+")
_content_length = re.compile(rb"\n(?:content-length|l)[ \t]*:([^\n]*)", re.IGNORECASE)


class StreamReader:
    """What one connection has sent and was not cut yet; never more than `MAX_MESSAGE` octets and one chunk."""

    __slots__ = ("_buffer", "_lost", "_need", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no empty line begins before here
        self._need = 0  # octets of the message that is arriving, 0 while its headers are not whole
        self._lost: BadMessage | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has arrived.

        :returns: the messages that are whole now, each for ``read(..., stream=True)``, and a `PING` for each
            keep-alive. A lone CRLF, the pong for a ping that was sent, is dropped.
        :raises BadMessage: the framing is lost and the connection is of no more use: no Content-Length, a broken one
            (400), a message that is too large (513). Whole messages that came before are returned first: the error
            is then raised by the next call, for which ``feed(b"")`` will do.
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
        """Drop line ends before a message; True when they are a keep-alive."""
        buffer = self._buffer
        while buffer and buffer[0] in _line_end:
            if buffer.startswith(PING):
                del buffer[:4]
                return True
            if PING.startswith(buffer):  # perhaps one that is arriving
                return False
            del buffer[: 2 if buffer.startswith(b"\r\n") else 1]
        return False

    def _measure(self) -> bool:
        """Find the length of the message at the front; False while its headers are not whole."""
        buffer = self._buffer
        end, begin = find_end(buffer, self._searched)
        if end < 0 and len(buffer) < MAX_MESSAGE:
            self._searched = max(len(buffer) - 2, 0)
            return False
        if end < 0 or begin > MAX_MESSAGE:
            raise BadMessage("Message Too Large", 513, salvage(bytes(buffer[:MAX_MESSAGE])))
        head = bytes(buffer[:end])
        length = _length(head)
        if isinstance(length, str):
            raise BadMessage(length, 400, salvage(head))
        if begin + length > MAX_MESSAGE:
            raise BadMessage("Message Too Large", 513, salvage(head))
        self._need = begin + length
        return True


def _length(head: bytes) -> int | str:
    """The octets of the body, or why nobody can know."""
    found = set(_content_length.findall(_fold.sub(b" ", head.replace(b"\r\n", b"\n"))))
    values = {value.strip(b" \t") for value in found}
    if not values:
        return "Missing Content-Length"
    octets = number(values.pop().decode("latin-1"), 10**9)
    return "Bad Content-Length" if octets is None or values else octets
