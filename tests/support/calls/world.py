"""A whole proxy but for the sockets and rtpengine: for tests that tell a call as both legs see it.

world = World(PBX)
alice, trunk = world.browser(), world.trunk()
invite = alice.invite("sip:bob@pbx.example.com")
leg = trunk.heard("INVITE")
trunk.answer(leg, 180)
alice.heard(180)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tests.support.configs import config as make_config
from tests.support.directories import SlowDirectory
from tests.support.fakes import FakeFlow
from tests.support.ngnode import BROWSER_SDP, TRUNK_SDP, FakeNodes
from webrtcproxy.access.caller import authority_of
from webrtcproxy.config import Config, Trunk
from webrtcproxy.proxy import Core
from webrtcproxy.registration.binding import Binding, contact_user_of, key_of
from webrtcproxy.registration.directory import IDirectory
from webrtcproxy.registration.local_directory import LocalDirectory
from webrtcproxy.registration.location import ILocation, Location
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request, Response, respond
from webrtcproxy.sip.uri import Uri
from webrtcproxy.standalone import Standalone
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Address, Flow, Hop

OFFER = BROWSER_SDP % {b"port": 40000, b"version": 1}
PLAIN = TRUNK_SDP % {b"port": 50000, b"version": 1}

TRUNK_ADDRESS = "192.0.2.50"
_numbers = itertools.count(1)


class Names:
    """Resolves each name to one address, or to several apart by blanks; literals to themselves."""

    def __init__(self) -> None:
        self.known = {"pbx.example.com": TRUNK_ADDRESS, "carrier.example.net": "192.0.2.7"}

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        if host[:1].isdigit():
            return succeed([Hop.to(host, port, transport)])
        if host in self.known:
            found = [Address(address, port or 5060) for address in self.known[host].split()]
            return succeed([Hop(transport or "udp", address, host) for address in found])
        return fail(Refusal(502, f"Cannot Resolve {host}"))


class Peer:
    """One end of the wire: what it is sent is taken in order, what it says goes into the transaction layer."""

    def __init__(self, world: World, flow: FakeFlow) -> None:
        self.world = world
        self.flow = flow
        self._taken = 0
        flow_of = world.peers
        flow_of.append(self)

    def next(self) -> Request | Response:
        """The next message that was sent here."""
        message = self.flow.messages[self._taken]
        self._taken += 1
        return message

    def pending(self) -> list[str]:
        """What was sent here and not taken yet: methods and status codes."""
        return [_name(message) for message in self.flow.messages[self._taken :]]

    def heard(self, what: str | int) -> Request | Response:
        """Take the next message, which must be this method or status."""
        assert self.pending(), f"expected {what}, heard nothing"
        message = self.next()
        assert _name(message) == str(what), f"expected {what}, heard {_name(message)}"
        return message

    def request(self, what: str) -> Request:
        message = self.heard(what)
        assert isinstance(message, Request)
        return message

    def response(self, what: int) -> Response:
        message = self.heard(what)
        assert isinstance(message, Response)
        return message

    def silent(self) -> None:
        """Nothing was sent that was not taken."""
        assert not self.pending(), self.pending()

    def forget(self) -> None:
        """Forget all that was sent here."""
        self.flow.clear()
        self._taken = 0

    def say(self, message: Request | Response) -> None:
        """Send one message to the proxy."""
        self.world.transactions.message_received(message, self.flow)

    def answer(
        self,
        request: Request,
        status: int,
        body: bytes = b"",
        *,
        tag: str = "callee",
        reason: str = "",
        headers: Iterable[tuple[str, str]] = (),
        contact: str = "",
    ) -> Response:
        """Answer a request of the proxy's."""
        extra = [*headers]
        if request.method == "INVITE" and 100 < status < 300:
            extra.append(("Contact", contact or f"<sip:callee@{self.flow.peer.host}:{self.flow.peer.port}>"))
        if body:
            extra.append(("Content-Type", "application/sdp"))
        response = respond(request, status, reason, to_tag="" if status == 100 else tag, headers=extra, body=body)
        self.say(response)
        return response


