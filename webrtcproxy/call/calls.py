"""Calls: all calls that are alive. Makes them, finds them, and ends them when the proxy stops."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from webrtcproxy.call.call import Call
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target_set import (
    TargetResolver,
    registered_targets,
    replaces_target,
    target_of_binding,
    trunk_targets,
)
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()


class Calls:
    """The calls of this process.

    :param context: what calls work with.
    :param legs: the index of their dialogs.
    :ivar draining: no new calls are taken any more.
    """

    def __init__(self, context: Context, legs: DialogTable) -> None:
        self._context = context
        self._legs = legs
        self.draining = False
        self._alive: dict[ServerTransaction, tuple[Call, Deferred[None]]] = {}
        self._called: dict[str, list[Call]] = {}
        context.directory.watch(self._bound)

    def __len__(self) -> int:
        return len(self._alive)

    @property
    def up(self) -> int:
        """How many of them have been answered."""
        return sum(call.answered for call, _ in self._alive.values())

    def outbound(self, transaction: ServerTransaction, route: Route) -> None:
        """A browser calls out along `route`.

        :raises Refusal: 503 where it has as many calls as one browser may have, or the proxy as many as it may.
        """
        context = self._context
        request = transaction.request
        self._limit(transaction)
        self._begin(transaction, trunk_targets(context, request, route, transaction.flow))

    def inbound(self, transaction: ServerTransaction, callees: Sequence[str]) -> None:
        """A trunk or registrar calls in.

        :param callees: the addresses-of-record that the Request-URI may mean, the likeliest first.
        """
        self._begin(
            transaction, registered_targets(self._context, callees, lambda aor: self._note_called(transaction, aor))
        )

    def replacing(self, transaction: ServerTransaction, leg: Leg, named: Replaces) -> None:
        """A call that is to take the place of another one goes where that one's other end is, by its dialog.

        :param leg: of that other end.
        :param named: the dialog, as that end has it.
        :raises Refusal: as `outbound`.
        """
        if transaction.flow.browser:
            self._limit(transaction)
        self._begin(transaction, replaces_target(self._context, transaction.request, leg, named, transaction.flow))

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for an INVITE that has no final response yet."""
        alive = self._alive.get(transaction)
        if alive is None:
            transaction.reply(487)
        else:
            alive[0].cancelled(cancel)

    def drain(self, seconds: float) -> Deferred[None]:
        """Take no new calls from now on, and let those that there are end by themselves.

        :returns: a Deferred that fires with None when none is left, or after so many seconds.
        """
        self.draining = True
        if not self._alive or seconds <= 0:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        limit = self._context.clock.callLater(seconds, drained.callback, None)

        def none_left(_: object) -> None:
            if limit.active():
                limit.cancel()
                drained.callback(None)

        DeferredList([work for _, work in self._alive.values()]).addCallback(none_left)
        return drained

    def stop(self) -> Deferred[None]:
        """End every call, as the proxy stops.

        :returns: a Deferred that fires with None when all of them have ended; BYEs may still wait for their answers.
        """
        works = [work for _, work in self._alive.values()]
        for call, _ in list(self._alive.values()):
            call.end(EndedBy.SHUTDOWN)
        return DeferredList(works).addCallback(lambda _: None)

    def _limit(self, transaction: ServerTransaction) -> None:
        """Whether the browser may have one call more.

        :raises Refusal: 503.
        """
        limits, flow = self._context.limits, transaction.flow
        authenticated = self._context.location.is_authenticated(flow)
        limit = limits.limit_per_connection if authenticated else limits.limit_unregistered
        if self._legs.count_on(flow) >= limit:
            call = transaction.request.call_id
            log.info("{call}: refused, its connection has {limit} calls", limit=limit, call=call)
            raise Refusal(503, "Too Many Calls Of Yours", [("Retry-After", "10")])

    def _begin(self, transaction: ServerTransaction, targets: TargetResolver) -> None:
        if len(self._alive) >= self._context.limits.limit:
            log.warn("{call}: refused, {limit} calls are up", limit=len(self._alive), call=transaction.request.call_id)
            raise Refusal(503, "Too Many Calls", [("Retry-After", "10")])
        call = Call(self._context, self._legs, transaction, targets)
        over: Deferred[None] = Deferred()
        self._alive[transaction] = call, over
        call.start().addBoth(self._ended, transaction, over)

    def _ended(self, result: object, transaction: ServerTransaction, over: Deferred[None]) -> None:
        call, _ = self._alive.pop(transaction)
        calls = self._called.get(call.aor, [])
        if call in calls:
            calls.remove(call)
            if not calls:
                del self._called[call.aor]
        over.callback(None)

    def _note_called(self, transaction: ServerTransaction, aor: str) -> None:
        """The browsers of `aor` are called: one that registers now is to join in."""
        call, _ = self._alive[transaction]
        call.aor = aor
        self._called.setdefault(aor, []).append(call)

    def _bound(self, binding: Binding) -> None:
        """A browser registered, or did so on another socket: it joins in where its user is called, and the legs that
        belong to it follow."""
        for call in tuple(self._called.get(binding.aor, ())):
            call.join(target_of_binding(binding))
        for leg in self._legs.by_contact(binding.contact, binding.aor):
            if leg.owner is not None and leg.flow is not binding.flow:
                leg.owner.moved(leg, binding.flow)
