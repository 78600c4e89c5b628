"""Dispatcher: which worker gets what came by the shared socket."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import ALICE, Net, answer
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.cluster import dispatch
from webrtcproxy.cluster.dispatch import BRANCH_LIFETIME, Dispatcher
from webrtcproxy.cluster.ownership import HUB
from webrtcproxy.registration.binding import contact_user_of

UP = (1, 2)
TOKEN = "0123456789abcdef"


class DispatcherCase(SynchronousTestCase):
    """A dispatcher with the hub's bindings."""

    def setUp(self) -> None:
        self.net = Net()
        self.addCleanup(self.net.stop)
        self.dispatcher = Dispatcher(self.net.clock, self.net.hub.directory, ["trunk.example.net:5080"])

    def choose(self, message: object, up: tuple[int, ...] = UP) -> int:
        return self.dispatcher.choose(message.to_bytes(), up)  # type: ignore[attr-defined]


class RequestTests(DispatcherCase):
    """Requests."""

    def test_spread(self) -> None:
        """What says nothing is spread by Call-ID, and stays the same for the same Call-ID."""
        chosen = [self.choose(request("INVITE", call_id=f"call-{number}")) for number in range(200)]
        again = [self.choose(request("INVITE", call_id=f"call-{number}")) for number in range(200)]
        self.assertEqual(chosen, again)
        self.assertTrue(60 < chosen.count(1) < 140, chosen.count(1))

    def test_browsers_worker(self) -> None:
        """A call for our Contact of an AOR goes where the browser is, the newest of several."""
        uri = f"sip:{contact_user_of(ALICE)}@192.0.2.1"
        self.net.one.bind(FakeFlow.wss(port=40001))
        for _ in range(5):
            self.assertEqual(self.choose(request("INVITE", uri)), 1)
        self.net.two.bind(FakeFlow.wss(port=40002), "two")
        for _ in range(5):
            self.assertEqual(self.choose(request("INVITE", uri)), 2)

    def test_address(self) -> None:
        """So does one for the AOR itself, or for its user at a trunk by whatever host."""
        self.net.two.bind(FakeFlow.wss(port=40001))
        self.net.two.bind(FakeFlow.wss(port=40002), aor="bob@trunk.example.net:5080")
        for uri in (f"sip:{ALICE}", "sip:bob@192.0.2.1"):
            self.assertEqual({self.choose(request("INVITE", uri)) for _ in range(10)}, {2}, uri)

    def test_nobody_there(self) -> None:
        """An AOR without a browser is anybody's, who says 480."""
        flow = FakeFlow.wss()
        self.net.one.bind(flow)
        flow.lose()
        uri = f"sip:{contact_user_of(ALICE)}@192.0.2.1"
        self.assertEqual({self.choose(request("INVITE", uri)) for _ in range(30)}, {1, 2})

    def test_dialog(self) -> None:
        """A request within a dialog goes to the worker whose Contact it names; one that only looks so does not."""
        for number in UP:
            uri = f"sip:{number}-{TOKEN}@192.0.2.1:5061"
            self.assertEqual({self.choose(request("BYE", uri, to_tag="x")) for _ in range(10)}, {number})
            self.assertEqual({self.choose(request("INVITE", uri)) for _ in range(30)}, {1, 2})

    def test_odd_end(self) -> None:
        """Also one that has to be refused, since a header is missing, if it may end something (field.rst P: Odd
        end)."""
        for number in UP:
            for method in ("BYE", "CANCEL", "ACK"):
                for lost in (b"Call-ID: ", b"To: ", b"Via: "):
                    data = request(method, f"sip:{number}-{TOKEN}@192.0.2.1:5061", to_tag="x").to_bytes()
                    self.assertEqual(self.dispatcher.choose(data.replace(lost, b"X: "), UP), number, (method, lost))

    def test_odd_cancel(self) -> None:
        """A CANCEL without a Via goes where its INVITE went, by who is called or by the Call-ID."""
        self.net.two.bind(FakeFlow.wss())
        for uri in (f"sip:{contact_user_of(ALICE)}@192.0.2.1", "sip:nobody@192.0.2.1"):
            for number in range(20):
                invite = request("INVITE", uri, call_id=f"c{number}")
                cancel = request("CANCEL", uri, call_id=f"c{number}").to_bytes()
                chosen = self.choose(invite)
                for lost in (b"Via: ", b"To: ", b"CSeq: "):
                    self.assertEqual(self.dispatcher.choose(cancel.replace(lost, b"X: "), UP), chosen)

    def test_repeats(self) -> None:
        """Repeats, the CANCEL and the ACK of a refusal go where the INVITE went, though the browser has moved."""
        uri = f"sip:{contact_user_of(ALICE)}@192.0.2.1"
        self.net.one.bind(FakeFlow.wss(port=40001))
        invite = request("INVITE", uri, branch="z9hG4bKsame")
        self.assertEqual(self.choose(invite), 1)
        self.net.two.bind(FakeFlow.wss(port=40002))
        self.net.clock.advance(BRANCH_LIFETIME - 1)
        self.assertEqual(self.choose(invite), 1)
        for method in ("CANCEL", "ACK"):
            self.assertEqual(self.choose(request(method, uri, branch="z9hG4bKsame")), 1)
        self.assertEqual(self.choose(request("CANCEL", uri, branch="z9hG4bKsame", sent_by="198.51.100.2")), 2)

    def test_rfc2543(self) -> None:
        """A peer without branches is told apart by Call-ID and CSeq number (RFC 3261 section 17.2.3)."""
        uri = f"sip:{contact_user_of(ALICE)}@192.0.2.1"
        self.net.one.bind(FakeFlow.wss(port=40001))
        via = "SIP/2.0/UDP 198.51.100.1"
        self.assertEqual(self.choose(request("INVITE", uri, via=via, call_id="old")), 1)
        self.net.two.bind(FakeFlow.wss(port=40002))
        self.assertEqual(self.choose(request("CANCEL", uri, via=via, call_id="old")), 1)
        self.assertEqual(self.choose(request("INVITE", uri, via=via, call_id="new")), 2)

    def test_loop(self) -> None:
        """What a worker has sent itself comes back to it, and is seen as a loop; not so what our Contact stands for."""
        self.net.one.bind(FakeFlow.wss(port=40001))
        vias = [("Via", "SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKwp-2-abc;rport")]
        self.assertEqual({self.choose(request("INVITE", f"sip:{ALICE}", headers=vias)) for _ in range(5)}, {2})
        self.assertEqual(self.choose(request("INVITE", f"sip:{contact_user_of(ALICE)}@192.0.2.1", headers=vias)), 1)

    def test_worker_down(self) -> None:
        """What would be a dead worker's goes to another, also a repeat."""
        self.net.one.bind(FakeFlow.wss())
        invite = request("INVITE", f"sip:{contact_user_of(ALICE)}@192.0.2.1", branch="z9hG4bKsame")
        self.assertEqual(self.choose(invite), 1)
        self.assertEqual(self.choose(invite, (2,)), 2)
        self.assertEqual(self.choose(request("BYE", f"sip:1-{TOKEN}@192.0.2.1", to_tag="x"), (2,)), 2)
        self.assertEqual(self.choose(invite, ()), HUB)

    def test_forgets(self) -> None:
        """Memory is bounded in time and in number."""
        self.patch(dispatch, "MAX_REMEMBERED", 10)
        for _ in range(50):
            self.choose(request("OPTIONS"))
        self.assertEqual(len(self.dispatcher), 10)
        self.net.clock.advance(BRANCH_LIFETIME)
        self.choose(request("OPTIONS"))
        self.assertEqual(len(self.dispatcher), 1)


