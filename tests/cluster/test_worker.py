"""Worker: what it does with the frames that come by its link."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import ALICE, Net
from tests.support.configs import config
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.cluster.cluster import of_worker
from webrtcproxy.cluster.protocol import (
    CLOSE,
    DONE,
    DRAIN,
    FLOW_CLOSED,
    HURRY,
    MESSAGE,
    QUERY,
    READY,
    RELOAD,
    START,
    STOP,
    WORKER_ENDED,
    WORKERS_UP,
    WRITE,
)
from webrtcproxy.cluster.slot import StartOrder, WorkerSlot
from webrtcproxy.cluster.worker import LINGER, Queries, Worker, WorkerRuntime
from webrtcproxy.config import Config, HostPort, ProxyConfig, Trunk
from webrtcproxy.config.ini import Secret
from webrtcproxy.config.media_node import MediaNode
from webrtcproxy.sip.errors import BadMessage

TRUNK = Trunk("t", "t.example", username="u", password=Secret("hunter2"))


class Services:
    """What is built: notes what happens to it."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.fails = False
        self.wound_up: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        self.notes.append("bind")

    def startService(self) -> None:
        if self.fails:
            raise ValueError("no certificate")
        self.notes.append("start")

    def stopService(self) -> Deferred[None]:
        self.notes.append("stop")
        return succeed(None)

    def wind_up(self) -> Deferred[None]:
        self.notes.append("wind up")
        return self.wound_up

    def hurry(self) -> None:
        self.notes.append("hurry")

    def reload(self) -> None:
        self.notes.append("reload")


