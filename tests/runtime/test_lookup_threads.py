"""The end of the process waits for no lookup of a name."""

from __future__ import annotations

from threading import Event

from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.lookup_threads import end_without_lookups


class _Reactor:
    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool

    def getThreadPool(self) -> ThreadPool:
        return self._pool


class LookupThreadsTests(SynchronousTestCase):
    """`end_without_lookups`."""

    def test_hanging(self) -> None:
        """A lookup that hangs holds up neither the reactor nor the interpreter."""
        pool, began, answer = ThreadPool(0, 2), Event(), Event()
        self.addCleanup(answer.set)
        end_without_lookups(_Reactor(pool))
        pool.start()
        pool.callInThread(lambda: (began.set(), answer.wait(30)))
        self.assertTrue(began.wait(10))
        (thread,) = pool.threads
        pool.stop()
        self.assertTrue(thread.is_alive() and thread.daemon)
