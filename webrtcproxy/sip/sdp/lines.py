"""What the lines of a session description say (RFC 8866): `look_up` reads one, and remembers it if it is the same in
many descriptions, as those of codecs, extensions and flags are. What is another in each call, or secret, is not
remembered, nor what has no meaning, since that may be anything."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.sdp.attributes import FORMS, SESSION
from webrtcproxy.sip.sdp.description import DIRECTIONS, FORMAT_ATTRIBUTES, NOWHERES, STATIC_CODECS, Attribute

Line = tuple[str, Attribute]
"""What a line is, and its value:

``attribute``, ``of format``, ``of session``, ``mid``
    an attribute: its name and its value
``direction``
    its name
``rtpmap``, ``rtpmap without rate``
    a payload type and its codec
``b``
    kind and value of a bandwidth
``c``, ``m``
    the same letter; an address, or the text of the line
``""``
    nothing that is needed
"""

KNOWN: dict[frozenset[str], dict[bytes, Line]] = {}
"""Lines that were read before, for each set of names."""
MAX_KNOWN = 1024
"""Lines that are remembered for each set."""
_LONGEST_KNOWN = 160

#: Attributes that are another in each call, or secret.
_OWN = frozenset(("candidate", "ice-ufrag", "ice-pwd", "fingerprint", "crypto", "tls-id", "rtcp", "path"))

#: Their names and what these demand, by what stands before the colon.
_OWN_FORMS = {f"a={name}".encode(): (name, FORMS[name]) for name in _OWN}

#: What stands before the first colon of lines that often come, and of which nothing is needed.
_IDLE = frozenset((
    b"a=ssrc", b"a=ssrc-group", b"a=msid", b"a=msid-semantic", b"a=rtcp-xr", b"a=silenceSupp", b"v=0", b"s=-", b"t=0 0"
))  # fmt: skip

_NOTHING: Line = ("", ("", ""))

_PLACES = {
    **dict.fromkeys(FORMS, "attribute"),
    **dict.fromkeys(FORMAT_ATTRIBUTES, "of format"),
    **dict.fromkeys(SESSION, "of session"),
    "mid": "mid",
}

_CONTROLS = dict.fromkeys((*range(32), 127, 0xFEFF, 0x85, 0x2028, 0x2029), " ")
_BANDWIDTH = re.compile(r"([A-Za-z0-9-]{1,32})\s*:\s*(\d{1,10})", re.ASCII).fullmatch
_MOST_BANDWIDTH = 2**31 - 1  # what Chromium reads
_RTPMAP = re.compile(r"(\d{1,3})\s+([\w.+-]{1,64})(?=[\s/;,]|$)(.*)", re.ASCII).fullmatch
_RATE = re.compile(
    r"\s*/?\s*0*([1-9]\d{0,5})(?!\d)(?:\.\d*)?(?:\s*/\s*0*([1-9]\d?)(?!\d))?", re.ASCII
).match  # fmt: skip
_RTCP = re.compile(r"(\d+) IN IP[46] ([0-9A-Fa-f.:]+)", re.ASCII | re.IGNORECASE).match
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?").fullmatch
_DOTTED = re.compile(r"[0-9.]+").fullmatch
_BLANKS = re.compile(r"\s+")
_WORD = re.compile(r"([a-z]+)(?:[\s;,.]|\Z)").match

#: Codecs that have one rate, whatever a peer writes (RFC 7587 section 4.1, RFC 3551 section 4.5.2).
_RATES = {"opus": "48000/2", "g722": "8000"}


def look_up(line: bytes, allowed: frozenset[str], known: dict[bytes, Line]) -> Line:
    """What a line says that is not among those that are known; it is known then, if it may be.

    :param line: without its end.
    :param allowed: the names of the attributes to read.
    :param known: of `KNOWN`, for these names.
    """
    start, _, rest = line.partition(b":")
    if start in _OWN_FORMS:
        name, form = _OWN_FORMS[start]
        if name not in allowed:
            return _NOTHING
        value = rest.decode("utf-8", "replace")
        if form(value) and "  " not in value:
            return "attribute", (name, _rtcp(value) if name == "rtcp" else value)
    elif start in _IDLE:
        if start == line:
            known[line] = _NOTHING
        return _NOTHING
    elif line[:2] == b"o=":  # see `origin`
        return _NOTHING
    text = line.decode("utf-8", "replace")
    if text[:2] == "m=" and text.isprintable():
        return "m", ("m", text[2:])
    kind, pair = said = _parse(text)
    name = pair[0]
    if kind == "a":
        said = (_PLACES[name], pair) if name in allowed else _NOTHING
    if name and name != "m" and name not in _OWN and len(line) <= _LONGEST_KNOWN:
        if len(known) >= MAX_KNOWN:
            known.clear()
        known[line] = said
    return said


def origin(lines: list[bytes]) -> str:
    """The address in the o= line, which comes before all media; empty if there is none."""
    for line in lines:
        kind, value = _split(line.decode("utf-8", "replace"))
        if kind == "m":
            break
        address = _host(value, 6) if kind == "o" else ""
        if address:
            return address
    return ""


def payload_type(word: str) -> str:
    """A payload type as it is written; empty if it is none."""
    value = number(word, 127)
    return "" if value is None else str(value)


def _parse(text: str) -> Line:
    """As `Line`, but ``a`` for all attributes."""
    kind, value = _split(text)
    if kind == "m":
        return "m", ("m", value)
    if kind == "a":
        return _attribute(value)
    if kind == "b":
        found = _BANDWIDTH(value)
        return ("b", (found[1], found[2])) if found and int(found[2]) <= _MOST_BANDWIDTH else _NOTHING
    address = _host(value, 3) if kind == "c" else ""
    return ("c", ("c", address)) if address else _NOTHING


def _split(text: str) -> tuple[str, str]:
    """The letter of a line, and its value; both empty if it has none."""
    if not text.isprintable():
        text = _BLANKS.sub(" ", text.translate(_CONTROLS))
    text = text.strip()
    kind, rest = text[:1].lower(), text[1:].lstrip()  # some write blanks around the =
    return (kind, rest[1:].strip()) if rest[:1] == "=" else ("", "")


def _attribute(text: str) -> Line:
    name, _, value = text.partition(":")
    name, value = name.rstrip(), value.strip()
    if "  " in value:
        value = _BLANKS.sub(" ", value)
    if name not in FORMS:
        lower = name.lower()
        if lower == "rtpmap":
            return _rtpmap(value)
        word = _WORD(lower)  # some end it with a semicolon, or have more after it
        if word is not None and word[1] in DIRECTIONS:
            return "direction", (word[1], "")
        if lower not in FORMS:
            return _NOTHING
        name = lower
    if name == "rtcp":
        value = _rtcp(value)
    elif name == "setup":
        value = value.lower()
    return ("a", (name, value)) if FORMS[name](value) else _NOTHING


def _rtpmap(value: str) -> Line:
    """A payload type and its codec, with whatever is behind it left out. A static one has the codec of RFC 3551."""
    found = _RTPMAP(value)
    payload = payload_type(found[1]) if found else ""
    if found is None or not payload:
        return _NOTHING
    if payload in STATIC_CODECS:
        return "rtpmap", (payload, STATIC_CODECS[payload])
    name, rest = found[2], found[3].strip()
    written = _RATE(rest)
    if name.lower() in _RATES:
        codec = f"{name}/{_RATES[name.lower()]}"
    elif written is not None:
        codec = f"{name}/{written[1]}" if written[2] in (None, "1") else f"{name}/{written[1]}/{written[2]}"
    else:
        is_left_out = rest[:1] != "/" or not rest.strip(" /;,")
        return ("rtpmap without rate", (payload, name)) if is_left_out else _NOTHING
    return "rtpmap", (payload, codec)


def _rtcp(value: str) -> str:
    """A port, with an address if there is one that can be sent to (RFC 3605 section 2.1)."""
    port, blank, named = value.partition(" ")
    found = _RTCP(value) if blank and not named.endswith(" 0.0.0.0") else None
    address = _address(found[2]) if found else ""
    if not address or address in NOWHERES:
        return port
    return f"{port} IN {'IP6' if ':' in address else 'IP4'} {address}"


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
    """An IP address without brackets, TTL and zone, or the name of a host; empty if it is neither. One of IPv4 that is
    written as one of IPv6 is what it stands for (RFC 4291 section 2.5.5.2)."""
    word = word.partition("/")[0].partition("%")[0].strip("[]")
    try:
        address = ip_address(word)
        return str(getattr(address, "ipv4_mapped", None) or address)
    except ValueError:
        return word.lower() if _HOST(word) and not _DOTTED(word) else ""