class Caller(Peer):
    """A peer that places calls."""

    contact = ""
    uri = ""
    sdp = b""
    content_type = "application/sdp"

    def invite(
        self,
        to: str,
        *headers: tuple[str, str],
        cseq: int = 1,
        like: Request | None = None,
        to_tag: str = "",
        called: str = "",
    ) -> Request:
        """Send an INVITE; `like` an earlier one for a try with credentials; with `called` in To, where that is not the
        Request-URI."""
        number = next(_numbers)
        fields = Headers(
            [
                ("Via", f"SIP/2.0/{self.flow.via_transport} {self.via};branch=z9hG4bK{number}"),
                ("Max-Forwards", "69"),
                ("From", f"<{self.uri}>;tag=caller{number}" if like is None else like.headers.get("From") or ""),
                ("To", f"<{called or to}>" + (f";tag={to_tag}" if to_tag else "")),
                ("Call-ID", f"call{number}" if like is None else like.call_id),
                ("CSeq", f"{cseq} INVITE"),
                ("Contact", f"<{self.contact}>"),
                *headers,
            ]
        )
        if self.sdp:
            fields.add("Content-Type", self.content_type)
        request = Request("INVITE", to, fields, self.sdp)
        self.say(_copy(request))
        return request

    def ack(self, invite: Request, response: Response) -> None:
        """ACK a final response."""
        self.say(self.inside("ACK", invite, response, cseq=invite.cseq.number))

    def cancel(self, invite: Request, *headers: tuple[str, str]) -> None:
        fields = Headers((name, invite.headers.get(name) or "") for name in ("Via", "From", "To", "Call-ID"))
        fields.add("Max-Forwards", "70")
        fields.add("CSeq", f"{invite.cseq.number} CANCEL")
        for name, value in headers:
            fields.add(name, value)
        self.say(Request("CANCEL", invite.uri, fields))

    def inside(self, method: str, invite: Request, response: Response, *, cseq: int = 2, body: bytes = b"") -> Request:
        """A request of the caller's within the dialog that `response` opened."""
        contacts = response.headers.get("Contact")
        failed = response.status >= 300
        own = f"SIP/2.0/{self.flow.via_transport} {self.via};branch=z9hG4bK{next(_numbers)}"
        fields = Headers([("Via", invite.headers.get("Via") or "" if failed else own)])
        fields.add("Max-Forwards", "70")
        fields.add("From", invite.headers.get("From") or "")
        fields.add("To", response.headers.get("To") or "")
        fields.add("Call-ID", invite.call_id)
        fields.add("CSeq", f"{cseq} {method}")
        if body:
            fields.add("Content-Type", "application/dtmf-relay")
        uri = invite.uri if failed or not contacts else NameAddr.parse(contacts).uri
        return Request(method, uri, fields, body)

    @property
    def via(self) -> str:
        host, port = self.flow.peer
        return f"{host}:{port}"


class Browser(Caller):
    sdp = OFFER
    via = "browser.invalid"  # type: ignore[assignment]

    def __init__(self, world: World, flow: FakeFlow, user: str, domain: str = "pbx.example.com") -> None:
        super().__init__(world, flow)
        self.uri = f"sip:{user}@{domain}"
        self.aor = Uri.parse(self.uri).aor
        self.contact = f"sip:{user}x{next(_numbers)}@browser.invalid;transport=ws"

    def bind(self, *, registrar: str = TRUNK_ADDRESS, authenticated: bool = True) -> Binding:
        """Have the browser registered, as if its REGISTER had been answered 200.

        :param authenticated: it has proven its address-of-record to the first trunk.
        """
        value = NameAddr("", self.contact)
        instance, reg_id = key_of(value)
        binding = Binding(self.aor, instance, reg_id, self.contact, value, self.flow, self.world.clock.seconds() + 600)
        location = self.world.location
        location.bind([binding])
        location.registered(self.aor, registrar, 600)
        if authenticated:
            location.proofs.add(self.flow, self.aor, authority_of(self.world.config.trunks[0], ""), 600)
        return binding

    def authenticate(self, trunk: Trunk) -> None:
        """Have the browser proven to a further trunk, with a password of its own there."""
        aor = f"{self.aor.partition('@')[0]}@{trunk.host}"
        self.world.location.proofs.add(self.flow, aor, authority_of(trunk, ""), 600)


class TrunkPeer(Caller):
    sdp = PLAIN
    uri = "sip:carol@pbx.example.com"

    def __init__(self, world: World, flow: FakeFlow) -> None:
        super().__init__(world, flow)
        self.contact = f"sip:carol@{flow.peer.host}:5060"

    def call(self, browser: Browser, *headers: tuple[str, str]) -> Request:
        """Call the proxy's Contact of a browser's address-of-record, as its registrar does."""
        return self.invite(f"sip:{contact_user_of(browser.aor)}@192.0.2.1", *headers)