class WorkerCase(SynchronousTestCase):
    """Worker 1, which has its start order; its link is a list."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.services = Services()
        self.codes: list[int] = []
        self.worker = Worker(self.clock, self.build, lambda: self.services.notes.append("flush"), self.codes.append)
        self.sent: list[tuple[dict[str, Any], bytes]] = []
        self.patch(self.worker.link, "send", self.send)
        self.patch(self.worker.link, "finish", lambda: self.services.notes.append("finish"))
        self.config = replace(config(TRUNK), proxy=ProxyConfig(2))
        self.messages: list[Any] = []
        self.bad: list[BadMessage] = []

    def send(self, header: dict[str, Any], body: bytes = b"", **more: object) -> bool:
        self.sent.append((header, body))
        return True

    def build(self, given: Config, reactor: Any, runtime: WorkerRuntime) -> tuple[Services, Queries]:
        self.given, self.runtime = given, runtime
        self.location, self.directory = runtime.bindings(True)
        self.addCleanup(self.location.stop)
        runtime.receiver_for(self)  # type: ignore[arg-type]
        return self.services, {"health": lambda: {"calls": 7}}

    def message_received(self, message: object, flow: object) -> None:
        self.messages.append((message, flow))

    def bad_message(self, error: BadMessage, flow: object) -> None:
        self.bad.append(error)

    def hear(self, header: dict[str, Any], body: bytes = b"") -> None:
        self.worker.frame(header, body, b"")

    def begin(self) -> None:
        self.hear({"do": START}, pickle.dumps(StartOrder(self.config, WorkerSlot(1, 3, "abcw1"))))

    def said(self) -> list[str]:
        """What it sent since the last time."""
        said = [header["do"] for header, _ in self.sent]
        self.sent.clear()
        return said


class WorkerTests(WorkerCase):
    """Its life."""

    def test_signals_of_the_hub(self) -> None:
        """What the hub is told by signals, it does."""
        self.begin()
        self.services.notes.clear()
        for frame in (RELOAD, DRAIN, HURRY):
            self.hear({"do": frame})
        self.assertEqual(self.services.notes, ["reload", "wind up", "hurry"])

    def test_begin(self) -> None:
        """By its start order it builds and starts the services, and says that it is ready."""
        self.begin()
        self.assertEqual(self.given, self.config)
        self.assertEqual(self.given.trunks[0].password, "hunter2")
        self.assertEqual((self.runtime.worker_prefix, self.runtime.slot.run), ("1-", 3))
        self.assertEqual(self.services.notes, ["bind", "start"])
        self.assertEqual(self.said(), [READY])

    def test_can_not_start(self) -> None:
        """The reason is logged, and it ends with 1."""
        self.services.fails = True
        self.begin()
        self.worker.link_ended()
        self.assertEqual(self.codes, [1])
        self.assertNotIn(READY, self.said())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_question(self) -> None:
        """It answers what it knows, and to anything else nothing."""
        self.begin()
        for what in ("health", "alive"):
            self.hear({"do": QUERY, "what": what, "number": 5})
        self.assertEqual([header["result"] for header, _ in self.sent[1:]], [{"calls": 7}, None])
        self.assertEqual(self.sent[1][0]["number"], 5)

    def test_drain_and_stop(self) -> None:
        """It says when its calls have ended, and closes on command."""
        self.begin()
        self.hear({"do": DRAIN})
        self.assertEqual(self.said(), [READY])
        self.services.wound_up.callback(None)
        self.assertEqual(self.sent, [({"do": DONE, "what": DRAIN}, b"")])
        self.assertEqual(self.codes, [])
        self.hear({"do": STOP})
        self.assertEqual(self.services.notes[-3:], ["stop", "flush", "finish"])
        self.assertEqual(self.codes, [])
        self.worker.link_ended()
        self.assertEqual(self.codes, [0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_last_words_do_not_get_through(self) -> None:
        """It ends all the same."""
        self.begin()
        self.hear({"do": STOP})
        self.clock.advance(LINGER)
        self.assertEqual(self.codes, [0])

    def test_hub_gone(self) -> None:
        """Without the hub it ends by itself, calls included."""
        self.begin()
        self.worker.link_ended()
        self.assertEqual(self.services.notes[-1], "stop")
        self.assertEqual(self.codes, [1])

    def test_hub_gone_before_it_began(self) -> None:
        """Also before its start order."""
        self.worker.link_ended()
        self.assertEqual(self.codes, [1])


class HearingTests(WorkerCase):
    """What others send."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()
        self.net = Net()
        self.addCleanup(self.net.stop)
        self.flow = FakeFlow.wss()

    def test_message(self) -> None:
        """One that another worker has passed on goes to the transactions, with a flow that leads back."""
        sent = request("BYE", "sip:1-0123456789abcdef@192.0.2.1", to_tag="x")
        self.hear({"do": MESSAGE, "flow": self.net.two.flows.describe(self.flow)}, sent.to_bytes())
        ((message, flow),) = self.messages
        self.assertEqual((message.method, flow.peer), ("BYE", self.flow.peer))
        flow.send(b"answer")
        header, body = self.sent[-1]
        self.assertEqual((header["to"], header["do"], body), (2, WRITE, b"answer"))
        self.hear({"do": MESSAGE, "flow": self.net.two.flows.describe(self.flow)}, b"broken")
        self.assertEqual(len(self.bad), 1)

    def test_intents(self) -> None:
        """A REGISTER under way at another worker counts until that ends."""
        self.net.held = True
        self.successResultOf(self.net.two.directory.intend(ALICE, 1, (), 600))
        for _, header, body in self.net.frames:
            self.hear(header, body)
        self.assertEqual(self.successResultOf(self.directory.intend(ALICE, 1, (), 0)), [600])
        self.hear({"do": WORKER_ENDED, "worker": 2})
        self.assertEqual(self.successResultOf(self.directory.intend(ALICE, 1, (), 0)), [])

    def test_bindings(self) -> None:
        """Changes of bindings, lost sockets and dead workers."""
        self.net.held = True
        self.net.two.bind(self.flow)
        for _, header, body in self.net.frames:
            self.hear(header, body)
        self.assertEqual(self.directory.owner(ALICE), 2)
        descriptor = self.net.two.flows.describe(self.flow)
        self.hear({"do": WORKER_ENDED, "worker": 3})
        self.hear({"do": FLOW_CLOSED, "flow": descriptor[:2]})
        self.assertEqual(self.directory.owner(ALICE), 0)

    def test_up_and_gone(self) -> None:
        """It knows which workers take messages."""
        self.hear({"do": WORKERS_UP, "workers": [1, 2]})
        self.assertEqual(self.runtime.up, {1, 2})
        self.hear({"do": WORKER_ENDED, "worker": 2})
        self.assertEqual(self.runtime.up, {1})

    def test_own_socket(self) -> None:
        """Others write to its sockets, and close them."""
        number = self.runtime.flows.describe(self.flow)[1]
        self.hear({"do": WRITE, "flow": number}, b"data")
        self.assertEqual(self.flow.sent, [b"data"])
        self.hear({"do": CLOSE, "flow": number, "code": 1008, "reason": "no"})
        self.assertEqual(self.flow.closings, [(1008, "no")])
        self.hear({"do": WRITE, "flow": number}, b"data")


