"""then: goes on with the result of a Deferred, at once and cheaply where that is there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def then(work: Deferred[T], step: Callable[..., object], failed: Callable[..., object], *arguments: Any) -> None:
    """Call `step` with the result of `work`, or `failed` with its Failure, and then `arguments`; neither may raise.

    A Deferred that has a result costs nothing more than the call: adding and running callbacks is ten times that.
    """
    if work.called and not work.paused:
        result: object = work.result
        if not isinstance(result, Failure):
            step(result, *arguments)
            return
    work.addCallbacks(step, failed, arguments, {}, arguments, {})
