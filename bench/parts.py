"""What bench/micro.py measures: each part is set up by a function here, which gives the operation."""

from __future__ import annotations

import itertools
import multiprocessing
import socket
from collections.abc import Callable
from contextlib import ExitStack
from time import process_time
from types import TracebackType
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from tests.support.calls.registering import JSSIP, register_request
from tests.support.calls.world import PLAIN, World
from tests.support.configs import PBX
from tests.support.fakes import FakeFlow, FakeUser
from tests.support.messages import ours, request, response
from tests.support.ngnode import BROWSER_SDP
from tests.support.sdp import sample
from tests.support.wire import Recorder, Wire, frame, upgrade
from webrtcproxy.config import WssConfig
from webrtcproxy.media.bencode import NgValue, Reply, from_bencode, to_bencode, to_items
from webrtcproxy.media.crossing import from_peer
from webrtcproxy.media.ng import Node
from webrtcproxy.media.profile import TRUNK
from webrtcproxy.sip.message import Request, Response, check, read, respond
from webrtcproxy.sip.sdp.writing import write
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Flow
from webrtcproxy.transport.wss.server import WebSocketServer
from webrtcproxy.transport.wss.websocket import FrameLimit

Operation = Callable[[int], float]
"""Does it so many times, and gives the seconds of CPU that the proxy took for it. What plays its peers is left out."""

PartSetup = Callable[[ExitStack], Operation]
"""Makes what the operation needs; what has to be ended goes to the stack."""

PARTS: dict[str, PartSetup] = {}

T = TypeVar("T")

SDP = sample("chromium-audio")
JSSIP_HEADERS = (
    ("Allow", "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY"),
    ("Supported", "ice,replaces,outbound"),
    ("User-Agent", "JsSIP 3.10.1"),
)
CONTACT = "<sip:8h2kq0aa@qb1x2c3d4e5f.invalid;transport=ws;ob>"
INVITE = request("INVITE", transport="WSS", sent_by="x.invalid", contact=CONTACT, headers=JSSIP_HEADERS, body=SDP)
MESSAGES = {
    "invite": INVITE.to_bytes(),
    "200": response(INVITE, 200, contact="<sip:bob@192.0.2.50:5060>", headers=JSSIP_HEADERS, body=PLAIN).to_bytes(),
    "bye": request("BYE", to_tag="bob-tag", cseq=2).to_bytes(),
    "register": register_request(JSSIP, expires=600).to_bytes(),
}
CALL_ID = {"call-id": "8a7b6c5d4e3f-0000001"}
PARTIES = {"via-branch": "branch1", "from-tag": "offerer"}
REPLY: dict[str, NgValue] = {"result": "ok", "sdp": BROWSER_SDP % {b"port": 40000, b"version": 1}}
ENOUGH = 40.0
"""Seconds within which every timer of a transaction runs out (RFC 3261 table 4: 64*T1)."""


def part(name: str) -> Callable[[PartSetup], PartSetup]:
    """This sets up the part of that name."""

    def enter(set_up: PartSetup) -> PartSetup:
        PARTS[name] = set_up
        return set_up

    return enter


def plainly(do: Callable[[T], object], value: T) -> PartSetup:
    """The part that is one function with one argument."""

    def operation(turns: int) -> float:
        since = process_time()
        for _ in range(turns):
            do(value)
        return process_time() - since

    return lambda stack: operation


def _parse(data: bytes) -> None:
    check(read(data))


for _kind, _data in MESSAGES.items():
    part(f"parse-{_kind}")(plainly(_parse, _data))
for _kind in ("invite", "200"):
    part(f"serialise-{_kind}")(plainly(lambda message: message.to_bytes(), read(MESSAGES[_kind])))


# Transactions


@part("match-retransmission")
def _retransmission(stack: ExitStack) -> Operation:
    """An INVITE for which there is a transaction: what was answered is sent again."""
    layer, flow = Transactions(Clock(), FakeUser()), FakeFlow.udp()
    layer.message_received(read(MESSAGES["invite"]), flow)
    return _received(layer, flow, MESSAGES["invite"])


@part("match-response")
def _response(stack: ExitStack) -> Operation:
    """A 180 to our INVITE."""
    layer, flow = Transactions(Clock(), FakeUser()), FakeFlow.udp()
    transaction = layer.request(ours("INVITE", body=SDP), flow, on_provisional=lambda message: None)
    return _received(layer, flow, response(transaction.request, 180).to_bytes())


def _received(layer: Transactions, flow: FakeFlow, data: bytes) -> Operation:
    def operation(turns: int) -> float:
        messages = [read(data) for _ in range(turns)]  # each has to find out its own key
        since = process_time()
        for message in messages:
            layer.message_received(message, flow)
        spent = process_time() - since
        flow.clear()
        return spent

    return operation


# The whole proxy in memory


class Watch:
    """In the place of a transaction layer: what its peers say comes as octets, and the time that passes is counted.

    :ivar spent: seconds of CPU.
    """

    def __init__(self, layer: Transactions) -> None:
        self.spent = 0.0
        self._layer = layer
        self._since = 0.0

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """As the transports do it."""
        data = message.to_bytes()
        with self:
            self._layer.message_received(read(data), flow)

    def __enter__(self) -> None:
        self._since = process_time()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.spent += process_time() - self._since


