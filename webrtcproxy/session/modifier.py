"""SessionModifier: lets either side change the session of a call, one change at a time (RFC 3261 section 14.2, RFC 3311
section 5.2)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from webrtcproxy.dialog.background import background, run_and_respond
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.session.description import NegotiationContext
from webrtcproxy.session.move import SessionMove
from webrtcproxy.session.offer_answer import OfferAnswer
from webrtcproxy.session.reinvite import Purpose, ReInvite, refresh_session, restore_session
from webrtcproxy.session.requester import Requester
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.capabilities import ALLOW, SUPPORTED
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.sdp.questions import has_joined, lacks_candidates
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_RETRY_AFTER = 10
"""Longest Retry-After, in seconds, for a peer whose previous offer is unanswered (RFC 3261 section 14.2)."""
HELD_LIMIT = 4.0
"""Seconds that a request other than INVITE waits for the end of what the proxy changes by itself."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A request that waits."""

    leg: Leg
    other: Leg
    transaction: ServerTransaction
    offer: bytes


class SessionModifier:
    """The changes of the session of one call: one at a time.

    :param context: the shared objects of the process.
    :param media: the media session of the call.
    :param caller: the leg whose INVITE began the call.
    :param caller_offers: whether that INVITE had an offer; else the callee makes the first one.
    :param dialog_terminated: called with a leg whose peer has no such dialog any more, or does not respond.
    :param unacknowledged: called with a leg whose peer sends no ACK for a 2xx.
    :param pracked: returns a Deferred that fires with None once no SDP for the caller awaits its PRACK.
    :param changed: called after each change, and each attempt of one.
    """

    def __init__(
        self,
        context: Context,
        media: CallMedia,
        caller: Leg,
        caller_offers: bool,
        dialog_terminated: Callable[[Leg], None],
        unacknowledged: Callable[[Leg], None],
        pracked: Callable[[], Deferred[None]],
        changed: Callable[[], None],
    ) -> None:
        self._session = NegotiationContext(context, media, dialog_terminated, unacknowledged, pracked)
        self._changed = changed
        self._caller = caller
        self._caller_offers = caller_offers
        self._current: OfferAnswer | None = None
        self._refresh: ReInvite | None = None
        self._move: SessionMove | None = None
        self._incomplete: list[
            tuple[Leg, Leg]
        ] = []  # whose peers have media that have no transport yet, and the others
        self._behind: Leg | None = None  # whose peer was not offered what the other side has offered last
        self._waiting: dict[Leg, ServerTransaction] = {}  # requests of callees, for `answer_relayed`
        self._held: _Held | None = None  # a request, until the proxy has nothing to change

    @property
    def busy(self) -> bool:
        """Whether a change is in progress, a refresh, or a move to another rtpengine."""
        return self._current is not None or self._refresh is not None or self._move is not None

    def open(self, branch: str) -> None:
        """Both sides have agreed on a session, and may change it from now on.

        :param branch: the branch whose answer it has.
        """
        self._session.branch = branch

    def answer_relayed(self) -> None:
        """A callee's answer is relayed to the caller, or can't be: what the callee has asked for meanwhile is carried
        out (see `Leg.answer_pending`), or refused where the session is not the one with it."""
        for leg, transaction in list(self._waiting.items()):
            if leg.answer_pending and not leg.over:
                continue
            del self._waiting[leg]
            if transaction.answered:
                continue
            if leg.over:
                transaction.reply(487)
            elif not leg.negotiation.agreed or self.busy:
                transaction.reply(491)
            else:
                self._begin(leg, self._caller, transaction, sdp_of(transaction.request))

    def arrived(self, leg: Leg, other: Leg | None, transaction: ServerTransaction) -> None:
        """Handle an INVITE or UPDATE within the dialog of `leg`: a target refresh, and an offer/answer exchange where
        it has SDP.

        A request that meets a re-INVITE of the proxy's own waits for the end of that. A peer that is offered something
        while its own offer is out answers that with 491 (RFC 3261 section 14.2); JsSIP ends the call where its own
        UPDATE gets 491, or its re-INVITE for the second time, a second later.

        :param other: the leg to which it is relayed; None while nobody has answered.
        :raises Refusal: 481 where the call is ending; 491 where an offer of the other side is unanswered; 500 with
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
        if leg.answer_pending and (leg.dialog.confirmed or request.method == "UPDATE"):
            if leg in self._waiting:
                raise _retry_later()
            self._waiting[leg] = transaction
            return
        if other is None or not self._session.branch or not leg.negotiation.agreed:
            offers = leg is self._caller if self._caller_offers else leg is not self._caller
            raise _retry_later() if offers else Refusal(491)
        if self._current is not None and not self._current.requester.answered:
            raise _retry_later() if leg is self._current.requester.leg else Refusal(491)
        if self._move is not None:
            raise Refusal(491)
        if self.busy:
            self._hold(_Held(leg, other, transaction, offer))
            return
        self._begin(leg, other, transaction, offer)

    def _hold(self, held: _Held) -> None:
        """Have a request wait until the proxy has nothing to change. Of two sides, only one may: when its request
        crosses, the other one has none that is unanswered. A browser may rather than a trunk."""
        before = self._held
        if before is not None and not before.transaction.answered:
            if held.leg is before.leg:
                raise _retry_later()
            if before.leg.profile.flow_bound or not held.leg.profile.flow_bound:
                raise Refusal(491)
            before.transaction.reply(491)
        self._held = held
        log.debug(
            "{call}: {method} waits for a change of our own",
            method=held.transaction.request.method,
            call=held.leg.dialog.call_id,
        )
        if held.transaction.request.method != "INVITE":
            self._session.context.transactions.schedule.after(HELD_LIMIT, lambda: self._give_up(held))

    def _give_up(self, held: _Held) -> None:
        """A request may have waited too long."""
        if self._held is held and not held.transaction.answered:
            held.transaction.reply(491)

    def _release(self) -> None:
        """Carry out what has waited, if it is still wanted."""
        held = self._held
        if held is None or self.busy:
            return
        self._held = None
        if held.transaction.answered:
            return
        if held.leg.over or held.other.over or not held.leg.negotiation.agreed:
            held.transaction.reply(481 if held.leg.over or held.other.over else 491)
            return
        self._begin(held.leg, held.other, held.transaction, held.offer)

    def _begin(self, leg: Leg, other: Leg, transaction: ServerTransaction, offer: bytes) -> None:
        requester = Requester(self._session, leg, transaction, other)
        exchange = self._current = OfferAnswer(self._session, requester, other)
        work = exchange.run(offer)
        run_and_respond(work, transaction).addCallback(self._finished, leg, other)

    async def refresh(self, leg: Leg, other: Leg, headers: HeaderList = ()) -> int | None:
        """Refresh the session of `leg` with a re-INVITE that changes nothing (RFC 4028 section 7.4).

        :param headers: further ones; none for Allow alone.
        :returns: the status of the final response; None while the session is being changed.
        :raises Refusal: the peer can't be reached.
        """
        if self.busy or not leg.negotiation.agreed:
            return None
        reinvite = self._refresh = ReInvite(self._session.context, leg, Purpose.REFRESH)
        try:
            return await refresh_session(self._session, reinvite, other, headers)
        finally:
            self._refresh = None
            self._idle()

    async def move(self, callee: Leg) -> None:
        """Offer both sides the session again, since its media have gone to another rtpengine. Nothing else may change
        it (`busy`).

        :param callee: the other leg than that of the caller.
        :raises SideRefused: one side does not take it.
        :raises Refusal: rtpengine has failed, or the call has ended.
        """
        move = self._move = SessionMove(self._session, self._caller, callee)
        try:
            await move.run()
        finally:
            self._move = None
            self._idle()

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for a re-INVITE has arrived (RFC 3261 section 9.2)."""
        current = self._current
        if current is None or not current.requester.has_sent(transaction):
            transaction.reply(487)
        else:
            current.withdraw(Refusal(487), list(cancel.headers.only({"Reason"})))

    def withdraw(self, refusal: Refusal) -> None:
        """Give up the exchange in progress, if there is one."""
        if self._current is not None:
            self._current.withdraw(refusal, ())

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is now reached on another flow: send its response there."""
        current, waiting = self._current, self._waiting.get(leg)
        if waiting is not None:
            waiting.flow = flow
        if self._held is not None and self._held.leg is leg:
            self._held.transaction.flow = flow
        if current is not None and current.requester.leg is leg:
            current.requester.moved(flow)

    def close(self, headers: HeaderList) -> None:
        """The call has ended: answer a pending request with 487 (RFC 3261 section 15.1.2), and cancel the proxy's
        pending re-INVITE.

        :param headers: for the CANCEL.
        """
        session = self._session
        session.closed = True
        waiting, self._waiting = self._waiting, {}
        for transaction in waiting.values():
            if not transaction.answered:
                transaction.reply(487)
        if self._held is not None and not self._held.transaction.answered:
            self._held.transaction.reply(487)
        self._held = None
        if self._current is not None:
            self._current.close(headers)
        for own in (self._refresh, self._move):
            if own is not None:
                own.withdraw(headers)
        session.dialog_terminated = session.unacknowledged = _ignore
        session.pracked = _await_nothing
        self._changed = _do_nothing

    def _finished(self, _: object, leg: Leg, other: Leg) -> None:
        self._current = None
        self._incomplete = [pair for pair in ((leg, other), (other, leg)) if _is_incomplete(pair[0])]
        self._idle()

    def complete_media(self, caller: Leg, callee: Leg, is_behind: bool) -> None:
        """The call is up, and each side has the answer: move what a browser has joined, one side after the other.

        :param is_behind: whether the callee was not offered what the caller has offered last: it is now.
        """
        self._behind = callee if is_behind else None
        self._incomplete = [
            pair for pair in ((caller, callee), (callee, caller)) if _has_joined(pair[0]) or pair[0] is self._behind
        ]
        if self._incomplete:
            self._idle()

    def _idle(self) -> None:
        """A change or a refresh is over: what waits may go on."""
        self._release()
        while self._incomplete and not self.busy:
            leg, other = self._incomplete.pop()
            background(self._complete_media(leg, other), "The question for a transport", leg.dialog.call_id)
        self._changed()

    async def _complete_media(self, leg: Leg, other: Leg) -> None:
        """Move the media of a browser that it has joined to others out of their group, and have rtpengine told of the
        candidates that it has gathered meanwhile for what it has added. Firefox gives up the whole connection after 5 s
        where it finds no way for one medium by itself, as from an address outside of this machine to one of
        loopback."""
        if leg.over or self._session.closed:
            return
        if _has_joined(leg) or leg is self._behind:
            self._behind = None if leg is self._behind else self._behind
            reinvite = self._refresh = ReInvite(self._session.context, leg, Purpose.RESTORE)
            try:
                await restore_session(self._session, reinvite, other)
            finally:
                self._refresh = None
                if _lacks_candidates(leg):
                    self._incomplete.append((leg, other))
                self._idle()
            return
        try:
            await self.refresh(leg, other)
        except Refusal as why:
            log.info("{call}: its candidates are not known: {why!r}", why=why, call=leg.dialog.call_id)


def _is_incomplete(leg: Leg) -> bool:
    return leg.dialog.confirmed and (_has_joined(leg) or _lacks_candidates(leg))


def _has_joined(leg: Leg) -> bool:
    """Whether the peer has media that are to be moved out of a group."""
    return has_joined(leg.negotiation.remote_description, leg.negotiation.local_description)


def _lacks_candidates(leg: Leg) -> bool:
    """Whether the peer has agreed to media before it had candidates for all of them, and may be asked for them."""
    return lacks_candidates(leg.negotiation.remote_description, leg.negotiation.local_description)


def _retry_later() -> Refusal:
    return Refusal(500, "", [("Retry-After", str(secrets.randbelow(MAX_RETRY_AFTER + 1)))])


def _ignore(leg: Leg) -> None:
    """Do nothing: the call has ended."""


def _do_nothing() -> None:
    """Do nothing: the call has ended."""


def _await_nothing() -> Deferred[None]:
    """Fires with None at once: the call has ended."""
    return succeed(None)
