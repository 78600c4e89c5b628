"""The target of a REFER that a browser sends: whether the transferor may have it called, whoever sends the INVITE.

A trunk that accepts a REFER calls its target by itself, at the expense of the account. So the target of a relayed REFER
is checked as that of an INVITE of the transferor: by the rules for numbers and hosts, and by where a browser may call
at all (RFC 3515 section 2.4.2, RFC 5589).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.caller import Caller
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.replaces import is_contact_of, match_own_dialog
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target_set import browser_targets
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import replaces_of
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transaction.refusal_reason import reason_of
from webrtcproxy.transport.flow import Flow

log = Logger()

_CALLED: Final = ("sip", "sips", "tel")
"""Schemes whose URIs are called. ``cid`` would be a list of several in the body (RFC 5368), which nothing checks."""


async def check_refer_target(
    context: Context, refer: Request, transferor: Flow, trunk: Trunk | None, legs: DialogTable
) -> None:
    """Check the target of a REFER of the browser on `transferor`.

    :param trunk: the trunk that gets the REFER, or None.
    :param legs: the index of dialogs.
    :raises BadMessage: Refer-To can't be read.
    :raises Denied: the access policy does not permit it.
    :raises Refusal: where the transferor may not call it itself: 416 for its scheme, 403 for its host, 404.
    """
    uri = NameAddr.parse(refer.headers.get("Refer-To") or "").address
    if uri.scheme not in _CALLED:
        raise Refusal(416, "Only sip, sips And tel URIs")
    if _is_own_call(context, uri, transferor, legs):
        return
    caller = context.payer_of(refer, transferor)
    question = context.access.question(refer, caller, transferor.peer.host, trunk, uri)
    permitted = context.access.decide(question)
    if isinstance(permitted, Deferred):
        await permitted
    _check_route(context, refer, uri, caller, transferor)


def _check_route(context: Context, refer: Request, uri: Uri, caller: Caller, transferor: Flow) -> None:
    """Check that the transferor could send an INVITE there.

    :raises Refusal: it could not.
    """
    params = tuple(param for param in uri.params if param[0].lower() != "method")
    invite = Request("INVITE", str(replace(uri, params=params, headers="")), refer.headers)
    try:
        browser_targets(context, invite, caller, transferor.peer.host)
    except Refusal as why:
        context.metrics.refused(reason_of(why.status))
        log.info("{call}: REFER to {uri} is refused: {why}", call=refer.log_id, uri=str(uri), why=why)
        raise


def _is_own_call(context: Context, uri: Uri, transferor: Flow, legs: DialogTable) -> bool:
    """Whether a URI is the proxy's Contact in a call of the transferor, which the transferee is to take over: nobody is
    called."""
    named = replaces_of(uri)
    ends = None if named is None else match_own_dialog(named, transferor, legs, context)
    return ends is not None and is_contact_of(uri, ends[1])
