"""Peer profile: what holds for the messages and the media of a browser, a trunk, or an unknown SIP peer.

What treats a browser otherwise than a peer on the SIP side asks the profile for what differs; only this file says which
peer has what.
"""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.config import Trunk
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.routing.header_policy import _ASSERTED, DEFAULT_HEADER_POLICY, HeaderPolicy, _keeps_identity
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.capabilities import ALLOW, ALLOW_BROWSER
from webrtcproxy.sip.message import Headers, Message, Request
from webrtcproxy.transport.flow import Flow


@dataclass(frozen=True, slots=True)
class PeerProfile:
    """What holds for the messages and the media of one peer, whoever calls whom.

    :ivar browser: whether it is a browser.
    :ivar trunk: the trunk that it is of, where it has a section.
    :ivar headers: which headers cross to it and from it.
    :ivar own_profile: how SDP towards it is made, where it is no browser; `media_from` has the whole answer.
    :ivar for_browsers: how SDP of its own is made for a browser.
    """

    browser: bool
    trunk: Trunk | None
    headers: HeaderPolicy
    own_profile: Profile
    for_browsers: Profile

    @staticmethod
    def of(trunk: Trunk) -> PeerProfile:
        """What the trunk's section says."""
        return PeerProfile(False, trunk, HeaderPolicy.of(trunk), *profiles_of(trunk.media))

    @property
    def allow(self) -> tuple[str, str]:
        """The Allow header that lists what it may send outside of dialogs."""
        return ALLOW_BROWSER if self.browser else ALLOW

    @property
    def flow_bound(self) -> bool:
        """Whether it is reached by the connection that it has opened only, and may replace that by a new one (RFC 5626,
        RFC 7118); a peer on the SIP side is reached at its address."""
        return self.browser

    @property
    def keeps_call_id(self) -> bool:
        """Whether a request to it keeps the Call-ID of the one that it is made of and counts its CSeq on, so that the
        sender can answer challenges. To a browser, each request has a Call-ID of its own."""
        return not self.browser

    def sends_on(self, flow: Flow) -> bool:
        """Whether a peer of this kind sends by a flow of this kind: within a dialog with a browser, nothing comes from
        the SIP side, nor the other way round."""
        return flow.browser == self.browser

    def wants_dtmf_events(self, sender: PeerProfile) -> bool:
        """Whether digits in an INFO of `sender` become events in the audio (RFC 4733) towards this peer."""
        return sender.browser and self.trunk is not None and self.trunk.media.dtmf == "rfc4733"

    def transfers_locally(self, transferor: PeerProfile) -> bool:
        """Whether the proxy carries a REFER of `transferor` out where this peer will not."""
        return transferor.browser and self.trunk is not None and self.trunk.refer == "local"

    def challenge_refusal(self) -> Refusal | None:
        """What a 401 or 407 of this peer becomes, where nobody can answer it: credentials do not cross to browsers."""
        return Refusal(480, "Callee Asks For Credentials") if self.browser else None

    def media_from(self, source: PeerProfile) -> Profile:
        """How SDP of another peer is made for this one."""
        return source.for_browsers if self.browser else self.own_profile

    def unreachable(self) -> Refusal:
        """The answer to the other side where no request gets to this peer: a browser without a socket is an absent user
        (480), a server that has no answer is a gateway's failure (RFC 3261 section 21.5.3)."""
        return Refusal(480) if self.browser else Refusal(502, "Trunk Unreachable")


BROWSER_PEER = PeerProfile(True, None, DEFAULT_HEADER_POLICY, BROWSER, BROWSER)
"""Of a WebSocket peer."""


UNKNOWN_PEER = PeerProfile(False, None, DEFAULT_HEADER_POLICY, TRUNK, BROWSER_OF_TRUNK)
"""Of a peer on the SIP side that has no section."""


def filter_headers(message: Message, source: PeerProfile, target: PeerProfile) -> Headers:
    """The headers of `message` that cross from one peer to another, order and spelling kept.

    The policy is a deny-list: what is not known to belong to a leg crosses.
    """
    if target.browser:
        crossed = message.headers.without(source.headers.to_browser)
        if "Privacy" in crossed and _keeps_identity(crossed):
            for name in _ASSERTED:
                crossed.remove(name)
        return crossed
    policy = target.headers
    crossed = message.headers.without(policy.to_trunk)
    if policy.sets and isinstance(message, Request):
        for name, value in policy.sets:
            crossed.set(name, value)
    return crossed
