"""Transfers: handles the REFERs within one call, and the NOTIFYs of their progress (RFC 3515, RFC 5589).

A REFER is relayed to the other side, whose response comes back; the NOTIFYs of its progress are relayed the other way.
Where the trunk's section says `refer = local`, the proxy carries out itself what the trunk refuses (`local.py`).
"""

from __future__ import annotations

from collections import deque

from twisted.logger import Logger

from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg, TransferableCall
from webrtcproxy.dialog.refer import ReferSubscription, has_no_subscription, is_refer, is_terminated, refer_id, with_id
from webrtcproxy.dialog.relay import ENDS_DIALOG, crossing_body, relay, request_headers, response_headers, status_of
from webrtcproxy.dialog.replaces import Party, match_own_dialog, prepare_refer
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.refer_target import check_refer_target
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.message import Headers, Response
from webrtcproxy.sip.refer_to import refer_to
from webrtcproxy.sip.replaces import replaces_of
from webrtcproxy.transaction.deadline import Deadline
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transfer.local import ConsultationCall, LocalTransfer
from webrtcproxy.transfer.triggered_invite import invite_for_refer, refer_next_hops

log = Logger()

METHODS = ("REFER", "NOTIFY", "SUBSCRIBE")
"""The methods that :meth:`Transfers.arrived` handles."""

WILL_NOT = frozenset({405, 501, 603})
"""Responses that refuse a REFER as such, whatever its target."""

MAX_SUBSCRIPTIONS = 8
"""Most subscriptions of one call at once."""
RATE = 10
"""Most REFERs of one call within `WINDOW`."""
WINDOW = 60.0
"""Seconds."""


