"""`read` makes a `Description` of octets, as peers send them (RFC 8866).

Reading is tolerant: what is odd is mended if there is one thing that it can mean, and else left out. What is refused
(port 0) is not looked at (RFC 3264 section 6). What stands for the session as a whole is put into each medium that does
not say otherwise: its address, its direction, ICE and DTLS.
"""

from __future__ import annotations

import re

from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.sdp.attributes import FORMS, TRANSPORT
from webrtcproxy.sip.sdp.description import RTP_PROTOCOLS, STATIC_CODECS, Attribute, Description, Media, about
from webrtcproxy.sip.sdp.lines import KNOWN, look_up, origin, payload_type

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

_OF_FIREFOX = b"o=mozilla"
_KIND = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}").fullmatch
_PROTOCOL = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/-]{1,64}").fullmatch
_FORMAT = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/-]{1,64}").fullmatch
_PORT = re.compile(r"\+?(\d{1,10})(?:/.*|[,;.]*)", re.ASCII).fullmatch
_WORDS = re.compile(r"[A-Za-z]+").findall


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
    known = KNOWN.get(allowed)
    if known is None:
        known = KNOWN[allowed] = {}
    session = section = Media("session", 1, "", [], direction="")
    attributes = section.attributes
    media: list[Media] = []
    common: list[Attribute] = []  # what is said about all media together
    for line in lines:
        kind, value = known.get(line) or look_up(line, allowed, known)
        if kind == "attribute":
            attributes.append(value)
        elif not kind:
            continue
        elif kind == "rtpmap":
            section.codecs.setdefault(value[0], value[1])
        elif kind == "of session":
            (common if section is session else attributes).append(value)
        elif kind == "m":
            if len(media) == MAX_MEDIA:
                raise BadSdp("too many media")
            section = _medium(value[1])
            media.append(section)
            attributes = section.attributes
        else:
            _take(section, kind, value)
    if not media or (media[0].unnamed and all(each.unnamed for each in media)):
        raise BadSdp("no media")
    if not session.address and any(not each.address for each in media):
        session.address = origin(lines)
    for each in media:
        _complete(each, session)
    if len(media) > 1:
        _name_once(media)
    of_firefox = False
    if common:
        of_firefox = any(line.startswith(_OF_FIREFOX) for line in lines[:4])
        common = [(name, _bundled(value, media) if name == "group" else value) for name, value in common]
    return Description(media, common, session.bandwidths, of_firefox)


def _take(section: Media, kind: str, value: Attribute) -> None:
    """Take a line of the session or of a medium that is none of the frequent ones."""
    if kind == "c":
        section.address = section.address or value[1]
    elif kind == "direction":
        section.direction = section.direction or value[0]
    elif kind == "of format":
        section.of_formats.append(value)
    elif kind == "mid":
        section.mid = section.mid or value[1]
    elif kind == "b":
        section.bandwidths.append(value)
    else:
        section.codecs.setdefault(value[0], _with_rate(value[1], section.kind))


def _complete(media: Media, session: Media) -> None:
    """Settle a medium, once all lines are read."""
    media.address = media.address or session.address
    media.direction = media.direction or session.direction or "sendrecv"
    if media.is_refused:
        media.refuse()
    elif media.is_rtp:
        if session.attributes or session.of_formats or session.mid or session.codecs:
            media.mid = media.mid or session.mid
            media.attributes += _inherited(media.attributes, session.attributes)
            media.of_formats += _inherited_formats(media.of_formats, session.of_formats)
            media.codecs = {**session.codecs, **media.codecs}
        _name_codecs(media)
    else:
        media.attributes += [each for each in _inherited(media.attributes, session.attributes) if each[0] in TRANSPORT]
        media.codecs = {}


def _name_once(media: list[Media]) -> None:
    """Take its name from each medium that has that of one before it."""
    mids: set[str] = set()
    for each in media:
        if each.mid in mids:
            each.mid = ""
        mids.add(each.mid)


