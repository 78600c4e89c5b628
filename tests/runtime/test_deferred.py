"""then: the result of a Deferred, whenever it comes. errback: its failure."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.garbage import kinds_left
from webrtcproxy.runtime.deferred import errback, then


class ThenTests(SynchronousTestCase):
    """A step, and what is called in its place."""

    def setUp(self) -> None:
        self.seen: list[object] = []

    def step(self, result: object, *arguments: object) -> None:
        self.seen.append((result, *arguments))

    def failed(self, failure: Failure, *arguments: object) -> None:
        self.seen.append((type(failure.value), *arguments))

    def test_there(self) -> None:
        """A result that is there is given at once."""
        then(succeed(1), self.step, self.failed, "a", "b")
        self.assertEqual(self.seen, [(1, "a", "b")])

    def test_later(self) -> None:
        """One that is not there yet is given when it comes; also where the Deferred has fired, and waits for another
        one."""
        first, second = Deferred[int](), Deferred[int]()
        then(first, self.step, self.failed)
        chained = succeed(0).addCallback(lambda _: second)
        then(chained, self.step, self.failed, "chained")
        self.assertEqual(self.seen, [])
        first.callback(1)
        second.callback(2)
        self.assertEqual(self.seen, [(1,), (2, "chained")])

    def test_failed(self) -> None:
        """So is a failure, which is handled with that."""
        later = Deferred[int]()
        then(fail(ValueError()), self.step, self.failed, "now")
        then(later, self.step, self.failed, "later")
        later.errback(KeyError())
        self.assertEqual(self.seen, [(ValueError, "now"), (KeyError, "later")])


class ErrbackTests(SynchronousTestCase):
    """The failure of a Deferred that coroutines wait for."""

    def test_nothing_left(self) -> None:
        """Coroutines that wait for it, one by way of another, get the exception; what is left then is freed without the
        collector, in each version of Python (CPython issue 100964), and the exception refers to no frame."""
        caught: list[ValueError] = []

        async def inner(work: Deferred[None]) -> None:
            await work

        async def outer(work: Deferred[None]) -> None:
            try:
                await inner(work)
            except ValueError as error:
                caught.append(error)
                await Deferred[None]()

        def live() -> None:
            work = Deferred[None]()
            self.waiting = Deferred.fromCoroutine(outer(work))
            errback(work, ValueError("gone"))
            self.assertEqual([str(error) for error in caught], ["gone"])
            self.assertIsNone(caught.pop().__traceback__)

        self.assertEqual(kinds_left(self, live), set())
