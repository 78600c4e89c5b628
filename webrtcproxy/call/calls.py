"""Calls: the table of all current calls: creates them, finds them, and ends them when the proxy stops."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from webrtcproxy.access.calls import PermittedCall
from webrtcproxy.call.call import Call
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target import TargetResolver, target_of_binding
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.admission import check_calls
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()


class Calls:
    """The calls of this process.

    :param context: the shared objects of the process.
    :param legs: the index of their dialogs.
    :ivar draining: whether new calls are refused, since the proxy is about to stop.
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
    def answered(self) -> int:
        """The number of answered calls."""
        return sum(call.answered for call, _ in self._alive.values())

    def begin(self, transaction: ServerTransaction, find_targets: TargetResolver) -> None:
        """Begin the call of an INVITE.

        :param find_targets: finds its targets.
        :raises Refusal: 503 where its browser, user, address or the proxy has too many calls, 486 where its trunk has.
        :raises BadMessage: it can't create a dialog.
        """
        context, flow = self._context, transaction.flow
        authenticated, on_connection = context.proofs.any(flow), self._legs.count_on(flow)
        check_calls(context.limits, flow, authenticated, on_connection, len(self._alive), transaction.request)
        permitted, trunk = self._permit(transaction)
        try:
            call = Call(context, self._legs, transaction, find_targets, self._add_callee, permitted)
        except BaseException:
            permitted.over()
            raise
        transaction.on_final = None  # from now on its record is that of the call
        if trunk is not None:
            call.record.trunk = trunk.name
        if permitted.caller is not None:
            call.record.user = permitted.caller.aor or ""
        over: Deferred[None] = Deferred()
        self._alive[transaction] = call, over
        call.start().addBoth(self._ended, transaction, over)

    def _permit(self, transaction: ServerTransaction) -> tuple[PermittedCall, Trunk | None]:
        """Count the call of an INVITE for its user and its address, or its trunk.

        :returns: also the trunk that it comes from.
        :raises Denied: one of them has too many.
        """
        request, flow = transaction.request, transaction.flow
        context, limits, host = self._context, self._context.access.calls, flow.peer.host
        if flow.browser:
            return limits.begin_of_browser(request.call_id, context.payer_of(request, flow), host), None
        trunk = context.sources.trunk_of(request, host, transaction.callee)
        return limits.begin_of_peer(request.call_id, host, trunk), trunk

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL has arrived for an INVITE without a final response."""
        alive = self._alive.get(transaction)
        if alive is None:
            transaction.reply(487)
        else:
            alive[0].cancelled(cancel)

    def caller_of(self, transaction: ServerTransaction) -> Leg | None:
        """The leg of the caller whose INVITE this is; None where its call is over."""
        alive = self._alive.get(transaction)
        return None if alive is None else alive[0].caller

    def drain(self, seconds: float) -> Deferred[None]:
        """Refuse new calls from now on, and wait until the current ones have ended.

        :returns: a Deferred that fires with None when no call is left, or after `seconds`. It may be cancelled.
        """
        self.draining = True
        if not self._alive or seconds <= 0:
            return succeed(None)
        drained: Deferred[None] = Deferred(lambda _: limit.cancel())
        limit = self._context.clock.callLater(seconds, drained.callback, None)

        def none_left(_: object) -> None:
            if limit.active():
                limit.cancel()
                drained.callback(None)

        DeferredList([work for _, work in self._alive.values()]).addCallback(none_left)
        return drained

    def stop(self) -> Deferred[None]:
        """End every call, since the proxy stops.

        :returns: a Deferred that fires with None when all of them have ended; BYEs may still await their responses.
        """
        works = [work for _, work in self._alive.values()]
        for call, _ in list(self._alive.values()):
            call.end(EndedBy.SHUTDOWN)
        return DeferredList(works).addCallback(lambda _: None)

    def _ended(self, result: object, transaction: ServerTransaction, over: Deferred[None]) -> None:
        call, _ = self._alive.pop(transaction)
        calls = self._called.get(call.aor, [])
        if call in calls:
            calls.remove(call)
            if not calls:
                del self._called[call.aor]
        over.callback(None)

    def _add_callee(self, call: Call) -> None:
        """A call rings at the browsers of an address-of-record: remember it, so that a browser which registers later
        rings, too."""
        self._called.setdefault(call.aor, []).append(call)

    def _bound(self, binding: Binding) -> None:
        """A browser has registered, perhaps on another socket: let calls to its user ring there, and move its legs."""
        for call in tuple(self._called.get(binding.aor, ())):
            call.join(target_of_binding(binding))
        for leg in self._legs.registered(binding):
            if leg.owner is not None:
                leg.owner.moved(leg, binding.flow)
