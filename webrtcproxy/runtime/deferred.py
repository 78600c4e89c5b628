"""then: continues with the result of a Deferred; cheap if the result is already available."""

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
