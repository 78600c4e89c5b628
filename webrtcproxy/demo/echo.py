"""Echo: a user agent that answers every call and returns its audio (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.demo.echocall import METHODS, EchoCall
from webrtcproxy.demo.rtp import RtpPorts
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction

ALLOW = [("Allow", METHODS)]
CALLS = 50
"""Calls at once."""

DialogId = tuple[str, str, str]
"""Call-ID, our tag, the caller's tag (RFC 3261 section 12)."""


class Echo:
    """All calls to the echo.

    :param clock: for ringing, retransmissions and the time limit.
    :param transactions: sends BYE.
    :param ports: opens the sockets that return the audio.
    """

    def __init__(self, clock: IReactorTime, transactions: Transactions, ports: RtpPorts) -> None:
        self._clock = clock
        self._transactions = transactions
        self._ports = ports
        self._calls: dict[DialogId, EchoCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """A request for the echo: a new call, a request within one, or OPTIONS.

        :raises BadMessage: a header that is needed is malformed.
        """
        request = transaction.request
        if "Require" in request.headers and request.method != "CANCEL":
            unsupported = ", ".join(request.headers.all("Require"))
            transaction.reply(420, headers=[("Unsupported", unsupported)])
        elif request.to.tag is not None:
            self._within_dialog(transaction)
        elif request.method == "INVITE":
            self._invited(transaction)
        elif request.method == "OPTIONS":
            transaction.reply(200, headers=[*ALLOW, ("Accept", "application/sdp")])
        elif request.method in ("BYE", "INFO", "UPDATE"):
            transaction.reply(481)
        else:
            transaction.reply(405, headers=ALLOW)

    def ack_arrived(self, ack: Request) -> None:
        """An ACK of a 200."""
        call = self._calls.get((ack.call_id, ack.to.tag or "", ack.from_.tag or ""))
        if call is not None:
            call.acknowledged(ack.cseq.number)

    def cancelled(self, transaction: ServerTransaction) -> None:
        """The caller has cancelled while it rang."""
        for call in list(self._calls.values()):
            if call.invite is transaction:
                call.cancelled()

    def stop(self) -> None:
        """Hang up all calls."""
        for call in list(self._calls.values()):
            call.hang_up()

    def _invited(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if len(self._calls) >= CALLS:
            transaction.reply(486)
            return
        if request.body and request.content_type != "application/sdp":
            transaction.reply(415, headers=[("Accept", "application/sdp")])
            return
        caller = request.from_.tag or ""
        target = _contact(request)
        socket = self._ports.open()
        if socket is None:
            transaction.reply(503, headers=[("Retry-After", "30")])
            return
        dialog = request.call_id, transaction.to_tag, caller
        call = EchoCall(self._clock, self._transactions, transaction, target, self._ports.host, socket)
        call.over = lambda: self._forget(dialog)
        self._calls[dialog] = call
        call.ring()

    def _forget(self, dialog: DialogId) -> None:
        self._calls.pop(dialog, None)

    def _within_dialog(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        call = self._calls.get((request.call_id, request.to.tag or "", request.from_.tag or ""))
        if call is None:
            transaction.reply(481)
        elif not call.in_order(request.cseq.number):
            transaction.reply(500, "CSeq Out Of Order")
        elif request.method in ("INVITE", "UPDATE"):
            call.changed(transaction, _contact(request))
        elif request.method == "BYE":
            call.ended(transaction)
        elif request.method in ("INFO", "OPTIONS"):
            transaction.reply(200, headers=ALLOW)
        else:
            transaction.reply(405, headers=ALLOW)


def _contact(request: Request) -> str:
    """The URI of the only Contact of an INVITE (RFC 3261 section 8.1.1.8)."""
    contacts = request.contacts
    if not isinstance(contacts, list) or len(contacts) != 1:
        raise BadMessage("Bad Contact")
    return contacts[0].uri