class OtherTests(DispatcherCase):
    """What is no request, or none that can be read."""

    def test_response(self) -> None:
        """A response goes to the worker whose branch it answers; any other is nobody's."""
        for number in UP:
            mine = answer(200, via=f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKwp-{number}-abc")
            self.assertEqual(self.choose(mine), number)
        for branch in ("z9hG4bKwp-3-abc", "z9hG4bKwp-abc", "z9hG4bKother", "x"):
            self.assertEqual(self.choose(answer(200, via=f"SIP/2.0/UDP 192.0.2.1;branch={branch}")), HUB)

    def test_garbage(self) -> None:
        """What nobody could answer is dropped and counted; what can be refused goes to somebody, its repeats
        too."""
        dropped: list[None] = []
        counting = Dispatcher(self.net.clock, self.net.hub.directory, malformed=lambda: dropped.append(None))
        for octets in (b"\x16\x03\x01", b"SIP/2.0 200 OK\r\n\r\n", b"SIP/2.0 "):
            self.assertEqual(self.dispatcher.choose(octets, UP), HUB)
            self.assertEqual(counting.choose(octets, UP), HUB)
        self.assertEqual(len(dropped), 3)
        broken = request("OPTIONS").to_bytes().replace(b"Call-ID", b"Call-JD")
        chosen = {self.dispatcher.choose(broken, UP) for _ in range(5)}
        self.assertEqual(len(chosen), 1)
        self.assertIn(chosen.pop(), UP)

    def test_usable(self) -> None:
        """What is malformed and used all the same goes where it belongs, as if it were right."""
        for number in UP:
            mine = answer(200, via=f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKwp-{number}-abc").to_bytes()
            self.assertEqual(self.dispatcher.choose(mine.replace(b"Content-Length: 0", b"l: 7"), UP), number)
            for old, new in (
                (b"SIP/2.0 200", b"SIP/2.0 20"),
                (b"SIP/2.0/UDP", b"SIP/2.1/UDP"),
                (b"200 OK", b"200\tOK"),
            ):
                self.assertEqual(self.dispatcher.choose(mine.replace(old, new, 1), UP), number, new)
            bye = request("BYE", f"sip:{number}-{TOKEN}@192.0.2.1:5061", to_tag="x").to_bytes()
            for _ in range(3):
                self.assertEqual(self.dispatcher.choose(bye.replace(b"Content-Length: 0", b"l: 7"), UP), number)

    def test_unreadable_headers(self) -> None:
        """The same where the frame is right and a header is not."""
        for old, new in ((b"SIP/2.0/UDP", b"SIP?"), (b"sip:bob@example.com SIP", b"sip:b[ob@] SIP")):
            data = request("OPTIONS").to_bytes().replace(old, new, 1)
            self.assertIn(self.dispatcher.choose(data, UP), UP)
