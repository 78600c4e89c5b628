"""Operations: what is asked of one media session, one at a time, in the order in which it was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from webrtcproxy.runtime.errors import NgRefused

Operation = Callable[[], Deferred[bytes]]


def _nothing() -> Deferred[None]:
    return succeed(None)


class Operations:
    """The operations of one session, and its end after them.

    Cancelling the Deferred of an operation that has begun does not stop it: it runs to its end, so that a later
    operation (above all the end) cannot overtake it.

    :param end: ends the session; called once, after the operation that is in work. What it returns never fails.
    :ivar ended: whether `end` was called: operations fail from then on.
    :ivar working: whether one is in work.
    """

    def __init__(self, end: Callable[[], Deferred[None]]) -> None:
        self.ended = False
        self.working = False
        self._end = end
        self._queue: deque[tuple[Operation, Deferred[bytes]]] = deque()
        self._waiting: list[Deferred[None]] | None = []  # for the end; None after that

    def add(self, operation: Operation) -> Deferred[bytes]:
        """Begin an operation, when those before it are done.

        :returns: fires with its result; fails as it does, or with `NgRefused` where the end comes first.
        """
        result: Deferred[bytes] = Deferred(lambda _: None)
        if self.ended:
            _fire(result, Failure(NgRefused("the media session is deleted")))
        else:
            self._queue.append((operation, result))
            self._next()
        return result

    def end(self) -> Deferred[None]:
        """End the session after the operation that is in work; those that wait fail.

        :returns: fires with None when that is done. Never fails. May be called again.
        """
        if self._waiting is None:
            return succeed(None)
        done: Deferred[None] = Deferred(lambda _: None)
        self._waiting.append(done)
        if not self.ended:
            self.ended = True
            waiting, self._queue = self._queue, deque()
            for _, result in waiting:
                _fire(result, Failure(NgRefused("the media session is deleted")))
            if not self.working:
                self._end_now()
        return done

    def _next(self) -> None:
        while self._queue and not self.working:
            operation, result = self._queue.popleft()
            if not result.called:  # it was not cancelled
                self.working = True
                maybeDeferred(operation).addBoth(self._done, result)

    def _done(self, outcome: bytes | Failure, result: Deferred[bytes]) -> None:
        self.working = False
        _fire(result, outcome)
        if self.ended and not self.working and self._waiting is not None:
            self._end_now()
        else:
            self._next()

    def _end_now(self) -> None:
        self.working = True
        end, self._end = self._end, _nothing  # breaks a reference cycle
        end().addBoth(self._finished)

    def _finished(self, _: object) -> None:
        waiting, self._waiting = self._waiting or [], None
        for done in waiting:
            if not done.called:
                done.callback(None)


def _fire(result: Deferred[bytes], outcome: bytes | Failure) -> None:
    """Fire the Deferred of an operation, unless it was cancelled."""
    if result.called:
        return
    if isinstance(outcome, Failure):
        result.errback(outcome)
    else:
        result.callback(outcome)
