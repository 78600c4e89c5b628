"""What a leg's media looks like: the only place with ng flags.

A leg's profile follows from its transport, never from the direction of the call: a WebSocket peer is a
:data:`BROWSER`, a peer over UDP, TCP or TLS is a :data:`TRUNK`. An offer and an answer are written for the leg that
they go *to*; an answer repeats the profile of its leg, since rtpengine otherwise answers in the transport protocol of
the offer as it understood it.

Every flag is spelled out. rtpengine's alias ``WebRTC`` means nearly the same, but what it means may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from webrtcproxy.media.bencode import NgValue, to_items

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
    :ivar unwanted: names of SDP attributes that must not reach the leg, and that rtpengine leaves in.
    """

    name: str
    offer: Mapping[str, NgValue]
    answer: Mapping[str, NgValue]
    unwanted: frozenset[bytes] = frozenset()
    _made: dict[tuple[str, bool, bool], bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def items(self, command: Literal["offer", "answer"], sdp: bytes, later: bool = False) -> bytes:
        """`fields` as they are sent; all but the SDP is encoded once."""
        key = command, b"RTP/SAVP" in sdp, later
        made = self._made.get(key)
        if made is None:
            fields = self.fields(command, sdp, later)
            del fields["sdp"]
            made = self._made[key] = to_items(fields)
        return b"%b3:sdp%d:%b" % (made, len(sdp), sdp)

    def fields(self, command: Literal["offer", "answer"], sdp: bytes, later: bool = False) -> dict[str, NgValue]:
        """What the command says to rtpengine besides the names of the parties.

        :param sdp: what the other leg sent. Where it is plain RTP, rtpengine is told to take packets of that leg from
            one source only, once it has learned which: whoever guesses a port could talk into the call otherwise. (SRTP
            needs no such check, and ICE may change the source.)
        :param later: the parties have agreed before. The ports on this leg stay then, though the other one may be at a
            new address (an ICE restart).
        """
        fields: dict[str, NgValue] = {**(self.offer if command == "offer" else self.answer), "sdp": sdp}
        flags = fields["flags"]
        assert isinstance(flags, list)
        if b"RTP/SAVP" not in sdp:
            flags = [*flags, "strict source"]
        if later and command == "offer":
            flags = [*flags, _SAME_PORTS]
        fields["flags"] = flags
        return fields

    def clean(self, sdp: bytes) -> bytes:
        """`sdp` as rtpengine gave it, without the lines that must not reach the leg."""
        if not self.unwanted:
            return sdp
        unwanted = self.unwanted
        return b"".join([
            line
            for line in sdp.splitlines(keepends=True)
            if line[:2] != b"a=" or line[2:].partition(b":")[0].strip() not in unwanted
        ])  # fmt: skip


def _frozen(fields: Mapping[str, NgValue]) -> Mapping[str, NgValue]:
    return MappingProxyType(dict(fields))


#: The offerer's DTLS, if it has any, is not shaken hands with before the answer tells it that it is the client.
_OFFERER: Mapping[str, NgValue] = {"DTLS-reverse": "passive"}

#: The leg that gets an answer sees one set of ports, whichever branch or fork the answer is of: a trunk that heard 183
#: from one and 200 from another would else be moved to new ports within one dialog.
_SAME_PORTS = "port latching"

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

#: A WebSocket peer: DTLS-SRTP, ICE, RTCP on the RTP port.
BROWSER = Profile(
    "browser",
    offer=_frozen({**_BROWSER, **_OFFERER, "flags": _BROWSER_FLAGS}),
    answer=_frozen({**_BROWSER, "flags": [*_BROWSER_FLAGS, _SAME_PORTS]}),
)

#: A peer over UDP, TCP or TLS: plain RTP.
TRUNK = Profile(
    "trunk",
    offer=_frozen({**_TRUNK, **_OFFERER, "flags": _TRUNK_FLAGS}),
    answer=_frozen({**_TRUNK, "flags": [*_TRUNK_FLAGS, _SAME_PORTS]}),
    unwanted=BROWSER_ONLY,
)
