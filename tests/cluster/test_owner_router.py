"""OwnerRouter: what a worker's sockets read goes to its own transactions, or to the worker that it belongs to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import Net, answer
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.cluster.owner_router import MAX_REPLACING, OwnerRouter
from webrtcproxy.cluster.ownership import HUB, owner_of, sender_of, worker_prefix
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response, read

TOKEN = "0123456789abcdef"


class Transactions:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[tuple[object, object]] = []
        self.bad: list[BadMessage] = []

    def message_received(self, message: Request | Response, flow: object) -> None:
        self.messages.append((message, flow))

    def bad_message(self, error: BadMessage, flow: object) -> None:
        self.bad.append(error)


class OwnerRouterTests(SynchronousTestCase):
    """That of worker 1, beside worker 2."""

    def setUp(self) -> None:
        self.net = Net()
        self.own = Transactions()
        self.up = {1, 2}
        one = self.net.one
        self.router = OwnerRouter(1, self.own, one.flows, one.send, self.up.__contains__)

    def test_own(self) -> None:
        """Most is its own: new requests, responses to its branches, requests within its dialogs."""
        flow = FakeFlow.wss()
        messages = [
            request("INVITE"),
            answer(200, via="SIP/2.0/WSS 192.0.2.1;branch=z9hG4bKwp-1-abc"),
            answer(200, via="SIP/2.0/WSS 192.0.2.1;branch=z9hG4bKwhatever"),
            request("BYE", f"sip:1-{TOKEN}@192.0.2.1;transport=ws", to_tag="x"),
            request("INVITE", f"sip:2-{TOKEN}@192.0.2.1"),
        ]
        for message in messages:
            self.router.message_received(message, flow)
        self.assertEqual(self.own.messages, [(message, flow) for message in messages])
        self.assertEqual(self.net.two.messages, [])

    def test_passed_on(self) -> None:
        """A response to another's branch, a request within another's dialog, and one that is to take the place of one
        arrive there to the octet, with a flow that leads back."""
        flow = FakeFlow.wss()
        for message in (
            answer(180, via="SIP/2.0/WSS 192.0.2.1;branch=z9hG4bKwp-2-abc"),
            request("BYE", f"sip:2-{TOKEN}@192.0.2.1;transport=ws", to_tag="x", body=b"\xff"),
            request("INVITE", f"sip:2-{TOKEN}@192.0.2.1", headers=[("Replaces", "a;to-tag=1;from-tag=2")]),
            request("CANCEL", f"sip:2-{TOKEN}@192.0.2.1"),
            request("BYE", "sip:alice@192.0.2.1", to_tag=f"2-{TOKEN}"),
            request(
                "INVITE", headers=[("Replaces", f'a;from-tag=2; TO-TAG = "2-{TOKEN}";early-only')], branch="z9hG4bKr"
            ),
            request("CANCEL", branch="z9hG4bKr"),
        ):
            self.router.message_received(message, flow)
            there, data = self.net.two.messages.pop()
            self.assertEqual(data, message.to_bytes())
            there.send(b"answer")  # type: ignore[attr-defined]
            self.assertEqual(flow.sent.pop(), b"answer")
        self.assertEqual(self.own.messages, [])

    def test_replacing_bounded(self) -> None:
        """Of the INVITEs that replace, only the last so many have their CANCELs passed on."""
        named = [("Replaces", f"a;to-tag=2-{TOKEN};from-tag=2")]
        for number in range(MAX_REPLACING + 1):
            self.router.message_received(request("INVITE", headers=named, branch=f"z9hG4bK{number}"), FakeFlow.wss())
        self.net.two.messages.clear()
        for number in (0, 1):
            self.router.message_received(request("CANCEL", branch=f"z9hG4bK{number}"), FakeFlow.wss())
        self.assertEqual((1, 1), (len(self.own.messages), len(self.net.two.messages)))

    def test_replacing_without_via(self) -> None:
        """One whose Via can't be read goes to its owner all the same, which refuses it."""
        named = ("Replaces", f"a;to-tag=2-{TOKEN};from-tag=2")
        self.router.message_received(request("INVITE", headers=[named], via="SIP?"), FakeFlow.wss())
        self.assertEqual(([], 1), (self.own.messages, len(self.net.two.messages)))

    def test_owner_is_down(self) -> None:
        """Calls of a dead worker are gone: who is here says so."""
        self.up.discard(2)
        bye = request("BYE", f"sip:2-{TOKEN}@192.0.2.1", to_tag="x")
        self.router.message_received(bye, flow := FakeFlow.udp())
        self.assertEqual(self.own.messages, [(bye, flow)])

    def test_unreadable(self) -> None:
        """A message whose owner can't be read is refused here."""
        broken = answer(200, via="SIP?")
        self.router.message_received(broken, flow := FakeFlow.udp())
        self.assertEqual(self.own.messages, [(broken, flow)])
        self.router.bad_message(BadMessage("Bad"), flow)
        self.assertEqual(len(self.own.bad), 1)

    def test_malformed(self) -> None:
        """One that is malformed, and used as far as it can be read, is its owner's, too, whatever its Via is."""
        for via in ("SIP/2.0/WSS 192.0.2.1;branch=z9hG4bKwp-2-abc", "SIP/2.1/WSS 192.0.2.1;branch=z9hG4bKwp-2-abc"):
            data = answer(200, via=via).to_bytes().replace(b"SIP/2.0 200 OK", b"SIP/2.0\t200")
            error = self.assertRaises(BadMessage, read, data)
            self.router.bad_message(error, FakeFlow.wss())
            self.assertEqual(self.net.two.messages.pop()[1].partition(b"\r\n")[0], b"SIP/2.0 200 OK")
        self.assertEqual((self.own.messages, self.own.bad), ([], []))

    def test_odd_end(self) -> None:
        """One that has to be refused is its owner's, too, where that has what it ends (field.rst P: Odd end)."""
        for method in ("BYE", "CANCEL", "ACK"):
            for lost in (b"Call-ID: ", b"To: ", b"CSeq: "):
                data = request(method, f"sip:2-{TOKEN}@192.0.2.1").to_bytes().replace(lost, b"X: ")
                error = self.assertRaises(BadMessage, read, data)
                self.router.bad_message(error, FakeFlow.wss())
                self.assertNotIn(lost, self.net.two.messages.pop()[1])
        self.assertEqual((self.own.messages, self.own.bad), ([], []))
        for uri in (f"sip:1-{TOKEN}@192.0.2.1", "sip:x@192.0.2.1"):
            data = request("BYE", uri, to_tag="x").to_bytes().replace(b"Call-ID: ", b"X: ")
            self.router.bad_message(self.assertRaises(BadMessage, read, data), FakeFlow.wss())
        self.assertEqual((len(self.own.messages), len(self.own.bad)), (0, 2))


