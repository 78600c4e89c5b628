"""What is counted of commands to an rtpengine, told by what each command moves and nothing else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import Readings, samples
from tests.support.ngwire import FIRST, PORT, SECOND, FakeDaemon, FakeReactor
from webrtcproxy.media import ng
from webrtcproxy.media.ng import Node
from webrtcproxy.media.nodes import FIRST_PING, Nodes
from webrtcproxy.runtime.errors import NgError
from webrtcproxy.runtime.metrics import Metrics

NODE = f'node="{FIRST}:{PORT}"'


class Counted(SynchronousTestCase):
    """One node."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.daemon = FakeDaemon(self.reactor)
        self.metrics = Metrics()
        self.node = Node(self.reactor, FIRST, PORT, metrics=self.metrics)
        self.node.open(FIRST)
        self.readings = Readings(self.metrics)

    def ask(self, command: str = "offer", **fields: bytes) -> None:
        """A command, seen to its end."""
        self.node.command(command, {"sdp": b"v=0", **fields}, 2).addErrback(lambda failure: failure.trap(NgError))
        self.reactor.settle()

    def value(self, name: str) -> float:
        return samples(self.metrics.text())[name]

    def test_reply(self) -> None:
        """The time to the reply, by command; from the first time that it was sent."""
        self.daemon.delay = 0.3
        self.ask()
        self.reactor.pump([0.1] * 4)
        self.assertEqual(
            self.readings.moved(), {f'ng_seconds_count{{command="offer",{NODE}}}': 1, f"ng_up{{{NODE}}}": 1}
        )
        self.assertAlmostEqual(self.value(f'ng_seconds_sum{{command="offer",{NODE}}}'), 0.3)
        self.ask("ping")
        self.reactor.pump([0.1] * 4)
        self.assertEqual(self.readings.moved(), {f'ng_seconds_count{{command="ping",{NODE}}}': 1})

    def test_refused(self) -> None:
        """A refusal is a reply, and a failure; so is a node at its limit."""
        for result, reason in ((b"error", "refused"), (b"load limit", "overload")):
            self.daemon.result = {b"result": result}
            self.ask()
            found = self.readings.moved()
            self.assertEqual(found.pop(f'ng_seconds_count{{command="offer",{NODE}}}'), 1)
            self.assertEqual(found.pop(f'ng_failures_total{{{NODE},reason="{reason}"}}'), 1)
        self.assertEqual(found, {})

    def test_silent(self) -> None:
        """No reply in time is a failure without a time; a dead node is not up."""
        self.ask("ping")
        self.readings.moved()
        self.daemon.silent = True
        for dead in (0, 1):
            self.ask()
            self.assertEqual(self.readings.moved(), {f"ng_pending{{{NODE}}}": 1})
            self.reactor.pump([0.1] * 21)
            expected = {f'ng_failures_total{{{NODE},reason="timeout"}}': 1, f"ng_pending{{{NODE}}}": -1}
            self.assertEqual(self.readings.moved(), expected | ({f"ng_up{{{NODE}}}": -1} if dead else {}))

    def test_not_sent(self) -> None:
        """What does not fit a datagram, and what is too much, has failed without being sent."""
        self.ask(sdp=b"x" * 70_000)
        self.assertEqual(self.readings.moved(), {f'ng_failures_total{{{NODE},reason="refused"}}': 1})
        self.patch(ng, "MAX_PENDING", 0)
        self.ask()
        self.assertEqual(self.readings.moved(), {f'ng_failures_total{{{NODE},reason="overload"}}': 1})

    def test_given_up(self) -> None:
        """What nobody waits for any more has not failed."""
        self.daemon.silent = True
        self.node.command("offer", {}, 2).addErrback(lambda failure: failure.trap(NgError))
        self.node.give_up()
        self.assertEqual(self.readings.moved(), {})


class AllNodes(SynchronousTestCase):
    """All of them."""

    def test_each(self) -> None:
        """Each node has its name; it is up when it has answered, as /health has it."""
        reactor, metrics = FakeReactor(), Metrics()
        FakeDaemon(reactor, FIRST)
        nodes = Nodes(reactor, [(FIRST, PORT), (SECOND, PORT)], metrics=metrics)
        nodes.startService()
        self.assertEqual(samples(metrics.text())[f"ng_up{{{NODE}}}"], 0)
        reactor.advance(FIRST_PING)
        reactor.settle()
        found = samples(metrics.text())
        self.assertEqual((found[f"ng_up{{{NODE}}}"], found[f'ng_up{{node="{SECOND}:{PORT}"}}']), (1, 0))
        self.assertEqual(found[f'ng_pending{{node="{SECOND}:{PORT}"}}'], 1)
        stopped = nodes.stopService()
        reactor.settle()
        self.successResultOf(stopped)
