"""A REFER that one worker relays is known in all."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.cluster.protocol import GRANT, REFERRED
from webrtcproxy.cluster.referred import SharedReferrers, SharedReplacesGrants
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


class SharedReferrersTests(SynchronousTestCase):
    """Two workers; the call is in the first one."""

    def test_told(self) -> None:
        """A browser is known by its socket, in the worker that has it too, and by its user everywhere."""
        clock, sent = Clock(), list[dict[str, object]]()

        def send(header: dict[str, object], body: bytes = b"") -> bool:
            sent.append(header)
            return True

        one, two, three = (RemoteFlows(clock, number, 1, send) for number in (1, 2, 3))
        here, owner, other = (SharedReferrers(clock, flows, send) for flows in (one, two, three))
        flow = FakeFlow.wss()
        here.add(one.flow_of(two.describe(flow)), frozenset({"a@x"}), '"B" <sip:b@x>')
        (change,) = sent
        self.assertEqual(change["do"], REFERRED)
        for replica in (owner, other):
            replica.apply(json.loads(json.dumps(change)))
        for replica, known in (
            (here, one.flow_of(two.describe(flow))), (owner, flow), (other, three.flow_of(two.describe(flow))),
        ):  # fmt: skip
            self.assertEqual(replica.of(known, ()), {'"B" <sip:b@x>'})
            self.assertEqual(replica.of(FakeFlow.wss(), ["a@x"]), {'"B" <sip:b@x>'})
            self.assertEqual(replica.of(FakeFlow.wss(), ["c@x"]), set())
