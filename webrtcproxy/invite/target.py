"""Target: one member of a target set, and how to send a request there (RFC 3261 section 16.5). Created from a route or
from a binding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.policy import Permitted
from webrtcproxy.dialog.context import Context
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.admission import UNREGISTERED, BrowserUser
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.caller_id import AS_WRITTEN, CallerId, caller_id_of
from webrtcproxy.routing.failover import NextHops
from webrtcproxy.routing.number_forms import outgoing
from webrtcproxy.routing.peer_profile import BROWSER_PEER, PeerProfile
from webrtcproxy.routing.policy import Route, is_in_credentials
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    :ivar flow: the first flow to it.
    :ivar uri: the Request-URI of the second leg.
    :ivar profile: the profile of the peer there.
    :ivar user: the user of the browser there.
    :ivar authentication: answers challenges with the trunk's credentials, or None.
    :ivar binding: the browser's binding, or None.
    :ivar route_set: the Route headers of the INVITE.
    :ivar replaces: the dialog that the INVITE is to replace, by the identifiers that its receiver knows; or None.
    :ivar next_hops: the servers that may reach it on the SIP side; None for a browser.
    :ivar caller_id: how the caller is shown to it.
    :ivar permitted: what the access policy has permitted; None for a browser.
    """

    flow: Flow
    uri: str
    profile: PeerProfile
    user: BrowserUser = UNREGISTERED
    authentication: Authentication | None = None
    binding: Binding | None = None
    route_set: tuple[str, ...] = ()
    replaces: str | None = None
    next_hops: NextHops | None = None
    caller_id: CallerId = AS_WRITTEN
    permitted: Permitted | None = None

    @property
    def last_flow(self) -> Flow:
        """The flow that was tried last."""
        return self.flow if self.next_hops is None else self.next_hops.flow

    @property
    def to(self) -> Flow | NextHops:
        """The destination of a :class:`ClientRequest`."""
        return self.flow if self.next_hops is None else self.next_hops


TargetResolver = Callable[[], Awaitable[Sequence[Target]]]
"""Finds the targets of a request, at least one, or raises :class:`Refusal`."""


async def target_of_route(
    context: Context, request: Request, route: Route, caller: Caller, host: str, uri: str = ""
) -> Target:
    """The target that a route leads to, where the access policy permits it.

    :param request: the request to be sent there.
    :param caller: on whose behalf it is sent.
    :param host: the IP address of the caller's browser.
    :param uri: the Request-URI there, but for the form of its number; empty for the one of the request.
    :raises Denied: it is not permitted.
    :raises Refusal: the target can't be reached.
    """
    called = Uri.parse(uri) if uri else None
    permitted = context.access.decide(context.access.question(request, caller, host, route.trunk, called))
    if isinstance(permitted, Deferred):
        permitted = await permitted
    try:
        hops = await context.upstream.next_hops(route)
    except FlowLost as why:
        raise route.profile.unreachable() from why
    authentication = Authentication(route.trunk, route.may_use_credentials, route.account)
    replaces = request.headers.get("Replaces")
    uri = _sent_uri(request, route, uri)
    return Target(
        hops.flow,
        uri,
        route.profile,
        authentication=authentication,
        replaces=replaces,
        next_hops=hops,
        caller_id=caller_id_of(request, caller, route.trunk, uri),
        permitted=permitted,
    )


def _sent_uri(request: Request, route: Route, uri: str) -> str:
    """The Request-URI at the end of a route, with its number as the trunk has it. As the browser writes it, where its
    credentials for the trunk are made of that."""
    trunk = route.trunk
    if trunk is None or not trunk.number_format.converts or not (uri or not is_in_credentials(request)):
        return uri or route.uri_for(request)
    written = uri or route.uri_for(request)
    known = Uri.parse(written)
    sent = outgoing(known, trunk)
    return written if sent is known else str(sent)


def target_of_binding(binding: Binding, caller_id: CallerId = AS_WRITTEN) -> Target:
    """The target for a registered browser.

    :param caller_id: how the caller is shown to it.
    """
    user = BrowserUser.called_at(binding)
    return Target(binding.flow, binding.contact, BROWSER_PEER, user, None, binding, caller_id=caller_id)
