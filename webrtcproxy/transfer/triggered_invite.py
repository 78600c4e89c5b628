"""Triggered INVITE: what a REFER asks for, where the proxy sends it in the place of the transferee (RFC 3515)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.invite.redirection import Redirection
from webrtcproxy.invite.target import Target, target_of_route
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request
from webrtcproxy.sip.replaces import Replaces
from webrtcproxy.sip.uri import Uri

ReferTargetResolver = Callable[[], Awaitable[Target]]


def invite_for_refer(refer: Request, uri: Uri, transferee: Leg, named: Replaces | None) -> Request:
    """The INVITE of `transferee`'s peer, as far as it crosses: with the Referred-By of this REFER (RFC 3892).

    Other headers that the URI asks for are not obeyed (RFC 3261 section 19.1.5).

    :param named: the dialog that it is to take the place of, which is unknown here.
    :raises Refusal: 603 where another method is asked for.
    """
    if (uri.param("method") or "INVITE").upper() != "INVITE":
        raise Refusal(603, "Only INVITE")
    params = tuple(param for param in uri.params if param[0].lower() != "method")
    target = str(replace(uri, params=params, headers=""))
    fields = {
        "From": transferee.dialog.remote,
        "To": str(NameAddr("", target)),
        "Call-ID": refer.call_id,  # for the log: what is sent has its own
        "Max-Forwards": "70",
    }
    headers = Headers(list(fields.items()))
    for value in refer.headers.lines("Referred-By"):
        headers.add("Referred-By", value)
    if named is not None:
        headers.add("Replaces", str(named))
    return Request("INVITE", target, headers)


def refer_next_hops(context: Context, invite: Request, transferor: Leg) -> tuple[ReferTargetResolver, Redirection]:
    """The resolver for `invite`, where the transferor may call, with the credentials that it may use; and the redirects
    of the call, where a trunk's are followed.

    What the first one returns raises Refusal 502 where the target can't be reached.

    :raises Refusal: 403, 404, 416: it may not call there.
    """
    authenticated = context.location.is_authenticated(transferor.flow)
    route = context.policy.route(invite, authenticated)

    async def find() -> Target:
        return await target_of_route(context, invite, route)

    return find, Redirection(context, invite, authenticated)
