"""Lookups: the base of DNS and address lookups: a cache, one lookup at a time for each key, a limit of concurrency."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import Refusal

K = TypeVar("K")
V = TypeVar("V")


class Answer(NamedTuple, Generic[V]):
    """The result of a lookup.

    :ivar until: when it expires, by the clock.
    :ivar stale: the last lookup failed; this older result is served until another one succeeds (RFC 8767).
    """

    value: V
    until: float
    stale: bool


class Lookups(ABC, Generic[K, V]):
    """Looks keys up and caches the answers.

    :param clock: measures how long answers are kept.
    :param max_answers: answers that are kept.
    :param max_running: lookups that run at once, since browsers may choose the names.
    """

    def __init__(self, clock: IReactorTime, max_answers: int, max_running: int) -> None:
        self._clock = clock
        self._answers: BoundedDict[K, Answer[V]] = BoundedDict(max_answers)
        self._max_running = max_running
        self._running: dict[K, list[Deferred[V]]] = {}
        self._overdue: dict[K, V] = {}

    @abstractmethod
    def start(self, key: K) -> None:
        """Begin a lookup, which ends with `finish`."""

    def look_up(self, key: K) -> Deferred[V]:
        """Look a key up.

        :returns: fires with the answer: at once if there is one that has not expired, or is stale. Fails with a
            Refusal (500) if too many lookups are running.
        """
        answer = self._answers.get(key)
        if answer is not None and answer.until > self._clock.seconds():
            return succeed(answer.value)
        waiting = self._running.get(key)
        full = waiting is None and len(self._running) >= self._max_running
        if answer is not None and answer.stale:
            if waiting is None and not full:
                self._running[key] = []
                self.start(key)
            return succeed(answer.value)
        if key in self._overdue:
            return succeed(self._overdue[key])
        if full:
            return fail(Refusal(500, "Too Many Lookups"))
        found: Deferred[V] = Deferred()
        if waiting is None:
            self._running[key] = [found]
            self.start(key)
        else:
            waiting.append(found)
        return found

    def answered(self, key: K) -> V | None:
        """The answer of the last lookup of a key, expired or not; None if there is no entry."""
        answer = self._answers.get(key)
        return None if answer is None else answer.value

    def finish(self, key: K, value: V, seconds: float, *, stale: bool = False) -> None:
        """A lookup has ended.

        :param seconds: how long the answer is kept.
        """
        self._answers.renew(key, Answer(value, self._clock.seconds() + seconds, stale))
        self._overdue.pop(key, None)
        for waiting in self._running.pop(key, ()):
            waiting.callback(value)

    def give_up(self, key: K, value: V) -> None:
        """A lookup takes too long: all that wait for it, then or later, get `value`. It counts as running until it
        ends."""
        self._overdue[key] = value
        waiting, self._running[key] = self._running[key], []
        for one in waiting:
            one.callback(value)
