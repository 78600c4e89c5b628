"""The dialog that an INVITE with Replaces is to take the place of, and the peer that it goes on to (RFC 3891).

Who may replace a dialog: see `routing/admission.py`. How a dialog is named on both legs: see `dialog/replaces.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.replaces import as_peer_has_it
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.routing.admission import may_replace
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces
from webrtcproxy.transport.flow import Flow

log = Logger()


def replaced_dialog_target(context: Context, request: Request, flow: Flow, legs: DialogTable) -> TargetResolver | None:
    """The resolver for an INVITE with Replaces: the other end of the call whose dialog it names.

    :param flow: that it came by.
    :returns: None where it names an unknown dialog, from a browser.
    :raises Refusal: 481 for a trunk's that names an unknown dialog, or one that is not answered; 603 for one that has
        ended, 486 for one that is confirmed and must not be, 403 for a sender that may not (RFC 3891 section 3).
    :raises BadMessage: 400: several, or one that can't be read, or one beside Join.
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
    location = context.location
    aors, grants = location.authenticated_aors(flow), context.grants.of(leg.key)
    if not may_replace(flow, leg.flow, leg.aor, aors, grants, context.sources.trunks_of):
        log.info("{call}: {host} may not replace this dialog", host=flow.peer.host, call=leg.dialog.call_id)
        raise Refusal(403)
    other = call.other(leg)
    if leg.over or (other is not None and other.over):
        raise Refusal(603)
    if other is None:
        raise Refusal(481)
    if named.early_only:
        raise Refusal(486)
    allowed = context.policy.may_use_trunk_credentials(location.is_authenticated(flow))
    return _peer_of(other, as_peer_has_it(named, other), allowed, context)


def _peer_of(leg: Leg, named: Replaces, allowed: bool, context: Context) -> TargetResolver:
    """The peer of `leg`.

    :param named: its dialog, as it has it.
    :param allowed: whether the credentials of its trunk may be used.
    """

    async def targets() -> Sequence[Target]:
        dialog, trunk = leg.dialog, leg.profile.trunk
        try:
            flow = await leg.flow_to_peer()
            hops = context.upstream.hops_of_flow(flow, trunk)
        except FlowLost as why:
            raise leg.profile.unreachable() from why
        uri, routes = dialog.remote_target, tuple(dialog.route_set)
        authentication = Authentication(trunk, allowed)
        return [Target(flow, uri, leg.profile, leg.aor, authentication, None, routes, str(named), hops)]

    return targets
