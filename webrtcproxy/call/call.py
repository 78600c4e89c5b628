"""Call: one caller leg, the branches towards the callee, and the media session between them. `Call.run` is its story
from beginning to end.

Whatever arrives from outside (CANCEL, BYE, a lost socket, a limit) either answers at once and interrupts the set-up, or
fires the end of the established call. Both lead to the one `finally` that cleans up.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from webrtcproxy.call import dtmf
from webrtcproxy.call.states import TRANSITIONS, CallEvent, CallState
from webrtcproxy.dialog.call_record import CallRecord, EndedBy
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.flow_watch import FlowMonitor
from webrtcproxy.dialog.leg import Leg, TransferController
from webrtcproxy.dialog.relay import relay
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.request import contact_on
from webrtcproxy.invite.setup import CallSetup
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.routing.peer_profile import filter_headers
from webrtcproxy.runtime.errors import NgError, Refusal
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.session.modifier import SessionModifier
from webrtcproxy.session.refresher import SessionRefresher
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.uri import is_secure
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transfer.transfer import METHODS, Transfers
from webrtcproxy.transport.flow import Flow

log = Logger()


class Call:
    """One call, from its INVITE on.

    :param context: what calls work with.
    :param legs: the index of dialogs.
    :param transaction: the INVITE.
    :param find_targets: finds where to try the callee, or raises :class:`Refusal`.
    :param on_callee: called when `aor` is known.
    :raises BadMessage: the INVITE can't open a dialog.
    :ivar aor: the address-of-record whose browsers are called; empty where it is not known, or none.
    """

    def __init__(
        self,
        context: Context,
        legs: DialogTable,
        transaction: ServerTransaction,
        find_targets: TargetResolver,
        on_callee: Callable[[Call], None],
    ) -> None:
        request = transaction.request
        user = context.worker_prefix + random_token(8)
        contact = contact_on(transaction.flow, user, is_secure(request.uri))
        dialog = Dialog.from_request(request, transaction.to_tag, contact)  # or there is no call
        self._context = context
        self._legs = legs
        self._transaction = transaction
        self._find_targets = find_targets
        self._on_callee = on_callee
        self._state = CallState.SET_UP
        self._over: Deferred[None] = Deferred()
        self._work: Deferred[None] | None = None
        self._bye_headers: HeaderList = ()
        self.id = request.call_id
        self.aor = ""
        self._transfer: TransferController | None = None
        meter = context.metrics.outbound if transaction.flow.browser else context.metrics.inbound
        self.record = CallRecord(
            meter, self.id, request.from_.uri, request.uri, transaction.flow.peer.host, context.clock.seconds()
        )
        aor, profile = request.from_.address.aor, context.profile_of(transaction)
        self._caller = Leg(context, dialog, transaction.flow, transaction.to_tag, self, profile, aor=aor)
        self._caller.learn(request)
        legs.add(self._caller)
        self._begin_session(context.nodes.session(request.call_id), bool(request.body))
        self._set_up = CallSetup(context, legs, transaction, self._caller, self._media, self.record, user, self)
        self._offer_answer = self._set_up.offer_answer
        self._transfers: Transfers | None = None
        self._replaced_legs: list[Leg] = []
        self._flows = FlowMonitor(context.transactions.schedule, context.limits.grace, self._abandoned)
        self._flows.watch(self._caller)

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
            self._connect(await self._set_up.run(self._find_targets))
            await self._offer_answer.complete()
            self._enter(CallEvent.AGREE)
            await self._over
        except CancelledError:
            pass
        except Refusal as refusal:
            self._fail(refusal)
        except BadMessage as error:
            self._fail(Refusal(error.status, error.why))
        except Exception:
            log.failure("{call}: the call broke", call=self.id)
            self._fail(Refusal(500))
        finally:
            self._clean_up()

    def _connect(self, response: Response) -> None:
        """Give the caller its 2xx."""
        caller, callee = self._caller, self._offer_answer.callee
        assert callee is not None
        caller.dialog.confirm()
        if caller.profile.trunk is not None:
            context = self._context
            authenticated = context.location.is_authenticated(callee.flow)
            caller.answer_challenges(context.policy.may_use_trunk_credentials(authenticated))
        on_ack = self._offer_answer.ack_arrived if self._offer_answer.delayed_offer else None
        caller.answer(self._transaction, response, lambda: self._unacknowledged(caller), on_ack)
        self._refresher.start(caller, callee)
        self._enter(CallEvent.ANSWER)
        self.record.answer(response.status, self._context.clock.seconds())
        self._flows.watch(callee)
        self._media.watch(self._media_lost)

    @property
    def answered(self) -> bool:
        """Whether the caller got a 2xx."""
        return self._state not in (CallState.SET_UP, CallState.REFUSED)

    def other(self, leg: Leg) -> Leg | None:
        """The leg across from `leg`; None while there is none."""
        callee = self._offer_answer.callee
        if leg is not self._caller:
            return self._caller
        return None if callee is None or (callee.over and not callee.dialog.confirmed) else callee

    def _is_aside(self, leg: Leg) -> bool:
        """Whether `leg` is an early dialog of a fork other than the one whose media the caller gets."""
        return not leg.dialog.confirmed and leg not in (self._caller, self._offer_answer.callee)

    def session_agreed(self, branch: str) -> None:
        """Caller and callee have a session, which may be changed from now on."""
        self._modifier.open(branch)

    def modify_session(self, leg: Leg, transaction: ServerTransaction) -> None:
        """The request of `transaction` offers a change of the session."""
        self._modifier.arrived(leg, None if self._is_aside(leg) else self.other(leg), transaction)

    def _begin_session(self, media: CallMedia, caller_offers: bool) -> None:
        """Let the session of `media` be changed and refreshed: at the beginning, and where a leg is replaced."""
        context = self._context
        self._media = media
        self._modifier = SessionModifier(
            context, media, self._caller, caller_offers, self.dialog_terminated, self._unacknowledged
        )
        self._refresher = SessionRefresher(context, self._refresh, self.dialog_terminated, self._expired)

    async def _refresh(self, leg: Leg) -> int | None:
        """Refresh the session of `leg` by re-INVITE: the status of the answer; None while somebody changes it."""
        other = self.other(leg)
        if other is None or self._transfer is not None:
            return None
        return await self._modifier.refresh(leg, other)

    # What comes from outside

    def cancelled(self, cancel: Request) -> None:
        """The caller's CANCEL (RFC 3261 section 9.2)."""
        self._bye_headers = list(cancel.headers.only({"Reason"}))
        self.interrupt(Refusal(487), EndedBy.CANCEL)

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request within the dialog of `leg` arrived; it is in order (:meth:`Dialog.receive`)."""
        request = transaction.request
        if request.method == "BYE":
            transaction.reply(200)
            self._hung_up(leg, request)
            return
        if request.method in ("INVITE", "UPDATE"):
            if self._transfer is not None and (request.body or request.method == "INVITE"):
                raise Refusal(491)
            self.modify_session(leg, transaction)
            return
        if request.method == "PRACK" and leg is self._caller:
            self._offer_answer.prack_arrived(transaction)
            return
        other = self.other(leg)
        if other is None and not leg.over and request.method != "PRACK":
            self._request_before_answer(leg, transaction)
            return
        if request.method in METHODS:
            if self._transfers is None:
                self._transfers = Transfers(self._context, self._legs)
            self._transfers.arrived(self, leg, transaction)
            return
        if other is None or other.over or leg.over or request.method == "PRACK":
            raise Refusal(481)
        if dtmf.wanted(request, leg, other.profile):
            dtmf.play(transaction, leg, self._media, self._offer_answer.branch)
            return
        # The end of an early dialog that the caller does not use does not end the call.
        ended = _ignore if self._is_aside(leg) else self.dialog_terminated
        relay(transaction, leg, other, self._context.transactions.schedule, ended)

    def _request_before_answer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request of a caller that is not connected yet: it is for the early dialog whose response it got last."""
        request, early = transaction.request, self._offer_answer.early_branch
        if early is not None and dtmf.wanted(request, leg, early.profile):
            dtmf.play(transaction, leg, self._media, early.id)
            return
        to = None if request.method in ("REFER", "SUBSCRIBE") else self._set_up.last_early_dialog()
        if to is None or dtmf.wanted(request, leg, to.profile):
            raise Refusal(500, "Not Answered Yet", [("Retry-After", "5")])  # a 481 would end the call (RFC 5057)
        relay(transaction, leg, to, self._context.transactions.schedule, self.dialog_terminated)

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """CANCEL of a re-INVITE: the session stays as it is."""
        self._modifier.cancelled(transaction, cancel)

    def callee_found(self, aor: str) -> None:
        """The browsers of `aor` are called."""
        self.aor = aor
        self._on_callee(self)

    def join(self, target: Target) -> None:
        """A browser of the callee has registered: while the call rings, it rings there, too."""
        self._set_up.join(target)

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is on another socket."""
        self._legs.move(leg, flow)
        if leg is self._caller and not self._transaction.answered:
            self._transaction.flow = flow
        if not leg.over:
            self._modifier.moved(leg, flow)
            self._flows.watch(leg)

    def end(self, why: EndedBy) -> None:
        """End the call in whatever state it is, for a reason of the proxy's own.

        :param why: for the record.
        """
        self.interrupt(Refusal(503), why)

    def _hung_up(self, leg: Leg, bye: Request) -> None:
        other = self.other(leg)
        if other is not None:
            self._bye_headers = list(filter_headers(bye, leg.profile, other.profile))
        self._terminated(leg, Refusal(487 if leg is self._caller else 480))

    def dialog_terminated(self, leg: Leg) -> None:
        """A peer says that it has no such dialog, or does not answer (RFC 5057). Of a leg that was replaced, that ends
        no call."""
        if leg not in self._replaced_legs:
            self._terminated(leg, Refusal(481))

    def _terminated(self, leg: Leg, refusal: Refusal, why: EndedBy | None = None) -> None:
        """The dialog of `leg` has ended."""
        by = EndedBy.CALLER if leg is self._caller else EndedBy.CALLEE
        aside = self._is_aside(leg)
        leg.hung_up()
        if self._transfer is not None and self._transfer.survives(leg):
            self._flows.unwatch(leg)
        elif not aside:
            self.interrupt(refusal, why or by)

    def _expired(self, leg: Leg) -> None:
        """The session of `leg` was not refreshed in time (RFC 4028 section 10)."""
        self._bye_headers = [("Reason", 'SIP;cause=408;text="Session expired"')]
        self.interrupt(Refusal(408), EndedBy.EXPIRED)

    def _abandoned(self, leg: Leg) -> None:
        log.info("{call}: the browser did not come back", call=self.id)
        self._bye_headers = [("Reason", 'SIP;cause=480;text="Connection lost"')]
        self._terminated(leg, Refusal(480), EndedBy.LOST)

    def _unacknowledged(self, leg: Leg) -> None:
        log.warn("{call}: no ACK for the 2xx came", call=self.id)
        leg.unacknowledged()
        if leg not in self._replaced_legs:
            self.interrupt(Refusal(408), EndedBy.UNACKNOWLEDGED)

    def _media_lost(self) -> None:
        log.warn("{call}: rtpengine has given up its media", call=self.id)
        self._bye_headers = [("Reason", 'SIP;cause=503;text="Media lost"')]
        self.interrupt(Refusal(503), EndedBy.MEDIA)

    def interrupt(self, refusal: Refusal, why: EndedBy) -> None:
        """End the call: refuse a caller that has no final response, and have the story end, in the next turn of the
        reactor: never within the coroutine's own step."""
        if not self._end(why):
            return
        if self._state is CallState.REFUSED:
            self._refuse(refusal)
            self._context.clock.callLater(0, self._stop_work)
        else:
            self._over.callback(None)
            self._offer_answer.ack_arrived(None)

    def _end(self, why: EndedBy) -> bool:
        """The call ends; only the first reason counts.

        :returns: whether this is the first one.
        """
        if not self._enter(CallEvent.END):
            return False
        self.record.ended_by = why
        return True

    def _enter(self, event: CallEvent) -> bool:
        """Whether `event` takes the call to another state."""
        before, self._state = self._state, TRANSITIONS[self._state, event]
        return self._state is not before

    def _stop_work(self) -> None:
        if self._work is not None:
            self._work.cancel()

    # As a call that is transferred

    def transferable(self) -> Call:
        """Its legs may be moved."""
        return self

    def busy(self) -> bool:
        """Whether its session is being changed, is not negotiated yet, or is in a transfer already."""
        return self._transfer is not None or self._modifier.busy or not self._caller.negotiation.agreed

    def begin_transfer(self, controller: TransferController) -> None:
        """From now on only `controller` changes the session."""
        self._transfer = controller

    def end_transfer(self) -> None:
        """The transfer is over, carried out or not."""
        self._transfer = None

    def replace_leg(self, old: Leg, new: Leg, media: CallMedia, branch: str) -> None:
        """Put `new` in the place of `old`, which no longer belongs to the call.

        :param media: the media session between `new` and the leg that stays; that of the call is deleted.
        :param branch: its branch towards rtpengine.
        """
        if old is self._caller:
            self._caller = new
        else:
            self._offer_answer.callee = new
        self._offer_answer.branch = branch
        old.owner, new.owner = None, self
        old.add_usage()  # it still counts as a call of its browser
        self._replaced_legs.append(old)
        self._media.delete()
        self._modifier.close(())
        self._refresher.stop()
        self._begin_session(media, True)
        media.watch(self._media_lost)
        self._modifier.open(branch)
        callee = self._offer_answer.callee
        assert callee is not None
        self._refresher.start(self._caller, callee)
        self._flows.unwatch(old)
        self._flows.watch(new)
        self._bye_headers = ()  # those of the peer of `old`, which may have sent BYE before

    # The end

    def _fail(self, refusal: Refusal) -> None:
        """The set-up has failed; or, of an answered call, the ACK has no answer, or none that is any use."""
        refusal.__traceback__ = None  # it leads to what has waited for the failure, and so to itself
        is_media = isinstance(refusal, NgError)
        if not self._end(EndedBy.MEDIA if is_media else EndedBy.REFUSED):
            return
        if is_media:
            log.error("{call}: media could not be set up: {why}", why=getattr(refusal, "why", refusal), call=self.id)
        if self._state is CallState.REFUSED:
            self._refuse(refusal)
        else:
            log.warn("{call}: the call ends: {refusal}", refusal=refusal, call=self.id)
            self._bye_headers = [("Reason", f'SIP;cause={refusal.status};text="{refusal.reason}"')]

    def _refuse(self, refusal: Refusal) -> None:
        """Give the caller its final response."""
        if not self._transaction.answered:
            self.record.status = refusal.status
            self._transaction.reply(refusal.status, refusal.reason, refusal.headers)

    def _clean_up(self) -> None:
        if self._transfer is not None:
            self._transfer.close()
        self._flows.stop()
        self._refresher.stop()
        self._modifier.close(self._bye_headers)
        self._set_up.close(self._bye_headers)
        if self._state is CallState.REFUSED:
            self._offer_answer.leave()
        else:
            for leg in (self._caller, self._offer_answer.callee):
                if leg is not None and leg.owner is self:
                    leg.hang_up(self._bye_headers)
        for leg in self._replaced_legs:
            leg.drop_usage()
        self._media.delete()
        self._context.cdr_writer.close(self.record)


def _ignore(leg: Leg) -> None:
    """The end of an early dialog does not end the call."""