class MarkTests(SynchronousTestCase):
    """The numbers within branches and Contacts."""

    def test_owner(self) -> None:
        """A number of one or two digits and a dash; what a single process writes has none."""
        for branch, owner in (
            (f"z9hG4bKwp-{worker_prefix(7)}abcdef", 7),
            ("z9hG4bKwp-64-abcdef", 64),
            ("z9hG4bKwp-0123456789abcdef01234567", HUB),
            ("z9hG4bKwp-123-abc", HUB),
            ("", HUB),
        ):
            self.assertEqual(owner_of(answer(200, via=f"SIP/2.0/UDP h;branch={branch or 'x'}")), owner, branch)
        for user, owner in ((f"7-{TOKEN}", 7), (TOKEN, HUB), (f"7-{TOKEN}0", HUB), ("7-alice", HUB)):
            self.assertEqual(owner_of(request("BYE", f"sip:{user}@192.0.2.1", to_tag="x")), owner, user)
        for tag, owner in ((f"7-{TOKEN}", 7), (TOKEN, HUB), (f"7-{TOKEN}0", HUB), (f"123-{TOKEN}", HUB)):
            self.assertEqual(owner_of(request("BYE", "sip:x@192.0.2.1", to_tag=tag)), owner, tag)
            replaced = request(
                "INVITE", f"sip:5-{TOKEN}@h", headers=[("Replaces", f"a;to-tag={tag};from-tag=3-{TOKEN}")]
            )
            self.assertEqual(owner_of(replaced), owner or 5, tag)

    def test_sender(self) -> None:
        """Whichever Via has it, also where one line has several."""
        self.assertEqual(sender_of(request("INVITE")), HUB)
        vias = "SIP/2.0/UDP a;branch=z9hG4bKx, SIP/2.0/UDP b;branch=z9hG4bKwp-5-abc"
        self.assertEqual(sender_of(request("INVITE", headers=[("Via", vias)])), 5)
