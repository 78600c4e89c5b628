"""Routes an INVITE with Replaces to the other end of the call whose dialog it names (RFC 3891).

`routing/admission.py` decides who may replace a dialog; `dialog/replaces.py` translates its identifiers between legs.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.policy import AccessRequest
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.replaces import as_peer_has_it
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.routing.admission import is_granted
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.policy import account_of
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces
from webrtcproxy.transport.flow import Flow

log = Logger()


def replaced_dialog_target(context: Context, request: Request, flow: Flow, legs: DialogTable) -> TargetResolver | None:
    """The resolver for an INVITE with Replaces: the other end of the call whose dialog it names.

    :param flow: the flow on which it arrived.
    :returns: None where a browser's INVITE names an unknown dialog.
    :raises Refusal: 481 where a trunk's INVITE names an unknown dialog, or the dialog is not answered; 603 where the
        dialog has ended, 486 where it is confirmed and ``early-only`` is given, 403 where the sender may not replace it
        (RFC 3891 section 3).
    :raises BadMessage: 400 for several Replaces, for one that can't be read, and for one beside Join.
    """
    values = request.headers.lines("Replaces")
    if len(values) > 1 or "Join" in request.headers:
        raise BadMessage("Bad Replaces")
    named = Replaces.parse(values[0])
    leg = legs.get(named.key)
    call = None if leg is None or leg.owner is None else leg.owner.transferable()
    if leg is None or call is None:
        if flow.browser:
            return None
        raise Refusal(481)
    if not leg.is_from_peer(flow) and not is_granted(
        flow, leg.flow, context.grants.of(leg.key), context.sources.trunks_of
    ):
        log.info("{call}: {host} may not replace this dialog", host=flow.peer.host, call=leg.dialog.call_id)
        raise Refusal(403)
    other = call.other(leg)
    if leg.over or (other is not None and other.over):
        raise Refusal(603)
    if other is None:
        raise Refusal(481)
    if named.early_only:
        raise Refusal(486)
    trunk, caller = other.profile.trunk, context.caller_of(request, flow)
    allowed = context.policy.may_use_trunk_credentials(trunk, caller)
    authentication = Authentication(trunk, allowed, account_of(trunk, caller))
    asked = None
    if call.permitted is not None:
        asked = call.permitted.question._replace(call_id=request.call_id)
        if caller.authorities:
            asked = asked._replace(caller=caller, address=flow.peer.host)
    return _peer_of(other, as_peer_has_it(named, other), authentication, context, asked)


def _peer_of(
    leg: Leg, named: Replaces, authentication: Authentication, context: Context, asked: AccessRequest | None
) -> TargetResolver:
    """The resolver whose target is the peer of `leg`.

    :param named: the dialog of `leg`, by the identifiers that its peer knows.
    :param authentication: answers the challenges of its trunk.
    :param asked: what the access policy is asked: as about the call that is replaced; None where it was not asked.
    """

    async def targets() -> Sequence[Target]:
        permitted = None if asked is None else context.access.decide(asked)
        if isinstance(permitted, Deferred):
            permitted = await permitted
        dialog, trunk = leg.dialog, leg.profile.trunk
        try:
            flow = await leg.flow_to_peer()
            hops = context.upstream.hops_of_flow(flow, trunk)
        except FlowLost as why:
            raise leg.profile.unreachable() from why
        uri, routes = dialog.remote_target, tuple(dialog.route_set)
        return [
            Target(
                flow, uri, leg.profile, leg.user, authentication, None, routes, str(named), hops, permitted=permitted
            )
        ]

    return targets
