"""Threads in which the system's resolver looks names up: the process ends without them.

A lookup can't be stopped, and takes long where the DNS is silent. Twisted and the interpreter would wait for it.
"""

from __future__ import annotations

from threading import Thread
from typing import Any


class LookupThread(Thread):
    """A thread that nobody waits for."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **{**more, "daemon": True})

    def join(self, timeout: float | None = None) -> None:
        """Do nothing: Twisted calls this at the end of the process."""


def end_without_lookups(reactor: Any) -> None:
    """Let the end of the process wait for no thread of the reactor's pool, which has lookups, and what plugins ask.

    :param reactor: has not started a thread yet.
    """
    reactor.getThreadPool().threadFactory = LookupThread
