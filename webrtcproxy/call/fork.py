"""Fork: the branches of one call towards the callee, and what becomes of them (RFC 3261 section 16.7)."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred, DeferredQueue

from webrtcproxy.call.branch import Answered, Branch, Event, Failed, Progress
from webrtcproxy.call.leg import HeaderList

ELSEWHERE = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
"""Why a losing branch is cancelled (RFC 3326)."""

MAX_PENDING = 64
"""Provisional responses of a call that may wait for rtpengine; what comes beyond is dropped."""


class Fork:
    """All branches of a call; the first 2xx wins and cancels the others."""

    def __init__(self) -> None:
        self.branches: list[Branch] = []
        self.settled = False
        self.answered: Answered | None = None
        self._complete = False
        self._failures: list[Failed] = []
        self._events: DeferredQueue[Event] = DeferredQueue()

    def add(self, branch: Branch) -> None:
        """Count `branch` in."""
        self.branches.append(branch)

    def complete(self) -> None:
        """All branches have been added: from now on the last failure is the failure of all."""
        self._complete = True
        self._conclude()

    def report(self, event: Event) -> None:
        """What the branches call."""
        if self.settled:
            return
        if isinstance(event, Progress):
            if len(self._events.pending) < MAX_PENDING:
                self._events.put(event)
        elif isinstance(event, Answered):
            self.settled = True
            self.answered = event
            self.cancel(ELSEWHERE, but=event.branch)
            self._events.put(event)
        else:
            self._failures.append(event)
            if event.status >= 600:
                self.cancel()
            self._conclude()

    def close(self, headers: HeaderList = ()) -> None:
        """The call is over: cancel what has no final response, and let go of all branches, so that nothing has to wait
        for the garbage collector."""
        self.cancel(headers)
        self.settled = True
        self.branches = []
        self._failures = []
        self.answered = None

    def next(self) -> Deferred[Event]:
        """Fires with the next event; in order, none is lost."""
        return self._events.get()

    def cancel(self, headers: HeaderList = (), *, but: Branch | None = None) -> None:
        """Cancel every branch that has no final response, except `but`."""
        for branch in self.branches:
            if branch is not but:
                branch.cancel(headers)

    def _conclude(self) -> None:
        if self._complete and not self.settled and len(self._failures) == len(self.branches):
            self.settled = True
            self._events.put(best(self._failures))


# Within 4xx, what the caller can act upon comes first (RFC 3261 section 16.7 step 6); a browser that is gone or that
# nobody answers says less than one that refuses.
_PREFERRED = {401: 0, 407: 0, 415: 1, 420: 1, 484: 1, 408: 8, 480: 7, 487: 9}


def best(failures: Iterable[Failed]) -> Failed:
    """The final response to pass on (RFC 3261 section 16.7 step 6)."""

    def rank(failed: Failed) -> tuple[int, int]:
        family = failed.status // 100
        return (0 if family == 6 else family, _PREFERRED.get(failed.status, 5))

    return min(failures, key=rank)
