"""The targets that a browser names and somebody else calls: that of its REFER, and those of its redirect.

A trunk that accepts a REFER, or follows a 3xx, calls the target by itself, at the expense of the account. So such a
target is checked as that of an INVITE of the browser: by the rules for numbers and hosts, and by where a browser may
call at all (RFC 3515 section 2.4.2, RFC 5589).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.login import Logins
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.replaces import is_contact_of, match_own_dialog
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target_set import browser_targets
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.refer_to import refer_to
from webrtcproxy.sip.replaces import replaces_of
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transaction.refusal_reason import reason_of
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

_CALLED: Final = ("sip", "sips", "tel")
"""Schemes whose URIs are called. ``cid`` would be a list of several in the body (RFC 5368), which nothing checks."""


def login_for_refer(
    context: Context, logins: Logins, transaction: ServerTransaction, transferor: Leg, legs: DialogTable
) -> Deferred[None] | None:
    """The login that an INVITE to the target of a REFER would need, in the name in which its sender is in the dialog.

    :param transaction: the REFER, within the dialog of `transferor`.
    :param legs: the index of dialogs.
    :returns: None where it would need none; else as `Logins.admit`.
    :raises BadMessage: From can't be read.
    """
    refer, flow, aor = transaction.request, transaction.flow, transferor.user.aor
    if not transferor.profile.flow_bound:
        return None
    caller = refer.from_.address if aor is None else Uri.parse(f"sip:{aor}")
    domain = logins.needed_for_refer(refer, flow, caller)
    if domain is None or _is_own_call(context, refer_to(refer.headers).address, flow, legs):
        return None
    return logins.admit(domain, refer, flow, caller)


async def check_refer_target(
    context: Context, refer: Request, transferor: Leg, trunk: Trunk | None, legs: DialogTable
) -> bool:
    """Check the target of a REFER of the browser at `transferor`.

    :param trunk: the trunk that gets the REFER, or None.
    :param legs: the index of dialogs.
    :returns: whether somebody is to be called; else the transferee takes over a call of the transferor's.
    :raises BadMessage: Refer-To can't be read.
    :raises Denied: the access policy does not permit it.
    :raises Refusal: where the transferor may not call it itself: 416 for its scheme, 403 for its host, 404.
    """
    uri = refer_to(refer.headers).address
    if uri.scheme not in _CALLED:
        raise Refusal(416, "Only sip, sips And tel URIs")
    if _is_own_call(context, uri, transferor.flow, legs):
        return False
    await check_named_target(context, refer, uri, transferor.caller, transferor.flow.peer.host, trunk)
    return True


async def check_named_target(
    context: Context, request: Request, uri: Uri, caller: Caller, host: str, trunk: Trunk | None
) -> None:
    """Check a target that a browser names.

    :param request: the browser's REFER, or the INVITE that it redirects.
    :param caller: on whose behalf the browser names it.
    :param host: the IP address of the browser.
    :param trunk: the trunk that is to call it, or None.
    :raises Denied: the access policy does not permit it.
    :raises Refusal: where the browser may not call it itself: 416 for its scheme, 403 for its host, 404.
    """
    if uri.scheme not in _CALLED:
        raise Refusal(416, "Only sip, sips And tel URIs")
    permitted = context.access.decide(context.access.question(request, caller, host, trunk, uri))
    if isinstance(permitted, Deferred):
        await permitted
    _check_route(context, request, uri, caller, host)


def _check_route(context: Context, request: Request, uri: Uri, caller: Caller, host: str) -> None:
    """Check that the browser could send an INVITE there.

    :param host: the IP address of its browser.
    :raises Refusal: it could not.
    """
    params = tuple(param for param in uri.params if param[0].lower() != "method")
    invite = Request("INVITE", str(replace(uri, params=params, headers="")), request.headers)
    try:
        browser_targets(context, invite, caller, host)
    except Refusal as why:
        context.metrics.refused(reason_of(why.status))
        what = "REFER" if request.method == "REFER" else "A redirect"
        log.info("{call}: {what} to {uri} is refused: {why}", call=request.log_id, what=what, uri=str(uri), why=why)
        raise


def _is_own_call(context: Context, uri: Uri, transferor: Flow, legs: DialogTable) -> bool:
    """Whether a URI is the proxy's Contact in a call of the transferor, which the transferee is to take over: nobody is
    called."""
    named = replaces_of(uri)
    ends = None if named is None else match_own_dialog(named, transferor, legs, context)
    return ends is not None and is_contact_of(uri, ends[1])
