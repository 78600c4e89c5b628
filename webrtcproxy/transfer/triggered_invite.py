"""Triggered INVITE: the INVITE that a REFER asks for, where the proxy sends it for the transferee (RFC 3515)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.invite.redirection import Redirection
from webrtcproxy.invite.target import Target
from webrtcproxy.invite.target_set import browser_targets
from webrtcproxy.routing.caller_id import AS_WRITTEN
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request
from webrtcproxy.sip.replaces import Replaces
from webrtcproxy.sip.uri import Uri

ReferTargetResolver = Callable[[], Awaitable[Target]]


def invite_for_refer(refer: Request, uri: Uri, transferee: Leg, named: Replaces | None) -> Request:
    """The INVITE that the peer of `transferee` would send, with the Referred-By of this REFER (RFC 3892).

    Other headers in the URI are ignored (RFC 3261 section 19.1.5).

    :param named: the dialog that it is to replace, which this proxy does not know.
    :raises Refusal: 603 where the URI asks for another method.
    """
    if (uri.param("method") or "INVITE").upper() != "INVITE":
        raise Refusal(603, "Only INVITE")
    params = tuple(param for param in uri.params if param[0].lower() != "method")
    target = str(replace(uri, params=params, headers=""))
    fields = {
        "From": transferee.dialog.remote,
        "To": str(NameAddr("", target)),
        "Call-ID": refer.call_id,  # for the log; the INVITE that is sent has another one
        "Max-Forwards": "70",
    }
    headers = Headers(list(fields.items()))
    for value in refer.headers.lines("Referred-By"):
        headers.add("Referred-By", value)
    if named is not None:
        headers.add("Replaces", str(named))
    return Request("INVITE", target, headers)


def refer_next_hops(context: Context, invite: Request, transferor: Leg) -> tuple[ReferTargetResolver, Redirection]:
    """The resolver of the target of `invite`, with the credentials that the transferor may use; and the handler of a
    trunk's redirects.

    Of several targets, as the browsers of a user, the first is called. The resolver raises Refusal: 502 where the
    target can't be reached, 404 or 480 where nobody is there.

    :raises Refusal: 403, 404, 416 where the transferor may not call the target.
    """
    caller, host = transferor.caller, transferor.flow.peer.host
    targets = browser_targets(context, invite, caller, host)

    async def find() -> Target:
        target = (await targets())[0]
        # The transferee goes on in its own name where the transferor is no user whose number is to be shown.
        return target if caller.user is not None else replace(target, caller_id=AS_WRITTEN)

    return find, Redirection(context, invite, caller, host)
