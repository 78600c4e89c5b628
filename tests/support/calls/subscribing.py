"""The two ends of a subscription, each with its dialog: for tests of SUBSCRIBE and NOTIFY (RFC 6665)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.calls.case import CallCase
from tests.support.calls.party import Pair, Party
from tests.support.calls.world import Browser, Peer, TrunkPeer
from tests.support.configs import CARRIER, PBX
from tests.support.messages import request
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request, Response, respond

BOX = "sip:voicemail@pbx.example.com"
EVENT = ("Event", "message-summary;id=7")


class WatchCase(CallCase):
    """A subscriber and a notifier."""

    trunks = (PBX, CARRIER)

    def setUp(self) -> None:
        super().setUp()
        self.people()

    def people(self) -> None:
        """The browser and the trunk of the world."""
        self.alice = self.world.browser()
        self.trunk = self.world.trunk()

    def subscribe(self, *headers: Pair, uri: str = BOX, expires: str = "600", **more: object) -> Request:
        """Send a browser's first SUBSCRIBE."""
        contact = f"<{self.alice.contact}>"
        fields = [EVENT, *([("Expires", expires)] if expires else []), *headers]
        aor = f"<{self.alice.uri}>"
        sent = request("SUBSCRIBE", uri, to=f"<{uri}>", from_=aor, contact=contact, headers=fields, **more)  # type: ignore[arg-type]
        self.alice.say(sent)
        return sent

    def subscribe_in(self, uri: str = "sip:alice@192.0.2.1", *headers: Pair) -> Request:
        """Send a trunk's first SUBSCRIBE to a browser."""
        contact = f"<{self.trunk.contact}>"
        fields = [EVENT, ("Expires", "600"), *headers]
        sent = request("SUBSCRIBE", uri, to=f"<{uri}>", contact=contact, headers=fields)
        self.trunk.say(sent)
        return sent

    def accept(
        self, leg: Request, status: int = 200, expires: str = "600", tag: str = "box", by: Peer | None = None
    ) -> Response:
        """A notifier's 2xx to a SUBSCRIBE."""
        by = by or self.trunk
        headers = [("Contact", f"<{contact_of(by)}>"), *([("Expires", expires)] if expires else [])]
        return by.answer(leg, status, tag=tag, headers=headers)

    def watching(self, *, expires: str = "600") -> tuple[Party, Party]:
        """A subscription of a browser's that a trunk has granted and told of: subscriber and notifier."""
        sent = self.subscribe(expires=expires)
        leg = self.trunk.request("SUBSCRIBE")
        ok = self.accept(leg, expires=expires)
        granted = self.alice.response(200)
        notifier = notifier_of(self.trunk, leg, ok)
        subscriber = subscriber_of(self.alice, sent, granted)
        self.tell(notifier, subscriber)
        return subscriber, notifier

    def watched(self) -> tuple[Party, Party]:
        """The same the other way: a trunk's at a browser."""
        self.alice.bind()
        sent = self.subscribe_in()
        leg = self.alice.request("SUBSCRIBE")
        ok = self.accept(leg, by=self.alice)
        granted = self.trunk.response(200)
        notifier = notifier_of(self.alice, leg, ok)
        subscriber = subscriber_of(self.trunk, sent, granted)
        self.tell(notifier, subscriber)
        return subscriber, notifier

    def tell(self, notifier: Party, subscriber: Party, state: str = "active;expires=600", status: int = 200) -> Request:
        """A NOTIFY that crosses, and its answer; as it arrived."""
        sent = notify(notifier, state)
        heard = subscriber.peer.request("NOTIFY")
        subscriber.answer(heard, status)
        assert notifier.peer.response(status).cseq == sent.cseq
        return heard

    def assert_gone(self, *parties: Party) -> None:
        """Nothing is left, and nothing more is said; a NOTIFY meets 481."""
        self.assertEqual((len(self.world.subscriptions), len(self.world.subscriptions.legs)), (0, 0))
        for party in parties:
            party.peer.silent()


def notify(notifier: Party, state: str = "active;expires=600", *headers: Pair, body: bytes = b"1/0") -> Request:
    """Send a NOTIFY."""
    fields: Iterable[Pair] = [EVENT, ("Content-Type", "application/simple-message-summary"), *headers]
    return notifier.ask("NOTIFY", body, *fields, *([("Subscription-State", state)] if state else []))


def notifier_of(peer: Peer, leg: Request, ok: Response) -> Party:
    """The end that was sent the SUBSCRIBE `leg` and has answered `ok`."""
    local, remote = ok.headers.get("To") or "", leg.headers.get("From") or ""
    return Party(peer, leg.call_id, local, remote, _contact(leg), 0)


def early_notifier_of(peer: Peer, leg: Request, tag: str = "box") -> Party:
    """The same before it has answered."""
    return notifier_of(peer, leg, respond(leg, 200, to_tag=tag))


def subscriber_of(peer: Browser | TrunkPeer, sent: Request, granted: Response) -> Party:
    """The end that has sent SUBSCRIBE and was answered."""
    local, remote = sent.headers.get("From") or "", granted.headers.get("To") or ""
    return Party(peer, sent.call_id, local, remote, _contact(granted), sent.cseq.number)


def contact_of(peer: Peer) -> str:
    """The Contact URI of a peer."""
    host, port = peer.flow.peer
    return peer.contact if isinstance(peer, Browser) else f"sip:box@{host}:{port}"


def _contact(message: Request | Response) -> str:
    return NameAddr.parse(message.headers.get("Contact") or "").uri
