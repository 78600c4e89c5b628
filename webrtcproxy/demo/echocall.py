"""EchoCall: one call to the echo, from its INVITE to its BYE."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from webrtcproxy.demo import answer
from webrtcproxy.demo.rtp import EchoSocket
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.sip.headers import CSeq
from webrtcproxy.sip.message import Headers, Request, Response, respond
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction

METHODS = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
RING = 0.6
"""Seconds from 180 to 200, long enough to notice the ringing."""
LIMIT = 600.0
"""Seconds that a call may last."""
T1, T2, GIVE_UP = 0.5, 4.0, 32.0
"""A 200 is repeated after T1, then twice as late each time up to T2, until its ACK or GIVE_UP (section 13.3.1.4)."""


def _nothing() -> None:
    """The default of `EchoCall.over`."""


class EchoCall:
    """A dialog, an RTP socket, and the timers of both.

    :param clock: for the timers.
    :param transactions: sends the BYE.
    :param invite: the caller's INVITE.
    :param target: the caller's Contact: the Request-URI of our BYE.
    :param host: our IP address in SDP.
    :param socket: returns the audio.
    :ivar over: called once at the end.
    """

    def __init__(
        self,
        clock: IReactorTime,
        transactions: Transactions,
        invite: ServerTransaction,
        target: str,
        host: str,
        socket: EchoSocket,
    ) -> None:
        self.invite = invite
        self.over: Callable[[], None] = _nothing
        self._clock = clock
        self._transactions = transactions
        self._target = target
        self._host = host
        self._socket = socket
        self._flow = invite.flow
        self._cseq = invite.request.cseq.number
        self._session = secrets.randbelow(2**31)
        self._version = 0
        self._timer: IDelayedCall | None = None
        self._resend: IDelayedCall | None = None
        self._unconfirmed: tuple[ServerTransaction, Response] | None = None
        self._up = False

    def ring(self) -> None:
        """Ring, and answer after a moment; refuse at once if there is no common codec."""
        sdp = self._sdp(self.invite.request.body)
        if sdp is None:
            self.invite.reply(488)
            self._end()
            return
        self.invite.reply(180, headers=self._contact())
        self._timer = self._clock.callLater(RING, self._answer, sdp)

    def in_order(self, cseq: int) -> bool:
        """False for a request older than the last one (section 12.2.2); otherwise it becomes the last one."""
        if cseq <= self._cseq:
            return False
        self._cseq = cseq
        return True

    def acknowledged(self, cseq: int) -> None:
        """The ACK of a 200 has arrived: stop retransmitting it."""
        if self._unconfirmed is not None and self._unconfirmed[0].request.cseq.number == cseq:
            self._confirmed()

    def changed(self, transaction: ServerTransaction, target: str) -> None:
        """A re-INVITE or UPDATE: hold, resume, other codecs, or a session refresh."""
        request = transaction.request
        if not self._up or (request.method == "INVITE" and self._unconfirmed is not None):
            transaction.reply(500, headers=[("Retry-After", "1")])
            return
        sdp = self._sdp(request.body) if request.body or request.method == "INVITE" else b""
        if sdp is None:
            transaction.reply(488)
            return
        self._target = target
        self._flow = transaction.flow
        response = self._ok(transaction, sdp)
        transaction.respond(response)
        if request.method == "INVITE":
            self._repeat(transaction, response)

    def cancelled(self) -> None:
        """A CANCEL while it rang."""
        if not self.invite.answered:
            self.invite.reply(487)
            self._end()

    def ended(self, transaction: ServerTransaction) -> None:
        """A BYE from the caller."""
        transaction.reply(200)
        if not self.invite.answered:
            self.invite.reply(487)
        self._end()

    def hang_up(self) -> None:
        """Send a BYE, or a 480 if the call is not answered yet; the call is over at once."""
        if not self.invite.answered:
            self.invite.reply(480)
        elif self._up:
            final: Deferred[Response] = self._transactions.request(self._bye(), self._flow).final
            final.addErrback(_ignore_failure)
        self._end()

    def _answer(self, sdp: bytes) -> None:
        self._up = True
        self._timer = self._clock.callLater(LIMIT, self.hang_up)
        response = self._ok(self.invite, sdp)
        self.invite.respond(response)
        self._repeat(self.invite, response)

    def _sdp(self, body: bytes) -> bytes | None:
        """Our answer, or our offer if there was none; None if there is no common codec."""
        self._version += 1
        place = self._host, self._socket.port, self._session, self._version
        if not body:
            return answer.offer(*place)
        found = answer.answer(body, *place)
        if found is None:
            return None
        self._socket.sends = found.sends
        return found.body

    def _ok(self, transaction: ServerTransaction, sdp: bytes) -> Response:
        headers = [*self._contact(), ("Allow", METHODS)]
        if sdp:
            headers.append(("Content-Type", "application/sdp"))
        return respond(transaction.request, 200, to_tag=transaction.to_tag, headers=headers, body=sdp)

    def _contact(self) -> list[tuple[str, str]]:
        return [("Contact", f"<sip:echo@{self._flow.sent_by}>")]

    def _repeat(self, transaction: ServerTransaction, response: Response) -> None:
        self._unconfirmed = transaction, response
        self._resend = self._clock.callLater(T1, self._again, T1, self._clock.seconds())

    def _again(self, interval: float, since: float) -> None:
        if self._unconfirmed is None:
            return
        if self._clock.seconds() - since >= GIVE_UP:
            self._confirmed()
            self.hang_up()
            return
        transaction, response = self._unconfirmed
        transaction.respond(response)
        interval = min(2 * interval, T2, since + GIVE_UP - self._clock.seconds())
        self._resend = self._clock.callLater(interval, self._again, interval, since)

    def _confirmed(self) -> None:
        self._unconfirmed = None
        _stop(self._resend)

    def _bye(self) -> Request:
        """Our BYE (section 12.2.1.1); the route set is the INVITE's Record-Route."""
        invite = self.invite.request
        headers = Headers([("Max-Forwards", "70")])
        for route in invite.headers.all("Record-Route"):
            headers.add("Route", route)
        headers.add("From", str(invite.to.with_tag(self.invite.to_tag)))
        headers.add("To", str(invite.from_))
        headers.add("Call-ID", invite.call_id)
        headers.add("CSeq", str(CSeq(1, "BYE")))
        return Request("BYE", self._target, headers)

    def _end(self) -> None:
        self._up = False
        self._confirmed()
        _stop(self._timer)
        self._socket.close()
        over, self.over = self.over, _nothing
        over()


def _stop(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()


def _ignore_failure(failure: Failure) -> None:
    """Ignore the failure of a BYE: the call is over anyway."""
    failure.trap(FlowLost, TimedOut)
