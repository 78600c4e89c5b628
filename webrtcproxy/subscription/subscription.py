"""An established subscription: relays SUBSCRIBE and NOTIFY between a dialog with the subscriber and one with the
notifier (RFC 6665). Either of the two may be the browser.

Both ends decide, and the proxy relays: each SUBSCRIBE and NOTIFY gets the response of the other end. The proxy itself
only limits the time, so that the state is removed when both ends have forgotten the subscription.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.flow_watch import FlowMonitor
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.refer import is_refer, refer_id, with_id
from webrtcproxy.dialog.relay import crossing_body, request_headers, response_headers, send_within, status_of
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import find_param, number, parse_params
from webrtcproxy.sip.headers import MAX_SECONDS
from webrtcproxy.sip.message import Headers, Message, Request, Response
from webrtcproxy.transaction.deadline import Deadline
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_EXPIRES = 86_400
"""Longest subscription in seconds: the proxy shortens what is longer (RFC 6665 section 4.2.1.1)."""

DEFAULT_EXPIRES = 3600
"""Seconds of a subscription where neither side gives a time."""

LINGER = 32.0
"""Seconds (64*T1) for which the last NOTIFY of an expired subscription is awaited."""

ENDS_SUBSCRIPTION = frozenset({404, 405, 408, 410, 416, *range(480, 486), 489, 501, 604})
"""Responses to a SUBSCRIBE or NOTIFY within a dialog that terminate the subscription (RFC 6665 sections 4.1.2.2 and
4.2.2, RFC 5057)."""

_DEACTIVATED = "terminated;reason=deactivated"
"""Subscription-State where the proxy terminates a subscription: the subscriber may try again at once (RFC 6665 section
4.1.3)."""


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A Subscription-State header.

    :ivar terminated: whether this NOTIFY is the last one.
    :ivar seconds: the remaining time of the subscription; None where the header does not say.
    """

    terminated: bool
    seconds: int | None

    @classmethod
    def of(cls, notify: Request) -> SubscriptionState:
        """Read the header of a NOTIFY.

        :raises BadMessage: 400 where it is missing.
        """
        value = notify.headers.get("Subscription-State")
        if value is None:
            raise BadMessage("Missing Subscription-State")
        state, _, params = value.partition(";")
        expires = find_param(parse_params(params), "expires") if params else None
        return cls(state.strip().lower() == "terminated", None if expires is None else number(expires, MAX_SECONDS))


