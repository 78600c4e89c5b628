"""Mending: second readings of header values that are malformed and decide little, so that they cost nobody a call.

A value is read here after its own parser has refused it. The result is a value like any other, and what is sent is
written from it: nothing of the malformed text gets through but what is in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import unquote

from webrtcproxy.sip.capabilities import KNOWN_METHODS
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers, canonical
from webrtcproxy.sip.grammar import Params, format_params, is_token, number, parse_host
from webrtcproxy.sip.headers import MAX_CSEQ, CSeq, NameAddr, Via
from webrtcproxy.sip.names import REQUIRED
from webrtcproxy.sip.plain import ANONYMOUS_HOST
from webrtcproxy.sip.uri import Uri, normal

NEEDS_CONTACT: Final = frozenset({"INVITE", "NOTIFY", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"})
"""The requests whose Contact decides something: where the next request goes."""
NEEDS_EXPIRES: Final = frozenset({"PUBLISH", "REGISTER", "SUBSCRIBE"})
"""The requests whose Expires decides something."""
MAX_TIMER: Final = 2147483
"""The longest that a browser's timer can wait, in seconds: one that is to wait longer fires at once, so that pages
refuse an INVITE with such an Expires. No call rings so long anyway."""

HOPS: Final = 70
"""The Max-Forwards in place of one that is no number (RFC 3261 section 16.6)."""

_bracketed = re.compile(r"<([^<>]*)>?")
_after_display = re.compile(r'(\s*"[^"]*"\s*|[^;<>"]*\s(?=(?:sips?|tel):))([^;<>"]+)(?=;|\Z)', re.IGNORECASE).match
"""Finds a display name and a URI without brackets."""
_comma = re.compile(r"(<[^<>]*>)|,")
_in_display = re.compile(r'["\\<>\s]+')
_param = re.compile(r"""[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,;<>"]*))?""")
_is_hostport = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+)(?::[0-9]{1,5})?[ \t]*(?:[;?]|\Z)"
).match
"""Finds an address or a name with dots where a scheme should be."""
_numbered = re.compile(r"(.*):[ \t]*([0-9]{1,9})[ \t]*").fullmatch
_tail = re.compile("[;?]")
_deciding = frozenset(
    {
        *REQUIRED, "Authorization", "Contact", "Content-Type", "Identity", "Join", "Max-Forwards", "Privacy",
        "P-Asserted-Identity", "P-Preferred-Identity", "Proxy-Authorization", "Proxy-Require", "Record-Route",
        "Refer-To", "Referred-By", "Replaces", "Require", "Route", "Target-Dialog",
    }
)  # fmt: skip
"""Headers that decide where a request goes, whose it is, or what it means."""
_unreadable_sent_by = re.compile(
    r"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([A-Za-z]+)[ \t]+([^\s\",;<>:]+)(?:[ \t]*:[ \t]*([0-9]{1,5}))?[ \t]*",
    re.IGNORECASE,
).fullmatch
_zone = re.compile(r"%[^\]]*\]")
_digits = re.compile("[0-9]+").findall
_letters = re.compile("[A-Za-z]+").findall
_is_number = re.compile(r"\+?[0-9]+").fullmatch


def address(text: str, user: str = "") -> NameAddr:
    """A From or To: the first URI in brackets that can be read, else what there is of one.

    :param user: stands in place of a user that is missing.
    :returns: an address at `ANONYMOUS_HOST` where no host can be read.
    """
    begin, uri, end = _place(text)
    if uri.lstrip()[:4].lower() == "tel:":
        uri = "".join(uri.split())
    mended = likely_uri(uri, user, ANONYMOUS_HOST) or f"sip:{user and user + '@'}{ANONYMOUS_HOST}"
    tail = text[end:]
    if tail.lstrip()[:4].lower() == "tag=":  # its semicolon is missing
        tail = f";{tail}"
    return NameAddr(likely_display(text[:begin]), mended, likely_params(tail))


def readable_addresses(lines: Iterable[str], host: str = "") -> list[NameAddr]:
    """The addresses of Contact headers, or of others like them, whose URI can be read; perhaps none.

    :param lines: the values of the header lines.
    :param host: in place of one that is missing; empty where it must be there.
    """
    found = []
    for text in (text for line in lines for text in elements(line)):
        try:
            contact = NameAddr.parse(text)
            if _is_hostport(contact.uri):
                raise BadMessage("Missing Scheme")
            _ = contact.address
        except BadMessage:
            begin, uri, end = _place(text)
            mended = likely_uri(uri, host=host)
            if mended is None:
                continue
            contact = NameAddr(likely_display(text[:begin]), mended, likely_params(text[end:]))
        found.append(contact)
    return found


def routes(headers: Headers, name: str) -> list[str]:
    """The values of Record-Route or Service-Route, in order. Those that are malformed are mended, and from then on
    these are the values in `headers`.

    :raises BadMessage: 400: one of them can't be read, or has no SIP URI: without it, requests would take another way.
    """
    lines = headers.lines(name)
    if not lines:
        return []
    with suppress(BadMessage):
        values = headers.all(name)
        if all(map(_is_route, values)):
            return values
    mended = _mended_routes(lines)
    if mended is None:
        raise BadMessage(f"Bad {name}")
    headers.note(f"Bad {name}")
    headers.remove(name)
    for value in mended:
        headers.add(name, value)
    return mended


