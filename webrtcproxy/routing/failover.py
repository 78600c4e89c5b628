"""Failover: sends a request to one hop after the other until one of them responds (RFC 3263 section 4.3).

A hop is one address over one transport, not the name that it was resolved from: where one address of a trunk is
down, its others count as up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config import Trunk
from webrtcproxy.routing.hop_health import PENALTY, HopHealth
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.runtime.schedule import Timer
from webrtcproxy.sip.grammar import number, set_param
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import STAR, Request, Response
from webrtcproxy.sip.uri import Uri, is_secure
from webrtcproxy.transaction.client import ClientTransaction, OnResponse
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import MAX_DATAGRAM_REQUEST, Flow, Hop, Outbound

log = Logger()


class SentRequest(Protocol):
    """A request that was sent: to one server as a `ClientTransaction`, to several in turn as a `FailoverRequest`.

    :ivar request: as it was sent last.
    :ivar flow: where it was sent last.
    :ivar final: fires once, with the final response; or fails with TimedOut or FlowLost.
    """

    request: Request
    flow: Flow
    final: Deferred[Response]

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Cancel an INVITE, and try no other server."""


OnLateAnswer = Callable[[SentRequest, Response], None]

MAX_HOPS: Final = 8
"""Most hops that one request is sent to."""

FIRST_RESPONSE_TIMEOUT: Final = 4.0
"""Seconds that a hop has for its first response where there is another hop, unless the trunk is configured
otherwise."""

FAILOVER_STATUSES: Final = frozenset({408, 500, 502, 503, 504})
"""Final responses that come from the server and not from the callee: after them the next hop is tried, unless the
trunk is configured otherwise. RFC 3263 section 4.3 names only 503, but another server may succeed after any of them."""

MAX_VIA: Final = 90
"""Most octets of the proxy's Via without its address."""

MAX_RETRY_AFTER: Final = 300
"""Longest Retry-After that is honoured, in seconds."""


class NextHops:
    """The hops of one request on the SIP side, in the order in which they are tried. It stays at the hop that has
    responded: the answer to a challenge goes there.

    :param outbound: the SIP sockets.
    :param health: which hops are down.
    :param hops: the hops, at least one.
    :param trunk: the trunk whose settings apply; None where no section names the host.
    :raises FlowLost: no local socket can send to any of them.
    :ivar flow: to the hop that is being tried, or has responded.
    """

    def __init__(self, outbound: Outbound, health: HopHealth, hops: Sequence[Hop], trunk: Trunk | None) -> None:
        self._outbound = outbound
        self._left = health.in_order(hops)[:MAX_HOPS]
        self._trunk = trunk
        self.health = health
        self.hop = self._left[0]
        self.flow: Flow = self._first()

    @property
    def has_more(self) -> bool:
        """Whether there is another hop."""
        return bool(self._left)

    def first_response_timeout(self, within: float) -> float:
        """Seconds that a hop has for its first response where there is another hop.

        :param within: seconds within which all that are left have their turn.
        """
        timeout = FIRST_RESPONSE_TIMEOUT if self._trunk is None else self._trunk.failover
        return min(timeout, within / (1 + len(self._left)))

    def tries_next(self, status: int) -> bool:
        """Whether the next hop is tried after this final response. Challenges, redirections and 422 are left to the
        caller of `request`."""
        if status in (401, 407, 422) or status < 400:
            return False
        stop = None if self._trunk is None else self._trunk.stop_codes
        return status in FAILOVER_STATUSES if stop is None else status not in stop

    def advance(self, *, elsewhere: bool) -> bool:
        """Go to the next hop; False where no further hop can be reached from a local socket.

        :param elsewhere: skip the same address over other transports: the server there has responded.
        """
        if elsewhere:
            self._left = [hop for hop in self._left if hop.address != self.hop.address]
        try:
            self.flow = self._first()
        except FlowLost:
            return False
        return True

    def request(
        self,
        transactions: Transactions,
        request: Request,
        *,
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
        on_late_answer: OnLateAnswer | None = None,
        contact_hostport: Callable[[Flow], str] | None = None,
        until: float = math.inf,
    ) -> SentRequest:
        """Send a request; to one hop after the other where there are several.

        :param request: made for `flow`; its Contact is rewritten where another flow is used.
        :param on_provisional: as of :meth:`Transactions.request`, and so is `on_answer`.
        :param on_late_answer: called with a 2xx to an INVITE from a hop that was given up, and with its transaction.
        :param contact_hostport: returns the host:port of the proxy's Contact for a flow; None for that of its socket.
        :param until: the time, in seconds of the clock, after which no further hop is tried.
        """
        if (
            self._trunk is not None
            and self._trunk.tcp_over_mtu
            and not self.flow.reliable
            and _is_large(request, self.flow)
        ):
            self._by_tcp(request, contact_hostport)
        if is_secure(request.uri):
            move_contact(request, self.flow, self.flow, contact_hostport)
        if not self._left:
            sent = transactions.request(request, self.flow, on_provisional=on_provisional, on_answer=on_answer)
            sent.final.addErrback(self._log_failed, sent, transactions.schedule.seconds(), transactions)
            return sent
        return FailoverRequest(
            self, transactions, request, on_provisional, on_answer, on_late_answer, contact_hostport, until
        )

    def _log_failed(
        self, failure: Failure, sent: ClientTransaction, since: float, transactions: Transactions
    ) -> Failure:
        """The only hop has failed."""
        if failure.check(FlowLost, TimedOut):
            log_failed(sent.request, self.hop, failure, transactions.schedule.seconds() - since)
        return failure

    def _first(self) -> Flow:
        """The flow to the first remaining hop that a local socket can send to."""
        lost: FlowLost | None = None
        while self._left:
            self.hop = self._left.pop(0)
            try:
                return self._outbound.flow_to(*self.hop)
            except FlowLost as why:
                lost = why
        try:
            raise lost or FlowLost("there is no other hop")
        finally:
            del lost  # its traceback has this frame

    def _by_tcp(self, request: Request, contact_hostport: Callable[[Flow], str] | None) -> None:
        """Switch to TCP for the same hop. UDP is the next hop in case TCP is refused (RFC 3261 section 18.1.1);
        after a refusal UDP comes first for a while."""
        before, hop = self.flow, self.hop
        self._left[:0] = self.health.in_order([hop._replace(transport="tcp"), hop])
        self.flow = self._first()
        move_contact(request, before, self.flow, contact_hostport)


