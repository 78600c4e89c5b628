"""One request, several targets (RFC 3263 section 4.3)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.support.calls.failing import FIRST, SECOND, THIRD, Case, pbx
from tests.support.calls.world import PLAIN
from tests.support.configs import PBX
from tests.support.messages import request
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.sip.message import Headers, Request


class FailoverTests(Case):
    """The next target is tried where one fails."""

    def test_out_of_service(self) -> None:
        """503: the same request goes to the next one, in a transaction of its own: another branch, the same Call-ID,
        From tag and CSeq (corners.rst 4: 3263)."""
        leg = self.call()
        self.first.answer(leg, 503)
        self.first.heard("ACK")
        again = self.second.request("INVITE")
        self.assertNotEqual(again.via.branch, leg.via.branch)
        for name in ("Call-ID", "From", "To", "CSeq", "Contact", "Max-Forwards"):
            self.assertEqual(again.headers.get(name), leg.headers.get(name), name)
        self.assertEqual((again.uri, again.body, len(again.headers.all("Via"))), (leg.uri, leg.body, 1))
        self.answered_by(self.second, again)
        self.assert_over(self.alice, self.first, self.second)

    def test_in_trouble(self) -> None:
        """So it is with whatever tells of the server and not of the callee; all else is the answer."""
        for status, goes_on in (
            (408, True), (500, True), (502, True), (503, True), (504, True),
            (404, False), (486, False), (487, False), (488, False), (501, False), (505, False), (513, False),
            (600, False), (603, False), (302, False),
        ):  # fmt: skip
            self.begin(*self.trunks)
            self.first.answer(self.call(), status)
            self.first.heard("ACK")
            self.assertEqual(self.second.pending(), ["INVITE"] if goes_on else [], status)
            if goes_on:
                self.answered_by(self.second, self.second.request("INVITE"))
            else:
                self.alice.heard(status)
            self.assert_over(self.alice, self.first, self.second)

    def test_unreachable(self) -> None:
        """What can't be sent is tried elsewhere on the spot."""
        self.first.flow.broken = True
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.answered_by(self.second, self.second.request("INVITE"))
        self.assert_over(self.alice, self.first, self.second)

    def test_connection_is_lost(self) -> None:
        """A TCP connection that ends before an answer: the next target."""
        self.begin(pbx(FIRST, SECOND, transport="tcp"))
        first, second = self.world.trunk(FIRST, transport="tcp"), self.world.trunk(SECOND, transport="tcp")
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        first.heard("INVITE")
        first.flow.lose()
        self.answered_by(second, second.request("INVITE"))
        self.assert_over(self.alice, second)

    def test_silence(self) -> None:
        """A target that says nothing has four seconds, not the 32 of timer B; it learns no more of it."""
        self.call()
        self.wait(3.9)
        self.second.silent()
        self.wait(0.2)
        self.first.forget()
        self.answered_by(self.second, self.second.request("INVITE"))
        self.world.turn(40)
        self.assert_over(self.alice, self.first, self.second)

    def test_silence_limit_of_the_trunk(self) -> None:
        """`failover` says how long."""
        self.begin(pbx(FIRST, SECOND, failover=1.0))
        self.call()
        self.wait(1.1)
        self.answered_by(self.second, self.second.request("INVITE"))

    def test_it_works_on_it(self) -> None:
        """With a 100 the target has the time that it needs."""
        leg = self.call()
        self.first.answer(leg, 100)
        self.wait(60)
        self.second.silent()
        self.answered_by(self.first, leg)
        self.assert_over(self.alice, self.first, self.second)

    def test_rings(self) -> None:
        """Once it has rung, nobody else's phone rings for the same call, whatever comes."""
        leg = self.call()
        self.first.answer(leg, 180)
        self.alice.heard(180)
        self.first.answer(leg, 503)
        self.first.heard("ACK")
        self.alice.heard(500)
        self.assert_over(self.alice, self.first, self.second)

    def test_wakes_up(self) -> None:
        """A target that was given up and says at last that it works on it gets CANCEL (RFC 3261 section 9.1)."""
        leg = self.call()
        self.wait(4.1)
        self.first.forget()
        again = self.second.request("INVITE")
        self.first.answer(leg, 100)
        self.first.answer(self.first.request("CANCEL"), 200)
        self.first.answer(leg, 180)
        self.first.answer(leg, 487)
        self.first.heard("ACK")
        self.alice.silent()
        self.answered_by(self.second, again)
        self.assert_over(self.alice, self.first, self.second)

    def test_answers_too_late(self) -> None:
        """One that was given up and answers all the same is ACKed, and gets BYE: where it was asked, for each of its
        answers, before the other's answer or after it."""
        for behind in (False, True):
            self.begin(*self.trunks)
            leg = self.call()
            self.wait(4.1)
            self.first.forget()
            again = self.second.request("INVITE")
            if behind:
                self.answered_by(self.second, again)
            self.first.answer(leg, 200, PLAIN, tag="late")
            self.first.heard("ACK")
            self.first.answer(self.first.request("BYE"), 200)
            self.first.answer(leg, 200, PLAIN, tag="late")
            self.first.heard("ACK")
            if not behind:
                self.answered_by(self.second, again)
            self.assert_over(self.alice, self.first, self.second)

    def test_cancelled(self) -> None:
        """CANCEL ends the search: no further target is tried, whatever the one that is tried says or does not say."""
        for status in (0, 487, 503):
            self.begin(*self.trunks)
            leg = self.call()
            self.alice.cancel(self.invite)
            self.assertEqual(sorted(self.alice.pending()), ["200", "487"])
            self.alice.forget()
            self.world.turn()
            if status:
                self.first.answer(leg, 100)
                self.first.answer(self.first.request("CANCEL"), 200)
                self.first.answer(leg, status)
                self.first.heard("ACK")
            else:
                self.world.turn(40)
                self.first.forget()
            self.assert_over(self.alice, self.first, self.second)

    def test_cancelled_at_the_second(self) -> None:
        """CANCEL goes where the INVITE went last, with its branch."""
        self.first.answer(self.call(), 503)
        self.first.heard("ACK")
        again = self.second.request("INVITE")
        self.second.answer(again, 180)
        self.alice.heard(180)
        self.alice.cancel(self.invite)
        self.alice.forget()
        self.world.turn()
        cancel = self.second.request("CANCEL")
        self.assertEqual(cancel.via.branch, again.via.branch)
        self.second.answer(cancel, 200)
        self.second.answer(again, 487)
        self.second.heard("ACK")
        self.assert_over(self.alice, self.first, self.second)

    def test_nobody_is_well(self) -> None:
        """The last response is the caller's, and a response says more than silence; a 503 is not ours (corners.rst 1:
        503 from upstream)."""
        self.first.answer(self.call(), 500)
        self.second.answer(self.second.request("INVITE"), 503)
        self.alice.heard(500)
        self.begin(*self.trunks)
        self.first.answer(self.call(), 504, reason="Behind Me")
        self.second.heard("INVITE")
        self.wait(33)
        self.second.forget()
        self.assertEqual(self.alice.response(504).reason, "Behind Me")

    def test_nobody_is_there(self) -> None:
        """Nothing but silence, as with one target: 408 when the time of the last is up; nothing can be sent: 502."""
        self.call()
        self.wait(4.1)
        self.second.heard("INVITE")
        self.world.turn(32)
        self.alice.heard(408)
        self.first.forget(), self.second.forget()
        self.begin(*self.trunks)
        self.first.flow.broken = self.second.flow.broken = True
        self.alice.invite("sip:bob@pbx.example.com")
        self.alice.heard(502)

    def test_stop_codes(self) -> None:
        """The trunk's `stop-codes` end the search, all else goes on; a challenge and a redirection are the caller's."""
        for status, goes_on in ((486, False), (404, True), (503, True), (401, False), (302, False), (422, False)):
            self.begin(pbx(FIRST, SECOND, stop_codes=frozenset({486})))
            self.first.answer(self.call(), status)
            self.assertEqual(self.second.pending(), ["INVITE"] if goes_on else [], status)
            if goes_on:
                self.second.answer(self.second.request("INVITE"), 486)
                self.alice.heard(486)

    def test_challenge(self) -> None:
        """A challenge is answered where it came from, and the search goes on from there."""
        self.begin(pbx(FIRST, SECOND, THIRD, username="us", password="secret"))
        self.alice.bind()
        third = self.world.trunk(THIRD)
        self.first.answer(self.call(), 503)
        leg = self.second.request("INVITE")
        self.second.answer(leg, 401, headers=[("WWW-Authenticate", 'Digest realm="pbx", nonce="abc"')])
        self.second.heard("ACK")
        again = self.second.request("INVITE")
        self.assertEqual(again.cseq.number, leg.cseq.number + 1)
        self.assertIn("Authorization", again.headers)
        self.second.answer(again, 503)
        last = third.request("INVITE")
        self.assertEqual(last.headers.get("Authorization"), again.headers.get("Authorization"))
        self.answered_by(third, last)

    def test_by_name(self) -> None:
        """The addresses of a name are targets as well (corners.rst 4: 3263)."""
        self.begin(PBX)
        self.world.names.known["pbx.example.com"] = f"{FIRST} {SECOND}"
        self.first.answer(self.call(), 503)
        self.answered_by(self.second, self.second.request("INVITE"))

    def test_name_is_unknown(self) -> None:
        """A proxy whose name can't be resolved is left out; where none can, the caller learns so."""
        self.begin(pbx("gone.example", FIRST))
        self.answered_by(self.first, self.call())
        self.begin(pbx("gone.example", "gone.example.net"))
        self.alice.invite("sip:bob@pbx.example.com")
        self.alice.heard(502)

    def test_at_most(self) -> None:
        """No more than eight targets are tried, however many a name has."""
        self.begin(PBX)
        hosts = [f"192.0.2.{number}" for number in range(100, 120)]
        self.world.names.known["pbx.example.com"] = " ".join(hosts)
        self.alice.invite("sip:bob@pbx.example.com")
        peers = [self.world.trunk(host) for host in hosts]
        for peer in peers[:8]:
            peer.answer(peer.request("INVITE"), 503)
        self.alice.heard(500)
        for peer in peers[8:]:
            peer.silent()


