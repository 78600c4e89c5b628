"""Call: the caller's leg, the branches to the callee, and the media session between them. `Call.run` is the course of
the call from beginning to end.

An event from outside (CANCEL, BYE, a lost socket, a time limit) either interrupts the set-up, and refuses the caller at
once, or ends the established call. Both lead to the one `finally` that cleans up.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from webrtcproxy.access.calls import PermittedCall
from webrtcproxy.access.policy import Permitted
from webrtcproxy.call import dtmf
from webrtcproxy.call.session import CallSession
from webrtcproxy.call.states import TRANSITIONS, CallEvent, CallState
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.call_record import CallRecord, EndedBy
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.flow_watch import FlowMonitor
from webrtcproxy.dialog.leg import Leg, TransferableCall, TransferController
from webrtcproxy.dialog.peers import user_on
from webrtcproxy.dialog.relay import relay
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.request import contact_on
from webrtcproxy.invite.setup import CallSetup
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.media.placement import Loss
from webrtcproxy.routing.peer_profile import filter_headers
from webrtcproxy.runtime.errors import BadDescription, NgError, Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.uri import is_secure
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transfer.transfer import METHODS, Transfers
from webrtcproxy.transport.flow import Flow

log = Logger()


class Call:
    """One call, from its INVITE on.

    :param context: the shared objects of the process.
    :param legs: the index of dialogs.
    :param transaction: the INVITE.
    :param find_targets: finds the targets of the INVITE, or raises :class:`Refusal`.
    :param on_callee: called when `aor` is known.
    :param permitted: keeps the limits of the call.
    :raises BadMessage: the INVITE can't create a dialog.
    :ivar aor: the address-of-record whose browsers are called; empty while it is not known, and where no browser is
        called.
    """

    def __init__(
        self,
        context: Context,
        legs: DialogTable,
        transaction: ServerTransaction,
        find_targets: TargetResolver,
        on_callee: Callable[[Call], None],
        permitted: PermittedCall,
    ) -> None:
        request = transaction.request
        contact_user = context.new_token()
        contact = contact_on(transaction.flow, contact_user, is_secure(request.uri))
        dialog = Dialog.from_request(request, transaction.to_tag, contact)  # raises before anything is begun
        self._context = context
        self._legs = legs
        self._transaction = transaction
        self._find_targets = find_targets
        self._on_callee = on_callee
        self._permitted = permitted
        self._state = CallState.SET_UP
        self._over: Deferred[None] = Deferred()
        self._work: Deferred[None] | None = None
        self._bye_headers: HeaderList = ()
        self.id = request.call_id
        self.aor = ""
        self._transfer: TransferController | None = None
        meter, host = context.meter_of(transaction.flow), transaction.flow.peer.host
        self.record = CallRecord(meter, self.id, request.from_.uri, request.uri, host, context.clock.seconds())
        user, profile = user_on(context, transaction.flow, permitted.caller), context.profile_of(transaction)
        self._caller = Leg(context, dialog, transaction.flow, transaction.to_tag, self, profile, user=user)
        self._caller.learn(request)
        legs.add(self._caller)
        media = context.nodes.session(request.call_id)
        self._set_up = CallSetup(context, legs, transaction, self._caller, media, self.record, contact_user, self)
        self._offer_answer = self._set_up.offer_answer
        self._session = CallSession(context, self, self._set_up, media, bool(request.body))
        media.watch(self._on_loss)
        self._transfers: Transfers | None = None
        self._replaced_legs: list[Leg] = []
        self._flows = FlowMonitor(context.transactions.schedule, context.limits.grace, self._abandoned)
        self._flows.watch(self._caller)

    # The course of the call

    def start(self) -> Deferred[None]:
        """Run the call.

        :returns: a Deferred that fires with None when the call has ended and is cleaned up; never fails.
        """
        self._work = Deferred.fromCoroutine(self.run())
        return self._work

    async def run(self) -> None:
        """Run the call from the INVITE to the clean-up."""
        try:
            self._connect(await self._set_up.run(self._find_targets))
            await self._offer_answer.complete()
            self._enter(CallEvent.AGREE)
            self._session.move_if_due()
            self._complete_media()
            await self._over
        except CancelledError as cancelled:
            cancelled.__traceback__ = None  # breaks a reference cycle (see runtime/deferred.py: errback)
        except Refusal as refusal:
            self._fail(refusal)
        except BadMessage as error:
            self._fail(Refusal(error.status, error.why))
        except Exception:
            log.failure("{call}: the call broke", call=self.id)
            self._fail(Refusal(500))
        finally:
            try:
                self._clean_up()
            finally:
                self._context.cdr_writer.close(self.record)

    def _connect(self, response: Response) -> None:
        """Send the caller its 2xx."""
        caller, callee = self._caller, self._offer_answer.callee
        assert callee is not None
        caller.dialog.confirm()
        caller.answer_challenges_for(callee)
        on_ack = self._offer_answer.ack_arrived if self._offer_answer.delayed_offer else None
        caller.answer(self._transaction, response, lambda: self.unacknowledged(caller), on_ack)
        self._session.start(caller, callee)
        self._enter(CallEvent.ANSWER)
        self.record.answer(response.status, self._context.clock.seconds(), response.reason)
        self._permitted.answered(self._time_up)
        self._flows.watch(callee)

    def _complete_media(self) -> None:
        callee = self._offer_answer.callee
        if callee is not None:
            self._session.complete_media(self._caller, callee, self._offer_answer.is_callee_behind)

    @property
    def caller(self) -> Leg:
        """The leg of the caller."""
        return self._caller

    @property
    def answered(self) -> bool:
        """Whether the caller has got a 2xx."""
        return self._state not in (CallState.SET_UP, CallState.REFUSED)

    def other(self, leg: Leg) -> Leg | None:
        """The other leg of the call; None while it has only one."""
        callee = self._offer_answer.callee
        if leg is not self._caller:
            return self._caller
        return None if callee is None or (callee.over and not callee.dialog.confirmed) else callee

    def is_other_fork(self, leg: Leg) -> bool:
        """Whether `leg` is an early dialog of a fork other than the one whose media the caller gets."""
        return not leg.dialog.confirmed and leg not in (self._caller, self._offer_answer.callee)

    def session_agreed(self, branch: str) -> None:
        """Caller and callee have agreed on a session, which may be changed from now on."""
        self._session.agreed(branch)

    def answer_relayed(self) -> None:
        """A callee's answer is relayed, or can't be: what it has asked for meanwhile is carried out."""
        self._session.answer_relayed()

    def modify_session(self, leg: Leg, transaction: ServerTransaction) -> None:
        """The request of `transaction` offers to change the session, or refreshes it."""
        self._session.arrived(leg, transaction)

    # Events from outside

    def cancelled(self, cancel: Request) -> None:
        """The caller's CANCEL has arrived (RFC 3261 section 9.2)."""
        self._bye_headers = list(cancel.headers.only({"Reason"}))
        self.interrupt(Refusal(487), EndedBy.CANCEL)

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request has arrived within the dialog of `leg`; :meth:`Dialog.receive` has checked its order."""
        request = transaction.request
        if request.method == "BYE":
            transaction.reply(200)
            self.bye_arrived(leg, request)
            return
        if not self.answered:
            self._answer_early_challenges(leg)
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
        if dtmf.wanted(request, leg, other.profile, self._session.media, other):
            dtmf.play(transaction, leg, self._session.media, self._offer_answer.branch)
            return
        # The end of an early dialog that the caller does not use does not end the call.
        ended = _ignore if self.is_other_fork(leg) else self.dialog_terminated
        relay(transaction, leg, other, self._context.transactions.schedule, ended)

    def bye_arrived(self, leg: Leg, bye: Request) -> None:
        """The peer of `leg` has ended its dialog. The BYE is answered, perhaps refused."""
        if self._set_up.hung_up(leg):
            self._session.answer_relayed()
        else:
            self._hung_up(leg, bye)

    def _answer_early_challenges(self, leg: Leg) -> None:
        """A request within an early dialog may lead to one to the caller, which a trunk may challenge as in the call
        that is up."""
        callee = self.other(leg) if leg is self._caller else leg
        if callee is not None:
            self._caller.answer_challenges_for(callee)

    def _request_before_answer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """Handle a request of a caller without a 2xx: it is for the early dialog whose response the caller got last."""
        request, early = transaction.request, self._offer_answer.early_branch
        to = None if request.method in ("REFER", "SUBSCRIBE") else self._set_up.last_early_dialog()
        if early is not None and dtmf.wanted(request, leg, early.profile, self._session.media, to):
            dtmf.play(transaction, leg, self._session.media, early.id)
            return
        if to is None or dtmf.wanted(request, leg, to.profile, self._session.media, to):
            raise Refusal(500, "Not Answered Yet", [("Retry-After", "5")])  # a 481 would end the call (RFC 5057)
        relay(transaction, leg, to, self._context.transactions.schedule, self.dialog_terminated)

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for a re-INVITE has arrived: the session is not changed."""
        self._session.cancelled(transaction, cancel)

    def goes_to(self, trunk: Trunk | None, permitted: Permitted | None) -> None:
        """A target is found, to be called next; raises Denied where a limit of calls is reached."""
        self._permitted.goes_to(trunk, permitted)
        if trunk is not None and self._state is CallState.SET_UP:
            self.record.trunk = trunk.name

    def callee_found(self, aor: str) -> None:
        """The browsers of `aor` are called."""
        self.aor = aor
        self._on_callee(self)

    def join(self, target: Target) -> None:
        """A browser of the callee has registered: while the call rings, let it ring there, too."""
        self._set_up.join(target)

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is now reached on another flow."""
        self._legs.move(leg, flow)
        if leg is self._caller and not self._transaction.answered:
            self._transaction.flow = flow
        if not leg.over:
            self._flows.watch(leg)
            self._session.moved(leg, flow)

    def end(self, why: EndedBy) -> None:
        """End the call, whatever its state, for a reason of the proxy.

        :param why: for the record.
        """
        self.interrupt(Refusal(503), why)

    def _hung_up(self, leg: Leg, bye: Request) -> None:
        other = self.other(leg)
        if other is not None:
            self._bye_headers = list(filter_headers(bye, leg.profile, other.profile))
        self._terminated(leg, Refusal(487 if leg is self._caller else 480))

    def dialog_terminated(self, leg: Leg) -> None:
        """The peer of `leg` has no such dialog any more, or does not respond (RFC 5057). Where the leg was replaced,
        the call goes on."""
        if leg not in self._replaced_legs:
            self._terminated(leg, Refusal(481), reason='SIP;cause=481;text="Dialog Terminated"')

    def unreachable(self, leg: Leg) -> None:
        """The ACK for a 2xx has no way to the peer of `leg`, which would repeat the 2xx until it hangs up."""
        refusal = leg.profile.unreachable()
        self._bye_headers = [("Reason", f'SIP;cause={refusal.status};text="{refusal.reason}"')]
        self.interrupt(refusal, EndedBy.UNACKNOWLEDGED)

    def _terminated(self, leg: Leg, refusal: Refusal, why: EndedBy | None = None, reason: str = "") -> None:
        """The dialog of `leg` has ended."""
        by = EndedBy.CALLER if leg is self._caller else EndedBy.CALLEE
        aside = self.is_other_fork(leg)
        leg.hung_up()
        if self._transfer is not None and self._transfer.survives(leg):
            self._flows.unwatch(leg)
        elif not aside:
            if reason:
                self._bye_headers = [("Reason", reason)]
            self.interrupt(refusal, why or by)

    def expired(self, leg: Leg) -> None:
        """The session of `leg` was not refreshed in time (RFC 4028 section 10)."""
        self._bye_headers = [("Reason", 'SIP;cause=408;text="Session expired"')]
        self.interrupt(Refusal(408), EndedBy.EXPIRED)

    def _time_up(self) -> None:
        log.info("{call}: its time is used up", call=self.id)
        self._bye_headers = [("Reason", 'SIP;cause=403;text="Time Used Up"')]
        self.interrupt(Refusal(403), EndedBy.LIMIT)

    def _abandoned(self, leg: Leg) -> None:
        log.info("{call}: the browser did not come back", call=self.id)
        self._bye_headers = [("Reason", 'SIP;cause=480;text="Connection lost"')]
        self._terminated(leg, Refusal(480), EndedBy.LOST)

    def unacknowledged(self, leg: Leg) -> None:
        """The peer of `leg` sends no ACK for a 2xx (RFC 3261 section 13.3.1.4)."""
        log.warn("{call}: no ACK for the 2xx came", call=self.id)
        leg.unacknowledged()
        if leg not in self._replaced_legs:
            self.interrupt(Refusal(408), EndedBy.UNACKNOWLEDGED)

    def _on_loss(self, loss: Loss) -> None:
        """rtpengine has lost the media session. While the call is set up, another node takes over with the answer."""
        if loss is Loss.NODE or (loss is Loss.SESSION and not self.answered):
            self._session.move()
        else:
            self.media_lost()

    def media_lost(self) -> None:
        """Its media are lost, and can't be had elsewhere."""
        log.warn("{call}: rtpengine has given up its media", call=self.id)
        self._bye_headers = [("Reason", 'SIP;cause=503;text="Media lost"')]
        self.interrupt(Refusal(503), EndedBy.MEDIA)

    def interrupt(self, refusal: Refusal, why: EndedBy) -> None:
        """End the call: refuse a caller without a final response at once, and end `run` in the next turn of the
        reactor, never while a step of it is running."""
        if not self._end(why):
            return
        if self._state is CallState.REFUSED:
            self._refuse(refusal)
            self._context.clock.callLater(0, self._stop_work)
        else:
            self._over.callback(None)
            self._offer_answer.ack_arrived(None)

    def _end(self, why: EndedBy) -> bool:
        """Note why the call ends; only the first reason counts.

        :returns: whether this is the first reason.
        """
        if not self._enter(CallEvent.END):
            return False
        self.record.ended_by = why
        return True

    def _enter(self, event: CallEvent) -> bool:
        """Move to the state after `event`; False where that changes nothing."""
        before, self._state = self._state, TRANSITIONS[self._state, event]
        return self._state is not before

    def _stop_work(self) -> None:
        if self._work is not None:
            self._work.cancel()

    # As a transferable call

    def transferable(self) -> Call:
        """The call itself: its legs may be moved."""
        return self

    @property
    def permitted(self) -> Permitted | None:
        """What the access policy has permitted last; None where it was not asked."""
        return self._permitted.permitted

    @property
    def limits(self) -> PermittedCall:
        """What keeps its limits."""
        return self._permitted

    @property
    def is_in_transfer(self) -> bool:
        """Whether a transfer changes the session, and nobody else may."""
        return self._transfer is not None

    def busy(self) -> bool:
        """Whether its session is being changed, is not negotiated yet, or is already in a transfer."""
        return self._transfer is not None or self._session.changing or self._state is not CallState.UP

    def begin_transfer(self, controller: TransferController) -> None:
        """From now on only `controller` changes the session."""
        self._transfer = controller

    def end_transfer(self) -> None:
        """The transfer has ended, successfully or not."""
        self._transfer = None
        self._permitted.leave_target()
        self._session.resume()

    def replace_leg(self, old: Leg, new: Leg, media: CallMedia, branch: str) -> None:
        """Replace `old` by `new`; `old` no longer belongs to the call.

        :param media: the media session between `new` and the remaining leg; the call's former one is deleted.
        :param branch: its branch at rtpengine.
        """
        if old is self._caller:
            self._caller = new
        else:
            self._offer_answer.callee = new
        self._offer_answer.branch = branch
        old.owner, new.owner = None, self
        self._permitted.reach_target()
        old.add_usage()  # it still counts as a call of its browser
        self._replaced_legs.append(old)
        callee = self._offer_answer.callee
        assert callee is not None
        self._session.replace(self, media, branch, callee)
        media.watch(self._on_loss)
        self._flows.unwatch(old)
        self._flows.watch(new)
        self._bye_headers = ()  # they may be those of a BYE from the peer of `old`

    def take_limits(self, other: TransferableCall, left: Leg) -> None:
        """The call goes on with an end of `other`, whose limits it has to keep, too; `left` is the other end."""
        self._permitted.join(other.limits, other.caller is left)

    # The end

    def _fail(self, refusal: Refusal) -> None:
        """The set-up has failed; or, after the 2xx, the ACK has no usable answer."""
        refusal.__traceback__ = None  # breaks a reference cycle through the waiting frames
        is_media = isinstance(refusal, NgError)
        if not self._end(EndedBy.MEDIA if is_media else EndedBy.REFUSED):
            return
        if is_media:
            failed = log.info if isinstance(refusal, BadDescription) else log.error  # that one is the peer's fault
            failed("{call}: media could not be set up: {why}", why=getattr(refusal, "why", refusal), call=self.id)
        if self._state is CallState.REFUSED:
            self._refuse(refusal)
        else:
            log.warn("{call}: the call ends: {refusal}", refusal=refusal, call=self.id)
            self._bye_headers = [("Reason", f'SIP;cause={refusal.status};text="{refusal.reason}"')]

    def _refuse(self, refusal: Refusal) -> None:
        """Send the caller its final response."""
        if not self._transaction.answered:
            self.record.status, self.record.reason = refusal.status, refusal.reason
            self._transaction.reply(refusal.status, refusal.reason, refusal.headers)

    def _clean_up(self) -> None:
        if self._transfer is not None:
            self._transfer.close()
        self._flows.stop()
        self._session.close(self._bye_headers)
        self._set_up.close(self._bye_headers)
        if self._state is CallState.REFUSED:
            self._offer_answer.leave()
        else:
            for leg in (self._caller, self._offer_answer.callee):
                if leg is not None and leg.owner is self:
                    leg.hang_up(self._bye_headers)
        for leg in self._replaced_legs:
            leg.drop_usage()
        self._session.media.delete()
        self._permitted.over()


def _ignore(leg: Leg) -> None:
    """Do nothing: the end of an early dialog does not end the call."""
