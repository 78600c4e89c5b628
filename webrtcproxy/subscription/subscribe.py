"""Creates subscriptions from SUBSCRIBEs and REFERs outside of any dialog (RFC 6665), and has the table of all of them.

A REFER is an implicit SUBSCRIBE to its own progress, and may fork like one (RFC 3515 section 2.4.7).

A subscription is a dialog that a NOTIFY creates, before or after the 2xx to the SUBSCRIBE. Where the SUBSCRIBE has
forked upstream, each notifier creates a dialog (section 4.4.1). So the proxy remembers each SUBSCRIBE that it sent
until Timer N (section 4.1.2.4), and joins the dialog with each notifier to a separate dialog with the subscriber, which
decides which of them it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.limits import CountedCall
from webrtcproxy.config import SubscriptionsConfig
from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.peers import Addressee, is_from_peer, user_on
from webrtcproxy.dialog.refer import has_no_subscription
from webrtcproxy.dialog.replaces import Party, prepare_refer
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.branch import MAX_DIALOGS
from webrtcproxy.invite.refer_target import check_refer_target
from webrtcproxy.invite.request import contact_on
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.admission import check_subscriptions
from webrtcproxy.routing.sequence import RequestSequence
from webrtcproxy.runtime.errors import BadResponse, Refusal
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.refer_to import refer_to
from webrtcproxy.subscription.out_of_dialog import BranchResult, relay_response, send_to_targets
from webrtcproxy.subscription.subscription import Subscription, bound_expires
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

TIMER_N = 32.0
"""Seconds (64*T1) after a SUBSCRIBE within which its NOTIFYs must arrive (RFC 6665 section 4.1.2.4)."""


@dataclass(frozen=True, slots=True)
class SentSubscribe:
    """A SUBSCRIBE or REFER that was sent to one target, where notifiers may create dialogs."""

    pending: PendingSubscribe
    target: Target
    request: Request
    sequence: RequestSequence


class Subscriptions:
    """The subscriptions of this process.

    :param context: the shared objects of the process.
    :param limits: how many there may be.
    :param calls: the index of the dialogs of calls, which a REFER may name.
    :ivar legs: the index of the dialogs of subscriptions.
    """

    def __init__(self, context: Context, limits: SubscriptionsConfig, calls: DialogTable) -> None:
        self.legs = DialogTable()
        self.calls = calls
        self._context = context
        self._limits = limits
        self._alive: set[Subscription] = set()
        self._sent: dict[tuple[str, str], SentSubscribe] = {}
        context.directory.watch(self._bound)

    def __len__(self) -> int:
        return len(self._alive)

    def begin(self, transaction: ServerTransaction, find_targets: TargetResolver) -> None:
        """Relay the out-of-dialog SUBSCRIBE or REFER of `transaction` to the targets that `find_targets` finds.

        :raises Refusal: 489 for a SUBSCRIBE without an Event, 503 where there are too many subscriptions.
        :raises BadMessage: it can't create a dialog, or the Refer-To of a REFER can't be read.
        """
        request = transaction.request
        if request.method == "REFER":
            refer_to(request.headers)
        elif not request.headers.get("Event"):
            raise Refusal(489)
        context, flow = self._context, transaction.flow
        most = self._limits.limit_per_connection if context.proofs.any(flow) else context.limits.limit_unregistered
        check_subscriptions(self._limits, most, flow, self.legs.count_on(flow), len(self._alive), request)
        caller, counted = None, None
        if flow.browser:
            limits, caller = context.access.calls, context.payer_of(request, flow)
            counted = limits.begin_subscription(request.call_id, request.method, caller, flow.peer.host)
        try:
            pending = PendingSubscribe(self, context, transaction, caller, counted)
        except BaseException:
            if counted is not None:
                counted.ended()
            raise
        run_and_respond(pending.run(find_targets), transaction)

    def expects(self, request: Request, flow: Flow) -> bool:
        """Whether `request` on `flow` may be a NOTIFY that creates the dialog of a subscription.

        :raises BadMessage: one of its headers can't be read.
        """
        if request.method != "NOTIFY":
            return False
        sent = self._sent.get((request.call_id, request.to.tag or ""))
        return sent is not None and sent.pending.is_from_notifier(sent.target, flow)

    def notified(self, transaction: ServerTransaction) -> Leg | None:
        """Create the dialog of a NOTIFY, and return its leg; None where no SUBSCRIBE matches, or where it is not from
        where that was sent.

        :raises BadMessage: it can't create a dialog.
        """
        request = transaction.request
        if not self.expects(request, transaction.flow):
            return None
        sent = self._sent[request.call_id, request.to.tag or ""]
        return sent.pending.notified(request, sent)

    def stop(self) -> None:
        """End all subscriptions, since the proxy stops: subscribers get a NOTIFY that lets them subscribe again, and
        notifiers get an unsubscribe."""
        for subscription in tuple(self._alive):
            subscription.end([leg for leg in (subscription.near, subscription.far) if leg is not None])

    # From pending SUBSCRIBEs

    def add(self, subscription: Subscription) -> None:
        """Add a subscription to the table."""
        self._alive.add(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Remove a terminated subscription from the table."""
        self._alive.discard(subscription)

    def remember(self, sent: SentSubscribe) -> None:
        """Expect NOTIFYs for a SUBSCRIBE that is about to be sent."""
        self._sent[_key(sent.request)] = sent

    def forget(self, sent: SentSubscribe) -> None:
        """Expect no more NOTIFYs for it."""
        if self._sent.get(_key(sent.request)) is sent:
            del self._sent[_key(sent.request)]

    def _bound(self, binding: Binding) -> None:
        """A browser has registered on another socket: move its subscriptions there."""
        for leg in self.legs.registered(binding):
            if leg.owner is not None:
                leg.owner.moved(leg, binding.flow)


