"""The keys and flags of all ng commands: first the media profiles of legs, then the fields of single commands. (Only
the cookie and ``command`` are written elsewhere, by `Node.command`.)

The profile of a leg follows from its transport, never from the direction of the call: a WebSocket peer is a
:data:`BROWSER`; a peer over UDP, TCP or TLS is a :data:`TRUNK`, or has the profile of its trunk's section
(:func:`profiles_of`). An offer and an answer are written for the leg that they go *to*. An answer repeats the profile
of its leg, since rtpengine would otherwise answer in the transport protocol of the offer as it understood it.

From where a party's packets are taken (:data:`Source`) is said with each SDP *of* that party: by itself rtpengine
learns it from the first packets that come, whoever sends them.

Every flag is spelled out. rtpengine's alias ``WebRTC`` means nearly the same, but its meaning may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.bencode import NgValue, to_items
from webrtcproxy.sip.sdp.attributes import TO_BROWSER, TO_TRUNK
from webrtcproxy.sip.sdp.rewriting import offer_from_nowhere

Source = Literal["browser", "signalled", "learned"]
"""From where the packets of a party are taken, RTP and RTCP, and to where packets for it go:

``browser``
    The address that ICE has found; DTLS tells its packets from those of others.
``signalled``
    The address in its SDP, and no other.
``learned``
    The address from which packets came during the three seconds after an offer or answer, preferably the one in its
    SDP; then no other. Whoever sends packets early enough may take its place.
"""

# A list: rtpengine 10.5 ignores a text here. ``asymmetric`` turns learning off too, but from rtpengine 11.3 to 13.3 the
# source is then compared with that of the first packet, whoever sent it, instead of the SDP's address, for ever
# (https://github.com/sipwise/rtpengine/issues/1679).
_LEARNING: Mapping[Source, NgValue] = MappingProxyType(
    {"browser": ["off"], "signalled": ["off"], "learned": ["heuristic"]}
)


@dataclass(frozen=True, slots=True)
class Profile:
    """How rtpengine writes the SDP towards one kind of leg.

    :ivar name: for logs.
    :ivar offer: the flags of an ``offer`` towards the leg: all fields but the SDP and the names of the parties.
    :ivar answer: the flags of an ``answer`` towards the leg.
    :ivar attributes: names of the SDP attributes that the leg is told.
    :ivar rejected_media: kinds of media that the leg is not offered.
    :ivar required_protocol: what the transport protocol of a medium for the leg must be, or begin with, as its sender
        wrote it; empty for any.
    :ivar source: from where the packets of the SDP's sender are taken.
    :ivar codecs: the names of the codecs that the SDP's sender may use, in lower case; None for any.
    :ivar decodes: rtpengine may decode what the sender of an SDP for the leg sends, and encode what it gets, since it
        plays digits or transcodes: packets then do not pass as they are.
    """

    name: str
    offer: Mapping[str, NgValue]
    answer: Mapping[str, NgValue]
    attributes: frozenset[str]
    rejected_media: tuple[str, ...] = ()
    required_protocol: str = ""
    source: Source = "browser"
    codecs: frozenset[str] | None = None
    decodes: bool = False
    _others: dict[Source, Profile] = field(default_factory=dict, init=False, repr=False, compare=False)
    _encoded: dict[tuple[str, bool, bool], bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def has_dtls(self) -> bool:
        """Whether the leg's packets are told from those of others by DTLS, before it has answered, too."""
        return self.offer["DTLS"] != "off"

    def of(self, source: Source) -> Profile:
        """The same profile, for SDP of a party whose packets are taken from such a source."""
        if source == self.source:
            return self
        other = self._others.get(source)
        if other is None:
            other = self._others[source] = replace(self, source=source)
        return other

    @property
    def unusable(self) -> str:
        """What is wrong with SDP that has nothing for the leg; for the log."""
        return f"the SDP has no usable media{' over ' + self.required_protocol if self.required_protocol else ''}"

    def items(self, command: Literal["offer", "answer"], sdp: bytes, encrypted: bool, later: bool = False) -> bytes:
        """`fields` in bencode; all but the SDP is encoded once."""
        key = command, encrypted, later
        encoded = self._encoded.get(key)
        if encoded is None:
            fields = self.fields(command, sdp, encrypted, later)
            del fields["sdp"]
            encoded = self._encoded[key] = to_items(fields)
        return b"%b3:sdp%d:%b" % (encoded, len(sdp), sdp)

    def fields(
        self, command: Literal["offer", "answer"], sdp: bytes, encrypted: bool, later: bool = False
    ) -> dict[str, NgValue]:
        """The fields of a command, without the names of the parties.

        :param sdp: of the other leg. rtpengine accepts its packets from one source only, unless it is a browser whose
            packets are encrypted (ICE may change the source): anyone who guesses a port could otherwise talk into the
            call.
        :param encrypted: whether its media are.
        :param later: the parties have agreed before. The ports on this leg then stay, even if the other leg is at a
            new address (an ICE restart).
        """
        fields: dict[str, NgValue] = {**(self.offer if command == "offer" else self.answer), "sdp": sdp}
        fields["endpoint-learning"] = _LEARNING[self.source]
        flags = fields["flags"]
        assert isinstance(flags, list)
        if self.source != "browser" or not encrypted:
            flags = [*flags, "strict source"]
        if later and command == "offer":
            flags = [*flags, _SAME_PORTS]
        fields["flags"] = flags
        return fields


