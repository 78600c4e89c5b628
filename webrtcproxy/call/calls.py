"""Calls: all calls that are alive. Makes them, finds them, and ends them when the proxy stops."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from webrtcproxy.call.call import Call
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target import TargetResolver, target_of_binding
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.admission import check_calls
from webrtcproxy.sip.message import Request
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

    def begin(self, transaction: ServerTransaction, find_targets: TargetResolver) -> None:
        """Begin the call of an INVITE.

        :param find_targets: finds where it goes.
        :raises Refusal: 503 where its browser, or the proxy, has as many calls as it may have.
        :raises BadMessage: it can't open a dialog.
        """
        context, flow = self._context, transaction.flow
        authenticated, on_connection = context.location.is_authenticated(flow), self._legs.count_on(flow)
        check_calls(context.limits, flow, authenticated, on_connection, len(self._alive), transaction.request)
        call = Call(context, self._legs, transaction, find_targets, self._add_callee)
        over: Deferred[None] = Deferred()
        self._alive[transaction] = call, over
        call.start().addBoth(self._ended, transaction, over)

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for an INVITE that has no final response yet."""
        alive = self._alive.get(transaction)
        if alive is None:
            transaction.reply(487)
        else:
            alive[0].cancelled(cancel)

    def drain(self, seconds: float) -> Deferred[None]:
        """Take no new calls from now on, and let those that there are end by themselves.

        :returns: a Deferred that fires with None when no call is left, or after so many seconds.
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

    def _ended(self, result: object, transaction: ServerTransaction, over: Deferred[None]) -> None:
        call, _ = self._alive.pop(transaction)
        calls = self._called.get(call.aor, [])
        if call in calls:
            calls.remove(call)
            if not calls:
                del self._called[call.aor]
        over.callback(None)

    def _add_callee(self, call: Call) -> None:
        """The browsers of an address-of-record are called: one that registers later is to join in."""
        self._called.setdefault(call.aor, []).append(call)

    def _bound(self, binding: Binding) -> None:
        """A browser registered, or did so on another socket: it joins in where its user is called, and the legs that
        belong to it follow."""
        for call in tuple(self._called.get(binding.aor, ())):
            call.join(target_of_binding(binding))
        for leg in self._legs.by_contact(binding.contact, binding.aor):
            if leg.owner is not None and leg.flow is not binding.flow:
                leg.owner.moved(leg, binding.flow)
