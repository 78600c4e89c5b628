"""The SIP sockets of a worker, on loopback."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.support.fakes import FakeFlow
from tests.support.messages import request
from tests.support.wire import Recorder
from webrtcproxy.cluster.listening_sockets import ListeningSockets
from webrtcproxy.cluster.sockets import WorkerSockets
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.flow import Address

OPTIONS = request("OPTIONS", via="SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx;rport").to_bytes()
AT = "interface=127.0.0.1"


class WorkerSocketsTests(TestCase):
    """Worker 2 of two."""

    timeout = 10

    def setUp(self) -> None:
        self.places = ListeningSockets((), (f"udp:0:{AT}", f"tcp:0:{AT}"), 2)
        self.places.open()
        self.addCleanup(self.places.close)
        own = self.places.own[1].sip
        self.shared_port = self.places.shared[0].getsockname()[1]
        self.own_port = own[0].getsockname()[1]
        self.receiver = Recorder()
        self.sockets = WorkerSockets(
            reactor,  # type: ignore[arg-type]
            self.receiver,
            (f"udp:0:{AT}", f"tcp:0:{AT}"),
            own=[each.fileno() for each in own],
            shared={0: self.places.shared[0].dup().detach()},
        )
        self.sockets.startService()
        self.addCleanup(self.sockets.stopService)
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.settimeout(5)

    def test_datagram_of_the_hub(self) -> None:
        """What the hub has read arrives with a flow whose answers leave by the shared socket, and whose Via and Contact
        name the worker's own (RFC 3581, RFC 3261 section 12.1.1)."""
        self.sockets.datagram(0, OPTIONS, self.peer.getsockname())
        _, flow = self.receiver.messages[0]
        self.assertEqual(flow.peer, Address(*self.peer.getsockname()))
        self.assertEqual(flow.sent_by, f"127.0.0.1:{self.own_port}")
        self.assertTrue(self.peer.recv(1000).startswith(b"SIP/2.0 200"))  # what the receiver says by itself
        flow.send(b"answer")
        self.assertEqual(self.peer.recvfrom(100), (b"answer", ("127.0.0.1", self.shared_port)))
        self.sockets.datagram(1, OPTIONS, self.peer.getsockname())
        self.assertEqual(len(self.receiver.messages), 1)

    def test_out(self) -> None:
        """Requests leave by the worker's own socket."""
        flow = self.sockets.flow_to("udp", Address(*self.peer.getsockname()))
        flow.send(b"request")
        self.assertEqual(self.peer.recvfrom(100), (b"request", ("127.0.0.1", self.own_port)))

    def test_place(self) -> None:
        """A registrar is told the shared socket, on TCP the port, which is the same for all."""
        flow = self.sockets.flow_to("udp", Address("127.0.0.1", 5060))
        self.assertEqual(self.sockets.shared_hostport(flow), f"127.0.0.1:{self.shared_port}")
        flow = self.sockets.flow_to("tcp", Address("127.0.0.1", 5060))
        self.assertEqual(self.sockets.shared_hostport(flow), flow.sent_by)
        same = f"127.0.0.1:{self.own_port}"  # as with udp:5060 and tcp:5061
        self.assertEqual(self.sockets.shared_hostport(FakeFlow.tcp("127.0.0.1", sent_by=same)), same)

    async def test_stopped(self) -> None:
        """Then nothing leaves any more, nor is anything heard."""
        self.sockets.datagram(0, OPTIONS, self.peer.getsockname())
        _, flow = self.receiver.messages[0]
        await self.sockets.stopService()
        self.assertTrue(flow.closed)
        self.assertRaises(FlowLost, flow.send, b"x")

    def test_refused_by_the_kernel(self) -> None:
        """Too large, or no port: FlowLost, and nothing else."""
        self.sockets.datagram(0, OPTIONS, self.peer.getsockname())
        _, flow = self.receiver.messages[0]
        self.assertRaises(FlowLost, flow.send, b"x" * 70000)