def _frozen(fields: Mapping[str, NgValue]) -> Mapping[str, NgValue]:
    return MappingProxyType(dict(fields))


#: No DTLS handshake with an offerer that has DTLS begins before the answer has made it the client.
_OFFERER: Mapping[str, NgValue] = {"DTLS-reverse": "passive"}

#: The leg that gets an answer keeps one set of ports, whichever branch or fork has answered: a trunk that gets a 183
#: from one and a 200 from another would otherwise be moved to new ports within one dialog.
_SAME_PORTS = "port latching"

#: Lets rtpengine play digits as events; each offer and answer must have it. All audio is then decoded and encoded.
_EVENTS = "inject DTMF"

_BROWSER: Mapping[str, NgValue] = {
    "transport protocol": "UDP/TLS/RTP/SAVPF",
    "ICE": "force",
    "DTLS": "passive",
    "SDES": ["off"],
    "rtcp-mux": ["offer", "require"],
}
_BROWSER_FLAGS: list[NgValue] = ["generate mid", "no rtcp attribute", "trickle ICE"]

_TRUNK: Mapping[str, NgValue] = {
    "transport protocol": "RTP/AVP",
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ["off"],
    "rtcp-mux": ["demux"],
}
_TRUNK_FLAGS: list[NgValue] = ["strip extmap"]

#: Keys with base64 padding (RFC 4568 section 9.2): baresip misreads a key without it. Not offered are suites that
#: rtpengine 10.5 would offer by default, but that nobody needs or that do not encrypt.
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

#: Kinds of media that a trunk is never offered: ``application`` of a browser is a WebRTC data channel (RFC 8841).
_BROWSER_ONLY_KINDS = ("application",)

_PLAIN, _ENCRYPTED = "RTP/AVP", "RTP/SAVP"


def _profile(
    name: str,
    settings: Mapping[str, NgValue],
    flags: list[NgValue],
    attributes: frozenset[str],
    offered: Mapping[str, NgValue] = _OFFERER,
    **more: Any,
) -> Profile:
    """A profile whose offers and answers have `settings` and `flags`.

    :param attributes: names of the SDP attributes that the leg is told.
    :param offered: fields of the offer only.
    """
    offer: dict[str, NgValue] = {**settings, **offered, "flags": flags}
    answer: dict[str, NgValue] = {**settings, "flags": [*flags, _SAME_PORTS]}
    return Profile(name, _frozen(offer), _frozen(answer), attributes, **more)


#: A WebSocket peer: DTLS-SRTP, ICE, RTCP on the RTP port.
BROWSER = _profile("browser", _BROWSER, _BROWSER_FLAGS, TO_BROWSER)

#: A WebSocket peer, for SDP from a peer over UDP, TCP or TLS.
BROWSER_OF_TRUNK = replace(BROWSER, required_protocol=_PLAIN, source="signalled")

