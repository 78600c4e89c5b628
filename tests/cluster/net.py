"""Several workers and a hub in memory: what each knows of sockets and bindings, and the frames between them."""

from __future__ import annotations

from twisted.internet.task import Clock

from tests.support.fakes import FakeFlow
from tests.support.messages import request, response
from webrtcproxy.cluster.directory import SharedDirectory, is_own
from webrtcproxy.cluster.ownership import ALL, HUB
from webrtcproxy.cluster.protocol import CLOSE, FLOW_CLOSED, MESSAGE, REPLICATED, WRITE
from webrtcproxy.cluster.remote import RemoteFlows
from webrtcproxy.registration.binding import Binding, Found
from webrtcproxy.registration.location import Location
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Response

ALICE = "alice@pbx.example.com"
REGISTRAR = "192.0.2.50"


def answer(status: int, via: str) -> Response:
    """A response to a request with that Via."""
    return response(request("INVITE", via=via), status)


class Member:
    """One process.

    :ivar messages: what others have passed on: flow and octets.
    """

    def __init__(self, net: Net, number: int, multiple: bool, run: int = 1) -> None:
        self.net = net
        self.number = number
        self.flows = RemoteFlows(net.clock, number, run, self.send)
        self.location = Location(net.clock, multiple, is_own)
        self.directory = SharedDirectory(net.clock, number, self.location, self.flows, self.send)
        self.messages: list[tuple[object, bytes]] = []

    def send(self, header: dict[str, object], body: bytes = b"") -> bool:
        self.net.frames.append((self.number, header, body))
        if not self.net.held:
            self.net.deliver()
        return True

    def hear(self, header: dict, body: bytes) -> None:
        what = header["do"]
        if what in REPLICATED:
            self.directory.apply(header)
        elif what == FLOW_CLOSED:
            self.flows.closed(*header["flow"])
        elif what == WRITE:
            self.flows.write(header["flow"], body)
        elif what == CLOSE:
            self.flows.close(header["flow"], header["code"], header["reason"])
        elif what == MESSAGE:
            self.messages.append((self.flows.flow_of(header["flow"]), body))

    def bind(self, flow: FakeFlow, instance: str = "one", *, aor: str = ALICE, seconds: float = 600) -> None:
        """What a 200 of the registrar does."""
        value = NameAddr.parse(f"<sip:{instance}@x.invalid;transport=ws>")
        now = self.net.clock.seconds()
        self.directory.bind([Binding(aor, instance, 1, value.uri, value, flow, now + seconds, 0.5, "call-1")], 1)
        self.directory.registered(aor, REGISTRAR, seconds)

    def instances(self, aor: str = ALICE) -> list[str]:
        """Who is bound, the newest first."""
        return [binding.instance for binding in self.found(aor).bindings]

    def intended(self, aor: str = ALICE) -> list[int]:
        """The seconds that REGISTERs and bindings need, as its directory has it."""
        seconds: list[list[int]] = []
        self.directory.intend(aor, 99, (), 0).addCallback(seconds.append)
        return seconds[0]

    def found(self, aor: str = ALICE) -> Found:
        """What its directory has of an AOR."""
        found: list[Found] = []
        self.directory.find(aor).addCallback(found.append)
        return found[0]


class Net:
    """The hub and workers 1 and 2.

    :ivar held: frames wait until `deliver`.
    """

    def __init__(self, multiple: bool = True) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.held = False
        self.frames: list[tuple[int, dict, bytes]] = []
        self.members = [Member(self, number, multiple) for number in (HUB, 1, 2)]
        self.hub, self.one, self.two = self.members

    def deliver(self) -> None:
        """Everything that is on the way arrives, in order."""
        while self.frames:
            sender, header, body = self.frames.pop(0)
            to = header.get("to", HUB)
            for member in self.members:
                if member.number != sender and to in (ALL, member.number):
                    member.hear(header, body)

    def stop(self) -> None:
        """Forget all."""
        self.held = True
        for member in self.members:
            member.location.stop()
