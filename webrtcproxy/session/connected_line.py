"""ConnectedLine: shows each side of a call whom it is connected with, where the other side says so within its dialog:
after a transfer with consultation, in most cases (RFC 4916, RFC 5876 section 3).

What crosses is what would cross in a first INVITE, and only where it is news. It goes to a peer that supports UPDATE in
an UPDATE without SDP, to another one in a re-INVITE that offers the session that it has. In an early dialog only an
UPDATE is possible: else the 2xx has it, or a request after it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.identity import is_anonymous, speaker
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.dialog.background import background
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.connected_identity import CROSSING, shown_in
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.relay import ENDS_DIALOG
from webrtcproxy.routing.caller_id import ANONYMOUS, assert_within_dialog, caller_id_of
from webrtcproxy.routing.header_policy import ASSERTED_IDENTITY
from webrtcproxy.routing.number_forms import incoming_address
from webrtcproxy.routing.peer_profile import filter_headers
from webrtcproxy.routing.sequence import for_sip_side
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.session.reinvite import GLARE_TRIES
from webrtcproxy.sip.capabilities import ALLOW
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Message, Request, Response
from webrtcproxy.sip.plain import plain

log = Logger()

_SHOWN_TO_BROWSERS = "P-Asserted-Identity"

NOT_NOW = frozenset({491, 500})
"""Responses after which the same request may succeed a moment later (RFC 3261 section 14.1, RFC 3311 section 5.2)."""


class IdentifiedCall(Protocol):
    """A call as a `ConnectedLine` sees it."""

    def connected_with(self, leg: Leg) -> Sequence[Leg]:
        """The legs whose peers are connected with that of `leg`, or will be if they answer."""

    def has_dialog(self, leg: Leg) -> bool:
        """Whether the peer of `leg` knows of its dialog, which may be an early one."""

    @property
    def changing(self) -> bool:
        """Whether the session is being changed, by requests that may show identities, too."""

    async def refresh_session(self, leg: Leg, headers: HeaderList = ()) -> int | None:
        """Send a re-INVITE that changes nothing, and return the status of the final response; None where that has to
        wait. Raises Refusal where the peer can't be reached."""

    def dialog_terminated(self, leg: Leg) -> None:
        """The peer of `leg` has no such dialog any more, or does not respond."""


class ConnectedLine:
    """The connected identities of one call.

    :param context: the shared objects of the process.
    :param call: the call.
    """

    __slots__ = ("_answers", "_asked", "_call", "_context", "_declined", "_telling", "_waiting")

    def __init__(self, context: Context, call: IdentifiedCall) -> None:
        self._context = context
        self._call: IdentifiedCall | None = call
        self._waiting: dict[Leg, Leg] = {}  # whom to show, and whose identity
        self._telling: set[Leg] = set()
        self._declined: set[Leg] = set()  # early dialogs whose peers take no UPDATE
        self._answers: set[Leg] = set()  # whom to show what a response to a request of this class has said
        self._asked: set[Leg] = set()  # whose response to such a request is awaited

    def identity_stated(self, leg: Leg) -> None:
        """The peer of `leg` may have said who it is: show it to those that it is connected with."""
        if not leg.identity.fresh or self._call is None:
            return
        for other in self._call.connected_with(leg):
            leg.identity.fresh = False
            self._waiting[other] = leg
            self._answers.discard(other)
        self.resume()

    def changed(self, leg: Leg) -> None:
        """The session was changed or refreshed, or an attempt has failed, and the peer of `leg` may have said meanwhile
        who it is. A re-INVITE of this class ends so, too: what the response to it says is looked at afterwards."""
        if leg not in self._asked:
            self.identity_stated(leg)

    def _answered(self, leg: Leg) -> None:
        """The peer of `leg` may have said in its response who it is. That is shown as well, but not what the response
        to that says, so that two peers with ever new identities do not keep the proxy busy."""
        call = self._call
        if not leg.identity.fresh or call is None or leg in self._answers:
            return
        self.identity_stated(leg)
        self._answers.update(call.connected_with(leg))

    def resume(self) -> None:
        """What had to wait may be possible now."""
        for leg in list(self._waiting):
            if leg not in self._telling:
                self._telling.add(leg)
                background(self._tell(leg), "The connected identity", leg.dialog.call_id)

    def close(self) -> None:
        """The call has ended."""
        self._call = None
        self._waiting.clear()
        self._answers.clear()

    async def _tell(self, to: Leg) -> None:
        """Show the peer of `to` what it has not been shown yet."""
        try:
            tries = GLARE_TRIES
            while tries and await self._is_possible(to):
                of = self._waiting.pop(to)
                before = to.identity.shown, to.dialog.local
                headers = self._news(of, to)
                if headers is None:
                    continue
                early = not to.dialog.confirmed
                self._asked.add(to)
                try:
                    status = await self._send(to, headers)
                finally:
                    self._asked.discard(to)
                self._answered(to)
                if status in NOT_NOW:
                    tries -= 1
                if status in NOT_NOW or status == 0 or (status >= 300 and early):
                    to.identity.shown, to.dialog.local = before
                    self._waiting.setdefault(to, of)
                if status == 0:
                    return
                if status in NOT_NOW and tries:
                    await self._pause()
        finally:
            self._telling.discard(to)
            if self._call is None:
                self._waiting.clear()

    async def _is_possible(self, to: Leg) -> bool:
        """Whether there is something to be shown to the peer of `to`, and a way to do so now."""
        await to.when_acknowledged()
        call = self._call
        if call is None or to.over:
            self._waiting.pop(to, None)
            return False
        if to not in self._waiting or call.changing:
            return False
        if to.dialog.confirmed:
            return True
        return to.takes_update and to not in self._declined and call.has_dialog(to)

    def _news(self, of: Leg, to: Leg) -> Headers | None:
        """The headers that show the peer of `of` to that of `to`; None where nothing of it is new. A browser that knows
        somebody's identity is shown nobody in place of one that does not cross, as for ``Privacy: id``."""
        renamed = change_from(self._context.proofs, of, to)
        headers = identity_for(to, of)
        if not headers and to.identity.shown and to.profile.flow_bound and _may_be_shown_nobody(of):
            headers = Headers([(_SHOWN_TO_BROWSERS, str(ANONYMOUS))])
        shown = shown_in(headers)
        if not renamed and (not shown or shown == to.identity.shown):
            return None
        to.identity.shown = shown or to.identity.shown
        return headers

    async def _send(self, to: Leg, headers: Headers) -> int:
        """Show an identity, and return the status of the final response; 0 where that is not possible now."""
        call, early = self._call, not to.dialog.confirmed
        assert call is not None
        try:
            if to.takes_update:
                status = (await to.send_request("UPDATE", (ALLOW, *headers), own=True)).status
            else:
                status = await call.refresh_session(to, (ALLOW, *headers)) or 0
        except TimedOut:
            status = 408
        except (FlowLost, Refusal) as why:
            log.info("{call}: an identity can't be shown: {why!r}", why=why, call=to.dialog.call_id)
            return 0
        if early and status >= 300:
            self._declined.add(to)
        elif status in ENDS_DIALOG:
            call.dialog_terminated(to)
        return status

    async def _pause(self) -> None:
        """Wait out a glare: a time that suits both sides of it (RFC 3261 section 14.1)."""
        passed: Deferred[None] = Deferred()
        self._context.clock.callLater(1.9 + secrets.randbelow(11) / 10, passed.callback, None)
        await passed