class Transfers:
    """The transfers of one call.

    :param context: the shared objects of the process.
    :param legs: the index of dialogs.
    """

    def __init__(self, context: Context, legs: DialogTable) -> None:
        self._context = context
        self._legs = legs
        self._subscriptions: list[ReferSubscription] = []
        self._times: deque[float] = deque(maxlen=RATE)

    def arrived(self, call: TransferableCall, leg: Leg, transaction: ServerTransaction) -> None:
        """Handle a REFER, NOTIFY or SUBSCRIBE within the dialog of `leg`; also after the end of the call.

        :raises Refusal: 481 for an unknown dialog or subscription; 500 with Retry-After for too many REFERs.
        :raises BadMessage: the request can't be read.
        """
        request = transaction.request
        other = call.other(leg)
        if other is None:
            raise Refusal(481)
        if request.method == "REFER":
            self._admit(leg, other)
            refer_to(request.headers)
            leg.dialog.refresh(request)
            run_and_respond(self._refer(call, leg, other, transaction), transaction)
            return
        subscription = self._find(leg, refer_id(request)) if is_refer(request) else None
        if subscription is not None:
            leg.dialog.refresh(request)
            run_and_respond(self._relay_within(subscription, leg, transaction), transaction)
        elif leg.over or other.over:
            raise Refusal(481)
        else:
            relay(transaction, leg, other, self._context.transactions.schedule, _ignore)

    # REFER

    def _admit(self, leg: Leg, other: Leg) -> None:
        if leg.over or other.over:
            raise Refusal(481)
        now, times = self._context.clock.seconds(), self._times
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS or (len(times) == RATE and now - times[0] < WINDOW):
            raise Refusal(500, "Too Many Transfers", [("Retry-After", "10")])
        times.append(now)

    async def _refer(self, call: TransferableCall, leg: Leg, other: Leg, transaction: ServerTransaction) -> None:
        request, rates, trunk, calls = transaction.request, self._context.access.rates, other.profile.trunk, False
        if leg.profile.browser:
            rates.check_browser(request, leg.flow.peer.host, leg.caller)
            calls = await check_refer_target(self._context, request, leg, trunk, self._legs)
            if leg.over or other.over:
                raise Refusal(481)
        headers = request_headers(request, leg.profile, other.profile)
        transferor, transferee = Party(leg.flow, leg.profile, leg.user), Party(other.flow, other.profile, other.user)
        prepare_refer(headers, transferor, transferee, self._legs, self._context)
        local = other.profile.transfers_locally(leg.profile)
        if local and other.refuses("REFER"):
            self._transfer_locally(call, leg, other, transaction)
            return
        if calls and trunk is not None:
            rates.check_callee(request.log_id, trunk, "REFER")
        subscription = self._open(leg, other, request.cseq.number)
        try:
            response = await self._send_request(other, transaction, headers, subscription)
        except Refusal as refusal:
            subscription.close()
            if refusal.status == 504:
                transaction.reply(504)
                call.dialog_terminated(other)
            raise
        if response.status >= 300 or has_no_subscription(response):
            subscription.close()
        if local and response.status in WILL_NOT:
            self._transfer_locally(call, leg, other, transaction)
            return
        self._reply(transaction, response, other, leg)
        if response.status in ENDS_DIALOG:
            call.dialog_terminated(other)

    def _open(self, leg: Leg, other: Leg, number: int) -> ReferSubscription:
        context = self._context
        subscription = ReferSubscription(
            leg, other, number, context.transactions.schedule, context.limits.ring, self._subscriptions.remove
        )
        self._subscriptions.append(subscription)
        return subscription

    def _transfer_locally(self, call: TransferableCall, leg: Leg, other: Leg, transaction: ServerTransaction) -> None:
        """Carry out the transfer in place of the transferee.

        :raises Refusal: 491 while the session is being changed; 403, 404, 416 for a target that the transferor may not
            call; 603 for a consultation call that can't be joined with this one.
        """
        request = transaction.request
        uri = refer_to(request.headers).address
        named = replaces_of(uri)
        if call.busy() or leg.over or other.over or not other.dialog.confirmed:
            raise Refusal(491)
        ends = None if named is None else match_own_dialog(named, leg.flow, self._legs, self._context)
        if ends is None:
            invite = invite_for_refer(request, uri, other, named)
            find, redirection = refer_next_hops(self._context, invite, leg)
            self._accept(call, leg, other, transaction).call(find, invite, redirection)
            return
        consulted = ConsultationCall(*ends)
        if consulted.call is call or consulted.leg.over or consulted.own.over:
            raise Refusal(603)
        if consulted.call.busy() or not consulted.leg.dialog.confirmed:
            raise Refusal(491)
        self._accept(call, leg, other, transaction).join(consulted)

    def _accept(self, call: TransferableCall, leg: Leg, other: Leg, transaction: ServerTransaction) -> LocalTransfer:
        """Answer the transferor's REFER with 202, and create the transfer."""
        request, headers = transaction.request, [("Contact", leg.dialog.contact)]
        number: int | None = request.cseq.number
        if has_no_subscription(request):
            number = None
            headers.append(("Refer-Sub", "false"))
        transfer = LocalTransfer(self._context, self._legs, call, leg, other, number)
        transaction.reply(202, "", headers)
        return transfer

    # NOTIFY, and SUBSCRIBE as a refresh

    def _find(self, leg: Leg, id: str | None) -> ReferSubscription | None:
        return next((subscription for subscription in self._subscriptions if subscription.is_of(leg, id)), None)

    async def _relay_within(self, subscription: ReferSubscription, leg: Leg, transaction: ServerTransaction) -> None:
        """Relay a request of a subscription, with the id that the subscription has on the other leg."""
        request = transaction.request
        other = subscription.notifier if leg is subscription.subscriber else subscription.subscriber
        subscription.extend()
        headers = request_headers(request, leg.profile, other.profile)
        if refer_id(request) is not None or len(self._subscriptions) > 1:
            headers.set("Event", with_id(request.headers.get("Event") or "", subscription.id_for(other)))
        try:
            response = await self._send_request(other, transaction, headers)
        finally:
            if request.method == "NOTIFY" and is_terminated(request):
                subscription.close()
        if response.status == 481:
            subscription.close()
        self._reply(transaction, response, other, leg)

    # Both

    async def _send_request(
        self,
        other: Leg,
        transaction: ServerTransaction,
        headers: Headers,
        refer: ReferSubscription | None = None,
    ) -> Response:
        """The final response of the far side.

        :raises Refusal: 504 where it does not respond, else why it can't be reached.
        """
        request = transaction.request
        try:
            with Deadline(self._context.transactions.schedule) as deadline:
                return await deadline.wait(
                    other.send_request(request.method, headers, crossing_body(request), "", refer)
                )
        except FlowLost as why:
            raise other.profile.unreachable() from why
        except TimedOut as silence:
            raise Refusal(504) from silence

    def _reply(self, transaction: ServerTransaction, response: Response, other: Leg, leg: Leg) -> None:
        headers = response_headers(response, other.profile, leg.profile)
        if response.status < 300 and transaction.request.method != "NOTIFY":
            headers.add("Contact", leg.dialog.contact)
        transaction.reply(status_of(response), response.reason, headers, crossing_body(response))


def _ignore(leg: Leg) -> None:
    """An unanswered request of a subscription does not end the call (RFC 5057 section 5.1)."""
