"""webrtcproxy/demo/forking.py: a stateful proxy (RFC 3261 section 16), as far as a demo needs one."""

from __future__ import annotations

from tests.demo.world import SDP, DemoCase, answered, invitation
from tests.support.fakes import FakeFlow
from tests.support.messages import cancel, response
from webrtcproxy.demo.forking import TIMER_C, best
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.server import TRYING_DELAY


class ForkingCase(DemoCase):
    """Bob has two phones; alice calls from `flow`."""

    def setUp(self) -> None:
        super().setUp()
        self.one = FakeFlow.udp("198.51.100.11", 6001, sent_by="192.0.2.1:5070")
        self.two = FakeFlow.udp("198.51.100.12", 6002, sent_by="192.0.2.1:5070")
        self.register("bob", self.one, user="b1")
        self.register("bob", self.two, user="b2")
        for flow in (self.one, self.two):
            flow.clear()

    def call(self, name: str = "bob", **more: object) -> Request:
        """Alice's INVITE with credentials, delivered; what was sent to her before is forgotten."""
        asked = invitation(name, **more)
        self.ask(asked)
        challenged = self.flow.last_response
        self.acknowledge(asked, challenged)
        self.flow.clear()
        invite = answered(asked, challenged, "alice")
        self.ask(invite)
        return invite

    def reply(self, flow: FakeFlow, status: int, **more: object) -> Response:
        """A phone answers its INVITE."""
        invite = next(request for request in flow.requests if request.method == "INVITE")
        answer = response(invite, status, **{"to_tag": f"tag-{flow.peer.port}", **more})  # type: ignore[arg-type]
        self.transactions.message_received(answer, flow)
        return answer


class BranchTest(ForkingCase):
    def test_challenge_first(self) -> None:
        """An INVITE without credentials is answered 407 and goes nowhere; the challenge names no phone of bob's."""
        self.assertEqual(self.ask(invitation("bob")), [407])
        self.assertEqual((self.one.sent, self.two.sent), ([], []))

    def test_what_a_phone_gets(self) -> None:
        """Request-URI: the phone's Contact. Via: ours on top of the caller's. Max-Forwards one less. No Route and no
        credentials for the proxy (sections 16.6 and 22.3). All else, SDP included, as it came."""
        invite = self.call(headers=[("Route", "<sip:192.0.2.1;lr>"), ("X-Custom", "a, b")])
        for flow, user in ((self.one, "b1"), (self.two, "b2")):
            got = flow.last_request
            self.assertEqual(got.uri, f"sip:{user}@{flow.peer.host}:{flow.peer.port}")
            self.assertEqual(got.headers.all("Via")[1:], invite.headers.all("Via"))
            self.assertEqual(got.via.sent_by, "192.0.2.1:5070")
            self.assertEqual(got.max_forwards, 69)
            for name in ("Route", "Proxy-Authorization", "Record-Route"):
                self.assertNotIn(name, got.headers)
            for name in ("From", "To", "Call-ID", "CSeq", "Contact", "X-Custom", "Content-Type"):
                self.assertEqual(got.headers.lines(name), invite.headers.lines(name), name)
            self.assertEqual(got.body, SDP)
        self.assertNotEqual(self.one.last_request.via.branch, self.two.last_request.via.branch)

    def test_no_max_forwards(self) -> None:
        """A request without Max-Forwards leaves with 70 (section 16.6 step 3); with 0 it is 483."""
        invite = self.call()
        asked = invitation("bob")
        asked.headers.remove("Max-Forwards")
        self.prove(asked)
        self.assertEqual(self.one.last_request.max_forwards, 70)
        self.assertNotEqual(self.one.last_request.call_id, invite.call_id)
        self.assertEqual(self.prove(invitation("bob", max_forwards=0)), [483])

    def test_who_is_not_there(self) -> None:
        """Never registered: 404. Registered once, not now: 480. An extension asked of us: 420 with Unsupported."""
        self.assertEqual(self.prove(invitation("nobody")), [404])
        self.register("bob", self.one, contact="*", headers=[("Expires", "0")])
        self.assertEqual(self.prove(invitation("bob")), [480])
        self.assertEqual(self.prove(invitation("bob", headers=[("Proxy-Require", "magic, wand")])), [420])
        self.assertEqual(self.flow.last_response.headers.get("Unsupported"), "magic, wand")


