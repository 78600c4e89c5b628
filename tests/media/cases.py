"""What the tests of media sessions have in common."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.ngwire import FIRST, PORT, FakeDaemon, FakeReactor
from tests.support.sdp import FINGERPRINT
from webrtcproxy.media.nodes import BATCH_DELAY, FIRST_PING, Nodes
from webrtcproxy.media.profile import BROWSER, Profile
from webrtcproxy.runtime.errors import NgError

SDP = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" + FINGERPRINT


class SessionCase(SynchronousTestCase):
    hosts = (FIRST,)

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.daemons = [FakeDaemon(self.reactor, host) for host in self.hosts]
        self.daemon = self.daemons[0]
        self.nodes = Nodes(self.reactor, [(host, PORT) for host in self.hosts], timeout=2.0, ping=3600)
        self.nodes.startService()
        self.reactor.advance(FIRST_PING)
        self.reactor.settle()
        for daemon in self.daemons:
            daemon.commands.clear()
        self.session = self.nodes.session("call-1")

    def tearDown(self) -> None:
        """After each test: nothing held at any node that answers, no timer, no failure that nobody heard."""
        self.reactor.pump([0.5] * 80)
        self.assertEqual([daemon.sessions for daemon in self.daemons], [set()] * len(self.daemons))
        stopped = self.nodes.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.nodes.names), 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def offer(self, branch: str = "b1", from_tag: str = "A", to: Profile = BROWSER) -> Deferred[bytes]:
        return self.session.offer(SDP, from_tag=from_tag, branch=branch, to=to)

    def answer(
        self, branch: str = "b1", to_tag: str = "B", from_tag: str = "A", to: Profile = BROWSER
    ) -> Deferred[bytes]:
        return self.session.answer(SDP, from_tag=from_tag, to_tag=to_tag, branch=branch, to=to)

    def sdp_of(self, done: Deferred[bytes]) -> bytes:
        self.reactor.settle()
        return self.successResultOf(done)

    def error_of(self, done: Deferred[bytes], kind: type[NgError]) -> Any:
        self.reactor.settle()
        return self.failureResultOf(done, kind).value

    def delete(self) -> None:
        done = self.session.delete()
        self.reactor.advance(BATCH_DELAY)
        self.reactor.settle()
        self.assertIsNone(self.successResultOf(done))

    def last(self, *keys: bytes) -> tuple[object, ...]:
        """Values of the last command; None where a key is not there."""
        return tuple(self.daemon.commands[-1].get(key) for key in keys)
