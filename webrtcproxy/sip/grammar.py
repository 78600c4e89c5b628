"""The elements of the SIP grammar (RFC 3261 section 25): tokens, quoted strings, lists, parameters; in linear time."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from webrtcproxy.sip.errors import BadMessage

Params = tuple[tuple[str, str | None], ...]
"""Parameters as written: name and value, None if there is no ``=``; a quoted value keeps its quotes."""

_is_odd_token = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+").fullmatch
_is_hostname = re.compile(r"[A-Za-z0-9._\-]+").fullmatch
_escape_or_quote = re.compile(r'\\.|"', re.DOTALL)
_escape = re.compile(r"\\(.)", re.DOTALL)
_unwritable = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_needs_escape = re.compile(r'["\\]')
_blank_or_quote = re.compile(r'[ \t"]').search
_quote_or_semicolon = re.compile('[;"]')
_stops = {",": re.compile('[,"<]'), ";": re.compile('[;"<]')}


def is_token(text: str) -> bool:
    """True for a token, such as a method, a header name or an option tag (RFC 3261 section 25.1)."""
    return (text.isascii() and text.isalnum()) or _is_odd_token(text) is not None


def media_type(content_type: str) -> str:
    """The media type in the value of a Content-Type header, in lower case, without parameters and without the blanks
    that may stand around the slash (RFC 3261 section 25.1: SLASH)."""
    kind = content_type.partition(";")[0].strip().lower()
    if " " not in kind and "\t" not in kind:
        return kind
    return "/".join([part.strip() for part in kind.split("/")])


def number(text: str, most: int) -> int | None:
    """The value of a string of ASCII digits; None if it is anything else or greater than `most`."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 10:
        text = text.lstrip("0") or "0"
        if len(text) > 10:  # no number in SIP is longer; int() is quadratic
            return None
    value = int(text)
    return value if value <= most else None


def quote(text: str) -> str:
    """`text` as a quoted string, without control characters: CR, LF and NUL would end the line, and others are obeyed
    by terminals."""
    text = _unwritable.sub("", text)
    return '"' + _needs_escape.sub(r"\\\g<0>", text) + '"'


def unquote(text: str) -> str:
    """The content of a quoted string; any other text is returned unchanged."""
    if len(text) > 1 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1]
        return _escape.sub(r"\1", text) if "\\" in text else text
    return text


def quote_end(text: str, start: int) -> int:
    """The index after the quoted string whose opening quote is at `start`.

    :raises BadMessage: the string is not closed.
    """
    end = text.find('"', start + 1)
    if end < 0:
        raise BadMessage("Unbalanced Quote")
    if text.find("\\", start, end) < 0:
        return end + 1
    for found in _escape_or_quote.finditer(text, start + 1):
        if found[0] == '"':
            return found.end()
    raise BadMessage("Unbalanced Quote")


def split(text: str, separator: str) -> list[str]:
    """Split at each ``,`` or ``;`` outside ``"..."`` and ``<...>``; the parts are not stripped.

    :raises BadMessage: a quote or an angle bracket is not closed.
    """
    if separator not in text:
        return [text]
    if '"' not in text and "<" not in text:
        return text.split(separator)
    parts = []
    search = _stops[separator].search
    begin = at = 0
    while found := search(text, at):
        at = found.end()
        if found[0] == separator:
            parts.append(text[begin : found.start()])
            begin = at
        elif found[0] == '"':
            at = quote_end(text, found.start())
        else:
            at = text.find(">", at) + 1
            if not at:
                raise BadMessage("Unbalanced Angle Bracket")
    parts.append(text[begin:])
    return parts


def items(text: str) -> list[str]:
    """The elements of a comma list, stripped; empty ones are left out.

    :raises BadMessage: a quote or an angle bracket is not closed.
    """
    return [item for part in split(text, ",") if (item := part.strip())]


def parse_params(text: str) -> Params:
    """Parse ``name=value;flag``, the text after the first semicolon. Empty parameters, and an empty value after ``=``,
    are tolerated.

    :raises BadMessage: a broken parameter, or a quote that is not closed.
    """
    text = text.strip(" \t")
    if not text:
        return ()
    if '"' in text or " " in text or "\t" in text:
        return tuple([_spaced_param(part) for part in split_params(text) if part.strip(" \t")])
    params: list[tuple[str, str | None]] = []
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name:
            params.append((name, value if equals else None))
        elif equals:
            raise BadMessage("Bad Parameter")
    return tuple(params)


def _spaced_param(text: str) -> tuple[str, str | None]:
    """Parse one parameter that has whitespace or quotes."""
    name, equals, value = text.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not name or _blank_or_quote(name):
        raise BadMessage("Bad Parameter")
    if value[:1] == '"':
        if quote_end(value, 0) != len(value):
            raise BadMessage("Bad Parameter")
    elif _blank_or_quote(value):
        raise BadMessage("Bad Parameter")
    return name, value if equals else None


def split_params(text: str) -> list[str]:
    """Split at each ``;`` outside quotes.

    :raises BadMessage: a quote is not closed.
    """
    parts = []
    search = _quote_or_semicolon.search
    begin = at = 0
    while found := search(text, at):
        at = found.end()
        if found[0] == ";":
            parts.append(text[begin : found.start()])
            begin = at
        else:
            at = quote_end(text, found.start())
    parts.append(text[begin:])
    return parts


def format_params(params: Params) -> str:
    """The text of parameters, each after a semicolon."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def find_param(params: Params, name: str) -> str | None:
    """The value of a parameter as written; ``""`` if it has no value, None if it is absent."""
    for key, value in params:
        if key == name or (len(key) == len(name) and key.lower() == name.lower()):
            return value if value is not None else ""
    return None


def set_param(params: Params, name: str, value: str | None) -> Params:
    """`params` with one parameter replaced where it is, or appended."""
    lower = name.lower()
    found = False
    changed: list[tuple[str, str | None]] = []
    for pair in params:
        if pair[0] != name and pair[0].lower() != lower:
            changed.append(pair)
        elif not found:
            changed.append((pair[0], value))
            found = True
    if not found:
        changed.append((name, value))
    return tuple(changed)


def parse_host(text: str) -> tuple[str, int | None]:
    """Parse ``host[:port]``; the host is a name, an IPv4 address, or an IPv6 address that keeps its brackets (RFC
    3261, RFC 5954).

    :raises BadMessage: it is none of these, or the port is not a number up to 65535.
    """
    if text[:1] == "[":
        address, bracket, rest = text[1:].partition("]")
        host = f"[{address}]"
        if not bracket or not _is_ipv6(address):
            raise BadMessage("Bad Host")
        if rest and rest[0] != ":":
            raise BadMessage("Bad Host")
        colon, digits = rest[:1], rest[1:]
    else:
        host, colon, digits = text.partition(":")
        if not _is_hostname(host):
            raise BadMessage("Bad Host")
    if not colon:
        return host, None
    port = number(digits, 65535)
    if port is None:
        raise BadMessage("Bad Port")
    return host, port


def _is_ipv6(text: str) -> bool:
    if "%" in text or not text.isascii():  # a zone is meaningless on another host (RFC 5118 section 4.5)
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
