"""Passage: a request outside of any dialog crosses, and the far side's true answer comes back. MESSAGE, PUBLISH,
NOTIFY, INFO, OPTIONS, and methods that nobody here has heard of: all that have no handler of their own (router.py).

A browser's request goes where its INVITE would go, and is challenged, answered and counted as that is. What comes from
the SIP side goes to every browser of the user at once; the first 2xx wins, else the best of the finals (RFC 3261
section 16.7). Nobody waits longer than :data:`patience.PATIENCE`, since no request but INVITE may be answered late
(RFC 4320).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.call.background import answer
from webrtcproxy.call.context import Context
from webrtcproxy.call.failover import Sent
from webrtcproxy.call.fork import best
from webrtcproxy.call.pairing import CHALLENGE_KEPT, Pair, beginning
from webrtcproxy.call.patience import Patience
from webrtcproxy.call.policy import Terms
from webrtcproxy.call.relay import check_size, coming, going, status_of
from webrtcproxy.call.target import Target
from webrtcproxy.call.targets import FindTargets
from webrtcproxy.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

MOST_PER_CONNECTION = 50
"""Requests of one registered browser that may wait for an answer at once; of others, as many as they may have calls."""


@dataclass(frozen=True, slots=True)
class Final:
    """How one branch ended.

    :ivar target: where it went.
    :ivar request: as it was sent last.
    :ivar status: of the response, or what its absence means.
    :ivar response: None where there was none.
    """

    target: Target
    request: Request
    status: int
    reason: str
    response: Response | None


class Race:
    """The branches of one request; the first 2xx wins, else the best of all finals.

    :param branches: how many there are.
    :ivar winner: fires with it.
    """

    def __init__(self, branches: int) -> None:
        self.winner: Deferred[Final] = Deferred()
        self._branches = branches
        self._failures: list[Final] = []

    def report(self, final: Final) -> None:
        """One branch has ended."""
        if self.winner.called:
            return
        if final.status < 300:
            self.winner.callback(final)
            return
        self._failures.append(final)
        if len(self._failures) == self._branches:
            self.winner.callback(best(self._failures))

    def give_up(self, silent: Final) -> Final:
        """The time is over: the best of what there is.

        :param silent: what the silence of the others means.
        """
        return best([*self._failures, silent])


Sending = Callable[[Target, Request, Pair], None]
"""Told of each branch that is about to be sent, so that it may add to the request; `Pair` counts its tries."""


async def ask(
    context: Context, transaction: ServerTransaction, find_targets: FindTargets, sending: Sending | None = None
) -> Final:
    """Send a request like that of `transaction`, which is outside of any dialog, to all targets.

    :returns: the winner.
    :raises Refusal: it can't be sent anywhere, or may go no further.
    """
    patience = Patience(context.transactions.schedule)
    try:
        return await _ask(context, transaction, find_targets, sending, patience)
    finally:
        patience.end()


async def _ask(
    context: Context,
    transaction: ServerTransaction,
    find_targets: FindTargets,
    sending: Sending | None,
    patience: Patience,
) -> Final:
    try:
        targets = await patience.wait(Deferred.fromCoroutine(_found(find_targets)))
    except TimedOut as late:
        raise Refusal(504) from late
    source, terms = transaction.request, context.terms_of(transaction)
    key = source.method, source.call_id, source.from_.tag or ""
    kept = context.pairings.take(key)
    race, attempts = Race(len(targets)), []
    for target in targets:
        pair = Pair() if target.flow.browser else kept
        request = _request(source, terms, target, pair)
        if sending is not None:
            sending(target, request, pair)
        attempts.append(Attempt(context, target, request, pair))
        Deferred.fromCoroutine(attempts[-1].run()).addCallback(race.report)
    try:
        winner = await patience.wait(race.winner)
    except TimedOut:
        for attempt in attempts:
            attempt.give_up()
        winner = race.give_up(Final(target, request, 504, "", None))
    if winner.status in (401, 407):
        context.pairings.keep(key, kept, CHALLENGE_KEPT)
    else:
        context.pairings.forget(key)
    return winner


async def _found(find_targets: FindTargets) -> Sequence[Target]:
    return await find_targets()


def _request(source: Request, terms: Terms, target: Target, pair: Pair) -> Request:
    """The request of the second leg: all that crosses."""
    headers = beginning(source, pair, to_browser=target.flow.browser)
    headers.extend(going(source, terms, target.terms))
    return Request(source.method, target.uri, headers, source.body)


class Attempt:
    """One request of ours outside of dialogs, challenges answered.

    :param target: where it goes.
    :param request: all but its Via.
    :param pair: counts on with each try.
    """

    def __init__(self, context: Context, target: Target, request: Request, pair: Pair) -> None:
        self._context = context
        self._target = target
        self._request = request
        self._pair = pair
        self._sent: Sent | None = None

    def give_up(self) -> None:
        """The sender hears that it has not arrived: it goes to no other target."""
        if self._sent is not None:
            self._sent.cancel()

    async def run(self) -> Final:
        """Send it.

        :returns: how it ended; nothing is raised.
        """
        request = self._request
        try:
            return self._final(await self._answered())
        except Refusal as refusal:
            return self._ended(refusal.status, refusal.reason)
        except TimedOut:
            return self._ended(504)
        except FlowLost:
            return self._ended(480) if self._target.flow.browser else self._ended(502, "Trunk Unreachable")
        except Exception:
            log.failure("{call}: {method} could not be sent", method=request.method, call=_call(request))
            return self._ended(500)

    async def _answered(self) -> Response:
        """The final response."""
        target = self._target
        check_size(self._request, target.flow, target.terms)
        while True:
            sent = self._sent = target.request(self._context.transactions, self._request)
            response = await sent.final
            self._request = sent.request
            authentication = target.authentication
            again = None if authentication is None else authentication.answer(self._request, response)
            if again is None:
                return response
            again.headers.set("CSeq", f"{self._pair.next_cseq()} {again.method}")
            self._request = again

    def _final(self, response: Response) -> Final:
        target, status = self._target, response.status
        if status in (401, 407):
            if target.flow.browser:
                # Credentials do not cross to browsers, so the sender has no way to answer.
                return self._ended(480, "Callee Asks For Credentials")
            if target.authentication is not None and target.authentication.spent:
                return self._ended(502, "Trunk Refuses Our Credentials")
        return self._ended(status, response.reason, response)

    def _ended(self, status: int, reason: str = "", response: Response | None = None) -> Final:
        return Final(self._target, self._request, status, reason, response)


def pass_on(winner: Final, transaction: ServerTransaction, terms: Terms) -> None:
    """Answer the request of `transaction` with how its passage ended.

    :param terms: what holds for its sender.
    :raises Refusal: there was no response.
    """
    response = winner.response
    if response is None:
        raise Refusal(winner.status, winner.reason)
    headers = coming(response, winner.target.terms, terms)
    transaction.reply(status_of(response), response.reason, headers, response.body)


class Passages:
    """All passages of this process.

    :param context: what calls work with.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[Flow, int] = {}

    def __len__(self) -> int:
        """How many requests of browsers wait for an answer."""
        return sum(self._waiting.values())

    def begin(self, transaction: ServerTransaction, find_targets: FindTargets) -> None:
        """Carry the request of `transaction` to where `find_targets` says, and answer it.

        :raises Refusal: 503 where its browser waits for too many answers.
        """
        flow = transaction.flow
        if flow.browser:
            self._enter(flow, transaction.request)
        passed = answer(self._pass(transaction, find_targets), transaction)
        if flow.browser:
            passed.addCallback(self._leave, flow)

    async def _pass(self, transaction: ServerTransaction, find_targets: FindTargets) -> None:
        context = self._context
        pass_on(await ask(context, transaction, find_targets), transaction, context.terms_of(transaction))

    def _enter(self, flow: Flow, request: Request) -> None:
        context = self._context
        proven = context.location.proven(flow)
        limit = MOST_PER_CONNECTION if proven else min(MOST_PER_CONNECTION, context.limits.limit_unregistered)
        waiting = self._waiting.get(flow, 0)
        if waiting >= limit:
            log.info(
                "{call}: {method} is refused, {limit} requests of its connection wait for an answer",
                method=request.method,
                limit=limit,
                call=_call(request),
            )
            raise Refusal(503, "Too Many Requests Of Yours", [("Retry-After", "10")])
        self._waiting[flow] = waiting + 1

    def _leave(self, _: object, flow: Flow) -> None:
        waiting = self._waiting.pop(flow) - 1
        if waiting:
            self._waiting[flow] = waiting


def _call(request: Request) -> str:
    return request.headers.get("Call-ID") or "-"
