"""Targets: where a request outside of dialogs is tried, be it an INVITE or any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from webrtcproxy.call.branch import Target
from webrtcproxy.call.context import Context
from webrtcproxy.call.policy import OF_BROWSER, Route
from webrtcproxy.call.trunk import Authentication
from webrtcproxy.errors import FlowLost, Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow

FindTargets = Callable[[], Awaitable[Sequence[Target]]]
"""Finds where to try a request, or raises :class:`Refusal`."""


def upstream(context: Context, request: Request, route: Route, flow: Flow) -> FindTargets:
    """What finds the way along `route`, with the trunk's credentials where the browser on `flow` may use them.

    It raises Refusal 502 where the trunk can't be reached.
    """
    allowed = context.policy.credentials_for_anyone or context.location.proven(flow)

    async def targets() -> Sequence[Target]:
        try:
            way = await context.upstream.flow(route)
        except FlowLost as why:
            raise Refusal(502, "Trunk Unreachable") from why
        uri = context.policy.request_uri(request, route)
        return [Target(way, uri, route.terms, None, Authentication(route.trunk, allowed))]

    return targets


def bound(context: Context, callees: Sequence[str]) -> FindTargets:
    """What finds the browsers of the first of `callees` that has any.

    It raises Refusal 480 where one of them is known, and its browsers are gone, and else 404.

    :param callees: the addresses-of-record that the Request-URI may mean, the likeliest first.
    """
    location = context.location

    async def targets() -> Sequence[Target]:
        for aor in callees:
            bindings = await location.lookup(aor)
            if bindings:
                return [Target(binding.flow, binding.contact, OF_BROWSER, aor) for binding in bindings]
        known = any(location.knows(aor) for aor in callees)
        raise Refusal(480 if known else 404)

    return targets