def _is_route(value: str) -> bool:
    """Whether a route is as it should be; without brackets, `lr` would be a parameter of the header."""
    return "<" in value and _is_sip(NameAddr.parse(value).uri)


def _mended_routes(lines: Iterable[str]) -> list[str] | None:
    """Where there are no brackets, or none at the end, all parameters are those of the URI."""
    found = []
    for element in [element for line in lines for element in elements(line)]:
        before, *addresses = element.split("<")
        for text in [address for address in addresses if address.strip()] or [before]:
            uri, _, tail = text.partition(">")
            mended = likely_uri(uri)
            if mended is None or not _is_sip(mended):
                return None
            found.append(f"<{mended}>{format_params(likely_params(tail))}")
    return found


def cseq(text: str, method: str) -> CSeq | None:
    """The CSeq of a request, whatever stands around its number and its method.

    :param method: of the request.
    :returns: None where there is not one number that is in no doubt, or another method.
    """
    said = text.partition("(")[0]
    numbers = _digits(said)
    words = [word.upper() for word in _letters(said)]
    value = number(numbers[0], MAX_CSEQ) if len(numbers) == 1 and "-" not in said else None
    if method in ("ACK", "BYE", "CANCEL"):  # found by its tags or its branch; nothing has to be in order after it
        is_other = method not in words and not KNOWN_METHODS.isdisjoint(words)
        return None if is_other else CSeq(MAX_CSEQ if value is None else value, method)
    return None if value is None or (words and method.upper() not in words) else CSeq(value, method)


def via(text: str) -> Via | None:
    """The first Via of a header line, without the parameters that can't be read; None without a branch or a readable
    sent-by. Of its protocol, the transport counts; an IPv6 address may lack its brackets, and its zone does not count.
    Its port is any number: it is repeated, and perhaps nobody sends anything there. So is a host that is none, with the
    transport before it: responses go to the source."""
    sent_by, _, tail = next(iter(elements(text)), "").partition(";")
    params = format_params(likely_params(";" + tail))
    for before in (sent_by.rstrip(": \t"), _likely_sent_by(sent_by)):
        with suppress(BadMessage):
            found = Via.parse(before + params)
            return found if found.branch else None
    numbered = _numbered(sent_by)
    with suppress(BadMessage):
        found = Via.parse((numbered[1] if numbered else "") + params)
        return Via(found.transport, found.host, int(numbered[2]), found.params) if numbered and found.branch else None
    written = _unreadable_sent_by(sent_by)
    if written is None:
        return None
    found = Via(written[1].upper(), written[2], int(written[3]) if written[3] else None, likely_params(";" + tail))
    return found if found.branch else None


def _likely_sent_by(text: str) -> str:
    rest = _zone.sub("]", text).rstrip(": \t").rpartition("/")[2]
    words = rest.split()
    if len(words) != 2 and not (len(words) == 1 and rest[0] in " \t"):
        return ""
    transport = words[0].upper() if len(words) == 2 and is_token(words[0]) else "UDP"
    host = words[-1]
    if host.count(":") > 1 and "[" not in host:  # an IPv6 address without its brackets
        host = f"[{host}]"
    return f"SIP/2.0/{transport} {host}"


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
    bare = _after_display(text)
    if bare:
        return bare.end(1), bare[2], bare.end()
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


def _is_sip(uri: str) -> bool:
    return Uri.parse(uri).scheme in ("sip", "sips")


def likely_display(text: str) -> str:
    """A display name, without quotes, brackets and needless blanks."""
    return " ".join(_in_display.split(text)).strip()


def likely_uri(text: str, user: str = "", host: str = "") -> str | None:
    """A URI, as far as it can be read.

    :param user: in place of one that is missing.
    :param host: in place of one that is missing, or whose port can't be read; empty where it must be there.
    :returns: None where there is nothing to read.
    """
    text = text.strip()
    if _is_hostport(text):
        text = f"sip:{text}"
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
    params = tuple([(key, value and value.strip('"')) for key, value in likely_params(";" + tail)])
    mended = f"{scheme}:{name and name + '@'}{_hostport(after.strip(), host)}{format_params(params)}"
    return mended if _is_readable(mended) else None


def likely_request_uri(text: str) -> str | None:
    """A Request-URI without the parameters that can't be read, and without headers, which it must not have (RFC 3261
    section 19.1.1).

    :returns: None where anything else is malformed, or one of the headers would have decided something.
    """
    found = _tail.search(text, text.find("@") + 1)
    if found is None:
        return None
    before, after = text[: found.start()], text[found.start() :]
    params, _, headers = after.partition("?")
    if "@" in after or not _is_readable(before) or any(map(_decides, headers.split("&"))):
        return None
    readable = tuple([(key, value and value.strip('"')) for key, value in likely_params(params)])
    mended = before + format_params(readable)
    return mended if _is_readable(mended) else None


def _decides(header: str) -> bool:
    """Whether a header of a URI, ``name=value``, is one of `_deciding`, or the body."""
    name = canonical(unquote(header.partition("=")[0]).strip())
    return name in _deciding or name.lower() == "body"


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


def likely_params(text: str) -> Params:
    """The parameters that can be read, after the first semicolon of `text`."""
    found: list[tuple[str, str | None]] = []
    for part in text.split(";")[1:]:
        match = _param.match(part)
        if match is not None:
            found.append((match[1], match[2] or None))
    return tuple(found)
