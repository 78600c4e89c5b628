"""Target set: where a request outside of dialogs is tried, be it an INVITE or any other (RFC 3261 section 16.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred, succeed

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.replaces import match_replaces
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target import Target
from webrtcproxy.registration.binding import Binding, Found
from webrtcproxy.routing.admission import callees
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.peer_profile import BROWSER_PEER
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces, replaces_headers
from webrtcproxy.transport.flow import Flow

TargetResolver = Callable[[], Awaitable[Sequence[Target]]]
"""Finds where to try a request, at least one target, or raises :class:`Refusal`."""


def call_targets(context: Context, request: Request, flow: Flow, legs: DialogTable) -> Deferred[TargetResolver]:
    """Fires with the resolver for an INVITE, or fails with Refusal where it may not go there.

    :param flow: that it came by.
    :param legs: the index of dialogs, of which it may replace one.
    :raises Refusal: it may not go there.
    :raises BadMessage: its Replaces can't be read.
    """
    replaced = None
    if "Replaces" in request.headers:
        replaced = match_replaces(request, flow, legs, context)
    if replaced is None:
        return request_targets(context, request, flow)
    return succeed(_far_side(context, request, flow, *replaced))


def request_targets(context: Context, request: Request, flow: Flow) -> Deferred[TargetResolver]:
    """Fires with the resolver for any request, or fails with Refusal where it may not go there: from a browser it goes
    where the policy says, from the SIP side to registered browsers.

    :param flow: that it came by.
    :raises Refusal: it may not go there.
    """
    if flow.browser:
        route = context.policy.route(request)
        return succeed(_along(context, request, route, context.may_use_trunk_credentials(flow)))
    return callees_of(context, request, flow.peer.host).addCallback(lambda aors: _registered(context, aors))


def callees_of(context: Context, request: Request, host: str) -> Deferred[list[str]]:
    """Fires with the addresses-of-record that a request from `host`, on the SIP side, may be for, the likeliest first;
    fails with Refusal as :func:`webrtcproxy.routing.admission.callees`."""

    def found(there: Found | None) -> list[str]:
        aor, registrars = (None, ()) if there is None else (there.aor, there.registrars)
        return callees(request, context.sources.trunks_of(host), aor, host in registrars)

    return context.directory.find_token(request.request_uri.user or "").addCallback(found)


def _along(context: Context, request: Request, route: Route, allowed: bool) -> TargetResolver:
    """The way along `route`."""

    async def targets() -> Sequence[Target]:
        return [await target_of_route(context, request, route, allowed)]

    return targets


def _registered(context: Context, aors: Sequence[str]) -> TargetResolver:
    """The browsers of the first of `aors` that has any; Refusal 480 where one of them is known and its browsers are
    gone, else 404."""
    directory = context.directory

    async def targets() -> Sequence[Target]:
        known = False
        for aor in aors:
            there = await directory.find(aor)
            if there.bindings:
                return [target_of_binding(binding) for binding in there.targets()]
            known = known or there.known
        raise Refusal(480 if known else 404)

    return targets


def _far_side(context: Context, request: Request, flow: Flow, leg: Leg, named: Replaces) -> TargetResolver:
    """The peer of `leg`, for an INVITE that is to take the place of that dialog.

    :param flow: that it came by.
    :param named: the dialog, as that peer has it.
    """
    allowed = context.may_use_trunk_credentials(flow)

    async def targets() -> Sequence[Target]:
        dialog, trunk = leg.dialog, leg.profile.trunk
        try:
            to = await leg.flow_to_peer()
            hops = context.upstream.hops_of_flow(to, trunk)
        except FlowLost as why:
            raise leg.profile.unreachable() from why
        headers = (*(("Route", route) for route in dialog.route_set), *replaces_headers(request, str(named)))
        authentication = Authentication(trunk, allowed)
        uri = dialog.remote_target
        return [Target(to, uri, leg.profile, leg.aor, authentication, headers=headers, next_hops=hops)]

    return targets


async def target_of_route(context: Context, request: Request, route: Route, allowed: bool) -> Target:
    """The target that a route leads to.

    :param request: what goes there.
    :param allowed: whether its sender may use the trunk's credentials.
    :raises Refusal: there is no way there.
    """
    try:
        hops = await context.upstream.next_hops(route)
    except FlowLost as why:
        raise route.profile.unreachable() from why
    uri = context.policy.request_uri(request, route)
    headers = replaces_headers(request, request.headers.get("Replaces"))
    authentication = Authentication(route.trunk, allowed)
    return Target(hops.flow, uri, route.profile, None, authentication, headers=headers, next_hops=hops)


def target_of_binding(binding: Binding) -> Target:
    """The target that a registered browser is."""
    return Target(binding.flow, binding.contact, BROWSER_PEER, binding.aor, None, binding)
