"""ClientRequest: a request that the proxy sends, with its retries, up to the final response.

It is sent again, each time with the next CSeq number and a new branch (RFC 3261 section 8.1.3.5), after:

- 401 and 407, with the credentials of the trunk, where the request may use them (section 22);
- 422, with a longer session interval (RFC 4028 section 7.3).

Where a server fails, the next one gets it with the same CSeq number (`FailoverRequest`). Any other final response ends
it, and so does any response after `cancel` or :data:`NON_INVITE_DEADLINE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.failover import NextHops, OnLateAnswer, SentRequest, resent
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.client import OnResponse
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Flow

HeaderList = Iterable[tuple[str, str]]


class CSeqSource(Protocol):
    """Counts the requests of a dialog, or of a request sequence outside of dialogs."""

    def next_cseq(self) -> int:
        """Increment the CSeq number, and return it for the next request."""


class SessionInterval(Protocol):
    """Proposes session intervals (:class:`webrtcproxy.dialog.session_timer.SessionTimer`)."""

    def longer_proposal(self, request: Request, response: Response) -> HeaderList | None:
        """The headers that propose the interval that a 422 asks for.

        :param request: as it was sent.
        :returns: None where `request` is not to be sent again.
        """


class ClientRequest:
    """One request, sent when this object is created.

    :param transactions: sends it.
    :param request: the request without Via; made for the first flow of `to`.
    :param cseq_source: has numbered `request`, and numbers each further try.
    :param to: the destination; the answer to a challenge goes to the server that sent it.
    :param authentication: answers challenges; None where the proxy does not answer them.
    :param session_interval: proposed by `request`; None where it proposes none.
    :param on_retry: called before each further try; returns False to prevent it.
    :param on_provisional: called with each 101 to 199 to an INVITE.
    :param on_answer: called with each further 2xx to an INVITE: repeats, and those of other forks (RFC 6026).
    :param on_late_answer: called with a 2xx to an INVITE from a server that was given up, and the request to it.
    :param contact_hostport: returns the host:port of the proxy's Contact for a flow; None for that of its socket.
    :raises FlowLost: no local socket can send there.
    :ivar final: fires once, with the final response; fails with TimedOut (none within 64*T1 since the last try or the
        CANCEL) or FlowLost.
    """

    __slots__ = (
        "_authentication", "_cancelled", "_contact_hostport", "_cseq_source", "_earlier", "_on_answer",
        "_on_late_answer", "_on_provisional", "_on_retry", "_session_interval", "_to", "_transactions", "_until",
        "final", "sent",
    )  # fmt: skip

    sent: SentRequest
    """The last try."""

    def __init__(
        self,
        transactions: Transactions,
        request: Request,
        cseq_source: CSeqSource,
        to: Flow | NextHops,
        *,
        authentication: Authentication | None = None,
        session_interval: SessionInterval | None = None,
        on_retry: Callable[[], bool] | None = None,
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
        on_late_answer: OnLateAnswer | None = None,
        contact_hostport: Callable[[Flow], str] | None = None,
    ) -> None:
        self._transactions = transactions
        self._cseq_source = cseq_source
        self._to = to
        if authentication is not None and not authentication.has_account:
            authentication = None
        self._authentication = authentication
        self._session_interval = session_interval
        self._on_retry = on_retry
        self._on_provisional = on_provisional
        self._on_answer = on_answer
        self._on_late_answer = on_late_answer
        self._contact_hostport = contact_hostport
        self._until = math.inf if request.method == "INVITE" else transactions.schedule.seconds() + NON_INVITE_DEADLINE
        self._earlier: tuple[SentRequest, ...] = ()
        self._cancelled = False
        if authentication is not None:
            authentication.prepare(request)
        self.final: Deferred[Response] = self._send(request)

    @property
    def request(self) -> Request:
        """The request as it was sent last."""
        return self.sent.request

    @property
    def flow(self) -> Flow:
        """Where it was sent last."""
        return self.sent.flow

    @property
    def cseq_numbers(self) -> list[int]:
        """The CSeq numbers of all tries, the last one at the end."""
        return [sent.request.cseq.number for sent in (*self._earlier, self.sent)]

    def cancel(self, headers: HeaderList = ()) -> None:
        """Cancel it: it is not sent again, and an INVITE is cancelled (RFC 3261 section 9.1). `final` fires with the
        final response, whatever that is.

        :param headers: further headers of the CANCEL, such as Reason.
        """
        self._cancelled = True
        self.sent.cancel(headers)

    def answered_by(self, response: Response) -> SentRequest | None:
        """The try that `response` answers, by its CSeq number; a 2xx may answer an earlier one than the last."""
        number = response.cseq.number
        return next((sent for sent in (self.sent, *self._earlier) if sent.request.cseq.number == number), None)

    def _send(self, request: Request) -> Deferred[Response]:
        to = self._to
        if isinstance(to, NextHops):
            self.sent = to.request(
                self._transactions,
                request,
                on_provisional=self._on_provisional,
                on_answer=self._on_answer,
                on_late_answer=self._on_late_answer,
                contact_hostport=self._contact_hostport,
                until=self._until,
            )
        else:
            self.sent = self._transactions.request(
                request, to, on_provisional=self._on_provisional, on_answer=self._on_answer
            )
        if self._authentication is None and self._session_interval is None:
            self._end()
            return self.sent.final
        return self.sent.final.addCallbacks(self._answered, self._failed)

    def _answered(self, response: Response) -> Response | Deferred[Response]:
        """One try has its final response: return it, or the Deferred of the next try."""
        if not self._cancelled and self._transactions.schedule.seconds() < self._until:
            headers: HeaderList | None = () if self._answers_challenge(response) else self._longer_interval(response)
            if headers is not None and (self._on_retry is None or self._on_retry()):
                return self._send_again(headers)
        self._end()
        return response

    def _failed(self, failure: Failure) -> Failure:
        self._end()
        return failure

    def _end(self) -> None:
        """There is no further try. Dropping the callbacks breaks reference cycles."""
        self._on_provisional = self._on_answer = self._on_late_answer = self._on_retry = None

    def _send_again(self, headers: HeaderList) -> Deferred[Response]:
        """Send it again, with these headers in place of its own ones of the same names."""
        request = resent(self.sent.request)
        request.headers.set("CSeq", f"{self._cseq_source.next_cseq()} {request.method}")
        for name, value in headers:
            request.headers.set(name, value)
        if self._authentication is not None:
            self._authentication.prepare(request)
        self._earlier = (*self._earlier, self.sent)
        try:
            return self._send(request)
        except FlowLost:
            self._end()
            raise

    def _answers_challenge(self, response: Response) -> bool:
        authentication = self._authentication
        if authentication is None:
            return False
        if self._earlier and self._earlier[-1].flow.peer != self.sent.flow.peer:
            authentication.reset()  # another server challenges, with its own nonce
        return authentication.answer(self.sent.request, response)

    def _longer_interval(self, response: Response) -> HeaderList | None:
        interval = self._session_interval
        if response.status != 422 or interval is None:
            return None
        return interval.longer_proposal(self.sent.request, response)
