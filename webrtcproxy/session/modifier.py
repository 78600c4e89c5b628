"""SessionModifier: lets either side change the session of a call, one change at a time (RFC 3261 section 14.2, RFC 3311
section 5.2)."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.session.description import NegotiationContext
from webrtcproxy.session.offer_answer import OfferAnswer
from webrtcproxy.session.reinvite import Purpose, ReInvite, refresh_session
from webrtcproxy.session.requester import Requester
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.capabilities import ALLOW, SUPPORTED
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

MAX_RETRY_AFTER = 10
"""Longest Retry-After, in seconds, for a peer whose previous offer is unanswered (RFC 3261 section 14.2)."""


class SessionModifier:
    """The changes of the session of one call: one at a time.

    :param context: the shared objects of the process.
    :param media: the media session of the call.
    :param caller: the leg whose INVITE began the call.
    :param caller_offers: whether that INVITE had an offer; else the callee makes the first one.
    :param dialog_terminated: called with a leg whose peer has no such dialog any more, or does not respond.
    :param unacknowledged: called with a leg whose peer sends no ACK for a 2xx.
    """

    def __init__(
        self,
        context: Context,
        media: CallMedia,
        caller: Leg,
        caller_offers: bool,
        dialog_terminated: Callable[[Leg], None],
        unacknowledged: Callable[[Leg], None],
    ) -> None:
        self._session = NegotiationContext(context, media, dialog_terminated, unacknowledged)
        self._caller = caller
        self._caller_offers = caller_offers
        self._current: OfferAnswer | None = None
        self._refresh: ReInvite | None = None
        self._early: tuple[Leg, ServerTransaction] | None = None  # the callee's request that waits for `open`

    @property
    def busy(self) -> bool:
        """Whether a change is in progress, or a refresh."""
        return self._current is not None or self._refresh is not None

    def open(self, branch: str) -> None:
        """The call is up: from now on both sides may change its session, and what the callee has asked for meanwhile is
        carried out.

        :param branch: the branch that was answered.
        """
        self._session.branch = branch
        early, self._early = self._early, None
        if early is not None and not early[1].answered:
            leg, transaction = early
            if leg.over or not leg.negotiation.agreed or self._current is not None:
                transaction.reply(491)
            else:
                self._begin(leg, self._caller, transaction, sdp_of(transaction.request))

    def arrived(self, leg: Leg, other: Leg | None, transaction: ServerTransaction) -> None:
        """Handle an INVITE or UPDATE within the dialog of `leg`: a target refresh, and an offer/answer exchange where
        it has SDP.

        :param other: the leg to which it is relayed; None while nobody has answered.
        :raises Refusal: 481 where the call is ending; 491 where the proxy's offer on this leg is unanswered; 500 with
            Retry-After where an earlier offer of the peer is unanswered (RFC 3261 section 14.2, RFC 3311 section 5.2).
        :raises BadMessage: the Contact or the body can't be used.
        """
        request = transaction.request
        if leg.over or (other is not None and other.over):
            raise Refusal(481)
        leg.target_refresh(request)
        offer = sdp_of(request)
        if request.method == "UPDATE" and not offer:
            own = (ALLOW, SUPPORTED, ("Contact", leg.dialog.contact))
            transaction.reply(200, "", (*own, *leg.session_timer.accept(request)))
            return
        if not self._session.branch and self._has_answered(leg):
            if self._early is not None:
                raise _retry_later()
            self._early = leg, transaction
            return
        if other is None or not self._session.branch or not leg.negotiation.agreed:
            offers = leg is self._caller if self._caller_offers else leg is not self._caller
            raise _retry_later() if offers else Refusal(491)
        if self._current is not None:
            raise _retry_later() if leg is self._current.requester.leg else Refusal(491)
        if self._refresh is not None:
            raise Refusal(491)
        self._begin(leg, other, transaction, offer)

    def _has_answered(self, leg: Leg) -> bool:
        """Whether `leg` is of a callee whose 2xx has answered the proxy's offer, though the caller does not know it
        yet: an offer of its own may follow at once (RFC 3311 section 5.1)."""
        return self._caller_offers and leg is not self._caller and leg.dialog.confirmed

    def _begin(self, leg: Leg, other: Leg, transaction: ServerTransaction, offer: bytes) -> None:
        requester = Requester(self._session, leg, transaction, other.profile)
        exchange = self._current = OfferAnswer(self._session, requester, other)
        work = exchange.run(offer)
        run_and_respond(work, transaction).addCallback(self._finished)

    async def refresh(self, leg: Leg, other: Leg) -> int | None:
        """Refresh the session of `leg` with a re-INVITE that changes nothing (RFC 4028 section 7.4).

        :returns: the status of the final response; None while the session is being changed.
        :raises Refusal: the peer can't be reached.
        """
        if self._current is not None or self._refresh is not None or not leg.negotiation.agreed:
            return None
        reinvite = self._refresh = ReInvite(self._session.context, leg, Purpose.REFRESH)
        try:
            return await refresh_session(self._session, reinvite, other)
        finally:
            self._refresh = None

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for a re-INVITE has arrived (RFC 3261 section 9.2)."""
        current = self._current
        if current is None or not current.requester.has_sent(transaction):
            transaction.reply(487)
        else:
            current.withdraw(Refusal(487), list(cancel.headers.only({"Reason"})))

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is now reached on another flow: send its response there."""
        current = self._current
        if current is not None and current.requester.leg is leg:
            current.requester.moved(flow)

    def close(self, headers: HeaderList) -> None:
        """The call has ended: answer a pending request with 487 (RFC 3261 section 15.1.2), and cancel the proxy's
        pending re-INVITE.

        :param headers: for the CANCEL.
        """
        session = self._session
        session.closed = True
        early, self._early = self._early, None
        if early is not None and not early[1].answered:
            early[1].reply(487)
        if self._current is not None:
            self._current.close(headers)
        if self._refresh is not None:
            self._refresh.withdraw(headers)
        session.dialog_terminated = session.unacknowledged = _ignore

    def _finished(self, _: object) -> None:
        self._current = None


def _retry_later() -> Refusal:
    return Refusal(500, "", [("Retry-After", str(secrets.randbelow(MAX_RETRY_AFTER + 1)))])


def _ignore(leg: Leg) -> None:
    """Do nothing: the call has ended."""