class NoInvite(Case):
    """Any other request outside of a dialog goes the same way (corners.rst 4: 3263)."""

    def test_out_of_dialog(self) -> None:
        """What browsers send to a trunk: one is out of service, the other one's answer is theirs."""
        for method in ("MESSAGE", "OPTIONS", "PUBLISH"):
            self.begin(*self.trunks)
            self.alice.say(request(method, "sip:bob@pbx.example.com", to="<sip:bob@pbx.example.com>"))
            first = self.first.request(method)
            self.first.answer(first, 503)
            second = self.second.request(method)
            self.assertEqual((second.call_id, second.cseq), (first.call_id, first.cseq))
            self.second.answer(second, 202)
            self.alice.heard(202)

    def test_too_late(self) -> None:
        """Nobody gets it when its sender has been told that it did not arrive."""
        self.begin(pbx(FIRST, SECOND, THIRD, failover=20.0))
        self.alice.say(request("MESSAGE", "sip:bob@pbx.example.com", to="<sip:bob@pbx.example.com>"))
        self.world.turn(20)
        self.second.heard("MESSAGE")
        self.world.turn(10)
        self.assertEqual(self.alice.pending()[-1:], ["504"])
        self.world.turn(10)
        self.world.trunk(THIRD).silent()

    def test_subscription(self) -> None:
        """A subscription lives where it was accepted: what comes within it goes there."""
        headers = [("Event", "presence"), ("Expires", "600"), ("Contact", f"<{self.alice.contact}>")]
        self.alice.say(request("SUBSCRIBE", "sip:bob@pbx.example.com", to="<sip:bob@pbx.example.com>", headers=headers))
        self.first.answer(self.first.request("SUBSCRIBE"), 503)
        leg = self.second.request("SUBSCRIBE")
        contact = ("Contact", f"<sip:bob@{SECOND}:5060>")
        self.second.answer(leg, 200, headers=[contact, ("Expires", "600")])
        ok = self.alice.response(200)
        again = request(
            "SUBSCRIBE", "sip:bob@pbx.example.com", cseq=2, headers=[headers[0], ("Expires", "0"), headers[2]]
        )
        again.headers.set("From", ok.headers.get("From") or "")
        again.headers.set("Call-ID", ok.call_id)
        again.headers.set("To", ok.headers.get("To") or "")
        self.alice.say(again)
        self.second.answer(self.second.request("SUBSCRIBE"), 481)
        self.alice.forget()

    def ask(self) -> list[object]:
        """Send a MESSAGE along the trunk's way; what comes of it."""
        policy = self.world.context.policy
        route = Route(policy.profile(self.trunks[0]), *self.trunks[0].servers[0])
        way = self.successResultOf(Deferred.fromCoroutine(self.world.context.upstream.next_hops(route)))
        fields = [("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Call-ID", "x"), ("CSeq", "7 MESSAGE")]
        outcomes: list[object] = []
        sent = way.request(self.world.transactions, Request("MESSAGE", "sip:c@d", Headers(fields)))
        sent.final.addCallbacks(
            lambda response: outcomes.append(response.status), lambda failure: outcomes.append(failure.type)
        )
        return outcomes

    def test_next(self) -> None:
        """Refused by one, answered by the other."""
        outcomes = self.ask()
        self.first.answer(self.first.request("MESSAGE"), 500)
        self.second.answer(self.second.request("MESSAGE"), 202)
        self.assertEqual(outcomes, [202])

    def test_at_work_for_too_long(self) -> None:
        """Who has said that it works on it, and then nothing, is no failure of the target's: nobody else does it once
        more (RFC 3263 section 4.3)."""
        outcomes = self.ask()
        self.first.answer(self.first.request("MESSAGE"), 100)
        self.world.turn(33)
        self.second.silent()
        self.assertEqual(outcomes, [TimedOut])
        self.first.forget()
        self.ask()
        self.first.answer(self.first.request("MESSAGE"), 202)

    def test_stopped(self) -> None:
        """The proxy stops meanwhile: it is over."""
        outcomes = self.ask()
        self.world.transactions.stop()
        self.assertEqual(outcomes, [FlowLost])