class PendingSubscribe:
    """A SUBSCRIBE or REFER from its arrival until Timer N, or until all its subscriptions have terminated.

    :param subscriptions: the table of all subscriptions.
    :param context: the shared objects of the process.
    :param transaction: the subscriber's request.
    :param caller: the subscriber where it is a browser, or None.
    :param counted: counts it for a browser until its last subscription has terminated.
    :raises BadMessage: it can't create a dialog.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        context: Context,
        transaction: ServerTransaction,
        caller: Caller | None,
        counted: CountedCall | None,
    ) -> None:
        self._subscriptions = subscriptions
        self._context = context
        self._transaction = transaction
        self._request = transaction.request
        self._is_subscribe = transaction.request.method == "SUBSCRIBE"
        self._profile = context.profile_of(transaction)
        self._user = context.new_token()
        self._caller = caller
        self._counted = counted
        self._sent: list[SentSubscribe] = []
        self._had: set[tuple[str, str]] = set()  # Call-ID and tag of each notifier that has had a dialog
        self._first = self._subscription(transaction.to_tag, transaction.flow)
        self._first.pending_request = transaction
        self._opened = [self._first]
        self._timer = context.transactions.schedule.after(TIMER_N, self._time_up)

    async def run(self, find_targets: TargetResolver) -> None:
        """Forward it, and send its subscriber the final response."""
        accepted = False
        try:
            if not self._is_subscribe and self._profile.browser:
                find_targets = self._checked(find_targets)
            winner = await send_to_targets(self._context, self._transaction, find_targets, self._before_send)
            if winner.response is not None and winner.status < 300:
                self._answered(winner, winner.response)
                accepted = self._is_subscribe or not has_no_subscription(winner.response)
            else:
                relay_response(winner, self._transaction, self._profile)
        finally:
            self._first.pending_request = None
            if not accepted:
                for subscription in tuple(self._opened):
                    subscription.end()

    def _checked(self, find_targets: TargetResolver) -> TargetResolver:
        """The targets of a browser's REFER, after its Refer-To is checked."""

        async def find() -> Sequence[Target]:
            targets = await find_targets()
            near, trunk = self._first.near, targets[0].profile.trunk
            calls = await check_refer_target(self._context, self._request, near, trunk, self._subscriptions.calls)
            if calls and trunk is not None:
                self._context.access.rates.check_callee(self._request.log_id, trunk, "REFER")
            return targets

        return find

    def notified(self, notify: Request, sent: SentSubscribe) -> Leg | None:
        """Create the dialog of a NOTIFY, and return its leg; None where there are too many notifiers.

        :raises BadMessage: it can't create a dialog.
        """
        if (notify.call_id, notify.from_.tag or "") in self._had:  # its subscription is terminated
            return None
        if len(self._had) >= MAX_DIALOGS:
            log.warn("{call}: too many notifiers for one SUBSCRIBE", call=self._request.call_id)
            return None
        dialog = Dialog.from_notify(sent.request, notify, sent.request.headers.get("Contact") or "")
        dialog.local_cseq = sent.sequence.cseq
        if self._first.notified:
            self._opened.append(self._subscription(random_token(8), self._first.near.flow))
        else:
            self._had.clear()  # the dialog of the 2xx is replaced by that of the NOTIFY
        return self._open(self._opened[-1], dialog, sent.target)

    def is_from_notifier(self, target: Target, flow: Flow) -> bool:
        """Whether a NOTIFY on `flow` may be from a notifier that the SUBSCRIBE to `target` has reached: it comes from
        there, or from the address that the 2xx, or the NOTIFY of another notifier, has named."""
        sent_to = Addressee(target.last_flow, target.user, target.profile.trunk)
        if is_from_peer(self._context, sent_to, flow):
            return True
        notifiers = (each.far for each in self._opened)
        return any(far is not None and far.is_from_peer(flow) for far in notifiers)

    def _answered(self, winner: BranchResult, response: Response) -> None:
        if not self._first.notified:
            contact = winner.request.headers.get("Contact") or ""
            target = winner.target
            peer = None if target.profile.flow_bound else target.last_flow.peer
            try:
                dialog = Dialog.from_response(winner.request, response, contact, peer)
            except BadMessage as error:
                raise BadResponse(error.why) from error
            self._open(self._first, dialog, winner.target)
        self._first.respond(self._transaction, response, winner.target.profile)

    def _before_send(self, target: Target, request: Request, sequence: RequestSequence) -> None:
        request.headers.add("Contact", contact_on(target.flow, self._user))
        if not self._is_subscribe:
            near = self._first.near
            transferor = Party(near.flow, self._profile, near.user)
            transferee = Party(target.flow, target.profile, target.user)
            prepare_refer(request.headers, transferor, transferee, self._subscriptions.calls, self._context)
        bound_expires(request.headers, self._request)
        self._sent.append(SentSubscribe(self, target, request, sequence))
        self._subscriptions.remember(self._sent[-1])

    def _subscription(self, tag: str, flow: Flow) -> Subscription:
        """A subscription whose dialog with the subscriber on `flow` has the local tag `tag`."""
        request, context = self._request, self._context
        dialog = Dialog.from_request(request, tag, contact_on(flow, self._user))
        near = Leg(context, dialog, flow, tag, None, self._profile, user=user_on(context, flow, self._caller))
        legs = self._subscriptions.legs
        legs.add(near)
        event = request.headers.get("Event") or "" if self._is_subscribe else "refer"
        subscription = Subscription(context, legs, near, event, self._ended)
        self._subscriptions.add(subscription)
        return subscription

    def _ended(self, subscription: Subscription) -> None:
        """A subscription has terminated; after the last one, no notifier is added."""
        self._subscriptions.discard(subscription)
        if all(each.over for each in self._opened):
            self._timer.cancel()
            self._forget()
            if self._counted is not None:
                self._counted.ended()

    def _open(self, subscription: Subscription, dialog: Dialog, target: Target) -> Leg:
        """Join the notifier of `dialog` to a subscription, and return its leg."""
        far = Leg(self._context, dialog, target.last_flow, "", None, target.profile, target.authentication, target.user)
        self._had.add((dialog.call_id, dialog.remote_tag))
        self._subscriptions.legs.add(far)
        subscription.open(far)
        return far

    def _time_up(self) -> None:
        """Timer N has expired: notifiers without a NOTIFY so far are no longer expected."""
        self._forget()
        if not self._first.notified and not self._first.over:
            log.info("{call}: a subscription ends without a NOTIFY", call=self._request.call_id)
            self._first.end()

    def _forget(self) -> None:
        sent, self._sent = self._sent, []
        for each in sent:
            self._subscriptions.forget(each)


def _key(request: Request) -> tuple[str, str]:
    """What a NOTIFY has in common with its SUBSCRIBE: Call-ID and the proxy's tag."""
    return request.call_id, request.from_.tag or ""
