"""What is said to rtpengine: the only place with keys and flags of ng commands. First what the media of a leg looks
like, then, at the end, what the commands say besides. (Cookie and ``command`` are written by `Node.command`.)

A leg's profile follows from its transport, never from the direction of the call: a WebSocket peer is a
:data:`BROWSER`, a peer over UDP, TCP or TLS is a :data:`TRUNK`, or what the section of its trunk says
(:func:`profiles_of`). An offer and an answer are written for the leg that they go *to*; an answer repeats the profile
of its leg, since rtpengine otherwise answers in the transport protocol of the offer as it understood it.

Every flag is spelled out. rtpengine's alias ``WebRTC`` means nearly the same, but what it means may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.bencode import NgValue, to_items
from webrtcproxy.sip.sdp.questions import has_protocol, is_srtp
from webrtcproxy.sip.sdp.rewriting import reject_media, without_attributes

#: Attributes that only a browser understands (RFC 8829 section 5.2). ``ICE: remove``, ``DTLS: off`` and ``demux`` take
#: most of them away; rtpengine 10.5 hands on those that it does not know (``msid``, ``ssrc``, ``rtcp-rsize`` ...) or
#: keeps on purpose (``mid``, ``rtcp-fb``), and has no flag against them (``sdp-attr`` came later).
BROWSER_ONLY = frozenset(
    b"bundle-only candidate end-of-candidates extmap extmap-allow-mixed fingerprint group ice-lite ice-mismatch "
    b"ice-options ice-pacing ice-pwd ice-ufrag identity mid msid msid-semantic rid rtcp-fb rtcp-mux rtcp-mux-only "
    b"rtcp-rsize rtcp-xr setup simulcast ssrc ssrc-group tls-id".split()
)


@dataclass(frozen=True, slots=True)
class Profile:
    """How the SDP towards one kind of leg is made.

    :ivar name: for logs.
    :ivar offer: what an ``offer`` towards the leg says to rtpengine besides the SDP and the names of the parties.
    :ivar answer: the same of an ``answer`` towards the leg.
    :ivar stripped: names of SDP attributes that must not reach the leg, and that rtpengine leaves in.
    :ivar rejected_media: kinds of media that the leg is not offered.
    :ivar required_protocol: the transport protocol that SDP for the leg has to have as its sender wrote it, or one that
        begins so; empty where any will do.
    """

    name: str
    offer: Mapping[str, NgValue]
    answer: Mapping[str, NgValue]
    stripped: frozenset[bytes] = frozenset()
    rejected_media: tuple[bytes, ...] = ()
    required_protocol: bytes = b""
    _encoded: dict[tuple[str, bool, bool], bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def items(self, command: Literal["offer", "answer"], sdp: bytes, later: bool = False) -> bytes:
        """`fields` as they are sent; all but the SDP is encoded once."""
        sdp = reject_media(sdp, self.rejected_media)
        key = command, is_srtp(sdp), later
        encoded = self._encoded.get(key)
        if encoded is None:
            fields = self.fields(command, sdp, later)
            del fields["sdp"]
            encoded = self._encoded[key] = to_items(fields)
        return b"%b3:sdp%d:%b" % (encoded, len(sdp), sdp)

    def fields(self, command: Literal["offer", "answer"], sdp: bytes, later: bool = False) -> dict[str, NgValue]:
        """What the command says to rtpengine besides the names of the parties.

        :param sdp: what the other leg sent. Where it is plain RTP, rtpengine is told to take packets of that leg from
            one source only, once it has learned which: whoever guesses a port could talk into the call otherwise. (SRTP
            needs no such check, and ICE may change the source.)
        :param later: the parties have agreed before. The ports on this leg stay then, though the other one may be at a
            new address (an ICE restart).
        """
        sdp = reject_media(sdp, self.rejected_media)
        fields: dict[str, NgValue] = {**(self.offer if command == "offer" else self.answer), "sdp": sdp}
        flags = fields["flags"]
        assert isinstance(flags, list)
        if not is_srtp(sdp):
            flags = [*flags, "strict source"]
        if later and command == "offer":
            flags = [*flags, _SAME_PORTS]
        fields["flags"] = flags
        return fields

    def accepts(self, sdp: bytes) -> bool:
        """Whether the sender of `sdp` may send it so."""
        return not self.required_protocol or has_protocol(sdp, self.required_protocol)

    def clean(self, sdp: bytes) -> bytes:
        """`sdp` as rtpengine gave it, without the lines that must not reach the leg."""
        return without_attributes(sdp, self.stripped) if self.stripped else sdp


def _frozen(fields: Mapping[str, NgValue]) -> Mapping[str, NgValue]:
    return MappingProxyType(dict(fields))


#: There is no DTLS handshake with the offerer, if it has DTLS, before the answer has told it that it is the client.
_OFFERER: Mapping[str, NgValue] = {"DTLS-reverse": "passive"}

#: The leg that gets an answer sees one set of ports, whichever branch or fork the answer is of: a trunk that got 183
#: from one and 200 from another would else be moved to new ports within one dialog.
_SAME_PORTS = "port latching"

#: Whoever is to make events in the audio says so in each offer and answer; all audio goes through its codecs then.
_EVENTS = "inject DTMF"

_BROWSER: Mapping[str, NgValue] = {
    "transport protocol": "UDP/TLS/RTP/SAVPF",
    "ICE": "force",
    "DTLS": "passive",
    "SDES": ["off"],
    "rtcp-mux": ["offer", "require"],
    "bundle": ["accept"],
    "replace": ["origin", "session connection", "SDP version"],
}
_BROWSER_FLAGS: list[NgValue] = ["generate mid", "no rtcp attribute", "trickle ICE"]

_TRUNK: Mapping[str, NgValue] = {
    "transport protocol": "RTP/AVP",
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ["off"],
    "rtcp-mux": ["demux"],
    "replace": ["origin", "session connection", "SDP version"],
}
_TRUNK_FLAGS: list[NgValue] = ["strip extmap"]

#: Keys in whole base64 (RFC 4568 section 9.2): baresip takes a key without its padding for another one. And without the
#: suites that nobody needs, or that do not encrypt, and rtpengine 10.5 would offer, too.
_SDES: list[NgValue] = [
    "pad",
    "no-AES_256_CM_HMAC_SHA1_32",
    "no-AES_192_CM_HMAC_SHA1_80",
    "no-AES_192_CM_HMAC_SHA1_32",
    "no-F8_128_HMAC_SHA1_80",
    "no-F8_128_HMAC_SHA1_32",
    "no-NULL_HMAC_SHA1_80",
    "no-NULL_HMAC_SHA1_32",
]

#: Kinds of media that a trunk is never offered: what browsers offer of this one is a WebRTC data channel (RFC 8841).
_BROWSER_ONLY_KINDS = (b"application",)

_PLAIN, _ENCRYPTED = b"RTP/AVP", b"RTP/SAVP"


def _profile(
    name: str,
    settings: Mapping[str, NgValue],
    flags: list[NgValue],
    offered: Mapping[str, NgValue] = _OFFERER,
    **more: Any,
) -> Profile:
    """A profile whose offers and answers have `settings` and `flags`.

    :param offered: what only an offer says.
    """
    offer: dict[str, NgValue] = {**settings, **offered, "flags": flags}
    answer: dict[str, NgValue] = {**settings, "flags": [*flags, _SAME_PORTS]}
    return Profile(name, _frozen(offer), _frozen(answer), **more)


#: A WebSocket peer: DTLS-SRTP, ICE, RTCP on the RTP port.
BROWSER = _profile("browser", _BROWSER, _BROWSER_FLAGS)

#: A WebSocket peer, for what comes from a peer over UDP, TCP or TLS.
BROWSER_OF_TRUNK = replace(BROWSER, required_protocol=_PLAIN)

#: A peer over UDP, TCP or TLS: plain RTP.
TRUNK = _profile("trunk", _TRUNK, _TRUNK_FLAGS, stripped=BROWSER_ONLY, rejected_media=_BROWSER_ONLY_KINDS)


def profiles_of(media: TrunkMedia) -> tuple[Profile, Profile]:
    """The profile of a trunk that has a section, and that of browsers for what comes from it.

    Of the trunk's codecs, those that a browser has not offered are made out of the others; those that are not named are
    never seen by the trunk. The other way, a browser may answer with opus where it has none of the trunk's.
    """
    if media == TrunkMedia():
        return TRUNK, BROWSER_OF_TRUNK
    settings = dict(_TRUNK)
    if media.srtp:
        settings.update({"transport protocol": "RTP/SAVP", "SDES": _SDES})
    if media.family is not None:
        settings["address family"] = "IP4" if media.family == "ipv4" else "IP6"
    to_trunk, to_browser = dict(_OFFERER), dict(_OFFERER)
    if media.codecs is not None:
        to_trunk["codec"] = {"mask": ["all"], "transcode": list(media.codecs)}
        to_browser["codec"] = {"mask": ["all"], "except": list(media.codecs), "transcode": ["opus"]}
    if media.interfaces is not None:
        web, far = media.interfaces
        to_trunk["direction"], to_browser["direction"] = [web, far], [far, web]
    events: list[NgValue] = [_EVENTS] if media.dtmf == "rfc4733" else []
    no_video = () if media.video else (b"video",)
    trunk = _profile(
        "trunk",
        settings,
        [*_TRUNK_FLAGS, *events],
        to_trunk,
        stripped=BROWSER_ONLY,
        rejected_media=(*_BROWSER_ONLY_KINDS, *no_video),
    )
    browser = _profile(
        "browser",
        _BROWSER,
        [*_BROWSER_FLAGS, *events],
        to_browser,
        rejected_media=no_video,
        required_protocol=_ENCRYPTED if media.srtp else _PLAIN,
    )
    return trunk, browser


# What commands say besides

SUPPORTS_LOAD_LIMIT = to_items({"supports": ["load limit"]})
"""Of each offer: a node at its limit answers so, and not with an error."""

DELETE_AT_ONCE = to_items({"delete delay": 0})
"""Of each delete: rtpengine otherwise keeps the ports for half a minute."""


def session_fields(call_id: str) -> dict[str, NgValue]:
    """Which session a command is about: of all but ``ping`` and ``list``.

    :param call_id: what the session is called at rtpengine.
    """
    return {"call-id": call_id}


def list_fields(limit: int) -> dict[str, NgValue]:
    """How many sessions a ``list`` gives at most; rtpengine lists 32 where none is given."""
    return {"limit": limit}


def party_items(branch: str, from_tag: str, to_tag: str = "") -> bytes:
    """The branch and the parties that an ``offer``, ``answer`` or ``delete`` is about, encoded."""
    names: dict[str, NgValue] = {"via-branch": _octets(branch), "from-tag": _octets(from_tag)}
    if to_tag:
        names["to-tag"] = _octets(to_tag)
    return to_items(names)


def digit_items(digit: str, duration: int, from_tag: str) -> bytes:
    """What a ``play DTMF`` plays and which party sends it, encoded.

    :param duration: milliseconds.
    """
    return to_items({"from-tag": _octets(from_tag), "code": digit, "duration": duration})


def _octets(name: str) -> bytes:
    """A tag or branch as it stood in the message, bytes outside UTF-8 included."""
    return name.encode("utf-8", "surrogateescape")
