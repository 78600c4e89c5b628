"""Responds to HTTP requests with a report that is there now, or when other processes have sent their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.web.server import NOT_DONE_YET, Request

T = TypeVar("T")

Report = Callable[[], T | Deferred[T]]
"""Returns a report, or a Deferred that fires with it once other processes have sent their parts."""


def respond_with(request: Request, result: T | Deferred[T], write: Callable[[Request, T], bytes]) -> bytes | int:
    """Respond now, or when the result is available; not at all if the client has disconnected by then.

    :param write: sets status and headers, and returns the body.
    """
    if not isinstance(result, Deferred):
        return write(request, result)
    closed = request.notifyFinish()
    closed.addErrback(lambda _: None)

    def found(value: T) -> None:
        if not closed.called:
            request.write(write(request, value))
            request.finish()

    result.addCallback(found).addErrback(request.processingFailed)
    return NOT_DONE_YET