class Subscription:
    """One subscription.

    :param context: the shared objects of the process.
    :param legs: the index of the dialogs.
    :param near: the subscriber's leg.
    :param event: the Event that is subscribed to.
    :param ended: called with the subscription, once, when it has terminated.
    :ivar far: the notifier's leg; None before its first message.
    :ivar notified: whether a NOTIFY has arrived.
    :ivar over: whether it has terminated: nothing is relayed any more.
    :ivar pending_request: the SUBSCRIBE or REFER whose response the subscriber awaits.
    """

    def __init__(
        self, context: Context, legs: DialogTable, near: Leg, event: str, ended: Callable[[Subscription], None]
    ) -> None:
        self.near = near
        self.far: Leg | None = None
        self.notified = False
        self.over = False
        self._context = context
        self._legs = legs
        self._event = event
        self._ended = ended
        self._limit: IDelayedCall | None = None
        self._numbers = {near: near.dialog.remote_cseq}  # CSeq of the REFER, where it created the subscription
        self.pending_request: ServerTransaction | None = None
        self._waiting_for_flow: list[Deferred[None]] = []
        self._flows = FlowMonitor(context.transactions.schedule, context.limits.grace, self._abandoned)
        near.owner = self
        self._flows.watch(near)

    def open(self, far: Leg) -> None:
        """Set the notifier's leg. It replaces one that has not sent a NOTIFY, since the NOTIFY creates the dialog (RFC
        6665 section 4.4.1). Where the subscription has ended meanwhile, the notifier gets an unsubscribe."""
        if self.over:
            self._unsubscribe(far)
            return
        if self.far is not None:
            self.far.hung_up()
        self.far = far
        far.owner = self
        self.near.answer_challenges_for(far)
        self._numbers[far] = far.dialog.local_cseq
        self._flows.watch(far)
        self._set_expiry(DEFAULT_EXPIRES)

    # As the user of both dialogs

    def transferable(self) -> None:
        """None: a subscription can't be transferred."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """Handle a request within one of the dialogs.

        :raises Refusal: 405 for any but SUBSCRIBE of the subscriber and NOTIFY of the notifier.
        """
        method = transaction.request.method
        if method == "SUBSCRIBE" and leg is self.near:
            run_and_respond(self._refresh(transaction), transaction)
        elif method == "NOTIFY" and leg is self.far:
            run_and_respond(self._notify(leg, transaction), transaction)
        else:
            raise Refusal(405, "", [("Allow", "SUBSCRIBE, OPTIONS" if leg is self.near else "NOTIFY, OPTIONS")])

    def bye_arrived(self, leg: Leg, bye: Request) -> None:
        """Do nothing: no BYE ends a subscription."""

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Do nothing: these dialogs have no INVITE that could be cancelled."""

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is reached on another flow: responses and requests go there."""
        self._legs.move(leg, flow)
        if leg is self.near and self.pending_request is not None and not self.pending_request.answered:
            self.pending_request.flow = flow
        self._flows.watch(leg)
        self._wake()

    def _abandoned(self, leg: Leg) -> None:
        if leg not in (self.near, self.far):
            return
        log.info("{call}: the browser of a subscription did not come back", call=self.near.dialog.call_id)
        self.end([other for other in (self.near, self.far) if other is not None and other is not leg])

    # SUBSCRIBE

    async def _refresh(self, transaction: ServerTransaction) -> None:
        far = self.far
        if far is None:
            raise Refusal(500, "", [("Retry-After", "1")])  # the first SUBSCRIBE has no response yet
        request = transaction.request
        self.near.dialog.refresh(request)
        self.pending_request = transaction
        headers = self._relayed_headers(request, self.near, far)
        bound_expires(headers, request)
        try:
            response = await self._send_request(far, request, headers)
        except TimedOut:
            transaction.reply(504)
            self.end([self.near])
            return
        finally:
            self.pending_request = None
        if response.status < 300:
            _refresh_target(far, response)
        self.respond(transaction, response, far.profile)

    def respond(self, transaction: ServerTransaction, response: Response, source: PeerProfile) -> None:
        """Send the subscriber the notifier's response to its SUBSCRIBE or REFER.

        :param source: the profile of the notifier.
        """
        headers = response_headers(response, source, self.near.profile)
        if response.status < 300:
            seconds = _granted(response, transaction.request)
            if transaction.request.method == "SUBSCRIBE":  # for REFER the NOTIFYs do (RFC 3515 section 2.4.4)
                headers.set("Expires", str(seconds))
            headers.add("Contact", self.near.dialog.contact)
            self._set_expiry(seconds)
        transaction.reply(status_of(response), response.reason, headers, crossing_body(response))
        if response.status in ENDS_SUBSCRIPTION:
            self.end([self.near] if response.status == 408 else ())  # it gets 504 instead

    # NOTIFY

    async def _notify(self, far: Leg, transaction: ServerTransaction) -> None:
        request, near = transaction.request, self.near
        state = SubscriptionState.of(request)
        far.dialog.refresh(request)
        self.notified = True
        if state.seconds is not None:
            self._set_expiry(state.seconds)
        try:
            response = await self._send_request(near, request, self._relayed_headers(request, far, near))
            if response.status < 300:
                _refresh_target(near, response)
            headers = response_headers(response, near.profile, far.profile)
            transaction.reply(status_of(response), response.reason, headers, crossing_body(response))
            if response.status in ENDS_SUBSCRIPTION:
                self.end()
        except TimedOut:
            transaction.reply(504)
            self.end()
        finally:
            if state.terminated:
                self.end()

    # Both

    def _relayed_headers(self, request: Request, source: Leg, to: Leg) -> Headers:
        """The headers that cross. The subscription of a REFER may have an id: the CSeq number of the REFER, which
        differs between the legs (RFC 3515 section 2.4.6)."""
        headers = request_headers(request, source.profile, to.profile)
        if is_refer(request) and refer_id(request) is not None:
            headers.set("Event", with_id(request.headers.get("Event") or "", str(self._numbers[to])))
        return headers

    async def _send_request(self, to: Leg, request: Request, headers: Headers) -> Response:
        """Send a request to the peer of `to`, and return its final response. A browser that has lost its socket may
        reconnect within the grace time.

        :raises Refusal: 481 where the subscription ends meanwhile, 480 where the browser does not reconnect in time,
            502 where the SIP side can't be reached.
        :raises TimedOut: it does not respond.
        """
        with Deadline(self._context.transactions.schedule) as deadline:
            for last in (False, True):
                if to.profile.flow_bound and to.flow.closed and not self.over:
                    await self._wait_for_flow(deadline)
                if self.over:
                    raise Refusal(481)
                try:
                    return await send_within(to, request, headers, deadline)
                except FlowLost as why:
                    if last or not to.flow.closed:
                        raise to.profile.unreachable() from why
        raise AssertionError

    async def _wait_for_flow(self, deadline: Deadline) -> None:
        """Wait until a browser that has lost its socket is connected again.

        :raises Refusal: 480 where it takes too long.
        """
        back: Deferred[None] = Deferred()
        self._waiting_for_flow.append(back)
        try:
            await deadline.wait(back)
        except TimedOut as why:
            raise Refusal(480) from why

    def _wake(self) -> None:
        waiting, self._waiting_for_flow = self._waiting_for_flow, []
        for back in waiting:
            back.callback(None)

    # The end

    def _set_expiry(self, seconds: int) -> None:
        """Let the subscription expire after so many seconds, and a little later, since the notifier sends the last
        NOTIFY."""
        if self.over:
            return
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self._context.clock.callLater(min(seconds, MAX_EXPIRES) + LINGER, self._expired)

    def _expired(self) -> None:
        self._limit = None
        self.end()

    def end(self, notify: Container[Leg] = ()) -> None:
        """Terminate the subscription; no error where it is terminated already.

        :param notify: the legs whose peers do not know it yet, and get a last NOTIFY or SUBSCRIBE.
        """
        if self.over:
            return
        self.over = True
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        self._flows.stop()
        for leg in (self.near, self.far):
            if leg is not None and leg in notify:
                self._unsubscribe(leg)
            elif leg is not None:
                leg.hung_up()
        self._wake()
        ended, self._ended = self._ended, _ignore  # breaks a reference cycle
        ended(self)

    def _unsubscribe(self, leg: Leg) -> None:
        """Send the last request within a dialog; later requests of the peer get 481."""
        leg.owner = None
        if leg is self.near:
            sent = maybeDeferred(
                leg.send_request, "NOTIFY", (("Event", self._event), ("Subscription-State", _DEACTIVATED)), own=True
            )
        else:
            sent = maybeDeferred(leg.send_request, "SUBSCRIBE", (("Event", self._event), ("Expires", "0")), own=True)
        sent.addErrback(_not_ended, leg.dialog.call_id).addBoth(lambda _: leg.hung_up())


def bound_expires(headers: Headers, request: Request) -> None:
    """Limit the Expires of a request to `MAX_EXPIRES`.

    :raises BadMessage: Expires can't be read.
    """
    if request.expires is not None and request.expires > MAX_EXPIRES:
        headers.set("Expires", str(MAX_EXPIRES))


def _ignore(subscription: Subscription) -> None:
    """Do nothing: the end has been reported."""


def _granted(response: Response, request: Request) -> int:
    """The seconds that a 2xx grants, else those that the request asked for: not all notifiers send the mandatory
    Expires."""
    for message in (response, request):
        seconds = _expires(message)
        if seconds is not None:
            return min(seconds, MAX_EXPIRES)
    return DEFAULT_EXPIRES


def _expires(message: Message) -> int | None:
    try:
        return message.expires
    except BadMessage:
        return None


def _refresh_target(leg: Leg, response: Response) -> None:
    """Take the Contact of a 2xx as remote target; one that leads nowhere is ignored."""
    try:
        leg.dialog.refresh(response)
    except BadMessage as error:
        log.info("{call}: the remote target stays: {why}", why=error.why, call=leg.dialog.call_id)


def _not_ended(failure: Failure, call_id: str) -> None:
    if failure.check(FlowLost, TimedOut, Refusal):
        log.info("{call}: the last request of a subscription has no answer: {why!r}", why=failure.value, call=call_id)
    else:
        log.failure("{call}: the last request of a subscription could not be sent", failure, call=call_id)