#: A peer over UDP, TCP or TLS, for SDP from a WebSocket peer: plain RTP.
TRUNK = _profile("trunk", _TRUNK, _TRUNK_FLAGS, TO_TRUNK, rejected_media=_BROWSER_ONLY_KINDS)


def profiles_of(media: TrunkMedia) -> tuple[Profile, Profile]:
    """The profile of a trunk that has a section, for SDP from browsers; and the profile of browsers for SDP from it.

    The trunk is offered exactly its own codecs; rtpengine transcodes to those that the browser has not offered. In the
    other direction, a browser that has none of the trunk's codecs may answer with opus.
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
        to_browser["codec"] = {"strip": ["all"], "ignore": ["all"], "except": list(media.codecs), "transcode": ["opus"]}
    if media.interfaces is not None:
        web, far = media.interfaces
        to_trunk["direction"], to_browser["direction"] = [web, far], [far, web]
    events: list[NgValue] = [_EVENTS] if media.dtmf == "rfc4733" else []
    decodes = bool(events) or media.codecs is not None
    no_video = () if media.video else ("video",)
    trunk = _profile(
        "trunk",
        settings,
        [*_TRUNK_FLAGS, *events],
        TO_TRUNK,
        to_trunk,
        rejected_media=(*_BROWSER_ONLY_KINDS, *no_video),
        decodes=decodes,
    )
    browser = _profile(
        "browser",
        _BROWSER,
        [*_BROWSER_FLAGS, *events],
        TO_BROWSER,
        to_browser,
        rejected_media=no_video,
        required_protocol=_ENCRYPTED if media.srtp else _PLAIN,
        source="learned" if media.nat else "signalled",
        codecs=None if media.codecs is None else frozenset(map(str.lower, media.codecs)),
        decodes=decodes,
    )
    return trunk, browser


# Fields of single commands

SUPPORTS_LOAD_LIMIT = to_items({"supports": ["load limit"]})
"""Items of each offer: a node at its limit then replies ``load limit`` instead of an error."""

ACCEPTS_BUNDLE = to_items({"bundle": ["accept"]})
"""Items of an offer or answer to a browser, for a node that knows the key."""

ASKS_FOR_A_DESCRIPTION = to_items({"from-tag": "version", "sdp": offer_from_nowhere()})
"""Items of a ``publish`` that gets a description of rtpengine's own."""

EXISTS = to_items({"from-tag": "nobody"})
"""Items of a ``query`` that asks only whether there is a session: rtpengine says nothing of a party that it lacks."""

DELETE_AT_ONCE = to_items({"delete delay": 0})
"""Items of each delete: rtpengine would otherwise keep the ports for half a minute."""


def session_fields(call_id: str) -> dict[str, NgValue]:
    """The session that a command concerns; for all commands but ``ping`` and ``list``.

    :param call_id: the session's ng call-id.
    """
    return {"call-id": call_id}


def list_fields(limit: int) -> dict[str, NgValue]:
    """The most sessions that a ``list`` returns; rtpengine's default is 32."""
    return {"limit": limit}


def party_items(branch: str, from_tag: str, to_tag: str = "") -> bytes:
    """The branch and the parties that an ``offer``, ``answer`` or ``delete`` concerns, encoded."""
    first, second = _octets(branch), _octets(from_tag)
    names = b"10:via-branch%d:%b8:from-tag%d:%b" % (len(first), first, len(second), second)
    if not to_tag:
        return names
    third = _octets(to_tag)
    return b"%b6:to-tag%d:%b" % (names, len(third), third)


def digit_items(digit: str, duration: int, from_tag: str) -> bytes:
    """The digit and the sender of a ``play DTMF``, encoded.

    :param duration: milliseconds.
    """
    return to_items({"from-tag": _octets(from_tag), "code": digit, "duration": duration})


def query_items(from_tag: str) -> bytes:
    """The party that a ``query`` concerns, encoded."""
    return to_items({"from-tag": _octets(from_tag)})


def _octets(name: str) -> bytes:
    """A tag or branch as in the message, including bytes outside UTF-8."""
    return name.encode("utf-8", "surrogateescape")