class FailoverRequest:
    """One request that is sent to several hops in turn; implements `SentRequest`.

    :param next_hops: the hops, of which the current one is tried first.
    :ivar request: as it was sent last.
    :ivar flow: where it was sent last.
    :ivar final: fires once: with the final response that ends the search; or, where no hop is left, with the last
        response; where no hop responded, it fails as the last transaction does.
    """

    def __init__(
        self,
        next_hops: NextHops,
        transactions: Transactions,
        request: Request,
        on_provisional: OnResponse | None,
        on_answer: OnResponse | None,
        on_late_answer: OnLateAnswer | None,
        contact_hostport: Callable[[Flow], str] | None,
        until: float,
    ) -> None:
        self._next_hops = next_hops
        self._transactions = transactions
        self._on_provisional = on_provisional
        self._on_answer = on_answer
        self._on_late_answer = on_late_answer
        self._contact_hostport = contact_hostport
        self._timer: Timer | None = None
        timers, schedule = transactions.timers, transactions.schedule
        self._first_response_timeout = next_hops.first_response_timeout(timers.timeout_64t1)
        self._tried = schedule.seconds()
        self._deadline: Timer | None = schedule.after(timers.timeout_64t1, self._all_silent)
        self._until = until
        self._settled = False  # it has rung or was cancelled: no other hop is tried
        self._refused: Response | None = None
        self.request = request
        self.flow = next_hops.flow
        self.final: Deferred[Response] = Deferred()
        self._begin(request)

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Cancel an INVITE, and try no other hop; see :meth:`ClientTransaction.cancel`."""
        self._settled = True
        self._stop()
        self._transaction.cancel(headers)

    def _begin(self, request: Request) -> None:
        next_hops = self._next_hops
        self._tried = self._transactions.schedule.seconds()
        on_provisional = None if self._on_provisional is None else self._progress
        transaction = self._transaction = self._transactions.request(
            request, next_hops.flow, on_provisional=on_provisional, on_answer=self._on_answer
        )
        self.request, self.flow = transaction.request, transaction.flow
        if next_hops.has_more and not self._settled:
            self._timer = self._transactions.schedule.after(self._first_response_timeout, self._silent)
        transaction.final.addCallbacks(
            self._answered, self._failed, (transaction, self._on_late_answer), errbackArgs=(transaction,)
        ).addErrback(self._broken)

    def _progress(self, response: Response) -> None:
        """It rings: no other hop gets the same call, whatever happens."""
        self._settled = True
        self._stop()
        if self._on_provisional is not None:
            self._on_provisional(response)

    def _answered(
        self,
        response: Response,
        transaction: ClientTransaction,
        on_late_answer: OnLateAnswer | None,
    ) -> None:
        if transaction is not self._transaction:
            if response.status < 300 and on_late_answer is not None:
                self._transactions.notify_user(partial(on_late_answer, transaction), response)
            return
        self._stop()
        next_hops = self._next_hops
        if response.status == 503:
            next_hops.health.mark_down(next_hops.hop, _retry_after(response))
        else:
            next_hops.health.mark_up(next_hops.hop)
        if next_hops.tries_next(response.status) and not self._settled:
            self._refused = response
            if self._next(f"{response.status} {response.reason}", elsewhere=True):
                return
        self._end().callback(response)

    def _failed(self, failure: Failure, transaction: ClientTransaction) -> None:
        """The hop can't be reached, or does not respond. One that has sent a provisional response has not failed
        (RFC 3263 section 4.3)."""
        if transaction is not self._transaction:
            return
        self._stop()
        if failure.check(FlowLost, TimedOut) and not (transaction.provisional_seen and failure.check(TimedOut)):
            self._next_hops.health.mark_down(self._next_hops.hop)
            if not self._settled and self._next(str(failure.value)):
                return
            log_failed(self.request, self._next_hops.hop, failure, self._seconds())
        self._give_up(failure)

    def _give_up(self, failure: Failure) -> None:
        """No hop is left."""
        refused = self._refused
        if refused is not None and not self._settled:
            self._end().callback(refused)
        else:
            self._end().errback(failure)

    def _all_silent(self) -> None:
        """As long as one hop may be silent, all together may (64*T1, RFC 3261 timers B and F)."""
        self._deadline = None
        transaction = self._transaction
        if transaction.provisional_seen or self._settled:
            return
        self._stop()
        self._next_hops.health.mark_down(self._next_hops.hop)
        failure = Failure(TimedOut(f"no final response to {self.request.method}"))
        log_failed(self.request, self._next_hops.hop, failure, self._seconds())
        self._give_up(failure)
        transaction.abandon()

    def _seconds(self) -> float:
        """How long ago the present hop was sent the request."""
        return self._transactions.schedule.seconds() - self._tried

    def _silent(self) -> None:
        """No response has come, and there is another hop. The transaction is kept, so that a late response can be
        handled."""
        self._timer = None
        transaction = self._transaction
        if transaction.provisional_seen or self._settled or not self._next_hops.has_more:
            return
        self._next_hops.health.mark_down(self._next_hops.hop)
        if self._next(f"no response in {self._seconds():.1f} s"):
            transaction.abandon()

    def _next(self, why: str, *, elsewhere: bool = False) -> bool:
        """Try the next hop with the same request in a new transaction, which has a new branch."""
        if self._transactions.schedule.seconds() >= self._until:
            return False
        before = self.flow
        hop = self._next_hops.hop
        if not self._next_hops.advance(elsewhere=elsewhere):
            return False
        now = self._next_hops.hop
        log.info(
            "{call}: {method} failed at {target} ({why}), trying {now}",
            call=self.request.call_id,
            method=self.request.method,
            target=str(hop),
            why=why,
            now=str(now),
        )
        request = resent(self.request)
        move_contact(request, before, self._next_hops.flow, self._contact_hostport)
        self._begin(request)
        return True

    def _broken(self, failure: Failure) -> None:
        """This class has raised an unexpected exception."""
        if not self.final.called:
            self._end().errback(failure)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> Deferred[Response]:
        """No other hop is tried. Dropping the callbacks breaks reference cycles."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._on_provisional = self._on_answer = self._on_late_answer = None
        self._settled = True
        return self.final


