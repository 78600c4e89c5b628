"""Mending: second readings of header values that are malformed and decide little, so that they cost nobody a call.

A value is read here after its own parser has refused it. The result is a value like any other, and what is sent is
written from it: nothing of the malformed text gets through but what is in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import Params, format_params, parse_host
from webrtcproxy.sip.headers import NameAddr, Via
from webrtcproxy.sip.plain import ANONYMOUS_HOST
from webrtcproxy.sip.uri import Uri, normal

NEEDS_CONTACT: Final = frozenset({"INVITE", "NOTIFY", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"})
"""The requests whose Contact decides something: where the next request goes."""
NEEDS_EXPIRES: Final = frozenset({"PUBLISH", "REGISTER", "SUBSCRIBE"})
"""The requests whose Expires decides something."""

HOPS: Final = 70
"""The Max-Forwards in place of one that is no number (RFC 3261 section 16.6)."""

_bracketed = re.compile(r"<([^<>]*)>?")
_comma = re.compile(r"(<[^<>]*>)|,")
_in_display = re.compile(r'["\\<>\s]+')
_param = re.compile(r"""[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,;<>"]*))?""")
_is_number = re.compile(r"\+?[0-9]+").fullmatch


def address(text: str, user: str = "") -> NameAddr:
    """A From or To: the first URI in brackets that can be read, else what there is of one.

    :param user: stands in place of a user that is missing.
    :returns: an address at `ANONYMOUS_HOST` where no host can be read.
    """
    begin, uri, end = _place(text)
    mended = _uri(uri, user, ANONYMOUS_HOST) or f"sip:{user and user + '@'}{ANONYMOUS_HOST}"
    return NameAddr(_display(text[:begin]), mended, _params(text[end:]))


def readable_addresses(lines: Iterable[str]) -> list[NameAddr]:
    """The addresses of Contact headers, or of others like them, whose URI can be read; perhaps none.

    :param lines: the values of the header lines.
    """
    found = []
    for text in (text for line in lines for text in elements(line)):
        try:
            contact = NameAddr.parse(text)
            _ = contact.address
        except BadMessage:
            begin, uri, end = _place(text)
            mended = _uri(uri)
            if mended is None:
                continue
            contact = NameAddr(_display(text[:begin]), mended, _params(text[end:]))
        found.append(contact)
    return found


def via(text: str) -> Via | None:
    """The first Via of a header line, without the parameters that can't be read; None without a branch or a readable
    sent-by."""
    sent_by, _, tail = next(iter(elements(text)), "").partition(";")
    try:
        found = Via.parse(sent_by.rstrip(": \t") + format_params(_params(";" + tail)))
    except BadMessage:
        return None
    return found if found.branch else None


def max_forwards(text: str) -> int:
    """A Max-Forwards: 0 for a negative one, 255 for one that is greater."""
    digits = text.strip()
    if digits[:1] == "-":
        return 0
    return 255 if digits.isascii() and digits.isdigit() else HOPS


def elements(text: str) -> list[str]:
    """The elements of a comma list in which quotes and brackets may be left open: a comma within whole brackets does
    not separate."""
    found = []
    begin = 0
    for match in _comma.finditer(text):
        if match[1] is None:
            found.append(text[begin : match.start()])
            begin = match.end()
    found.append(text[begin:])
    return [stripped for element in found if (stripped := element.strip())]


def _place(text: str) -> tuple[int, str, int]:
    """Where the display name ends, the URI, and where the parameters begin."""
    last = None
    for match in _bracketed.finditer(text):
        last = match
        if _is_readable(match[1].strip()):
            break
    if last is None:
        end = text.find(";")
        end = len(text) if end < 0 else end
        return 0, text[:end], end
    if last[0][-1] == ">":
        return last.start(), last[1], last.end()
    uri, semicolon, _ = last[1].partition(";")  # left open: what follows the semicolon may be either's
    return last.start(), uri, last.start() + 1 + len(uri) if semicolon else last.end()


def _is_readable(uri: str) -> bool:
    try:
        Uri.parse(uri)
    except BadMessage:
        return False
    return True


def _display(text: str) -> str:
    return " ".join(_in_display.split(text)).strip()


def _uri(text: str, user: str = "", host: str = "") -> str | None:
    """A URI, as far as it can be read.

    :param user: in place of one that is missing.
    :param host: in place of one that is missing, or whose port can't be read; empty where it must be there.
    :returns: None where there is nothing to read.
    """
    text = text.strip()
    if _is_readable(text):
        return text
    scheme, _, rest = text.partition(":")
    if scheme.lower() not in ("sip", "sips"):
        if ":" in text.partition("@")[0] or ("@" not in text and not _is_number(text)):
            return None
        scheme, rest = "sip", text
    before, at, after = rest.rpartition("@")
    if not at and _is_number(rest):
        before, after = rest, ""
    after, _, tail = after.partition("?")[0].partition(";")
    name = normal(before.strip()) or user
    mended = f"{scheme}:{name and name + '@'}{_hostport(after.strip(), host)}{format_params(_params(';' + tail))}"
    return mended if _is_readable(mended) else None


def _hostport(text: str, host: str) -> str:
    """A host and its port; the host alone, or `host`, where either can't be read and `host` is given."""
    candidates = [text, text.rstrip(":")]
    if host:
        candidates += [text.partition(":")[0], host]
    for candidate in candidates:
        try:
            parse_host(candidate)
        except BadMessage:
            continue
        return candidate
    return ""


def _params(text: str) -> Params:
    """The parameters that can be read, after the first semicolon of `text`."""
    found: list[tuple[str, str | None]] = []
    for part in text.split(";")[1:]:
        match = _param.match(part)
        if match is not None:
            found.append((match[1], match[2] or None))
    return tuple(found)
