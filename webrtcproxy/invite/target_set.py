"""Target set: finds the targets of an out-of-dialog request, INVITE or other (RFC 3261 section 16.5)."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.replaced_dialog import replaced_dialog_target
from webrtcproxy.invite.target import Target, TargetResolver, target_of_binding, target_of_route
from webrtcproxy.registration.binding import Found
from webrtcproxy.routing.admission import callees
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow


def call_targets(context: Context, request: Request, flow: Flow, legs: DialogTable) -> Deferred[TargetResolver]:
    """Fires with the resolver for an INVITE, or fails with Refusal where it is not permitted.

    :param flow: the flow on which it arrived.
    :param legs: the index of dialogs, of which it may replace one.
    :raises Refusal: it is not permitted.
    :raises BadMessage: its Replaces can't be read.
    """
    if "Replaces" in request.headers:
        peer = replaced_dialog_target(context, request, flow, legs)
        if peer is not None:
            return succeed(peer)
    return request_targets(context, request, flow)


def request_targets(context: Context, request: Request, flow: Flow) -> Deferred[TargetResolver]:
    """Fires with the resolver for any request, or fails with Refusal where it is not permitted. A request from the SIP
    side goes to registered browsers; one from a browser along the route that the policy finds.

    :param flow: the flow on which it arrived.
    :raises Refusal: it is not permitted.
    """
    if not flow.browser:
        return callees_of(context, request, flow.peer.host).addCallback(lambda aors: _registered(context, aors))
    route = context.policy.route(request, context.caller_of(request, flow))

    async def targets() -> Sequence[Target]:
        return [await target_of_route(context, request, route)]

    return succeed(targets)


def callees_of(context: Context, request: Request, host: str) -> Deferred[list[str]]:
    """Fires with the addresses-of-record that a request from `host`, on the SIP side, may be for, the likeliest first;
    fails with Refusal as :func:`webrtcproxy.routing.admission.callees`."""

    def found(there: Found | None) -> list[str]:
        aor, registrars = (None, ()) if there is None else (there.aor, there.registrars)
        return callees(request, context.sources.trunks_of(host), aor, host in registrars)

    return context.directory.find_token(request.request_uri.user or "").addCallback(found)


def _registered(context: Context, aors: Sequence[str]) -> TargetResolver:
    """Resolves to the browsers of the first of `aors` that has any; Refusal 480 where one of them is known but has no
    browser connected, else 404."""
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
