"""webrtcproxy/demo/echo.py, echocall.py and core.py: a call to the echo, from INVITE to BYE."""

from __future__ import annotations

from tests.demo.world import DOMAIN, SDP, DemoCase, answered, invitation
from tests.support.fakes import FakeFlow
from tests.support.messages import ack, cancel, request, response
from webrtcproxy.demo.echo import CALLS
from webrtcproxy.demo.echocall import LIMIT, RING
from webrtcproxy.sip.message import Request, Response


class EchoCase(DemoCase):
    """Alice calls the echo."""

    def ring(self, **more: object) -> Request:
        """Her INVITE with credentials; it rings."""
        asked = invitation("echo", **more)
        self.ask(asked)
        challenged = self.flow.last_response
        self.acknowledge(asked, challenged)
        self.flow.clear()
        self.invite = answered(asked, challenged, "alice")
        self.ask(self.invite)
        return self.invite

    def up(self, **more: object) -> Response:
        """Her call is answered and acknowledged; the 200."""
        self.ring(**more)
        self.clock.advance(RING)
        answer = self.flow.last_response
        assert answer.status == 200, answer
        self.transactions.message_received(ack(self.invite, answer), self.flow)
        self.answer = answer
        return answer

    def within(self, method: str, cseq: int, *, to_tag: str | None = None, **more: object) -> Request:
        """A request of hers within the call."""
        given: dict[str, object] = {
            "call_id": self.invite.call_id,
            "from_": f"<sip:alice@{DOMAIN}>",
            "to": f"<sip:echo@{DOMAIN}>",
            "to_tag": self.answer.to.tag if to_tag is None else to_tag,
            "cseq": cseq,
            **more,
        }
        return request(method, f"sip:echo@{DOMAIN}", **given)  # type: ignore[arg-type]