def _inherited(own: list[Attribute], common: list[Attribute]) -> list[Attribute]:
    """Those attributes of the session that a medium has no own of."""
    names = dict(own)
    return [each for each in common if each[0] not in names]


def _inherited_formats(own: list[Attribute], common: list[Attribute]) -> list[Attribute]:
    """Those of the session about formats of which a medium says nothing of that kind."""
    said = {(name, value.partition(" ")[0]) for name, value in own}
    return [each for each in common if (each[0], each[1].partition(" ")[0]) not in said]


def _name_codecs(media: Media) -> None:
    """Find the codec of each payload type, and leave out those without, with what is said about them."""
    known = codecs = media.codecs
    if list(known) != media.formats:
        codecs = {payload: known[payload] for payload in media.formats if payload in known}
    if len(codecs) < len(media.formats):
        codecs = {}
        for word in media.formats:
            payload = word if word in known else payload_type(word)
            codec = known.get(payload) or STATIC_CODECS.get(payload, "")
            if codec:
                codecs.setdefault(payload, codec)
            elif payload:
                media.unnamed.setdefault(payload, len(codecs) + len(media.unnamed))
        if media.unnamed:
            media.of_unnamed = [each for each in media.of_formats if each[1].partition(" ")[0] in media.unnamed]
    media.codecs = codecs
    media.formats = list(codecs)
    if media.of_formats:
        media.of_formats = about(media.of_formats, codecs)


def _with_rate(name: str, kind: str) -> str:
    """A codec whose rate was left out, with the usual one."""
    return f"{name}/{90000 if kind == 'video' else 8000}"


def _bundled(group: str, media: list[Media]) -> str:
    """A BUNDLE group without the media that are refused or not there (RFC 9143 section 7.3)."""
    there = {each.mid for each in media if not each.is_refused}
    return " ".join(["BUNDLE", *(mid for mid in group.split()[1:] if mid in there)])


def _medium(text: str) -> Media:
    """Read an m= line; a refused medium if its kind or its port can't be read."""
    words = text.split()
    if 3 < len(words) < MAX_FORMATS and words[2] in RTP_PROTOCOLS and words[0] in ("audio", "video"):
        port = number(words[1], 65535)
        if port is not None and "," not in text and ";" not in text:
            return Media(words[0], port, words[2], words[3:], direction="")
    return _odd_medium(words, text)


def _odd_medium(words: list[str], text: str) -> Media:
    found = _PORT(words[1]) if len(words) > 1 else None
    port = number(found[1], 65535) if found else None
    formats = words[3:]
    if "," in text or ";" in text:
        formats = " ".join(formats).replace(",", " ").replace(";", " ").split()
    if len(formats) > MAX_FORMATS:
        raise BadSdp("too many formats")
    if port is None or not _KIND(words[0]):
        media = Media(words[0].lower() if words and _KIND(words[0]) else "audio", 0, "RTP/AVP", [])
        media.unnamed[""] = 0
        return media
    protocol = words[2] if len(words) > 2 else ""
    if protocol not in RTP_PROTOCOLS:
        protocol = _protocol(protocol)
        if protocol not in RTP_PROTOCOLS:
            formats = list(dict.fromkeys(filter(_FORMAT, formats)))
    return Media(words[0].lower(), port, protocol, formats, direction="")


def _protocol(word: str) -> str:
    """A transport protocol of RTP, however it is called, by its own name: RTP and DTLS are over UDP if nothing else is
    said. ``RTP/AVP`` where there is no word."""
    upper = word.upper()
    if upper in RTP_PROTOCOLS:
        return upper
    words = [each for each in _WORDS(upper) if each not in ("UDP", "RTP")]
    name = "/".join(words)
    if f"RTP/{name}" in RTP_PROTOCOLS:
        return f"RTP/{name}"
    if name in ("TLS/SAVP", "TLS/SAVPF", "DTLS/SAVP", "DTLS/SAVPF"):
        return f"UDP/TLS/RTP/{words[1]}"
    return word if _PROTOCOL(word) else "RTP/AVP"
