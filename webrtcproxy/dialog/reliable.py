"""Reliable provisional responses (RFC 3262). Each leg has its own: ``Require: 100rel``, RSeq and RAck never cross."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.capabilities import OPTION_100REL
from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.message import Message, Request, Response, respond
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transaction.timers import RFC3261, Timers
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_WAITING = 16
"""Most reliable responses that may await the PRACK of an earlier one; further ones are dropped."""
MAX_RSEQ = 2**32 - 1


class ReliableProvisionals:
    """The proxy's provisional responses to one INVITE.

    They are sent reliably where the peer requires it for all of them (``Require``), or supports it and they carry SDP,
    which is then the answer (or offer) and not a preview. Where the INVITE has no offer, the first reliable one has to
    have it (section 5): until there is one, a peer that requires 100rel gets none.

    :param schedule: runs the timers.
    :param transaction: the INVITE.
    :param unacknowledged: called when no PRACK arrives within 64*T1.
    """

    __slots__ = (
        "_begun", "_elapsed", "_interval", "_known", "_number", "_offered", "_out", "_refused", "_required",
        "_schedule", "_settled", "_stopped", "_supported", "_timer", "_timers", "_transaction", "_unacknowledged",
        "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        schedule: Schedule,
        transaction: ServerTransaction,
        unacknowledged: Callable[[], None],
        timers: Timers = RFC3261,
    ) -> None:
        self._schedule = schedule
        self._transaction = transaction
        self._unacknowledged = unacknowledged
        self._timers = timers
        self._known = self._required = self._supported = False
        self._begun = self._stopped = False
        self._offered = bool(transaction.request.body)
        self._number = 0
        self._out: Response | None = None
        self._refused: Response | None = None
        self._waiting: deque[Response] = deque()
        self._settled: list[Deferred[None]] = []
        self._timer: Timer | None = None
        self._interval = self._elapsed = 0.0

    @property
    def reliable(self) -> bool:
        """Whether SDP is sent in reliable responses."""
        if not self._known:
            request = self._transaction.request
            self._known, self._required = True, requires(request)
            self._supported = self._required or OPTION_100REL in request.headers.all("Supported")
        return self._supported

    def send(self, status: int, reason: str, headers: Iterable[tuple[str, str]], sdp: bytes) -> None:
        """Send a provisional response, 101 to 199; a reliable one after the PRACK of the previous one, and none before
        the offer."""
        if not self.reliable or not (sdp or self._required):
            self._begun = True
            self._transaction.reply(status, reason, headers, sdp)
            return
        if self._stopped or len(self._waiting) >= MAX_WAITING or not (sdp or self._offered):
            return
        self._begun = self._offered = True
        request, tag = self._transaction.request, self._transaction.to_tag
        response = respond(request, status, reason, to_tag=tag, headers=headers, body=sdp)
        response.headers.add("Require", OPTION_100REL)
        self._waiting.append(response)
        self._next()

    def match(self, prack: Request) -> Response | None:
        """The response that `prack` acknowledges; None where no response awaits it (section 3). One whose PRACK was
        refused may get another one."""
        rack = (prack.headers.get("RAck") or "").split()
        for out in (self._out, self._refused):
            if out is not None and rack == [out.headers.get("RSeq"), str(out.cseq.number), out.cseq.method]:
                return out
        return None

    def acknowledge(self, response: Response, refused: bool = False) -> None:
        """`response`, which :meth:`match` has found, has its PRACK.

        :param refused: whether the PRACK is refused, for its offer: the response has arrived all the same.
        """
        self._refused = response if refused else None
        if response is not self._out:
            return
        self._stop_timer()
        self._out = None
        self._next()
        if not self._has_sdp():
            self._fire_settled()

    def settled(self) -> Deferred[None]:
        """Fires with None when no SDP awaits its PRACK, or none is awaited any more: before that, no 2xx may be sent
        (section 3), and no offer be made (RFC 3311 section 5.1)."""
        if self._stopped or not self._has_sdp():
            return succeed(None)
        settled: Deferred[None] = Deferred()
        self._settled.append(settled)
        return settled

    @property
    def begun(self) -> bool:
        """Whether one was sent: the peer has an early dialog."""
        return self._begun

    @property
    def pending(self) -> bool:
        """Whether a response awaits its PRACK."""
        return self._out is not None

    def stop(self) -> None:
        """The final response is sent: no more provisional ones are, but a PRACK that arrives is still accepted."""
        self._stopped = True
        self._stop_timer()
        self._waiting.clear()
        self._unacknowledged = _ignore
        self._fire_settled()

    def _fire_settled(self) -> None:
        settled, self._settled = self._settled, []
        for each in settled:
            each.callback(None)

    def _has_sdp(self) -> bool:
        return bool(self._out is not None and self._out.body) or any(response.body for response in self._waiting)

    def _next(self) -> None:
        if self._out is not None or not self._waiting:
            return
        self._number = (
            self._number + 1 if self._number else int(random_token(4), 16) >> 1 or 1
        )  # section 3: below 2**31
        self._out = self._waiting.popleft()
        self._out.headers.add("RSeq", str(self._number))
        self._interval = self._elapsed = self._timers.t1
        self._timer = self._schedule.after(self._interval, self._time_up)
        self._transaction.respond(self._out)

    def _time_up(self) -> None:
        """T1, doubling, until 64*T1 (section 3); on every transport."""
        self._timer = None
        left = self._timers.timeout_64t1 - self._elapsed
        if left <= 0:
            self._unacknowledged()
            return
        assert self._out is not None
        self._interval *= 2
        wait = min(self._interval, left)
        self._elapsed += wait
        self._timer = self._schedule.after(wait, self._time_up)
        self._transaction.respond(self._out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LatePrackHandler:
    """Owns the leg of a caller whose INVITE was refused while a PRACK was on its way, and answers that PRACK (section
    3).

    :param provisionals: the provisional responses to the INVITE.
    """

    def __init__(self, provisionals: ReliableProvisionals) -> None:
        self._provisionals = provisionals

    def transferable(self) -> None:
        """None: the call has ended."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """Accept the PRACK, which ends the leg; answer any other request with 481."""
        request = transaction.request
        if request.method == "PRACK" and self._provisionals.match(request) is not None:
            transaction.reply(200)
            leg.hung_up()
        else:
            transaction.reply(481)

    def bye_arrived(self, leg: Leg, bye: Request) -> None:
        """Do nothing: the call has ended."""

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Do nothing: the INVITE has its final response."""

    def moved(self, leg: Leg, flow: Flow) -> None:
        """Do nothing: no more requests are sent."""