class AnswerTest(EchoCase):
    def test_call(self) -> None:
        """407 first; then 180, and after a moment 200: one To tag, our Contact, SDP with the open RTP port.
        After the ACK the 200 is not repeated; the BYE frees everything."""
        self.ring()
        self.assertEqual(self.flow.summary, [180])
        self.clock.advance(RING)
        self.assertEqual(self.flow.summary, [180, 200])
        ringing, answer = self.flow.responses
        self.assertEqual(ringing.to.tag, answer.to.tag)
        self.assertEqual(answer.headers.get("Contact"), f"<sip:echo@{DOMAIN}>")
        self.assertEqual(answer.content_type, "application/sdp")
        port = self.reactor.open_ports[0].protocol.port
        self.assertIn(f"m=audio {port} RTP/AVP 0".encode(), answer.body)
        self.assertIn(b"c=IN IP4 192.0.2.1", answer.body)
        self.answer = answer
        self.transactions.message_received(ack(self.invite, answer), self.flow)
        self.clock.advance(40)
        self.assertEqual(self.flow.summary, [180, 200])
        self.assertEqual(self.ask(self.within("BYE", 3)), [200])
        self.assertEqual(len(self.demo.echo), 0)
        self.at_rest()

    def test_200_is_repeated_until_its_ack(self) -> None:
        """At 0.5, 1.5, 3.5, 7.5 and then every 4 s; after 32 s without ACK a BYE (RFC 3261 section 13.3.1.4)."""
        self.ring()
        self.clock.advance(RING)
        self.flow.clear()
        times = []
        for tick in range(1, 80):
            self.clock.advance(0.5)
            if self.flow.take():
                times.append(tick / 2)
        self.assertEqual(times[:10], [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(times[10], 32)  # the BYE; its own repetitions follow
        self.assertEqual(len(self.demo.echo), 0)

    def test_foreign_ack(self) -> None:
        """An ACK with another CSeq or for no call changes nothing, and is never answered."""
        self.ring()
        self.clock.advance(RING)
        answer = self.flow.last_response
        self.flow.clear()
        self.transactions.message_received(ack(self.invite, answer, cseq=77), self.flow)
        self.transactions.message_received(request("ACK", f"sip:echo@{DOMAIN}", to_tag="made-up"), self.flow)
        broken = request("ACK", f"sip:echo@{DOMAIN}")
        broken.headers.set("To", "<sip:")
        self.transactions.message_received(broken, self.flow)
        self.clock.advance(0.5)
        self.assertEqual(self.flow.summary, [200])

    def test_without_offer(self) -> None:
        """An INVITE without SDP gets an offer in the 200 (RFC 3261 section 13.3.1.4)."""
        answer = self.up(body=b"")
        self.assertIn(b"RTP/AVP 0 8 101", answer.body)

    def test_refused(self) -> None:
        """Nothing in common: 488. No SDP at all: 415 with Accept. Require: 420. No port: 503. Two Contacts: 400. Each
        leaves nothing behind."""
        secure = SDP.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF")
        contacts = "<sip:a@198.51.100.1>, <sip:b@198.51.100.1>"
        rows: list[tuple[int, dict[str, object]]] = [
            (488, {"body": secure}),
            (415, {"content_type": "text/plain"}),
            (420, {"headers": [("Require", "100rel")]}),
            (400, {"contact": contacts}),
        ]
        for status, more in rows:
            self.ring(**more)
            self.assertEqual(self.flow.last_response.status, status, more)
        self.reactor.free = 65536
        self.ring()
        self.assertEqual(self.flow.last_response.status, 503)
        self.at_rest()

    def test_many_at_once(self) -> None:
        """Past the limit the echo is busy."""
        for _ in range(CALLS):
            self.ring()
            self.assertEqual(self.flow.last_response.status, 180)
        self.ring()
        self.assertEqual(self.flow.last_response.status, 486)

    def test_cancel(self) -> None:
        """CANCEL while it rings: 200 to it, 487 to the INVITE; after the 200 it changes nothing (section 9.2)."""
        invite = self.ring()
        self.assertEqual(self.ask(cancel(invite)), [200, 487])
        self.acknowledge(invite, self.flow.last_response)
        self.assertEqual(len(self.demo.echo), 0)
        self.up()
        self.assertEqual(self.ask(cancel(self.invite)), [200])
        self.assertEqual(len(self.demo.echo), 1)


class CallTest(EchoCase):
    def test_digits_and_keep_alives(self) -> None:
        """INFO and OPTIONS within the call: 200; what the echo does not know: 405 with Allow."""
        self.up()
        self.assertEqual(
            self.ask(self.within("INFO", 3, body=b"Signal=5\r\n", content_type="application/dtmf-relay")), [200]
        )
        self.assertEqual(self.ask(self.within("OPTIONS", 4)), [200])
        self.assertEqual(self.ask(self.within("REFER", 5)), [405])
        self.assertIn("INVITE", self.flow.last_response.headers.get("Allow") or "")

    def test_hold_and_resume(self) -> None:
        """A re-INVITE with sendonly is answered recvonly and the echo is silent until the next one; same port, sess-id
        kept, version counted on (RFC 3264 section 8)."""
        first = self.up()
        echo = self.reactor.open_ports[0].protocol
        hold = self.within("INVITE", 3, body=SDP + b"a=sendonly\r\n")
        self.assertEqual(self.ask(hold), [200])
        held = self.flow.last_response
        self.assertIn(b"a=recvonly", held.body)
        self.assertFalse(echo.sends)
        self.transactions.message_received(ack(hold, held), self.flow)
        self.assertEqual(self.ask(self.within("UPDATE", 4, body=SDP)), [200])
        self.assertTrue(echo.sends)
        origins = [answer.body.split(b"\r\n")[1].split() for answer in (first, held, self.flow.last_response)]
        self.assertEqual(len({origin[1] for origin in origins}), 1)
        self.assertEqual([int(origin[2]) for origin in origins], [1, 2, 3])
        self.assertEqual(len(self.reactor.ports), 1)

    def test_update_without_sdp(self) -> None:
        """A session refresh gets a 200 without SDP (RFC 3311, RFC 4028)."""
        self.up()
        self.assertEqual(self.ask(self.within("UPDATE", 3)), [200])
        self.assertEqual(self.flow.last_response.body, b"")

    def test_useless_change(self) -> None:
        """A re-INVITE that cannot be met is 488 and the call stays (RFC 3261 section 14.2); one before the ACK of the
        last is 500 with Retry-After."""
        self.up()
        self.assertEqual(self.ask(self.within("INVITE", 3, body=SDP.replace(b"RTP/AVP", b"RTP/SAVP"))), [488])
        self.assertEqual(self.ask(self.within("INVITE", 4, body=SDP)), [200])
        self.assertEqual(self.ask(self.within("INVITE", 5, body=SDP)), [500])
        self.assertIn("Retry-After", self.flow.last_response.headers)
        self.assertEqual(len(self.demo.echo), 1)

    def test_old_cseq(self) -> None:
        """A CSeq that is not higher than the last is 500 (section 12.2.2), gaps are no fault."""
        self.up()
        self.assertEqual(self.ask(self.within("INFO", 2)), [500])
        self.assertEqual(self.ask(self.within("INFO", 50)), [200])

    def test_no_such_call(self) -> None:
        """A made-up To tag opens nothing: 481."""
        self.up()
        for method in ("BYE", "INFO", "INVITE", "UPDATE"):
            self.assertEqual(self.ask(self.within(method, 9, to_tag="guess"))[-1], 481, method)
        for method in ("BYE", "INFO", "UPDATE"):
            self.assertEqual(self.ask(self.within(method, 19, to_tag="")), [481], method)

    def test_bye_while_it_rings(self) -> None:
        """A BYE of the early dialog is answered 200, the INVITE 487 (section 15.1.2)."""
        self.ring()
        self.answer = self.flow.last_response
        self.assertEqual(self.ask(self.within("BYE", 3)), [200, 487])
        self.assertEqual(len(self.demo.echo), 0)

    def test_time_limit(self) -> None:
        """After ten minutes the echo hangs up: a BYE to the caller's Contact, its route set as it came (section
        12.1.1), our tag in From, hers in To."""
        routes = [("Record-Route", "<sip:p1;lr>, <sip:p2;lr>")]
        answer = self.up(contact="<sip:alice@198.51.100.1:7777;x=1>", headers=routes)
        self.assertEqual(answer.headers.lines("Record-Route"), ["<sip:p1;lr>, <sip:p2;lr>"])
        self.flow.clear()
        self.clock.advance(LIMIT)
        bye = self.flow.last_request
        self.assertEqual((bye.method, bye.uri), ("BYE", "sip:alice@198.51.100.1:7777;x=1"))
        self.assertEqual(bye.headers.all("Route"), ["<sip:p1;lr>", "<sip:p2;lr>"])
        self.assertEqual((bye.from_.tag, bye.to.tag), (answer.to.tag, self.invite.from_.tag))
        self.assertEqual(bye.call_id, self.invite.call_id)
        self.transactions.message_received(response(bye, 200), self.flow)
        self.at_rest()

    def test_caller_moves(self) -> None:
        """A re-INVITE with another Contact, from another address, is where the BYE goes (section 12.2.2)."""
        self.up()
        elsewhere = FakeFlow.udp("198.51.100.99", 9999, sent_by=DOMAIN)
        moved = self.within("INVITE", 3, body=SDP, contact="<sip:alice@198.51.100.99:9999>")
        self.assertEqual(self.ask(moved, elsewhere), [200])
        self.transactions.message_received(ack(moved, elsewhere.last_response), elsewhere)
        self.demo.echo.stop()
        self.assertEqual(elsewhere.last_request.method, "BYE")
        self.assertEqual(elsewhere.last_request.uri, "sip:alice@198.51.100.99:9999")

    def test_cancel_ends_only_its_own(self) -> None:
        """Of two calls that ring, CANCEL ends the one whose INVITE it names (RFC 3261 section 9.2)."""
        first = self.ring()
        self.ring(call_id="another")
        self.flow.clear()
        self.ask(cancel(self.invite))
        self.assertEqual(sorted(self.flow.summary, key=str), [200, 487])
        self.assertEqual({answer.call_id for answer in self.flow.responses}, {self.invite.call_id})
        self.assertNotEqual(first.call_id, self.invite.call_id)
        self.assertEqual(len(self.demo.echo), 1)

    def test_cancel_after_the_answer(self) -> None:
        """A CANCEL that comes after the 200 changes nothing: the call is up (RFC 3261 section 9.2)."""
        self.up()
        call = next(iter(self.demo.echo._calls.values()))
        self.demo.echo.cancelled(call.invite)
        self.assertEqual(len(self.demo.echo), 1)
        self.assertEqual(self.flow.summary[-1], 200)

    def test_nobody_answers_the_bye(self) -> None:
        """A caller that is gone leaves nothing behind."""
        self.up()
        self.flow.broken = True
        self.clock.advance(LIMIT)
        self.at_rest()

    def test_stop(self) -> None:
        """When the demo ends, calls get their BYE and what rings a 480."""
        self.up()
        self.ring()
        self.flow.clear()
        self.demo.echo.stop()
        self.assertEqual(sorted(self.flow.summary, key=str), [480, "BYE"])
        self.assertEqual(len(self.demo.echo), 0)


class DoorTest(DemoCase):
    def test_options(self) -> None:
        """OPTIONS to the echo or the domain: 200 with Allow and Accept (section 11.2)."""
        for uri in (f"sip:echo@{DOMAIN}", f"sip:{DOMAIN}", "sip:demo.test"):
            self.assertEqual(self.ask(request("OPTIONS", uri)), [200])
            self.assertIn("Allow", self.flow.last_response.headers)

    def test_other_methods(self) -> None:
        """405 with Allow."""
        for method in ("SUBSCRIBE", "MESSAGE", "NONSENSE"):
            self.assertEqual(self.ask(request(method, f"sip:bob@{DOMAIN}")), [405])
            self.assertIn("Allow", self.flow.last_response.headers)

    def test_not_our_domain(self) -> None:
        """A Request-URI of another domain, a tel: number: 404; the demo relays for nobody."""
        for uri in ("sip:bob@example.com", "sip:bob@192.0.2.1", "tel:+4930123"):
            self.assertEqual(self.ask(request("INVITE", uri))[-1], 404, uri)

    def test_broken_requests(self) -> None:
        """Headers that cannot be read are 400, and nothing is raised, whatever header it is."""
        for name, value in (
            ("Contact", "<sip:"),
            ("Require", '"'),
            ("Max-Forwards", "-1"),
            ("Expires", "x"),
            ("To", "<"),
        ):
            for method in ("INVITE", "REGISTER", "BYE"):
                asked = request(method, f"sip:echo@{DOMAIN}", headers=[], contact="<sip:a@198.51.100.1>")
                asked.headers.set(name, value)
                self.ask(asked)
                self.assertIsInstance(self.flow.last, Response)
                self.assertGreaterEqual(self.flow.last_response.status, 400)

    def test_cancel_of_nothing(self) -> None:
        """A CANCEL without its INVITE: 481, from the layer below."""
        flow = FakeFlow.udp("198.51.100.77")
        self.assertEqual(self.ask(cancel(invitation("echo")), flow), [481])
