"""then: continues with the result of a Deferred; cheap if the result is already available. errback: fails one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def then(work: Deferred[T], step: Callable[..., object], failed: Callable[..., object], *arguments: Any) -> None:
    """Call `step` with the result of `work`, or `failed` with its Failure, and then `arguments`; neither may raise.

    If the Deferred has fired, this costs no more than the call; adding and running callbacks costs ten times that.
    """
    if work.called and not work.paused:
        result: object = work.result
        if not isinstance(result, Failure):
            step(result, *arguments)
            return
    work.addCallbacks(step, failed, arguments, {}, arguments, {})


def errback(work: Deferred[Any], error: Exception) -> None:
    """Fail `work` with `error`, and leave no reference cycle behind.

    Python 3.12, and 3.13 and 3.14 until they were mended at the end of 2025, leave the frame of a coroutine that an
    exception ends linked to the frame that has resumed it (CPython issue 100964). The frames that hand `error` on refer
    to it, and its traceback to them. So it loses its traceback once everyone who waits has had it.
    """
    work.errback(error)
    error.__traceback__ = None
