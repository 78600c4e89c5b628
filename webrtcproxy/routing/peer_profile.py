"""Peer profile: how the messages and the media of a browser, a trunk, or an unknown SIP peer are treated.

How the messages and the media of a dialog differ between the two sides is decided in this file only. What a peer may
send, and to whom, depends on the kind of its flow as well: tests/test_owners.py lists the modules that ask for that.
"""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.config import Trunk
from webrtcproxy.config.headers import CREDENTIALS
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.routing.header_policy import (
    ASSERTED_IDENTITY,
    DEFAULT_HEADER_POLICY,
    TO_TRUNK,
    HeaderPolicy,
    keeps_identity,
)
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.capabilities import ALLOW, ALLOW_BROWSER
from webrtcproxy.sip.message import Headers, Message, Request


@dataclass(frozen=True, slots=True)
class PeerProfile:
    """How the messages and the media of one peer are treated, whichever side calls.

    :ivar browser: whether it is a browser.
    :ivar trunk: the trunk that it belongs to, where it has a section.
    :ivar headers: which headers cross to it and from it.
    :ivar own_profile: the media profile of SDP for it, where it is not a browser; use `media_from`.
    :ivar for_browsers: the media profile of its SDP for a browser.
    """

    browser: bool
    trunk: Trunk | None
    headers: HeaderPolicy
    own_profile: Profile
    for_browsers: Profile

    @staticmethod
    def of(trunk: Trunk) -> PeerProfile:
        """The profile that the trunk's section configures."""
        return PeerProfile(False, trunk, HeaderPolicy.of(trunk), *profiles_of(trunk.media))

    @property
    def allow(self) -> tuple[str, str]:
        """The Allow header with the methods that it may send outside of dialogs."""
        return ALLOW_BROWSER if self.browser else ALLOW

    @property
    def flow_bound(self) -> bool:
        """Whether it can be reached only over the connection that it has opened, and may replace that by a new one
        (RFC 5626, RFC 7118); a peer on the SIP side is reached at its address."""
        return self.browser

    @property
    def keeps_call_id(self) -> bool:
        """Whether retries of a request to it are one sequence upstream, with one Call-ID and increasing CSeq numbers,
        so that the sender can answer challenges. To a browser, each request has a new Call-ID."""
        return not self.browser

    def wants_dtmf_events(self, sender: PeerProfile) -> bool:
        """Whether digits in an INFO of `sender` become telephone-events in the audio (RFC 4733) towards this peer."""
        return sender.browser and self.trunk is not None and self.trunk.media.dtmf == "rfc4733"

    def transfers_locally(self, transferor: PeerProfile) -> bool:
        """Whether the proxy carries out a REFER of `transferor` itself where this peer refuses it."""
        return transferor.browser and self.trunk is not None and self.trunk.refer == "local"

    def challenge_refusal(self) -> Refusal | None:
        """The response in place of a 401 or 407 of this peer that cannot be answered: credentials never cross to
        browsers. None where challenges cross."""
        return Refusal(480, "Callee Asks For Credentials") if self.browser else None

    def media_from(self, source: PeerProfile) -> Profile:
        """The media profile of SDP from another peer for this one."""
        return source.for_browsers if self.browser else self.own_profile

    def unreachable(self) -> Refusal:
        """The response to the other side where this peer can't be reached: 480 for a browser without a connection, 502
        for a server (RFC 3261 sections 21.4.18 and 21.5.3)."""
        return Refusal(480) if self.browser else Refusal(502, "Trunk Unreachable")


BROWSER_PEER = PeerProfile(True, None, HeaderPolicy(to_browser=TO_TRUNK | CREDENTIALS), BROWSER, BROWSER)
"""The profile of every browser. To another browser no more of its headers cross than to a trunk, and no credentials."""


UNKNOWN_PEER = PeerProfile(False, None, DEFAULT_HEADER_POLICY, TRUNK, BROWSER_OF_TRUNK)
"""The profile of a peer on the SIP side that has no section."""


def filter_headers(message: Message, source: PeerProfile, target: PeerProfile) -> Headers:
    """The headers of `message` that cross from one peer to another, order and spelling kept.

    The policy is a deny-list: a header crosses unless it is known to belong to one leg.
    """
    if target.browser:
        crossed = message.headers.without(source.headers.to_browser)
        if "Privacy" in crossed and keeps_identity(crossed):
            for name in ASSERTED_IDENTITY:
                crossed.remove(name)
        return crossed
    policy = target.headers
    crossed = message.headers.without(policy.to_trunk)
    if policy.sets and isinstance(message, Request):
        for name, value in policy.sets:
            crossed.set(name, value)
    return crossed
