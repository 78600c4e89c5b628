"""The two ends of a call that is up, each with its dialog: for tests of what happens within the call."""

from __future__ import annotations

import itertools

from tests.support.calls.world import OFFER, PLAIN, Peer, World
from tests.support.ngnode import BROWSER_SDP, TRUNK_SDP
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request, Response

_numbers = itertools.count(1)
Pair = tuple[str, str]

METHODS = ("INFO", "MESSAGE", "OPTIONS", "REFER", "UPDATE", "INVITE", "NOTIFY", "SUBSCRIBE", "PRACK", "PUBLISH", "BYE")
"""What somebody may try who knows Call-ID, tags and CSeq of a dialog."""
FOREIGN = 'refused_total{reason="foreign"}'
"""Counts what was not from the peer of the dialog."""
UNKNOWN_DIALOG = 'refused_total{reason="no_dialog"}'
"""Counts what was answered as for a dialog that does not exist."""


class Party:
    """One end of a call, as that end sees it.

    :param local: From of its requests.
    :param remote: To of its requests.
    :param target: the Contact of the proxy there.
    :param cseq: CSeq number of its last request.
    """

    def __init__(self, peer: Peer, call_id: str, local: str, remote: str, target: str, cseq: int) -> None:
        self.peer = peer
        self.call_id, self.local, self.remote, self.target, self.cseq = call_id, local, remote, target, cseq
        host, port = peer.flow.peer
        self.contact = f"sip:me@{host}:{port}"

    def known_to(self, peer: Peer) -> Party:
        """The same end as somebody else at `peer` would tell it, who knows all of the dialog."""
        return Party(peer, self.call_id, self.local, self.remote, self.target, self.cseq + 5)

    @property
    def browser(self) -> bool:
        return self.peer.flow.browser

    @property
    def profile(self) -> str:
        """Name of the media profile towards here."""
        return "browser" if self.browser else "trunk"

    def sdp(self, direction: str = "sendrecv", version: int = 2) -> bytes:
        """A description of this end's."""
        template = BROWSER_SDP if self.browser else TRUNK_SDP
        sdp = template % {b"port": 40000 if self.browser else 50000, b"version": version}
        return sdp.replace(b"sendrecv", direction.encode())

    def ask(self, method: str, body: bytes = b"", *headers: Pair) -> Request:
        """Send a request within the dialog."""
        self.cseq += 1
        request = self._build(method, self.cseq, body, *headers)
        self.peer.say(Request(method, request.uri, request.headers.copy(), body))
        return request

    def answer(self, request: Request, status: int, body: bytes = b"", *headers: Pair) -> Response:
        """Answer a request of the proxy's."""
        return self.peer.answer(request, status, body, headers=headers, contact=f"<{self.contact}>")

    def ack(self, invite: Request, body: bytes = b"") -> None:
        """ACK the 2xx to `invite`."""
        self.peer.say(self._build("ACK", invite.cseq.number, body))

    def ack_refusal(self, invite: Request) -> None:
        """ACK another final response to `invite`."""
        self.peer.say(self._same(invite, "ACK"))

    def cancel(self, invite: Request, *headers: Pair) -> None:
        """Take `invite` back."""
        self.peer.say(self._same(invite, "CANCEL", *headers))

    def _build(self, method: str, cseq: int, body: bytes, *headers: Pair) -> Request:
        fields = Headers([
            ("Via", f"SIP/2.0/{self.peer.flow.via_transport} x.invalid;branch=z9hG4bKparty{next(_numbers)}"),
            ("Max-Forwards", "70"), ("From", self.local), ("To", self.remote), ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"), *headers,
        ])  # fmt: skip
        if method in ("INVITE", "UPDATE") and "Contact" not in fields:
            fields.add("Contact", f"<{self.contact}>")
        if body and "Content-Type" not in fields:
            fields.add("Content-Type", "application/sdp")
        return Request(method, self.target, fields, body)

    def _same(self, invite: Request, method: str, *headers: Pair) -> Request:
        fields = Headers((name, invite.headers.get(name) or "") for name in ("Via", "From", "To", "Call-ID"))
        fields.add("Max-Forwards", "70")
        fields.add("CSeq", f"{invite.cseq.number} {method}")
        for name, value in headers:
            fields.add(name, value)
        return Request(method, invite.uri, fields)


def outbound(world: World, *headers: Pair) -> tuple[Party, Party]:
    """A browser's call that a trunk has answered: caller and callee.

    :param headers: of the INVITE and of the 200.
    """
    alice, trunk = world.browser(), world.trunk()
    invite = alice.invite("sip:bob@pbx.example.com", *headers)
    leg = trunk.request("INVITE")
    answer = trunk.answer(leg, 200, PLAIN, headers=headers)
    trunk.heard("ACK")
    ok = alice.response(200)
    alice.ack(invite, ok)
    return party_of(alice, invite, ok), party_of(trunk, leg, answer)


def inbound(world: World, *headers: Pair) -> tuple[Party, Party]:
    """A trunk's call that a browser has answered."""
    alice, trunk = world.browser(), world.trunk()
    alice.bind()
    invite = trunk.invite("sip:alice@192.0.2.1", *headers)
    leg = alice.request("INVITE")
    answer = alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"), headers=headers)
    alice.heard("ACK")
    ok = trunk.response(200)
    trunk.ack(invite, ok)
    return party_of(trunk, invite, ok), party_of(alice, leg, answer)


def hang_up(party: Party, other: Party) -> None:
    """One end hangs up, and the other one hears it: the call was up."""
    party.ask("BYE")
    other.answer(other.peer.request("BYE"), 200)
    party.peer.heard(200)


def party_of(peer: Peer, invite: Request, answer: Response) -> Party:
    """The end at `peer`, out of the INVITE that it sent or was sent, and the response."""
    sender, receiver = invite.headers.get("From") or "", answer.headers.get("To") or ""
    if invite.via.sent_by == peer.flow.sent_by:
        return Party(peer, invite.call_id, receiver, sender, contact_uri(invite), 0)
    return Party(peer, invite.call_id, sender, receiver, contact_uri(answer), invite.cseq.number)


def contact_uri(message: Request | Response) -> str:
    """The URI of its Contact."""
    return NameAddr.parse(message.headers.get("Contact") or "").uri
