"""The attributes of session descriptions that cross, each in the one form that is written; all others are left out.

rtpengine stands between two peers as an end of its own towards each: what a peer says of its streams, its transport or
its identity (``ssrc``, ``msid``, ``candidate``, ``identity``, ``tcap``, ``zrtp-hash`` ...) says nothing about what the
other one receives, and rtpengine passes on what it does not know. So the names are those that may pass, not those that
may not.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}").fullmatch
_FLAG = re.compile(r"").fullmatch
_BIT = re.compile(r"[01]?").fullmatch
_PORT_AND_ADDRESS = re.compile(
    r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6(?:[0-4][0-9]{3}|5(?:[0-4][0-9]{2}|5(?:[0-2][0-9]|3[0-5]))))"
    r"(?: IN IP[46] [0-9a-f.:]+)?"
).fullmatch
_NUMBER = re.compile(r"\d{1,10}", re.ASCII).fullmatch
_DECIMAL = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII).fullmatch
_TOKENS = re.compile(r"[\x21-\x7e]{1,64}( [\x21-\x7e]{1,64})*").fullmatch
_HEX = re.compile(r"[0-9A-Fa-f:]+").fullmatch
_HASHES = {"sha-1": 59, "sha-224": 83, "sha-256": 95, "sha-384": 143, "sha-512": 191}
"""The hashes with which rtpengine can tell a certificate, all of those in RFC 8122 section 5 that are not broken; and
the characters of a fingerprint with each."""

Form = Callable[[str], object]


def _is_fingerprint(value: str) -> bool:
    """Whether it is the name of a hash, and its octets with two digits each and colons between. One regular expression
    for all of it is dear, since it goes octet by octet."""
    name, _, octets = value.partition(" ")
    colons = len(octets) // 3
    return (
        _HASHES.get(name.lower()) == len(octets)
        and octets.count(":") == colons
        and octets[2::3] == ":" * colons
        and _HEX(octets) is not None
    )


RTP: dict[str, Form] = {
    "fmtp": re.compile(r"\d{1,3} [\x21-\x7e][\x20-\x7e]*", re.ASCII).fullmatch,  # RFC 8866 section 6.15
    "ptime": _NUMBER,  # RFC 8866 section 6.4
    "maxptime": _NUMBER,  # RFC 8866 section 6.5
    "framerate": _DECIMAL,  # RFC 8866 section 6.13
    "rtcp": _PORT_AND_ADDRESS,  # RFC 3605; without an address, that of the medium
    "label": _TOKEN,  # RFC 4574
    "content": re.compile(r"[A-Za-z0-9.,_-]{1,64}").fullmatch,  # RFC 4796
    "lang": _TOKEN,  # RFC 8866 section 6.12
    "imageattr": re.compile(r"(\d{1,3}|\*) [\x21-\x7e][\x20-\x7e]*", re.ASCII).fullmatch,  # RFC 6236
}
"""What is said about the coding of sound and pictures."""

FEEDBACK: dict[str, Form] = {
    "rtcp-fb": re.compile(r"(\d{1,3}|\*) [\x21-\x7e]+( [\x21-\x7e]+)*", re.ASCII).fullmatch,  # RFC 4585 section 4.2
}
"""What the profiles with feedback have in addition."""

OTHER_MEDIA: dict[str, Form] = {
    **dict.fromkeys(
        (
            "T38FaxVersion", "T38MaxBitRate", "T38FaxRateManagement", "T38FaxMaxBuffer", "T38FaxMaxDatagram",
            "T38FaxUdpEC", "T38VendorInfo",  # T.38 annex D
            "path", "accept-types", "accept-wrapped-types", "max-size",  # RFC 4975 section 8
        ),
        _TOKENS,
    ),
    **dict.fromkeys(("T38FaxFillBitRemoval", "T38FaxTranscodingMMR", "T38FaxTranscodingJBIG"), _BIT),
}  # fmt: skip
"""What is said about media that are not carried in RTP."""

KEYS: dict[str, Form] = {
    "crypto": re.compile(r"\d{1,9} \w{1,64} [A-Za-z]+:[\x21-\x7e]+( [\x21-\x7e]+)*", re.ASCII).fullmatch
}
"""Keys in the description (RFC 4568 section 9.1); `webrtcproxy.sip.sdp.keys` says which can be used."""

TRANSPORT: dict[str, Form] = {
    "ice-ufrag": re.compile(r"[A-Za-z0-9+/=_-]{1,256}").fullmatch,  # RFC 8839 section 5.4
    "ice-pwd": re.compile(r"[A-Za-z0-9+/=_-]{1,256}").fullmatch,
    "ice-options": _TOKENS,  # RFC 8839 section 5.6
    "candidate": lambda value: 7 <= value.count(" ") < 64 and value.isprintable(),  # RFC 8839 section 5.1
    "end-of-candidates": _FLAG,  # RFC 8840 section 4.3
    "fingerprint": _is_fingerprint,  # RFC 8122 section 5
    "setup": re.compile(r"active|passive|actpass|holdconn").fullmatch,  # RFC 4145 section 4
    "tls-id": re.compile(r"[A-Za-z0-9+/_-]{20,255}").fullmatch,  # RFC 8842 section 4
}
"""ICE and DTLS of a medium."""

BROWSERS: dict[str, Form] = {
    "mid": _TOKEN,  # RFC 5888 section 4
    "bundle-only": _FLAG,  # RFC 9143 section 6
    "rtcp-mux": _FLAG,  # RFC 5761 section 5.1.1
    "rtcp-mux-only": _FLAG,  # RFC 8858
    "rtcp-rsize": _FLAG,  # RFC 5506 section 5
    "extmap": re.compile(
        r"(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(/(sendrecv|sendonly|recvonly|inactive))? [\x21-\x7e]+( [\x20-\x7e]+)?",
        re.ASCII,
    ).fullmatch,  # RFC 8285
    "sctp-port": _NUMBER,  # RFC 8841
    "max-message-size": _NUMBER,
}
"""What only browsers say of a medium (RFC 8829 section 5.2)."""

SESSION: dict[str, Form] = {
    "group": re.compile(r"BUNDLE( [\x21-\x7e]{1,64})*").fullmatch,  # RFC 9143
    "ice-lite": _FLAG,  # RFC 8839 section 5.3
    "extmap-allow-mixed": _FLAG,  # RFC 8285 section 6
}
"""What is said about all media of a session together."""

_SOUND_AND_PICTURES = frozenset((*RTP, *FEEDBACK, *OTHER_MEDIA))

OF_TRUNK = frozenset((*_SOUND_AND_PICTURES, *KEYS, "rtcp-mux"))
"""The attributes of a peer over UDP, TCP or TLS that rtpengine is told."""
OF_BROWSER = frozenset((*_SOUND_AND_PICTURES, *TRANSPORT, *BROWSERS, *SESSION))
"""Those of a browser that rtpengine is told."""
TO_TRUNK = frozenset((*_SOUND_AND_PICTURES, *KEYS))
"""Those of rtpengine's that a peer over UDP, TCP or TLS is told."""
TO_BROWSER = OF_BROWSER - {"tls-id"}
"""Those of rtpengine's that a browser is told."""

FORMS: dict[str, Form] = {
    **RTP, **FEEDBACK, **OTHER_MEDIA, **KEYS, **TRANSPORT, **BROWSERS, **SESSION
}  # fmt: skip
"""All names, and whether a value has the form that its RFC demands."""
