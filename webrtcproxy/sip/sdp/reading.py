"""`read` makes a `Description` of octets, as peers send them (RFC 8866).

Reading is tolerant: what is odd is mended if there is one thing that it can mean, and else left out. What is refused
(port 0) is not looked at (RFC 3264 section 6). What stands for the session as a whole is put into each medium that does
not say otherwise: its address, its direction, ICE and DTLS.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.sdp.attributes import FORMS, SESSION, TRANSPORT
from webrtcproxy.sip.sdp.description import (
    DIRECTIONS,
    RTP_PROTOCOLS,
    STATIC_CODECS,
    Attribute,
    Description,
    Media,
    about,
)

MAX_OCTETS = 65536
"""Octets of a description."""
MAX_LINES = 2000
"""Lines of a description."""
MAX_MEDIA = 64
"""Media of a description."""
MAX_FORMATS = 256
"""Formats of a medium."""

ALL = frozenset(FORMS)
"""The names of all attributes that are known."""

_CACHED_LINES = 1024
_LONGEST_CACHED = 160

#: What is another in each call, or secret, is not kept in the cache of lines.
_OWN = (
    b"m=", b"o=", b"c=", b"k=", b"a=candidate", b"a=ice-", b"a=fingerprint", b"a=crypto", b"a=tls-id", b"a=rtcp:",
    b"a=path", b"a=ssrc", b"a=msid",
)  # fmt: skip

_Line = tuple[str, Attribute]
_NOTHING: _Line = ("", ("", ""))

_CONTROLS = dict.fromkeys((*range(32), 127, 0xFEFF, 0x85, 0x2028, 0x2029), " ")
_KIND = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}").fullmatch
_PROTOCOL = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/-]{1,64}").fullmatch
_FORMAT = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/-]{1,64}").fullmatch
_BANDWIDTH = re.compile(r"([A-Za-z0-9-]{1,32})\s*:\s*(\d{1,10})", re.ASCII).fullmatch
_RTPMAP = re.compile(
    r"(\d{1,3})\s+([\w.+-]{1,64})\s*(?:/\s*(\d{1,6})?\s*(?:/\s*(\d{1,2})?\s*)?)?", re.ASCII
).fullmatch  # fmt: skip
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?").fullmatch
_DOTTED = re.compile(r"[0-9.]+").fullmatch
_BLANKS = re.compile(r"\s+")

#: Codecs whose rate is not the usual one of their kind (RFC 7587 section 4.1: opus is always written so).
_RATES = {"opus": "48000/2"}


class BadSdp(Exception):
    """Octets that are no session description, or too many.

    :ivar why: what is wrong, for the log.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def read(octets: bytes, allowed: frozenset[str] = ALL) -> Description:
    """Read a session description.

    :param octets: as received.
    :param allowed: the names of the attributes to read; a set of `webrtcproxy.sip.sdp.attributes`.
    :raises BadSdp: there is no medium, or more than a limit allows.
    """
    lines = octets.splitlines()
    if len(octets) > MAX_OCTETS or len(lines) > MAX_LINES:
        raise BadSdp("too long")
    sections = _Sections()
    section = sections.session
    for line in lines:
        if line.startswith(_OWN) or len(line) > _LONGEST_CACHED:
            kind, attribute = _parse(line)
        else:
            kind, attribute = cached_line(line)
        if kind == "a":
            name = attribute[0]
            if name in allowed:
                section.attributes.append(attribute)
            elif name == "rtpmap":
                payload, _, codec = attribute[1].partition(" ")
                section.codecs.setdefault(payload, codec)
            elif name in DIRECTIONS and not section.direction:
                section.direction = name
        elif kind == "m":
            section = sections.medium(attribute[1])
        elif kind:
            sections.other(section, kind, attribute)
    return sections.done()


class _Sections:
    """The session and the media that were read so far."""

    def __init__(self) -> None:
        self.session = Media("session", 1, "", [])
        self.session.direction = ""
        self._origin = ""
        self._media: list[Media] = []

    def medium(self, value: str) -> Media:
        """Begin another medium."""
        if len(self._media) == MAX_MEDIA:
            raise BadSdp("too many media")
        words = value.split()
        if len(words) > 3 + MAX_FORMATS:
            raise BadSdp("too many formats")
        media = _medium(words) or _unreadable(words)
        self._media.append(media)
        return media

    def other(self, section: Media, kind: str, line: Attribute) -> None:
        """Take a line that is no attribute."""
        if kind == "b":
            section.bandwidths.append(line)
        elif kind == "c":
            section.address = section.address or line[1]
        elif section is self.session:
            self._origin = self._origin or line[1]

    def done(self) -> Description:
        if all(media.unnamed for media in self._media):
            raise BadSdp("no media")
        session = self.session
        address = session.address or self._origin
        mids: set[str] = set()
        for media in self._media:
            media.address = media.address or address
            media.direction = media.direction or session.direction or "sendrecv"
            _complete(media, session.attributes)
            _name_once(media, mids)
        common = [
            (name, _bundled(value, self._media) if name == "group" else value)
            for name, value in session.attributes
            if name in SESSION
        ]
        return Description(self._media, common, session.bandwidths)


def _complete(media: Media, common: list[Attribute]) -> None:
    """Settle a medium, once all of its lines are read.

    :param common: the attributes of the session.
    """
    if media.is_refused:
        media.refuse()
        return
    if common:
        _inherit(media, common)
    if not media.is_rtp:
        media.codecs = {}
        return
    known = media.codecs
    codecs: dict[str, str] = {}
    for each in media.formats:
        payload = each if each in known else _payload(each)
        codec = known.get(payload) or STATIC_CODECS.get(payload, "")
        if codec:
            codecs.setdefault(payload, codec if "/" in codec else _with_rate(codec, media.kind))
        elif payload:
            media.unnamed.append(payload)
    media.codecs = codecs
    media.formats = list(codecs)
    media.attributes = about(media.attributes, codecs)