class Stage:
    """A proxy between a browser and a trunk."""

    def __init__(self) -> None:
        self.world = World(PBX)
        self.watch = Watch(self.world.transactions)
        self.world.transactions = self.watch  # type: ignore[assignment]  # for the peers
        self.alice, self.trunk = self.world.browser(), self.world.trunk()

    def operation(self, act: Callable[[], None]) -> Operation:
        """What is played again and again, with all timers that it leaves behind."""

        def operation(turns: int) -> float:
            self.watch.spent = 0.0
            for _ in range(turns):
                act()
                with self.watch:
                    self.world.turn(ENOUGH)
                for peer in self.world.peers:
                    peer.forget()
                self.world.nodes.forget()
            return self.watch.spent

        return operation


@part("call")
def _call(stack: ExitStack) -> Operation:
    """INVITE, 180, 200, ACK, BYE, 200: from the browser to the trunk, with rtpengine's answers there at once."""
    stage = Stage()
    alice, trunk = stage.alice, stage.trunk

    def act() -> None:
        invite = alice.invite("sip:bob@pbx.example.com", *JSSIP_HEADERS)
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        alice.heard(180)
        ok = alice.response(200)
        alice.ack(invite, ok)
        alice.say(alice.inside("BYE", invite, ok))
        trunk.answer(trunk.request("BYE"), 200)
        alice.heard(200)

    return stage.operation(act)


@part("register")
def _register(stack: ExitStack) -> Operation:
    """A REGISTER that refreshes a binding, and its 200."""
    stage = Stage()
    alice, trunk = stage.alice, stage.trunk
    numbers = itertools.count(1)

    def act() -> None:
        alice.say(register_request(JSSIP, expires=600, cseq=next(numbers)))
        register = trunk.request("REGISTER")
        bound = f"{register.headers.get('Contact')};expires=600"
        trunk.say(respond(register, 200, to_tag="registrar", headers=[("Contact", bound)]))
        alice.heard(200)

    return stage.operation(act)


# rtpengine


def _offer(sdp: bytes) -> bytes:
    return TRUNK.items("offer", sdp, True) + to_items(PARTIES)


def _described(sdp: bytes) -> bytes:
    return write(from_peer(sdp, TRUNK))


part("description")(plainly(_described, SDP))
part("ng-encode")(plainly(_offer, SDP))
part("ng-decode")(plainly(from_bencode, to_bencode(REPLY)))


@part("ng-round-trip")
def _round_trip(stack: ExitStack) -> Operation:
    """An offer over UDP to another process, which answers with what it has ready."""
    server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind(("127.0.0.1", 0))
    engine = multiprocessing.get_context("fork").Process(target=_answer, args=(server,), daemon=True)
    engine.start()
    stack.callback(engine.join)
    stack.callback(engine.kill)  # a SIGTERM would be taken by the handler of a reactor that has run before
    reactor = EPollReactor()
    node = Node(reactor, *server.getsockname())
    node.open(node.host)
    stack.callback(node.close)

    def operation(turns: int) -> float:
        replies: list[Reply] = []
        since = process_time()
        for turn in range(turns):
            node.command("offer", CALL_ID, 5.0, _offer(SDP)).addCallback(replies.append)
            while len(replies) == turn:
                reactor.iterate(1)
        return process_time() - since

    return operation


def _answer(server: socket.socket) -> None:
    body = to_bencode(REPLY)
    while True:
        data, address = server.recvfrom(65536)
        server.sendto(data.partition(b" ")[0] + b" " + body, address)


# WebSocket


class Sink(Wire):
    """A connection that keeps nothing of what is written."""

    def write(self, data: bytes) -> None:
        """Forget it."""


def _socket() -> tuple[Sink, Recorder]:
    """An open WebSocket, without TLS, and who gets its messages."""
    receiver = Recorder(answer=False)
    limit = FrameLimit(rate=1e9, burst=10**9)
    reactor: Any = MemoryReactorClock()
    browsers = WebSocketServer(
        reactor, receiver, WssConfig(("tcp:443",)), frame_limit=limit, page=None, advertise="203.0.113.7"
    )
    browsers.startService()
    wire = Sink()
    wire.attach(browsers.site.buildProtocol(IPv4Address("TCP", "192.0.2.7", 40000)))
    wire.deliver(upgrade())
    return wire, receiver


@part("websocket-in")
def _websocket_in(stack: ExitStack) -> Operation:
    """A frame with an INVITE: unmasked, joined, read."""
    wire, receiver = _socket()
    data = frame(MESSAGES["invite"])

    def operation(turns: int) -> float:
        since = process_time()
        for _ in range(turns):
            wire.deliver(data)
        spent = process_time() - since
        assert len(receiver.messages) == turns
        receiver.messages.clear()
        return spent

    return operation


@part("websocket-out")
def _websocket_out(stack: ExitStack) -> Operation:
    """A frame with a 200."""
    wire, receiver = _socket()
    wire.deliver(frame(MESSAGES["register"]))
    return plainly(receiver.flow.send, MESSAGES["200"])(stack)
