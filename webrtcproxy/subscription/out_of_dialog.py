"""Relays out-of-dialog requests and their final responses: MESSAGE, PUBLISH, NOTIFY, INFO, OPTIONS, and unknown
methods, that is all that have no handler of their own in `call/router.py`.

A request of a browser goes where its INVITE would go, with the same credentials and request sequence. A request from
the SIP side goes to all browsers of the user at once; the first 2xx wins, else the best final response (RFC 3261
section 16.7). No request waits longer than :data:`NON_INVITE_DEADLINE`, since only INVITE may be answered late (RFC
4320).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.relayed_login import report_login
from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.relay import check_size, crossing_body, request_headers, response_headers, status_of
from webrtcproxy.invite.fork import best
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.routing.admission import check_requests_of_browser
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.routing.sequence import CHALLENGE_KEPT, RequestSequence, initial_headers
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.deadline import Deadline
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()


@dataclass(frozen=True, slots=True)
class BranchResult:
    """The result of one branch.

    :ivar target: where it went.
    :ivar request: as it was sent last.
    :ivar status: of the response; without one, the status that stands for the failure.
    :ivar response: None where none was received.
    """

    target: Target
    request: Request
    status: int
    reason: str
    response: Response | None


class ResponseContext:
    """The branches of one request; the first 2xx wins, else the best of all final responses.

    :param branches: their number.
    :ivar winner: fires with the winning result.
    """

    def __init__(self, branches: int) -> None:
        self.winner: Deferred[BranchResult] = Deferred()
        self._branches = branches
        self._failures: list[BranchResult] = []

    def report(self, final: BranchResult) -> None:
        """One branch has ended."""
        if self.winner.called:
            return
        if final.status < 300:
            self.winner.callback(final)
            return
        self._failures.append(final)
        if len(self._failures) == self._branches:
            self.winner.callback(best(self._failures))

    def best_after_timeout(self, silent: BranchResult) -> BranchResult:
        """The best result when the deadline has passed.

        :param silent: the result of the branches that have not responded.
        """
        return best([*self._failures, silent])


BeforeSend = Callable[[Target, Request, RequestSequence], None]
"""Called for each branch before its request is sent, and may add headers to that; the `RequestSequence` numbers its
tries."""


async def send_to_targets(
    context: Context,
    transaction: ServerTransaction,
    find_targets: TargetResolver,
    before_send: BeforeSend | None = None,
) -> BranchResult:
    """Relay the out-of-dialog request of `transaction` to all targets.

    :returns: the winning result.
    :raises Refusal: no target can be found in time, or the request may not be forwarded: 503 where it is one message
        too many.
    """
    with Deadline(context.transactions.schedule) as deadline:
        return await _send_until(deadline, context, transaction, find_targets, before_send)


async def _send_until(
    deadline: Deadline,
    context: Context,
    transaction: ServerTransaction,
    find_targets: TargetResolver,
    before_send: BeforeSend | None,
) -> BranchResult:
    try:
        targets = await deadline.wait(Deferred.fromCoroutine(_found(find_targets)))
    except TimedOut as late:
        raise Refusal(504) from late
    source, profile = transaction.request, context.profile_of(transaction)
    key = source.method, source.call_id, source.from_.tag or ""
    kept = context.sequences.get(key)
    branches = ResponseContext(len(targets))
    for target in targets:
        _check_rate(context, source, target)
        sequence = kept if target.profile.keeps_call_id else RequestSequence()
        request = _request(source, profile, target, sequence)
        if context.location.service_routes:
            flow = transaction.flow
            caller = context.payer_of(source, flow)
            context.add_service_route(request, flow, target.profile.trunk, caller, source.from_.address)
        if before_send is not None:
            before_send(target, request, sequence)
        Deferred.fromCoroutine(_send(context, target, request, sequence)).addCallback(branches.report)
    try:
        winner = await deadline.wait(branches.winner)
    except TimedOut:
        winner = branches.best_after_timeout(BranchResult(target, request, 504, "", None))
    if winner.response is not None:
        report_login(context.guard, context.proofs, source, winner.response, transaction.flow)
    if winner.status in (401, 407):
        context.sequences.remember(key, kept, CHALLENGE_KEPT)
    else:
        context.sequences.forget(key)
    return winner


def _check_rate(context: Context, source: Request, target: Target) -> None:
    """Count a MESSAGE to a number at a trunk.

    :raises Denied: 503 where the trunk was sent too many within the last minute.
    """
    trunk, permitted = target.profile.trunk, target.permitted
    if source.method == "MESSAGE" and trunk is not None and permitted is not None and permitted.question.numbers:
        context.access.rates.check_message(source.log_id, trunk)


async def _found(find_targets: TargetResolver) -> Sequence[Target]:
    return await find_targets()


def _request(source: Request, profile: PeerProfile, target: Target, sequence: RequestSequence) -> Request:
    """The request of the second leg, with the headers that cross."""
    headers = initial_headers(source, sequence, target.profile, target.caller_id, profile.trunk)
    headers.extend(request_headers(source, profile, target.profile))
    target.caller_id.assert_identity(headers)
    return Request(source.method, target.uri, headers, crossing_body(source))


async def _send(context: Context, target: Target, request: Request, sequence: RequestSequence) -> BranchResult:
    """Send the request to one target.

    :param sequence: has numbered it.
    :returns: the result; nothing is raised.
    """
    try:
        check_size(request, target.flow, target.profile)
        sent = ClientRequest(context.transactions, request, sequence, target.to, authentication=target.authentication)
        response = await sent.final
    except Refusal as refusal:
        return _refused(target, request, refusal)
    except TimedOut:
        return _refused(target, request, Refusal(504))
    except FlowLost:
        return _refused(target, request, target.profile.unreachable())
    except Exception:
        log.failure("{call}: {method} could not be sent", method=request.method, call=request.log_id)
        return _refused(target, request, Refusal(500))
    if response.status in (401, 407):
        unanswerable = target.profile.challenge_refusal()
        if unanswerable is not None:
            return _refused(target, request, unanswerable)
        if target.authentication is not None and target.authentication.refused:
            return _refused(target, request, Refusal(502, "Trunk Refuses Our Credentials"))
    return BranchResult(target, sent.request, response.status, response.reason, response)


def _refused(target: Target, request: Request, refusal: Refusal) -> BranchResult:
    return BranchResult(target, request, refusal.status, refusal.reason, None)


def relay_response(winner: BranchResult, transaction: ServerTransaction, profile: PeerProfile) -> None:
    """Answer the request of `transaction` with the result of the branches.

    :param profile: the profile of its sender.
    :raises Refusal: no response was received.
    """
    response = winner.response
    if response is None:
        raise Refusal(winner.status, winner.reason)
    headers = response_headers(response, winner.target.profile, profile)
    transaction.reply(status_of(response), response.reason, headers, crossing_body(response))


class OutOfDialogRelay:
    """The out-of-dialog requests that this process relays.

    :param context: the shared objects of the process.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[Flow, int] = {}

    def __len__(self) -> int:
        """The number of requests of browsers that await a response."""
        return sum(self._waiting.values())

    def begin(self, transaction: ServerTransaction, find_targets: TargetResolver) -> None:
        """Send the request of `transaction` to the targets that `find_targets` finds, and respond to it.

        :raises Refusal: 503 where too many requests of its browser await a response.
        """
        flow = transaction.flow
        if flow.browser:
            self._enter(flow, transaction.request)
        passed = run_and_respond(self._relay(transaction, find_targets), transaction)
        if flow.browser:
            passed.addCallback(self._leave, flow)

    async def _relay(self, transaction: ServerTransaction, find_targets: TargetResolver) -> None:
        context = self._context
        relay_response(
            await send_to_targets(context, transaction, find_targets), transaction, context.profile_of(transaction)
        )

    def _enter(self, flow: Flow, request: Request) -> None:
        context, waiting = self._context, self._waiting.get(flow, 0)
        check_requests_of_browser(context.limits, context.proofs.any(flow), waiting, request)
        self._waiting[flow] = waiting + 1

    def _leave(self, _: object, flow: Flow) -> None:
        waiting = self._waiting.pop(flow) - 1
        if waiting:
            self._waiting[flow] = waiting