class InMemoryRuntime(Standalone):
    """A process that is alone.

    :ivar others: flows that are those of another one.
    :ivar slow: its directory, where that answers when it is made to.
    """

    def __init__(self, clock: Clock, slow: bool) -> None:
        super().__init__(clock)
        self._wanted_slow = slow
        self.slow: SlowDirectory | None = None
        self.others: set[Flow] = set()

    def bindings(self, multiple: bool) -> tuple[ILocation, IDirectory]:
        location = Location(self._reactor, multiple, lambda flow: flow not in self.others)
        directory = LocalDirectory(self._reactor, location)
        if not self._wanted_slow:
            return location, directory
        self.slow = SlowDirectory(directory)
        return location, self.slow


class World:
    """The proxy, with everything about it in memory.

    :param trunks: the configured trunks.
    :param slow: the directory answers when it is made to.
    """

    def __init__(self, *trunks: Trunk, config: Config | None = None, slow: bool = False) -> None:
        self.config = config or make_config(*trunks)
        self.clock = Clock()
        self.peers: list[Peer] = []
        self.trunks: dict[tuple[Address, str], TrunkPeer] = {}
        self.unreachable = False
        self.nodes = FakeNodes()
        self.metrics = Metrics()
        self.transactions = Transactions(self.clock, metrics=self.metrics)
        self.names = Names()
        self.runtime = InMemoryRuntime(self.clock, slow)
        core = Core(
            self.config, self.clock, self.runtime, self.transactions, self.nodes, self.names, self, self.metrics
        )
        self.core = core
        self.location, self.context, self.legs, self.calls = core.location, core.context, core.legs, core.calls
        self.subscriptions, self.out_of_dialog = core.subscriptions, core.out_of_dialog
        self.token_logins = core.port_logins.tokens
        self.context.sources.refresh()

    @property
    def slow(self) -> SlowDirectory:
        """The directory, where it is slow."""
        assert self.runtime.slow is not None
        return self.runtime.slow

    def flow_to(self, transport: str, address: Address, domain: str = "") -> Flow:
        """Outbound: the flow of the trunk at `address`."""
        if self.unreachable:
            raise FlowLost("no route")
        return self.trunk(*address, transport).flow

    def browser(self, user: str = "alice", domain: str = "pbx.example.com", host: str = "198.51.100.9") -> Browser:
        flow = FakeFlow.wss(host, 40000 + next(_numbers))
        return Browser(self, flow, user, domain)

    def trunk(self, host: str = TRUNK_ADDRESS, port: int = 5060, transport: str = "udp") -> TrunkPeer:
        key = Address(host, port), transport
        if key not in self.trunks or self.trunks[key].flow.closed:
            flow = FakeFlow.udp(host, port)
            if transport != "udp":
                sent_by = "192.0.2.1:5062" if transport == "tcp" else "192.0.2.1:5061"
                flow = FakeFlow.tcp(host, port, via_transport=transport.upper(), sent_by=sent_by)
            self.trunks[key] = TrunkPeer(self, flow)
        return self.trunks[key]

    def turn(self, seconds: float = 0.0) -> None:
        """Let the reactor turn."""
        self.clock.advance(seconds)

    def rest(self) -> list[str]:
        """What is left when every timer has run out: must be nothing."""
        for _ in range(80):
            self.clock.advance(1.0)
        left = [f"{len(self.calls)} calls"] if len(self.calls) else []
        left += [f"{len(self.legs)} legs"] if len(self.legs) else []
        left += [f"{len(self.subscriptions)} subscriptions"] if len(self.subscriptions) else []
        left += [f"{len(self.subscriptions.legs)} legs of them"] if len(self.subscriptions.legs) else []
        left += [f"{len(self.out_of_dialog)} requests outside of dialogs"] if len(self.out_of_dialog) else []
        left += [f"{len(self.nodes.leaks())} media sessions"] if self.nodes.leaks() else []
        return left


def _copy(request: Request) -> Request:
    return Request(request.method, request.uri, request.headers.copy(), request.body)


def _name(message: Request | Response) -> str:
    return message.method if isinstance(message, Request) else str(message.status)
