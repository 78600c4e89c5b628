"""Redirection: follows the 3xx responses of a trunk, where its section asks for it (RFC 3261 section 8.1.3.4); and
passes other 3xx on to the caller.

A redirected call may cost money at a trunk. So a redirect is followed only to targets that the caller may call itself,
never to a browser, and only to `MAX_TARGETS` targets. A trunk that gets the redirect of a browser follows it at the
expense of its account: it gets only targets that the browser may call itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from twisted.logger import Logger

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.identity import holder
from webrtcproxy.dialog.context import Context
from webrtcproxy.invite.branch import BranchFailed
from webrtcproxy.invite.refer_target import check_named_target
from webrtcproxy.invite.target import Target, target_of_route
from webrtcproxy.registration.request import preference
from webrtcproxy.routing.number_forms import incoming
from webrtcproxy.routing.peer_profile import PeerProfile, contacts_of
from webrtcproxy.runtime.errors import BadResponse, Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import STAR, NameAddr
from webrtcproxy.sip.message import Headers, Message, Request, Response
from webrtcproxy.sip.uri import SIP_PORT, Uri
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_TARGETS = 5
"""Most targets of one call, the first one included."""

_FOLLOWED = frozenset({300, 301, 302})
"""Not 305, whose Contact is the next hop for the same target, and not 380, whose alternatives are in its body."""


class Redirection:
    """The redirects of one call.

    :param context: the shared objects of the process.
    :param request: the caller's INVITE.
    :param caller: on whose behalf it is sent.
    :param host: the IP address of the caller, or of the transferor.
    """

    def __init__(self, context: Context, request: Request, caller: Caller, host: str) -> None:
        self._context = context
        self._request = request
        self._caller = caller
        self._host = host
        self._tried = {_target_key(request.request_uri)}
        self._left = MAX_TARGETS - 1
        self._waiting: list[Uri] = []

    async def next(self, failed: BranchFailed) -> Target | None:
        """The next target: the Contacts of a redirect in the order of their q, those of a later redirect before the
        remaining ones of an earlier one, and none twice. Replaces is the same as before.

        :param failed: the failure of all targets that were tried.
        :returns: None where no target is left.
        """
        if failed.status >= 600:
            return None
        if failed.response is not None and follows(failed):
            trunk = failed.branch.target.profile.trunk
            self._waiting = [*(incoming(uri, trunk) for uri in _uris(failed.response)), *self._waiting]
        while self._waiting and self._left:
            uri = self._waiting.pop(0)
            key = _target_key(uri)
            if key in self._tried:
                continue
            self._tried.add(key)
            request = Request("INVITE", str(uri), self._request.headers)
            try:
                route = self._context.policy.call_route(request, self._caller)
                self._left -= 1
                target = await target_of_route(self._context, request, route, self._caller, self._host)
                if _leads_back(target.flow):
                    raise Refusal(482)
                log.info("{call}: redirected to {uri}", uri=str(uri), call=self._request.call_id)
                return replace(target, replaces=failed.branch.target.replaces)
            except (Refusal, BadMessage) as why:
                log.info("{call}: not redirected to {uri}: {why}", uri=str(uri), why=why, call=self._request.call_id)
        return None


def follows(failed: BranchFailed) -> bool:
    """Whether a failure is a redirect of a trunk whose section asks for following it."""
    trunk = failed.branch.target.profile.trunk
    return trunk is not None and trunk.redirects == "follow" and failed.status in _FOLLOWED


async def contacts_across(
    context: Context, redirects: Sequence[BranchFailed], invite: Request, caller: PeerProfile
) -> Headers | None:
    """The Contact headers of the redirects that are relayed to the caller. Of a browser's, those are left out that only
    the proxy can reach, under ``.invalid`` (RFC 7118 section 5.1), and those that a trunk would call in its name though
    it may not call there itself.

    :param invite: of the caller.
    :param caller: its profile.
    :returns: None where none is left of those of browsers.
    :raises Refusal: 502 where one can't be read.
    """
    crossed, withheld = Headers(), False
    for failed in redirects:
        source = failed.branch.profile
        if failed.response is None:
            continue
        contacts = _contacts_across(failed.response, source, caller)
        withheld = withheld or (source.flow_bound and "Contact" in failed.response.headers)
        if source.flow_bound and not caller.flow_bound:
            contacts = await _permitted(context, contacts, failed, invite, caller)
        crossed.extend(contacts)
    return None if withheld and "Contact" not in crossed else crossed


async def _permitted(
    context: Context, contacts: Headers, failed: BranchFailed, invite: Request, caller: PeerProfile
) -> Headers:
    """Those of a browser's Contacts that it may call itself."""
    permitted, target = Headers(), failed.branch.target
    browser = holder(context.proofs, target.flow, target.user.aor)
    for value in contacts.lines("Contact"):
        uri = NameAddr.parse(value).address
        with suppress(Refusal):  # which is logged
            await check_named_target(context, invite, uri, browser, target.flow.peer.host, caller.trunk)
            permitted.add("Contact", value)
    return permitted


def _contacts_across(response: Response, source: PeerProfile, target: PeerProfile) -> Headers:
    """The Contact headers of one redirect that cross.

    :param source: the profile of the callee.
    :param target: the profile of the caller.
    :raises Refusal: 502 where one can't be read.
    """
    try:
        contacts = response.contacts
        if contacts is STAR or not contacts:
            return Headers()
        crossed = contacts_of(response, source, target)
        if not source.flow_bound:
            return crossed
        usable = [value for value in crossed.all("Contact") if not _is_invalid(NameAddr.parse(value))]
        return Headers([("Contact", value) for value in usable])
    except BadMessage as error:
        raise BadResponse(error.why) from error


def _is_invalid(contact: NameAddr) -> bool:
    return contact.address.host.rstrip(".").lower().endswith(".invalid")


def _leads_back(flow: Flow) -> bool:
    """Whether a flow leads back to the proxy itself: there a redirected call might ring at a browser."""
    host, port = Uri.parse(f"sip:{flow.sent_by}").hostport
    return flow.peer == (host, port or SIP_PORT)


def _uris(message: Message) -> Iterable[Uri]:
    """The Contacts of a redirect, the highest q first. Headers and ``method`` in their URIs are ignored."""
    try:
        contacts = message.contacts
        if contacts is STAR:
            return []
        return [_bare(contact.address) for contact in sorted(contacts, key=preference, reverse=True)]
    except BadMessage:
        return []


def _bare(uri: Uri) -> Uri:
    params = tuple((name, value) for name, value in uri.params if name.lower() != "method")
    return replace(uri, headers="", params=params)


def _target_key(uri: Uri) -> tuple[str, str | None]:
    """A key that equal targets have in common."""
    return f"{uri.scheme}:{uri.aor}", uri.param("user")
