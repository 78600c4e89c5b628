"""Fork: the branches of one call to its targets: the first 2xx wins, else the best failure (RFC 3261 section 16.7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredQueue

from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.invite.branch import Branch, BranchAnswered, BranchEvent, BranchFailed, BranchProgress
from webrtcproxy.sip.message import Response

COMPLETED_ELSEWHERE = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
"""Reason header of the CANCEL for a losing branch (RFC 3326)."""

MAX_BRANCHES = 20
"""Most branches of a call; further browsers do not ring."""
MAX_PENDING = 64
"""Most provisional responses of a call that may wait for rtpengine; further ones are dropped."""


class Fork:
    """All branches of a call; the first 2xx wins and cancels the others."""

    def __init__(self) -> None:
        self.branches: list[Branch] = []
        self.settled = False
        self.answered: BranchAnswered | None = None
        self._complete = False
        self._closed = False
        self._followed = 0
        self._failures: list[BranchFailed] = []
        self._events: DeferredQueue[BranchEvent] = DeferredQueue()

    @property
    def open(self) -> bool:
        """Whether another branch may still win."""
        return not (self.settled or self._closed) and len(self.branches) < MAX_BRANCHES

    def add(self, branch: Branch) -> None:
        """Add a branch before it is tried."""
        self.branches.append(branch)

    def reopen(self, failed: BranchFailed) -> None:
        """Further targets are tried after `failed`, the failure of all. A redirect that is followed no longer counts
        (section 16.7 step 4)."""
        if failed.status < 400:
            self._failures.remove(failed)
            self._followed += 1
        self.settled = False

    def complete(self) -> None:
        """All branches have been added: from now on the failure of the last one is the failure of all."""
        self._complete = True
        self._conclude()

    def report(self, event: BranchEvent) -> None:
        """Queue an event of a branch for `next`."""
        if self.settled:
            return
        if isinstance(event, BranchProgress):
            if len(self._events.pending) < MAX_PENDING:
                self._events.put(event)
            elif event.leg is not None:
                event.leg.answer_pending = False
        elif isinstance(event, BranchAnswered):
            self.settled = True
            self.answered = event
            self.cancel(COMPLETED_ELSEWHERE, but=event.branch)
            self._events.put(event)
        else:
            self._failures.append(event)
            if event.status >= 600:
                self._closed = True
                self.cancel()
            self._conclude()

    def close(self, headers: HeaderList = ()) -> None:
        """The call has ended: cancel branches without a final response, and drop all of them, which breaks reference
        cycles."""
        self.settled = True
        self.cancel(headers)
        self.branches = []
        self._failures = []
        self.answered = None

    def next(self) -> Deferred[BranchEvent]:
        """Fires with the next event; events come in order, and none is lost."""
        return self._events.get()

    def cancel(self, headers: HeaderList = (), *, but: Branch | None = None) -> None:
        """Cancel every branch without a final response, except `but`."""
        for branch in self.branches:
            if branch is not but:
                branch.cancel(headers)

    def combined_response(self, chosen: BranchFailed) -> Response | None:
        """The response of the best failure; where it is a challenge, with all challenges of the others (section 16.7
        step 7)."""
        response = chosen.response
        if response is None or response.status not in _ASKING or len(self._failures) < 2:
            return response
        whole = Response(response.status, response.reason, response.headers.copy(), response.body)
        for other in self._failures:
            if other is not chosen and other.status in _ASKING and other.response is not None:
                whole.headers.extend(other.response.headers.only(_CHALLENGES))
        return whole

    def redirects(self, chosen: BranchFailed) -> list[BranchFailed]:
        """All redirects, where the best failure is one: the caller gets the Contacts of all of them."""
        return [chosen, *(each for each in self._failures if each is not chosen and 300 <= each.status < 400)]

    def _conclude(self) -> None:
        if self._complete and not self.settled and len(self._failures) + self._followed == len(self.branches):
            self.settled = True
            self._events.put(best(self._failures))


_CHALLENGES = frozenset({"WWW-Authenticate", "Proxy-Authenticate"})
_ASKING = frozenset({401, 407})
"""The statuses of challenges."""

# Within 4xx, responses that the caller can act upon come first (RFC 3261 section 16.7 step 6). A refusal of a browser
# precedes the failure of one that is absent or does not answer. A 503 is relayed only where there is no other response.
_PREFERRED = {401: 0, 407: 0, 415: 1, 420: 1, 484: 1, 408: 8, 480: 7, 487: 9, 503: 9}


class Outcome(Protocol):
    """The result of one branch."""

    @property
    def status(self) -> int:
        """The status code, of a response or in place of one."""


AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def best(failures: Iterable[AnyOutcome]) -> AnyOutcome:
    """The final response to relay (RFC 3261 section 16.7 step 6)."""

    def rank(failed: AnyOutcome) -> tuple[int, int]:
        family = failed.status // 100
        return (0 if family == 6 else family, _PREFERRED.get(failed.status, 5))

    return min(failures, key=rank)