class ShareTests(SynchronousTestCase):
    """The configuration of a worker."""

    def test_share(self) -> None:
        """Limits in all are shared out, rounded up; the web port and the spawned rtpengine are the hub's."""
        whole = replace(config(TRUNK), proxy=ProxyConfig(3))
        part = of_worker(whole, HostPort("127.0.0.1", 4711))
        self.assertEqual((part.calls.limit, part.subscriptions.limit), (334, 3334))
        self.assertEqual(part.wss.connections, 6667)
        self.assertEqual(part.wss.connections_per_address, whole.wss.connections_per_address)
        self.assertEqual(part.rtpengine.nodes, (MediaNode("127.0.0.1", 4711),))
        self.assertEqual(part.web.listen, ())
        self.assertEqual(of_worker(whole).rtpengine, whole.rtpengine)


class RuntimeTests(SynchronousTestCase):
    """What a worker has in place of what a single process has."""

    def setUp(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.datagrams: list[tuple[int, bytes, tuple[str, int]]] = []
        worker = Worker(Clock(), lambda *given: None, lambda: None, lambda code: None)  # type: ignore[arg-type,return-value]
        self.patch(worker.link, "send", lambda header, body=b"": self.sent.append(header))
        self.runtime = WorkerRuntime(Clock(), WorkerSlot(2, 0, "abcw2"), worker.link)
        self.flow = FakeFlow.udp()

    def datagram(self, place: int, data: bytes, source: tuple[str, int]) -> None:
        self.datagrams.append((place, data, source))

    def shared_hostport(self, flow: FakeFlow) -> str:
        return "192.0.2.1:5060"

    def test_datagram(self) -> None:
        """A datagram that the hub has read goes to the sockets; before there are any, it is lost."""
        header = {"line": 0, "source": ["198.51.100.7", 5060]}
        self.runtime.datagram(header, b"early")
        self.runtime.sockets = self  # type: ignore[assignment]
        self.runtime.datagram(header, b"data")
        self.assertEqual(self.datagrams, [(0, b"data", ("198.51.100.7", 5060))])

    def test_contact(self) -> None:
        """The registrar reaches every worker at the shared port, not at the worker's own."""
        self.assertEqual(self.runtime.contact_hostport(self.flow), self.flow.sent_by)
        self.runtime.sockets = self  # type: ignore[assignment]
        self.assertEqual(self.runtime.contact_hostport(self.flow), "192.0.2.1:5060")

    def test_grants(self) -> None:
        """What another worker let cross by REFER is known here; it is not sent on."""
        grants = self.runtime.replaces_grants()
        dialog = ["call", "local", "remote"]
        change = {"dialog": dialog, "flow": None, "host": "198.51.100.9", "referrer": "alice"}
        self.runtime.grant(change, b"")
        self.assertEqual((len(grants), self.sent), (1, []))

    def test_worker_gone(self) -> None:
        """A worker that ends before the bindings are there is taken from those that are up."""
        self.runtime.workers_up({"workers": [1, 2]}, b"")
        self.runtime.worker_ended({"worker": 1}, b"")
        self.assertEqual(self.runtime.up, {2})


class OddTests(WorkerCase):
    """Orders that come out of turn."""

    def test_log(self) -> None:
        """Log events go to the hub as they are."""
        self.worker.send_log(b"events")
        self.assertEqual(self.sent, [({"do": "log"}, b"events")])

    def test_stop_twice(self) -> None:
        """A second order to end changes nothing, nor does the end of the link after the end."""
        self.begin()
        self.hear({"do": "stop"})
        self.hear({"do": "stop"})
        self.assertEqual(self.services.notes.count("stop"), 1)
        self.worker.link_ended()
        self.worker.link_ended()
        self.assertEqual(self.codes, [0])

    def test_link_ends_while_it_ends(self) -> None:
        """The link breaks while the services end: it leaves when these have ended, with the first code."""
        self.begin()
        stopped: Deferred[None] = Deferred()
        self.patch(self.services, "stopService", lambda: stopped)
        self.hear({"do": "stop"})
        self.worker.link_ended()
        self.assertEqual(self.codes, [])
        stopped.callback(None)
        self.assertEqual(self.codes, [0])