def _inherit(media: Media, common: list[Attribute]) -> None:
    own = {name for name, _ in media.attributes}
    for name, value in common:
        if name not in own and name not in SESSION and (media.is_rtp or name in TRANSPORT):
            media.attributes.append((name, value))


def _name_once(media: Media, mids: set[str]) -> None:
    """Drop the mid of another medium, and any after the first."""
    named = [value for name, value in media.attributes if name == "mid"]
    if not named:
        return
    if len(named) > 1 or named[0] in mids:
        rest = [each for each in media.attributes if each[0] != "mid"]
        media.attributes = rest if named[0] in mids else [*rest, ("mid", named[0])]
    mids.add(named[0])


def _bundled(group: str, media: list[Media]) -> str:
    """A BUNDLE group without the media that are refused or not there (RFC 9143 section 7.3)."""
    there = {each.value("mid") for each in media if not each.is_refused}
    return " ".join(["BUNDLE", *(mid for mid in group.split()[1:] if mid in there)])


def _medium(words: list[str]) -> Media | None:
    """Read the words of an m= line; None if its kind or its port can't be read."""
    port = number(words[1].partition("/")[0], 65535) if len(words) > 1 else None
    if port is None or not _KIND(words[0]):
        return None
    protocol = words[2] if len(words) > 2 and _PROTOCOL(words[2]) else "RTP/AVP"
    if protocol not in RTP_PROTOCOLS and protocol.upper() in RTP_PROTOCOLS:
        protocol = protocol.upper()
    media = Media(words[0].lower(), port, protocol, list(dict.fromkeys(filter(_FORMAT, words[3:]))))
    media.direction = ""
    return media


def _unreadable(words: list[str]) -> Media:
    """A refused medium in the place of one that can't be read."""
    kind = words[0].lower() if words and _KIND(words[0]) else "audio"
    media = Media(kind, 0, "RTP/AVP", [])
    media.unnamed.append("")
    return media


def _payload(word: str) -> str:
    """A payload type as it is written; empty if it is none."""
    value = number(word, 127)
    return "" if value is None else str(value)


def _parse(line: bytes) -> _Line:
    """The kind of a line, and its value; for an attribute or a bandwidth, its name as well. `_NOTHING` if it is to be
    left out."""
    text = line.decode("utf-8", "replace")
    if text[:2] == "a=" and text.isprintable():  # as nearly all are
        name, _, value = text[2:].partition(":")
        form = FORMS.get(name)
        if form is not None and name != "rtcp" and "  " not in value and form(value):
            return "a", (name, value)
    if not text.isprintable():
        text = _BLANKS.sub(" ", text.translate(_CONTROLS))
    text = text.strip()
    kind = text[:1].lower()
    if text[1:2] != "=":
        return _NOTHING
    value = text[2:].strip()
    if kind == "a":
        return _attribute(value)
    if kind == "m":
        return "m", ("", value)
    if kind == "b":
        found = _BANDWIDTH(value)
        return ("b", (found[1], found[2])) if found else _NOTHING
    if kind in ("c", "o"):
        address = _host(value, 3 if kind == "c" else 6)
        return (kind, ("", address)) if address else _NOTHING
    return _NOTHING


cached_line = lru_cache(_CACHED_LINES)(_parse)
"""`_parse`, of lines that are the same in many descriptions."""


def _attribute(text: str) -> _Line:
    name, _, value = text.partition(":")
    name, value = name.rstrip(), value.strip()
    if "  " in value:
        value = _BLANKS.sub(" ", value)
    if name not in FORMS:
        lower = name.lower()
        if lower == "rtpmap":
            return _rtpmap(value)
        if lower in DIRECTIONS:
            return "a", (lower, "")
        if lower not in FORMS:
            return _NOTHING
        name = lower
    if name == "rtcp":
        value = value.partition(" ")[0]
    return ("a", (name, value)) if FORMS[name](value) else _NOTHING


def _rtpmap(value: str) -> _Line:
    found = _RTPMAP(value)
    if found is None:
        return _NOTHING
    payload, name, rate, channels = found.groups()
    payload = _payload(payload)
    if not payload:
        return _NOTHING
    if name.lower() in _RATES:
        rate, channels = _RATES[name.lower()], None
    if rate is None:
        return "a", ("rtpmap", f"{payload} {name}")
    return "a", ("rtpmap", f"{payload} {name}/{rate}" + (f"/{channels}" if channels not in (None, "1") else ""))


def _with_rate(name: str, kind: str) -> str:
    """A codec whose rate was left out, with the usual one."""
    return f"{name}/{90000 if kind == 'video' else 8000}"


def _host(value: str, count: int) -> str:
    """The address at the end of a c= or o= line; empty if there is none.

    :param count: the words of such a line.
    """
    words = value.split()
    if not words:
        return ""
    if len(words) >= count and (count == 3 or _address(words[count - 1])):
        return _address(words[count - 1])
    last = _address(words[-1])  # too few words, or blanks in the name of the user
    return last if ":" in last or _DOTTED(last) else ""


@lru_cache(1024)
def _address(word: str) -> str:
    """An IP address without brackets, TTL and zone, or the name of a host; empty if it is neither."""
    word = word.partition("/")[0].partition("%")[0].strip("[]")
    try:
        return str(ip_address(word))
    except ValueError:
        return word.lower() if _HOST(word) and not _DOTTED(word) else ""