def identity_for(to: Leg, of: Leg, response: bool = False) -> Headers:
    """The headers that show the peer of `to` whom the peer of `of` has said it is; empty where nothing of that crosses.

    :param response: whether they are for a response.
    """
    stated = of.identity.stated
    if stated is None:
        return Headers()
    message: Message = Response(200, "", stated) if response else Request("UPDATE", to.dialog.remote_target, stated)
    headers = filter_headers(message, of.profile, to.profile).only(CROSSING)
    assert_within_dialog(headers, stated, of.identity.own, of.caller, to.trunk)
    return headers if headers.has_any(ASSERTED_IDENTITY) else Headers()


def show_identity(headers: Headers, message: Message, sender: Caller, to: Leg) -> None:
    """Have headers that cross in a message, and have an identity, show no other one than a first INVITE would, and note
    that the peer of `to` is shown it.

    :param message: from which they cross.
    :param sender: who has sent it, as far as that is proven.
    """
    own = message.headers.get("To" if isinstance(message, Response) else "From") or ""
    assert_within_dialog(headers, message.headers, own, sender, to.trunk)
    to.identity.shown = shown_in(headers) or to.identity.shown


def introduce(leg: Leg, other: Leg) -> None:
    """Two legs are connected now that were not before, as after a transfer with consultation: let the peer of `leg`
    be shown to that of `other` by the address that it has in its dialog, where it has said nothing else of itself, does
    not want to be nobody, and `other` is not in a dialog with this address already. A user of a domain that is served
    here is shown to a trunk as in a first INVITE, any other browser is not."""
    try:
        own, known = NameAddr.parse_party(leg.dialog.remote), NameAddr.parse_party(other.dialog.local)
        if own.address.aor == known.address.aor or is_anonymous(own.address, (own.address.aor,)):
            return
        if not leg.profile.flow_bound:
            if other.profile.flow_bound:
                leg.identity.introduce(_SHOWN_TO_BROWSERS, leg.dialog.remote)
        elif leg.caller.user is not None:
            leg.identity.introduce("P-Preferred-Identity", leg.dialog.remote)
    except BadMessage as why:
        log.info("{call}: an address can't be shown: {why!r}", why=why, call=leg.dialog.call_id)


def _may_be_shown_nobody(of: Leg) -> bool:
    """Whether its peer has said who it is, in whatever way, and nothing but its own wish keeps that from crossing."""
    return of.identity.stated is not None and _SHOWN_TO_BROWSERS not in of.profile.headers.to_browser


def add_connected_identity(headers: Headers, of: Leg, to: Leg) -> None:
    """Add to the headers of a response, which show no identity, the one that the peer of `of` has stated last, where
    the peer of `to` was not shown it."""
    if not headers.has_any(ASSERTED_IDENTITY):
        stated = identity_for(to, of, response=True)
        shown = shown_in(stated)
        if shown and shown != to.identity.shown:
            headers.extend(stated)
            to.identity.shown = shown


def change_from(proofs: Proofs, of: Leg, to: Leg) -> bool:
    """Let the proxy's From towards the peer of `to` follow that of the peer of `of`, which has changed its own within
    its dialog, where the former supports this (RFC 4916 section 4.4).

    :returns: whether the proxy's From has changed.
    """
    if not of.identity.renamed or not to.identity.takes_from_change:
        return False
    try:
        own = NameAddr.parse_party(of.identity.own)
        if of.profile.flow_bound:
            if speaker(proofs, of.flow, own.address) is None and proofs.aors(of.flow):
                return False
            headers = Headers([("From", str(own)), ("To", to.dialog.remote)])
            request = Request("UPDATE", to.dialog.remote_target, headers)
            own = caller_id_of(request, of.caller, to.trunk, to.dialog.remote_target).address or own
        if to.profile.flow_bound:
            own = plain(incoming_address(own, of.trunk), NameAddr.parse(to.dialog.remote).address.host)
        else:
            own = for_sip_side(own)
        return to.dialog.show_local(own)
    except BadMessage:
        return False
