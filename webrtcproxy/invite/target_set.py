"""Targets: where a request outside of dialogs is tried, be it an INVITE or any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.replaces import replacing
from webrtcproxy.invite.redirection import target_of_route
from webrtcproxy.invite.target import Target
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.peer_profile import BROWSER_PEER
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces
from webrtcproxy.transport.flow import Flow

TargetResolver = Callable[[], Awaitable[Sequence[Target]]]
"""Finds where to try a request, or raises :class:`Refusal`."""


def trunk_targets(context: Context, request: Request, route: Route, flow: Flow) -> TargetResolver:
    """What finds the way along `route`, with the trunk's credentials where the browser on `flow` may use them."""
    allowed = context.may_use_trunk_credentials(flow)

    async def targets() -> Sequence[Target]:
        return [await target_of_route(context, request, route, allowed)]

    return targets


def registered_targets(
    context: Context, callees: Sequence[str], found: Callable[[str], None] | None = None
) -> TargetResolver:
    """What finds the browsers of the first of `callees` that has any.

    It raises Refusal 480 where one of them is known, and its browsers are gone, and else 404.

    :param callees: the addresses-of-record that the Request-URI may mean, the likeliest first.
    :param found: told whose browsers they are.
    """
    directory = context.directory

    async def targets() -> Sequence[Target]:
        known = False
        for aor in callees:
            there = await directory.find(aor)
            if there.bindings:
                if found is not None:
                    found(aor)
                return [target_of_binding(binding) for binding in there.targets()]
            known = known or there.known
        raise Refusal(480 if known else 404)

    return targets


def replaces_target(context: Context, request: Request, leg: Leg, named: Replaces, source: Flow) -> TargetResolver:
    """What finds the peer of `leg`, for an INVITE that is to take the place of that dialog.

    It raises Refusal where the peer can't be reached.

    :param named: the dialog, as that peer has it.
    :param source: the flow that the INVITE came by.
    """
    allowed = context.may_use_trunk_credentials(source)

    async def targets() -> Sequence[Target]:
        dialog = leg.dialog
        try:
            flow = await leg.flow_to_peer()
            next_hops = context.upstream.hops_of_flow(flow, leg.profile.trunk)
        except FlowLost as why:
            raise leg.profile.unreachable() from why
        headers = (*(("Route", route) for route in dialog.route_set), *replacing(request, str(named)))
        authentication = Authentication(leg.profile.trunk, allowed)
        return [
            Target(
                flow, dialog.remote_target, leg.profile, leg.aor, authentication, headers=headers, next_hops=next_hops
            )
        ]

    return targets


def target_of_binding(binding: Binding) -> Target:
    """The target that a registered browser is."""
    return Target(binding.flow, binding.contact, BROWSER_PEER, binding.aor, None, binding)