def requires(message: Message) -> bool:
    """Whether `message` requires 100rel: a request for all responses to it, a response for itself."""
    return "Require" in message.headers and OPTION_100REL in message.headers.all("Require")


def rseq_of(response: Response) -> int | None:
    """The RSeq of a reliable provisional response; None for any other response, which needs no PRACK (section 4)."""
    value = response.headers.get("RSeq")
    if value is None or not requires(response):
        return None
    return number(value.strip(), MAX_RSEQ)


def send_prack(leg: Leg, response: Response, sdp: bytes = b"") -> None:
    """Acknowledge a reliable response within its early dialog; never raises.

    :param sdp: the answer, where the response had an offer (section 5).
    """
    rack = f"{(response.headers.get('RSeq') or '').strip()} {response.cseq}"
    asked = leg.send_request("PRACK", (("RAck", rack),), sdp, "application/sdp", own=True)
    asked.addCallbacks(_answered, _failed, callbackArgs=(leg,), errbackArgs=(leg,))


def _answered(response: Response, leg: Leg) -> None:
    if response.status >= 300:
        log.warn("{call}: PRACK was refused: {status}", status=response.status, call=leg.dialog.call_id)


def _failed(failure: Failure, leg: Leg) -> None:
    if failure.check(FlowLost, TimedOut, Refusal):
        log.info("{call}: PRACK was not answered: {why!r}", why=failure.value, call=leg.dialog.call_id)
    else:
        log.failure("{call}: PRACK failed", failure, call=leg.dialog.call_id)


def _ignore() -> None:
    """Do nothing: the INVITE has its final response."""