class ResponseTest(ForkingCase):
    def test_ringing_and_answer(self) -> None:
        """180s cross with their To tags; the 200 crosses at once with exactly the caller's Vias, the other phone is
        cancelled, its 487 stays here (section 16.7). Nothing is left at the end."""
        invite = self.call()
        self.reply(self.one, 180)
        self.reply(self.two, 180)
        self.reply(self.two, 200, body=SDP, contact="<sip:b2@198.51.100.12:6002>")
        self.assertEqual(self.flow.summary, [180, 180, 200])
        answer = self.flow.last_response
        self.assertEqual(answer.headers.lines("Via"), invite.headers.lines("Via"))
        self.assertEqual((answer.to.tag, answer.body), ("tag-6002", SDP))
        self.assertEqual(answer.headers.get("Contact"), "<sip:b2@198.51.100.12:6002>")
        self.assertEqual(self.one.last_request.method, "CANCEL")
        self.assertEqual(self.two.summary, ["INVITE"])
        self.reply(self.one, 487)
        self.assertEqual(self.one.last_request.method, "ACK")
        self.assertEqual(self.flow.summary, [180, 180, 200])
        self.at_rest()

    def test_ringing_after_the_answer(self) -> None:
        """A 180 that comes after another phone's 200 does not reach the caller."""
        self.call()
        self.reply(self.one, 180)
        self.reply(self.two, 200, body=SDP, contact="<sip:b2@198.51.100.12:6002>")
        self.reply(self.one, 180)
        self.assertEqual(self.flow.summary, [180, 200])

    def test_only_503(self) -> None:
        """Where every phone says 503, the caller gets 500: the proxy itself is in service (section 16.7 step 6)."""
        self.call()
        self.reply(self.one, 503)
        self.reply(self.two, 503)
        self.assertEqual(self.flow.summary, [500])

    def test_repeated_200(self) -> None:
        """Each repetition of the 200 crosses, since its ACK goes past us (section 16.7 step 5); so does that of a phone
        whose 200 crossed the CANCEL."""
        self.call()
        self.reply(self.one, 180)
        self.reply(self.two, 200)
        self.reply(self.two, 200)
        self.reply(self.one, 200)
        self.reply(self.one, 200)
        tags = [answer.to.tag for answer in self.flow.responses if answer.status == 200]
        self.assertEqual(tags, ["tag-6002", "tag-6002", "tag-6001", "tag-6001"])
        self.at_rest()

    def test_100_stays_here(self) -> None:
        """A phone's 100 never crosses (section 16.7 step 3); ours comes when nothing has crossed by then (17.2.1)."""
        self.call()
        self.reply(self.one, 100)
        self.assertEqual(self.flow.summary, [])
        self.clock.advance(TRYING_DELAY)
        self.assertEqual(self.flow.summary, [100])

    def test_best_of_refusals(self) -> None:
        """The caller learns when the last phone has refused, and gets the best (section 16.7 step 6)."""
        self.call()
        self.reply(self.one, 486)
        self.assertEqual(self.flow.summary, [])
        self.reply(self.two, 408)
        self.assertEqual(self.flow.summary, [486])
        self.assertEqual(self.flow.last_response.to.tag, "tag-6001")

    def test_order_of_refusals(self) -> None:
        """6xx before all, then the lowest class; within 4xx what helps to try again first, what says least last; a 503
        leaves as 500."""
        rows = [
            ([486, 603, 404], 603),
            ([503, 404], 404),
            ([408, 480, 487, 486], 486),
            ([404, 401], 401),
            ([486, 302], 302),
            ([503], 500),
        ]
        for statuses, expected in rows:
            chosen = best([Response(status) for status in statuses])
            assert chosen is not None
            self.assertEqual(chosen.status, expected, statuses)

    def test_603_ends_the_others(self) -> None:
        """A 6xx cancels the other phones and is what the caller hears (section 16.7 step 5)."""
        self.call()
        self.reply(self.one, 180)
        self.reply(self.two, 603)
        self.assertEqual(self.one.last_request.method, "CANCEL")
        self.reply(self.one, 487)
        self.assertEqual(self.flow.summary, [180, 603])


class EndTest(ForkingCase):
    def test_caller_cancels(self) -> None:
        """CANCEL is answered 200 and goes to each phone that has answered anything, to the other once it does (section
        9.1); the 487 crosses."""
        invite = self.call()
        self.reply(self.one, 180)
        self.assertEqual(self.ask(cancel(invite)), [200])
        self.assertEqual(self.one.summary[-1], "CANCEL")
        self.assertEqual(self.two.summary[-1], "INVITE")
        self.reply(self.one, 487)
        self.reply(self.two, 180)
        self.assertEqual(self.two.summary[-1], "CANCEL")
        self.reply(self.two, 487)
        self.assertEqual(self.flow.summary, [180, 200, 487])
        self.at_rest()

    def test_silent_phones(self) -> None:
        """No answer within 64*T1 is a 408 of that branch (section 16.8)."""
        self.call()
        self.clock.pump([1.0] * 33)
        self.assertEqual(self.flow.summary[:2], [100, 408])
        self.at_rest()

    def test_phone_that_cannot_be_reached(self) -> None:
        """Where nothing can be sent nobody is there: 480, at once; a phone that works is not bothered by the other."""
        self.one.broken = True
        self.call()
        self.reply(self.two, 180)
        self.reply(self.two, 486)
        self.assertEqual(self.flow.summary, [180, 486])
        self.two.broken = True
        self.call()
        self.assertEqual(self.flow.summary, [480])

    def test_endless_ringing(self) -> None:
        """Timer C: after three minutes the phones are cancelled, however often they say 180, and the caller learns of
        it (section 16.8)."""
        self.call()
        for _ in range(4):
            self.reply(self.one, 180)
            self.reply(self.two, 180)
            self.clock.advance(TIMER_C / 4)
        self.assertEqual(self.one.summary[-1], "CANCEL")
        self.reply(self.one, 487)
        self.assertEqual(self.flow.last_response.status, 180)
        self.clock.pump([1.0] * 33)  # the other phone is silent from here on
        self.assertEqual(next(answer.status for answer in self.flow.responses if answer.status > 180), 408)
        self.at_rest()

    def test_many_at_once(self) -> None:
        """Two hundred ringing calls, then 503 with Retry-After; when one ends there is room again."""
        invites = [self.call() for _ in range(200)]
        self.assertEqual(self.prove(invitation("bob")), [503])
        self.assertIn("Retry-After", self.flow.last_response.headers)
        for flow in (self.one, self.two):
            busy = next(got for got in flow.requests if got.call_id == invites[0].call_id)
            self.transactions.message_received(response(busy, 486), flow)
        self.assertEqual(self.prove(invitation("bob")), [])
        self.assertEqual(self.one.last_request.call_id, self.two.last_request.call_id)
        self.assertEqual(self.one.last_request.method, "INVITE")
