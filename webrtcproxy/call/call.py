"""Call: one caller leg, the branches towards the callee, and the media session between them; told from its first byte
to its last in `Call.run`.

Whatever arrives from outside (CANCEL, BYE, a lost socket, a limit) either answers at once and interrupts the set-up, or
fires the end of the established call. Both lead to the one `finally` that leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from webrtcproxy.call.context import Context
from webrtcproxy.call.dialog import Dialog
from webrtcproxy.call.exchanges import Exchanges
from webrtcproxy.call.fork import Answered, Branch, Failed, Fork, Progress, Target
from webrtcproxy.call.leg import HeaderList, Leg
from webrtcproxy.call.legs import Legs
from webrtcproxy.call.pairing import Pair
from webrtcproxy.call.policy import ALLOW, across, hops_left, order_challenges
from webrtcproxy.call.presence import Presence
from webrtcproxy.call.record import Record
from webrtcproxy.call.relay import relay
from webrtcproxy.entropy import token
from webrtcproxy.errors import NgError, Refusal
from webrtcproxy.schedule import Timer
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.grammar import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import STAR, Headers, Request, Response, respond
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

CHALLENGE_KEPT = 300.0
"""Seconds that a browser has to answer a challenge that was passed on to it."""


FindTargets = Callable[[], Awaitable[Sequence[Target]]]


class Call:
    """One call, from its INVITE on.

    :param context: what calls work with.
    :param legs: the index of dialogs.
    :param transaction: the INVITE.
    :param find_targets: finds where to try the callee, or raises :class:`Refusal`.
    :raises BadMessage: the INVITE can't open a dialog.
    """

    def __init__(self, context: Context, legs: Legs, transaction: ServerTransaction, find_targets: FindTargets) -> None:
        request = transaction.request
        self._token = context.mark + token(8)
        dialog = Dialog.of_invited(request, transaction.to_tag, self._contact(transaction.flow))  # or there is no call
        self._context = context
        self._legs = legs
        self._transaction = transaction
        self._find_targets = find_targets
        self._pair_key = ("INVITE", request.call_id, request.from_.tag or "")
        self._pair = context.pairings.take(self._pair_key)
        self._fork = Fork()
        self._media = context.nodes.session(request.call_id)
        self._early: dict[str, tuple[bytes, bytes]] = {}
        self._early_branch: Branch | None = None
        self._callee: Leg | None = None
        self._over: Deferred[str] = Deferred()
        self._work: Deferred[None] | None = None
        self._farewell: HeaderList = ()
        self._interrupted = False
        self.id = request.call_id
        meter = context.metrics.outbound if transaction.flow.browser else context.metrics.inbound
        self.record = Record(
            meter, self.id, request.from_.uri, request.uri, transaction.flow.peer.host, context.clock.seconds()
        )
        aor, terms = request.from_.address.aor, context.terms_of(transaction)
        self._caller = Leg(context, dialog, transaction.flow, transaction.to_tag, self, terms, aor=aor)
        self._caller.learn(request)
        legs.add(self._caller)
        self._exchanges = Exchanges(context, self._media, self._caller, self._gone, self._unacknowledged)
        self._presence = Presence(context.clock, context.limits.grace, self._abandoned)
        self._presence.watch(self._caller)
        schedule = context.transactions.schedule
        self._ringing: Timer | None = schedule.after(context.limits.ring, self._rang_too_long)

    # The story

    def start(self) -> Deferred[None]:
        """Run the call.

        :returns: a Deferred that fires with None when nothing of the call is left to do; never fails.
        """
        self._work = Deferred.fromCoroutine(self.run())
        return self._work

    async def run(self) -> None:
        """The life of the call."""
        try:
            answered = await self._set_up()
            await self._connect(answered)
            self.record.ended_by = await self._over
        except CancelledError:
            pass
        except Refusal as refusal:
            self._refuse(refusal)
        except BadMessage as error:
            self._refuse(Refusal(error.status, error.why))
        except Exception:
            log.failure("{call}: the call broke", call=self.id)
            self._refuse(Refusal(500))
        finally:
            self._clean_up()

    async def _set_up(self) -> Answered:
        """Bring the offer to every target and wait for the first 2xx; provisional responses cross meanwhile."""
        offer = sdp_of(self._transaction.request)
        if not offer:
            raise Refusal(488, "", [("Warning", '399 webrtcproxy "An INVITE without an offer is not supported"')])
        for target in await self._find_targets():
            if self._fork.settled:
                break
            await self._try(target, offer)
        self._fork.complete()
        while True:
            event = await self._fork.next()
            self._check_wanted()
            if isinstance(event, Progress):
                await self._progress(event)
            elif isinstance(event, Answered):
                return event
            else:
                self._fail(event)

    async def _try(self, target: Target, offer: bytes) -> None:
        branch = Branch(self._context, self._legs, self, target, self._fork.report)
        self._fork.add(branch)
        sdp = await self._media.offer(offer, from_tag=self._caller.label, branch=branch.id, to=target.terms.profile)
        self._check_wanted()
        pair = Pair() if target.flow.browser else self._pair
        branch.invite(self._invite(target, pair, sdp))

    async def _progress(self, event: Progress) -> None:
        """Pass a 1xx on; the SDP of an early dialog is made an answer for the caller first. Where that fails, the
        1xx crosses without: the answer that counts is the one of the 2xx."""
        response, sdp = event.response, b""
        if response.body and self._early_branch in (None, event.branch):
            try:
                sdp = await self._answer_for_caller(event.branch, response)
                self._early_branch = event.branch
            except Refusal as why:
                log.warn("{call}: no early media: {why}", why=getattr(why, "why", why), call=self.id)
        self._transaction.reply(response.status, response.reason, self._telling(response, event.branch, sdp), sdp)
        self.record.progress(self._context.clock.seconds())

    async def _connect(self, answered: Answered) -> None:
        """Pass the 2xx on. From here on the call is up."""
        self._callee = answered.leg
        for branch in self._fork.branches:
            if branch is not answered.branch:
                self._media.drop(branch.id)
        sdp = await self._answer_for_caller(answered.branch, answered.response)
        self._check_wanted()
        response = answered.response
        reply = respond(
            self._transaction.request,
            response.status,
            response.reason,
            to_tag=self._transaction.to_tag,
            headers=self._telling(response, answered.branch, sdp),
            body=sdp,
        )
        self._stop_ringing()
        caller, callee = self._caller, answered.leg
        caller.answer(self._transaction, reply, lambda: self._unacknowledged(caller))
        caller.sdp, caller.told = sdp_of(self._transaction.request), sdp
        callee.sdp = self._early[answered.branch.label(response)][0]
        self._exchanges.open(answered.branch.id)
        self.record.answer(response.status, self._context.clock.seconds())
        self._presence.watch(answered.leg)
        self._context.pairings.forget(self._pair_key)

    def _check_wanted(self) -> None:
        """To be called behind every wait of the set-up: an interruption has answered the caller at once, and what was
        waited for may come before the turn of the reactor in which it ends the story.

        :raises CancelledError: the caller has his final response.
        """
        if self._transaction.answered:
            raise CancelledError

    async def _answer_for_caller(self, branch: Branch, response: Response) -> bytes:
        """The answer in `response` as the caller gets it; a 2xx without SDP stands by what the 18x said."""
        label = branch.label(response)
        known = self._early.get(label)
        try:
            answer = sdp_of(response)
        except BadMessage as error:
            raise Refusal(502, f"Upstream Sent {error.why}") from error
        if known is not None and answer in (b"", known[0]):
            return known[1]
        if not answer:
            raise Refusal(502, "Upstream Sent No Answer")
        sdp = await self._media.answer(
            answer, from_tag=self._caller.label, to_tag=label, branch=branch.id, to=self._caller.profile
        )
        self._early[label] = answer, sdp
        return sdp

    # What comes from outside

    def cancelled(self, cancel: Request) -> None:
        """The caller's CANCEL (RFC 3261 section 9.2)."""
        self._farewell = list(cancel.headers.only({"Reason"}))
        self._interrupt(Refusal(487), "cancel")

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request within the dialog of `leg` arrived; it is in order (:meth:`Dialog.receive`)."""
        request = transaction.request
        if request.method == "BYE":
            transaction.reply(200)
            self._hung_up(leg, request)
            return
        other = self._callee if leg is self._caller else self._caller
        if request.method in ("INVITE", "UPDATE"):
            self._exchanges.arrived(leg, other, transaction)
            return
        if other is None or other.over or leg.over:
            transaction.reply(481)
            return
        relay(transaction, leg, other, self._context.clock, self._gone)

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """CANCEL of a re-INVITE: the session stays as it is."""
        self._exchanges.cancelled(transaction, cancel)

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is on another socket now."""
        self._legs.move(leg, flow)
        if leg is self._caller and not self._transaction.answered:
            self._transaction.flow = flow
        self._exchanges.moved(leg, flow)
        self._presence.watch(leg)

    def end(self, why: str) -> None:
        """End the call in whatever state it is, for a reason of the proxy's own (shutdown).

        :param why: for the record.
        """
        self._interrupt(Refusal(503), why)

    def _hung_up(self, leg: Leg, bye: Request) -> None:
        other = self._callee if leg is self._caller else self._caller
        if other is not None:
            self._farewell = list(across(bye, leg.terms, other.terms))
        leg.hung_up()
        if leg is self._caller:
            self._interrupt(Refusal(487), "caller")
        else:
            self._interrupt(Refusal(480), "callee")

    def _gone(self, leg: Leg) -> None:
        """A peer says that it has no such dialog, or answers nothing (RFC 5057)."""
        leg.hung_up()
        self._interrupt(Refusal(481), "caller" if leg is self._caller else "callee")

    def _abandoned(self, leg: Leg) -> None:
        log.info("{call}: the browser did not come back", call=self.id)
        self._farewell = [("Reason", 'SIP;cause=480;text="Connection lost"')]
        leg.hung_up()
        self._interrupt(Refusal(480), "lost")

    def _unacknowledged(self, leg: Leg) -> None:
        log.warn("{call}: no ACK for the 2xx came", call=self.id)
        leg.unacknowledged()
        self._interrupt(Refusal(408), "unacknowledged")

    def _rang_too_long(self) -> None:
        self._ringing = None
        self._interrupt(Refusal(408), "no answer")

    def _interrupt(self, refusal: Refusal, why: str) -> None:
        """Refuse the caller where he has no final response yet, and have the story end, in the next turn of the
        reactor: never within the coroutine's own step."""
        if self._interrupted or self._over.called:
            return
        if self.record.answered is not None:
            self._over.callback(why)
            return
        self.record.ended_by = why
        self._refuse(refusal)
        self._interrupted = True
        self._context.clock.callLater(0, self._stop_work)

    def _stop_work(self) -> None:
        if self._work is not None:
            self._work.cancel()

    # The end

    def _fail(self, failed: Failed) -> None:
        """Every branch was refused: the caller hears the best final response, with what the far side said."""
        response = failed.response
        if response is None:
            raise Refusal(failed.status, failed.reason)
        if failed.branch.credentials_refused:
            raise Refusal(502, "Trunk Refuses Our Credentials")
        headers = self._crossing(response, failed.branch)
        if 300 <= response.status < 400 and response.contacts is not STAR:
            headers.extend(response.headers.only({"Contact"}))
        if response.status in (401, 407):
            self._pair.cseq = max(self._pair.cseq, failed.branch.cseq)
            self._context.pairings.keep(self._pair_key, self._pair, CHALLENGE_KEPT)
        if response.status == 503:  # it is not the proxy that is out of service (RFC 3261 section 16.7 step 6)
            raise Refusal(500, response.reason, headers)
        raise Refusal(response.status, response.reason, headers)

    def _refuse(self, refusal: Refusal) -> None:
        if self._transaction.answered:
            return
        why = "refused"
        if isinstance(refusal, NgError):
            why = "media"
            log.error("{call}: media could not be set up: {why}", why=getattr(refusal, "why", refusal), call=self.id)
        self.record.status = refusal.status
        self.record.ended_by = self.record.ended_by or why
        self._transaction.reply(refusal.status, refusal.reason, refusal.headers)

    def _clean_up(self) -> None:
        self._stop_ringing()
        self._presence.stop()
        self._exchanges.close(self._farewell)
        if self._fork.answered is not None:
            self._fork.answered.leg.hang_up(self._farewell)
        self._fork.close(self._farewell)
        self._early_branch = None
        if self.record.answered is None:
            self._caller.hung_up()
        else:
            self._caller.hang_up(self._farewell)
        self._media.delete()
        self.record.close(self._context.clock.seconds())

    def _stop_ringing(self) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None

    # Messages

    def _contact(self, flow: Flow) -> str:
        parameter = f";transport={'ws' if flow.browser else 'tcp'}" if flow.reliable else ""
        return f"<sip:{self._token}@{flow.sent_by}{parameter}>"

    def _crossing(self, response: Response, branch: Branch) -> Headers:
        headers = across(response, branch.terms, self._caller.terms)
        if response.status in (401, 407):
            order_challenges(headers)
        return headers

    def _telling(self, response: Response, branch: Branch, sdp: bytes) -> Headers:
        """The headers of a response that is about the dialog with the caller."""
        headers = Headers.of(["Allow", "Contact"], [ALLOW[1], self._caller.dialog.contact])
        headers.extend(self._crossing(response, branch))
        if sdp:
            headers.add("Content-Type", "application/sdp")
        return headers

    def _invite(self, target: Target, pair: Pair, sdp: bytes) -> Request:
        """The INVITE of the second leg: a dialog of its own, and all that crosses."""
        source = self._transaction.request
        caller, callee = source.from_.with_tag(pair.from_tag), source.to
        if target.flow.browser:
            caller, callee = _escaped(caller), _escaped(callee)
        fields = {
            "Max-Forwards": str(hops_left(source) - 1),
            "From": str(caller),
            "To": str(callee),
            "Call-ID": pair.call_id,
            "CSeq": f"{pair.next_cseq()} INVITE",
            "Contact": self._contact(target.flow),
            "Allow": ALLOW[1],
        }
        headers = Headers.of(list(fields), list(fields.values()))
        headers.extend(across(source, self._caller.terms, target.terms))
        headers.add("Content-Type", "application/sdp")
        return Request("INVITE", target.uri, headers, sdp)


def _escaped(address: NameAddr) -> NameAddr:
    """PBXs write ``#`` into user parts as it is; JsSIP and SIP.js take it escaped only."""
    return replace(address, uri=address.uri.replace("#", "%23")) if "#" in address.uri else address
