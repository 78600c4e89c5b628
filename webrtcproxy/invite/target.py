"""Target: one member of a target set, and how to send a request there (RFC 3261 section 16.5)."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.failover import NextHops
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.transport.flow import Flow


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    :ivar flow: the first flow to it.
    :ivar uri: the Request-URI of the second leg.
    :ivar profile: what holds there.
    :ivar aor: the address-of-record registered there, or None.
    :ivar authentication: answers challenges with the trunk's credentials, or None.
    :ivar binding: of the browser there, or None.
    :ivar headers: what the INVITE has besides what crosses.
    :ivar next_hops: the servers that it may be reached by on the SIP side; None for a browser.
    """

    flow: Flow
    uri: str
    profile: PeerProfile
    aor: str | None = None
    authentication: Authentication | None = None
    binding: Binding | None = None
    headers: tuple[tuple[str, str], ...] = ()
    next_hops: NextHops | None = None

    @property
    def last_flow(self) -> Flow:
        """The flow to where it was tried last."""
        return self.flow if self.next_hops is None else self.next_hops.flow

    @property
    def to(self) -> Flow | NextHops:
        """What a :class:`ClientRequest` is sent to."""
        return self.flow if self.next_hops is None else self.next_hops
