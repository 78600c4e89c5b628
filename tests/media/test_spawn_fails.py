"""rtpengine can't be started again (fork fails, no memory): the proxy must still stop."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.ngwire import FakeReactor
from webrtcproxy.media.process import RtpengineProcess


class SpawnFails(SynchronousTestCase):
    """There is no process."""

    def test_stops(self) -> None:
        """`stopService` fires, whether rtpengine runs or not."""
        reactor = FakeReactor()
        rtpengine = RtpengineProcess(
            reactor, find=lambda program: f"/usr/bin/{program}", ports=lambda host, count: range(20000, 20000 + count)
        )

        def spawn(*args: object, **options: object) -> None:
            raise OSError("fork: Resource temporarily unavailable")

        reactor.spawnProcess = spawn
        self.assertRaises(OSError, rtpengine.startService)
        stopped = rtpengine.stopService()
        self.successResultOf(stopped)