def log_failed(request: Request, hop: Hop, failure: Failure, seconds: float) -> None:
    """Say that a hop has failed, after which no other one is tried."""
    log.warn(
        "{call}: {method} failed at {target} after {seconds} s, and there is no other server: {why}",
        call=request.call_id,
        method=request.method,
        target=str(hop),
        seconds=f"{seconds:.1f}",
        why=failure.value,
    )


def resent(request: Request) -> Request:
    """The same request for a new transaction: without the Via of the last one."""
    again = Request(request.method, request.uri, request.headers.copy(), request.body)
    again.headers.remove("Via")
    return again


def move_contact(
    request: Request, before: Flow, now: Flow, contact_hostport: Callable[[Flow], str] | None = None
) -> None:
    """Rewrite the proxy's Contact from the socket of `before` to that of `now`; as a ``sips:`` URI where the
    Request-URI is one (RFC 3261 section 8.1.1.8).

    :param contact_hostport: as of :meth:`NextHops.request`.
    """
    if "Contact" not in request.headers:
        return
    contacts = request.contacts
    if contacts is STAR or len(contacts) != 1:
        return
    contact = contacts[0]
    uri = contact.address
    led = before.sent_by if contact_hostport is None else contact_hostport(before)
    if f"{uri.host}:{uri.port}" != led:
        return
    here = now.sent_by if contact_hostport is None else contact_hostport(now)
    scheme = "sips" if is_secure(request.uri) else "sip"
    params = tuple(pair for pair in uri.params if pair[0] != "transport")
    if now.via_transport != "UDP":
        params = set_param(params, "transport", now.via_transport.lower())
    host, _, port = here.rpartition(":")
    moved = Uri(scheme, uri.user, uri.password, host, int(port), params, uri.headers)
    request.headers.set("Contact", str(NameAddr(contact.display, str(moved), contact.params)))


def _is_large(request: Request, flow: Flow) -> bool:
    return len(request.to_bytes()) + MAX_VIA + len(flow.sent_by) > MAX_DATAGRAM_REQUEST


def _retry_after(response: Response) -> float:
    """Seconds for which a hop that responded 503 counts as down (RFC 3261 section 21.5.4)."""
    seconds = number((response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip(), 2**32)
    return PENALTY if seconds is None else min(seconds, MAX_RETRY_AFTER)
