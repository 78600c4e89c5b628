"""Requester: the side that has requested a change of the session, its request, and the responses to it (RFC 3261
section 14.2, RFC 3311 section 5.2)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.relay import status_of
from webrtcproxy.dialog.reliable import requires
from webrtcproxy.routing.peer_profile import filter_headers
from webrtcproxy.runtime.errors import BadDescription, NgError, Refusal
from webrtcproxy.session.connected_line import change_from, show_identity
from webrtcproxy.session.description import NegotiationContext
from webrtcproxy.sip.capabilities import ALLOW, SUPPORTED
from webrtcproxy.sip.message import Headers, Request, Response, respond
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()


class Requester:
    """The side of an exchange that gets the final response, and perhaps provisional ones before.

    :param session: what the exchanges of the call share.
    :param leg: the leg on which the request arrived.
    :param transaction: the request.
    :param other: the other leg.
    :ivar leg: as given.
    :ivar request: the request.
    :ivar ack: fires with the ACK for the 2xx to an INVITE without an offer; with None where the call ends before.
    """

    def __init__(self, session: NegotiationContext, leg: Leg, transaction: ServerTransaction, other: Leg) -> None:
        self.leg = leg
        self.request = transaction.request
        self.ack: Deferred[Request | None] = Deferred()
        self._session = session
        self._transaction = transaction
        self._other = other

    @property
    def answered(self) -> bool:
        """Whether it has its final response."""
        return self._transaction.answered

    def has_sent(self, transaction: ServerTransaction) -> bool:
        """Whether its request is that of `transaction`."""
        return self._transaction is transaction

    def moved(self, flow: Flow) -> None:
        """Its peer is now reached on another flow: send the response there."""
        if not self.answered:
            self._transaction.flow = flow

    def headers_across(self) -> Headers:
        """The headers of the request that cross to the other side."""
        headers = Headers.of([ALLOW[0]], [ALLOW[1]])
        headers.extend(filter_headers(self.request, self.leg.profile, self._other.profile))
        change_from(self._session.context.proofs, self.leg, self._other)
        show_identity(headers, self.request, self.leg.caller, self._other)
        return headers

    def send_1xx(self, response: Response) -> None:
        """Relay a 1xx of the other side without SDP: the answer is in the 2xx. Where the requester requires reliable
        responses, none is relayed: no re-INVITE needs one (RFC 3262)."""
        if self.request.method == "INVITE" and not self.answered and not requires(self.request):
            headers = Headers.of(["Contact"], [self.leg.dialog.contact])
            headers.extend(self._headers_back(response))
            self._transaction.reply(response.status, response.reason, headers)

    def send_2xx(self, sdp: bytes, response: Response | None = None) -> None:
        """Send the 2xx.

        :param sdp: the answer; the offer where the request had none.
        :param response: the 2xx of the other side, where the request was relayed.
        """
        leg, request, transaction = self.leg, self.request, self._transaction
        status, reason = 200, ""
        headers = Headers.of(["Allow", "Contact"], [ALLOW[1], leg.dialog.contact])
        if response is not None:
            status, reason = response.status, response.reason
            headers.extend(self._headers_back(response))
        if request.method != "PRACK":  # a PRACK does not refresh the session (RFC 4028 section 7.4)
            for name, value in (SUPPORTED, *leg.session_timer.accept(request)):
                headers.add(name, value)
        headers.add("Content-Type", "application/sdp")
        if request.method != "INVITE":
            transaction.reply(status, reason, headers, sdp)
            return
        reply = respond(request, status, reason, to_tag=transaction.to_tag, headers=headers, body=sdp)
        leg.answer(transaction, reply, self._no_ack, None if request.body else self.end_wait)

    def refuse(self, refusal: Refusal) -> None:
        """Send a final response other than a 2xx; no error where one was sent already."""
        refusal.__traceback__ = None  # breaks a reference cycle through the waiting frames
        if self.answered:
            return
        if isinstance(refusal, NgError):
            why = getattr(refusal, "why", refusal)
            failed = log.info if isinstance(refusal, BadDescription) else log.error  # that one is the peer's fault
            failed("{call}: the session could not be changed: {why}", why=why, call=self.leg.dialog.call_id)
        self._transaction.reply(refusal.status, refusal.reason, refusal.headers)

    def refusal_of(self, response: Response) -> Refusal:
        """The refusal that relays the other side's final response, which is not a 2xx."""
        headers = filter_headers(response, self._other.profile, self.leg.profile)
        silent = response.status == 408 and self.request.method == "INVITE"
        status = 408 if silent else status_of(response)
        return Refusal(status, response.reason if status == response.status else "", headers)

    def _headers_back(self, response: Response) -> Headers:
        """The headers of a response of the other side that cross to the requester."""
        headers = filter_headers(response, self._other.profile, self.leg.profile)
        show_identity(headers, response, self._other.caller, self.leg)
        return headers

    def end_wait(self, ack: Request | None) -> None:
        """The ACK has arrived.

        :param ack: None where the call has ended instead.
        """
        if not self.ack.called:
            self.ack.callback(ack)

    def _no_ack(self) -> None:
        self.leg.unacknowledged()
        self._session.unacknowledged(self.leg)
