"""The head of a message in octets: its limits, where it ends, and its plain form (RFC 3261 sections 7.3.1 and 18.3)."""

from __future__ import annotations

import re

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import number

MAX_MESSAGE = 65536
"""Octets of a whole message."""
MAX_HEADERS = 200
"""Header lines of a message."""
MAX_VALUE = 8192
"""Characters of one header line."""

_controls = bytes([*range(9), 11, 12, *range(14, 32), 127])  # but TAB, LF and CR
BLANKS = bytes.maketrans(_controls, b" " * len(_controls))
"""The translation of control characters to blanks."""
_c1 = re.compile(rb"\xc2[\x80-\x9f]")
is_c1 = _c1.search
"""Finds U+0080 to U+009F in UTF-8."""

_is_numeric = re.compile(r"[-+0-9, \t]*").fullmatch
_fold = re.compile(rb"\n[ \t]+")


def content_length(text: str, most: int) -> int | None:
    """The octets that a Content-Length states. A plus sign, and the same value twice, leave no doubt.

    :returns: None where that is no number, or greater than `most`.
    """
    octets = number(text, most)
    if octets is not None:
        return octets
    values = {value.strip(" \t").removeprefix("+") for value in text.split(",")}
    return number(values.pop(), most) if len(values) == 1 else None


def is_no_number(length: str) -> bool:
    """Whether a Content-Length does not even try to state a number: nothing in it can contradict the frame that a
    datagram is. A negative one, one that is too large, and two that differ do."""
    return _is_numeric(length) is None


def find_end(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """Where the header block ends and where the body begins; both -1 if no empty line follows `start`.

    The line end of the last header line is part of neither.
    """
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, end if end >= 0 else len(data))
    if bare >= 0:
        end, begin = bare, bare + 2
    elif end >= 0:
        begin = end + 3
    else:
        return -1, -1
    return end - 1 if end and data[end - 1] == 13 else end, begin


def tidy(data: bytes) -> bytes:
    """The same message with CRLF line ends, without folds (RFC 3261 section 7.3.1), leading empty lines and control
    characters: NUL, too, is a blank.

    :raises BadMessage: 400: the empty line is missing, or a CR is within a line.
    """
    data = data.lstrip(b"\r\n")
    end, begin = find_end(data)
    if end < 0:
        raise BadMessage("Missing Empty Line")
    head = _fold.sub(b" ", data[:end].replace(b"\r\n", b"\n"))
    if b"\r" in head or b"\n" not in head:
        raise BadMessage("Bad Header Line")
    return b"\r\n\r\n".join([_without_controls(head).replace(b"\n", b"\r\n"), data[begin:]])


def any_lines(data: bytes) -> tuple[list[str], bytes]:
    """The lines of a head in any state, at most one start line and `MAX_HEADERS`, and the octets after it."""
    data = data[:MAX_MESSAGE].lstrip(b"\r\n \t")
    end, begin = find_end(data)
    if end < 0:
        end = begin = len(data)
    head = _fold.sub(b" ", data[:end].replace(b"\r\n", b"\n"))
    text = _without_controls(head.replace(b"\r", b" ")).decode("utf-8", "surrogateescape")
    return text.split("\n", MAX_HEADERS + 1)[: MAX_HEADERS + 1], data[begin:]


def _without_controls(head: bytes) -> bytes:
    return _c1.sub(b" ", head.translate(BLANKS))
