"""SharedReplacesGrants: a REFER that one worker relays is known in all."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.cluster.protocol import GRANT
from webrtcproxy.cluster.referred import SharedReplacesGrants
from webrtcproxy.cluster.remote import RemoteFlows
from webrtcproxy.dialog.referred import ReplacesGrant

KEY = ("call", "ours", "theirs")


class SharedReplacesGrantsTests(SynchronousTestCase):
    """Two workers."""

    def test_told(self) -> None:
        """A browser is known by its socket, wherever that is; who is none, by its address."""
        clock, sent = Clock(), list[dict[str, object]]()

        def send(header: dict[str, object], body: bytes = b"") -> bool:
            sent.append(header)
            return True

        one, two = RemoteFlows(clock, 1, 1, send), RemoteFlows(clock, 2, 1, send)
        here, there = SharedReplacesGrants(clock, one, send), SharedReplacesGrants(clock, two, send)
        flow = FakeFlow.wss()
        for grant in (ReplacesGrant(flow, "203.0.113.5", "192.0.2.50"), ReplacesGrant(None, "192.0.2.7", "192.0.2.50")):
            here.add(KEY, grant)
            there.apply(sent[-1])
        self.assertEqual([header["do"] for header in sent], [GRANT, GRANT])
        self.assertIs(here.of(KEY)[0].flow, flow)
        browser, trunk = there.of(KEY)
        self.assertEqual(browser.flow, two.flow_of(one.describe(flow)))
        self.assertEqual((trunk.flow, trunk.host, trunk.referrer), (None, "192.0.2.7", "192.0.2.50"))
