"""One request, several targets (RFC 3263 section 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.call.case import CallCase
from tests.call.registering import ALICE, JSSIP, OURS, RegistrarCase
from tests.call.world import OFFER, PLAIN, TrunkPeer
from tests.support.configs import PBX
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.call.failover import Standing
from webrtcproxy.call.policy import Route
from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.errors import FlowLost, TimedOut
from webrtcproxy.sip.message import Headers, Request, respond
from webrtcproxy.transport.flow import Address, Hop

FIRST, SECOND, THIRD = "192.0.2.50", "192.0.2.51", "192.0.2.52"


def pbx(*hosts: str, **more: object) -> Trunk:
    """The trunk, at several proxies."""
    return replace(PBX, proxy=tuple(HostPort(host, None) for host in hosts), **more)  # type: ignore[arg-type]


class Case(CallCase):
    """A browser calls a trunk that has several proxies."""

    trunks = (pbx(FIRST, SECOND),)

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self, *trunks: Trunk) -> None:
        """Have a world with these trunks instead."""
        if trunks:
            self.trunks = trunks  # type: ignore[misc]
            self.world = self.make_world()
        self.alice = self.world.browser()
        self.first, self.second = self.world.trunk(FIRST), self.world.trunk(SECOND)

    def call(self, *, to: str = "sip:bob@pbx.example.com") -> Request:
        """Call; returns what the first target gets."""
        self.invite = self.alice.invite(to)
        return self.first.request("INVITE")

    def wait(self, seconds: float) -> None:
        """Let time pass; the caller hears that it is worked upon."""
        self.world.turn(seconds)
        if self.alice.pending()[:1] == ["100"]:
            self.alice.next()

    def answered_by(self, trunk: TrunkPeer, leg: Request) -> None:
        """The call is answered there, lives and is ended by its caller: all within the dialog goes there."""
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        self.alice.say(self.alice.inside("BYE", self.invite, ok))
        trunk.answer(trunk.request("BYE"), 200)
        self.alice.heard(200)


class Hunting(Case):
    """The next target is tried where one fails."""

    def test_out_of_service(self) -> None:
        """503: the same request goes to the next one, in a transaction of its own: another branch, the same Call-ID,
        From tag and CSeq (CORNERS 4: 3263)."""
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
        """A target that says nothing has four seconds, not the 32 of timer B; it hears no more of it."""
        self.call()
        self.wait(3.9)
        self.second.silent()
        self.wait(0.2)
        self.first.forget()
        self.answered_by(self.second, self.second.request("INVITE"))
        self.world.turn(40)
        self.assert_over(self.alice, self.first, self.second)

    def test_patience_of_the_trunk(self) -> None:
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
        """A target that was given up and says at last that it works on it hears CANCEL (RFC 3261 section 9.1)."""
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
        """One that was given up and answers all the same is ACKed, and hears BYE: where it was asked, for each of its
        answers, before the other's answer or behind it."""
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
        """The last response is the caller's, and a response says more than silence; a 503 is not ours (CORNERS 1: 503
        from upstream)."""
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
        """The addresses of a name are targets as well (CORNERS 4: 3263)."""
        self.begin(PBX)
        self.world.names.known["pbx.example.com"] = f"{FIRST} {SECOND}"
        self.first.answer(self.call(), 503)
        self.answered_by(self.second, self.second.request("INVITE"))

    def test_name_is_unknown(self) -> None:
        """A proxy whose name can't be resolved is left out; where none can, the caller hears so."""
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
    """Any other request outside of a dialog goes the same way (CORNERS 4: 3263)."""

    def test_passages(self) -> None:
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
        route = Route(policy.terms(self.trunks[0]), *self.trunks[0].places[0])
        way = self.successResultOf(Deferred.fromCoroutine(self.world.context.upstream.way(route)))
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
        """Who has said that he works on it, and then nothing, is no failure of the target's: nobody else does it once
        more (RFC 3263 section 4.3)."""
        outcomes = self.ask()
        self.first.answer(self.first.request("MESSAGE"), 100)
        self.world.turn(33)
        self.second.silent()
        self.assertEqual(outcomes, [TimedOut])
        self.first.forget()

    def test_stopped(self) -> None:
        """The proxy stops meanwhile: it is over."""
        outcomes = self.ask()
        self.world.transactions.stop()
        self.assertEqual(outcomes, [FlowLost])


class Penalised(Case):
    """What fails is tried last for a while (CORNERS 4: 3263 penalty)."""

    def calls(self, first: Iterable[int], second: Iterable[int] = ()) -> None:
        """One call; what each of the two answers."""
        self.begin_again()
        self.alice.invite("sip:bob@pbx.example.com")
        for peer, statuses in ((self.first, first), (self.second, second)):
            for status in statuses:
                peer.answer(peer.request("INVITE"), status)
                peer.heard("ACK")
        self.first.silent(), self.second.silent()

    def begin_again(self) -> None:
        self.alice = self.world.browser()
        for peer in (self.first, self.second):
            peer.forget()

    def test_half_a_minute(self) -> None:
        """For 30 s the other one is asked first; the dead one is still tried where the other fails, too."""
        self.calls([503], [486])
        self.calls([], [486])
        self.world.turn(29)
        self.calls([], [486])
        self.world.turn(2)
        self.calls([486])

    def test_retry_after(self) -> None:
        """A 503 says for how long (RFC 3261 section 21.5.4), within five minutes."""
        for header, seconds in (("60", 60), ("5 (soon)", 5), ("86400;duration=3", 300), ("soon", 30)):
            self.begin(*self.trunks)
            self.first.answer(self.call(), 503, headers=[("Retry-After", header)])
            self.second.answer(self.second.request("INVITE"), 486)
            self.world.turn(seconds - 1)
            self.calls([], [486])
            self.world.turn(1.5)
            self.calls([486])

    def test_all_are_dead(self) -> None:
        """Where all count as dead they are tried as ever: that may be wrong."""
        self.calls([503], [503])
        self.calls([486])

    def test_answer_clears(self) -> None:
        """An answer, a refusal too, shows that it is there."""
        self.calls([503], [503])
        self.calls([486])
        self.calls([486])

    def test_of_the_target(self) -> None:
        """It is the target that counts as dead, not the name that led there (kamailio#4911): calls that run beside each
        other each go on to the second, which is as good as before; and another trunk with the same address knows."""
        other = replace(pbx(FIRST, THIRD), name="other", host="other.example.net")
        self.begin(*self.trunks, other)
        browsers = [self.world.browser(f"user{number}") for number in range(4)]
        for browser in browsers:
            browser.invite("sip:bob@pbx.example.com")
        legs = [self.first.request("INVITE") for _ in browsers]
        for leg in legs:
            self.first.answer(leg, 503)
        for _ in browsers:
            self.second.answer(self.second.request("INVITE"), 486)
        self.calls([], [486])
        self.world.browser().invite("sip:bob@other.example.net")
        third = self.world.trunk(THIRD)
        third.answer(third.request("INVITE"), 486)

    def test_trouble_is_no_penalty(self) -> None:
        """A 500 may be about this one call: the target stays where it is."""
        self.calls([500], [486])
        self.calls([486])

    def test_silence_is(self) -> None:
        """Who says nothing is tried last."""
        self.call()
        self.world.turn(4.1)
        self.second.answer(self.second.request("INVITE"), 486)
        self.calls([], [486])


class StandingTests(SynchronousTestCase):
    """`Standing`"""

    def test_bounded(self) -> None:
        """Whoever makes us try targets does not fill the memory."""
        standing = Standing(Clock())
        for number in range(3 * Standing.REMEMBERED):
            standing.failed(Hop("udp", Address("192.0.2.1", number)))
        self.assertEqual(len(standing._dead), Standing.REMEMBERED)

    def test_transports_are_apart(self) -> None:
        """TCP that is refused says nothing of UDP at the same address."""
        standing = Standing(Clock())
        udp, tcp = (Hop(transport, Address("192.0.2.1", 5060)) for transport in ("udp", "tcp"))
        standing.failed(udp)
        self.assertEqual(standing.in_order([udp, tcp]), [tcp, udp])


class Large(Case):
    """What is too large for a datagram goes by TCP where the trunk has it (RFC 3261 section 18.1.1)."""

    trunks = (pbx(FIRST, transport="udp", large=True),)
    LONG = ("X-Long", "x" * 1000)

    def setUp(self) -> None:
        super().setUp()
        self.tcp = self.world.trunk(FIRST, transport="tcp")

    def test_small(self) -> None:
        """What fits goes by UDP."""
        self.answered_by(self.first, self.call())
        self.tcp.silent()

    def test_large(self) -> None:
        """Via and Contact tell the transport that is used; the dialog stays on it."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        leg = self.tcp.request("INVITE")
        self.assertGreater(len(self.tcp.flow.sent[0]), 1300)
        self.assertEqual((leg.via.transport, leg.via.sent_by), ("TCP", "192.0.2.1:5062"))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5062;transport=tcp>$")
        self.answered_by(self.tcp, leg)
        self.assert_over(self.alice, self.first, self.tcp)

    def test_edge(self) -> None:
        """1300 octets are the most that goes by UDP, our Via counted; a few octets of reserve are ours."""
        for length in range(200, 1000, 25):
            self.world.browser().invite("sip:bob@pbx.example.com", ("X-Long", "x" * length))
        by_udp, by_tcp = map(len, self.first.flow.sent), map(len, self.tcp.flow.sent)
        self.assertLessEqual(max(by_udp), 1300)
        self.assertGreater(min(by_tcp), 1250)

    def test_refused(self) -> None:
        """TCP is refused: UDP after all, and Via and Contact say so."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.tcp.heard("INVITE")
        self.tcp.flow.lose()
        leg = self.first.request("INVITE")
        self.assertEqual((leg.via.transport, leg.via.sent_by), ("UDP", "192.0.2.1:5060"))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5060>$")
        self.answered_by(self.first, leg)

    def test_refused_a_moment_ago(self) -> None:
        """For half a minute it is UDP at once: nobody waits for TCP again."""
        self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.tcp.flow.lose()
        self.first.answer(self.first.request("INVITE"), 486)
        self.first.heard("ACK")
        self.world.browser().invite("sip:bob@pbx.example.com", self.LONG)
        self.first.answer(self.first.request("INVITE"), 486)
        self.world.turn(31)
        self.world.browser().invite("sip:bob@pbx.example.com", self.LONG)
        tcp = self.world.trunk(FIRST, transport="tcp")
        tcp.answer(tcp.request("INVITE"), 486)

    def test_out_of_service(self) -> None:
        """What TCP answers is the answer: the same server is not asked once more."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.tcp.answer(self.tcp.request("INVITE"), 503)
        self.alice.heard(500)
        self.first.silent()

    def test_message(self) -> None:
        """A long MESSAGE, which UDP may not carry (RFC 3428 section 8), goes by TCP."""
        long = request("MESSAGE", "sip:bob@pbx.example.com", to="<sip:bob@pbx.example.com>", body=b"x" * 1300)
        self.alice.say(long)
        self.tcp.answer(self.tcp.request("MESSAGE"), 202)
        self.alice.heard(202)

    def test_within_a_dialog(self) -> None:
        """A large request within a dialog that began on UDP: the same, whether TCP is there or not."""
        leg = self.call()
        self.first.answer(leg, 200, PLAIN)
        self.first.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        for cseq, refused in ((2, False), (3, True)):
            self.alice.say(self.alice.inside("INFO", self.invite, ok, cseq=cseq, body=b"x" * 1300))
            peer = self.tcp
            info = peer.request("INFO")
            self.assertRegex(info.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5062;transport=tcp>$")
            if refused:
                peer.flow.lose()
                peer = self.first
                info = peer.request("INFO")
                self.assertRegex(info.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5060>$")
            peer.answer(info, 200)
            self.alice.heard(200)
        self.alice.say(self.alice.inside("BYE", self.invite, ok, cseq=4))
        self.first.answer(self.first.request("BYE"), 200)
        self.alice.heard(200)

    def test_no_consent(self) -> None:
        """Without the trunk's consent it is UDP, whatever the length."""
        self.begin(pbx(FIRST, transport="udp"))
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.answered_by(self.first, self.first.request("INVITE"))


class Secure(CallCase):
    """``sips:`` (RFC 3261 section 26.2.2; CORNERS 1: URI schemes)."""

    trunks = (replace(PBX, transport="tls"),)

    def test_over_tls(self) -> None:
        """It crosses to a trunk with TLS as it is, and our Contact is one (section 8.1.1.8)."""
        alice, trunk = self.world.browser(), self.world.trunk("192.0.2.50", 5061, "tls")
        invite = alice.invite("sips:bob@pbx.example.com")
        self.world.names.known["pbx.example.com"] = "192.0.2.50"
        trunk = next(
            peer for (_, transport), peer in self.world.trunks.items() if transport == "tls" and peer.pending()
        )
        leg = trunk.request("INVITE")
        self.assertEqual((leg.uri, leg.via.transport), ("sips:bob@pbx.example.com", "TLS"))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sips:[0-9a-f]+@192\.0\.2\.1:5061;transport=tls>$")
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        alice.ack(invite, alice.response(200))

    def test_plain_uri(self) -> None:
        """``sip:`` over TLS is fine, too."""
        self.world.browser().invite("sip:bob@pbx.example.com")
        trunk = next(peer for (_, transport), peer in self.world.trunks.items() if transport == "tls")
        leg = trunk.request("INVITE")
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5061;transport=tls>$")
        trunk.answer(leg, 486)

    def test_from_the_trunk(self) -> None:
        """A ``sips:`` INVITE of the trunk's reaches the browser as a plain one, since its library refuses the other;
        the trunk gets a ``sips:`` Contact (section 12.1.1)."""
        alice, trunk = self.world.browser(), self.world.trunk("192.0.2.50", 5061, "tls")
        alice.bind()
        invite = trunk.invite("sips:alice@pbx.example.com")
        leg = alice.request("INVITE")
        self.assertEqual((leg.uri, leg.to.uri), (alice.contact, "sip:alice@pbx.example.com"))
        alice.answer(leg, 200, OFFER)
        alice.heard("ACK")
        ok = trunk.response(200)
        self.assertRegex(ok.headers.get("Contact") or "", r"^<sips:[0-9a-f]+@192\.0\.2\.1:5061;transport=tls>$")
        trunk.ack(invite, ok)

    def test_without_tls(self) -> None:
        """Where the next hop has no TLS, 416; so it is with a scheme that nobody knows (CORNERS 1: URI schemes)."""
        self.trunks = (PBX,)  # type: ignore[misc]
        self.world = self.make_world()
        for uri in ("sips:bob@pbx.example.com", "urn:service:sos"):
            alice = self.world.browser()
            alice.invite(uri)
            alice.heard(416)


class Registering(RegistrarCase):
    """REGISTER goes from target to target, too (CORNERS 4: 3263)."""

    trunks = (pbx(FIRST, SECOND, username="us", password="secret"),)
    anyone = True

    def flow(self, host: str) -> FakeFlow:
        return self.network.flows["udp", Address(host, 5060)]

    def say(self, host: str, status: int, *headers: tuple[str, str]) -> None:
        """One of the two answers its last request."""
        flow = self.flow(host)
        self.transactions.message_received(respond(flow.last_request, status, "", to_tag="up", headers=headers), flow)

    def test_second(self) -> None:
        """The second challenges and accepts: the answer to the challenge goes there, and it is the registrar that may
        call in."""
        self.register(JSSIP)
        first = self.flow(FIRST).last_request
        self.say(FIRST, 503)
        again = self.flow(SECOND).last_request
        self.assertNotEqual(again.via.branch, first.via.branch)
        for name in ("Call-ID", "From", "CSeq", "Contact"):
            self.assertEqual(again.headers.get(name), first.headers.get(name), name)
        self.say(SECOND, 401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="abc"'))
        self.assertEqual(self.flow(SECOND).last_request.cseq.number, first.cseq.number + 1)
        self.say(SECOND, 200, ("Contact", f"<{OURS}>;expires=300"))
        self.assertEqual((self.replies(), len(self.bound())), ([200], 1))
        self.assertTrue(self.location.registered_at(ALICE, SECOND))
        self.assertFalse(self.location.registered_at(ALICE, FIRST))
        self.assertEqual(len(self.flow(FIRST).sent), 1)

    def test_silence(self) -> None:
        """One that is silent has four seconds; the browser hears in time where both are."""
        self.register(JSSIP)
        self.clock.pump([0.1] * 41)
        self.assertEqual(self.flow(SECOND).summary, ["REGISTER"])
        self.clock.pump([0.5] * 60)
        self.assertEqual(self.replies(), [100, 504])

    def test_slow(self) -> None:
        """One that says 100 is at work, and not dead: its 504 is its own affair."""
        self.register(JSSIP)
        self.say(FIRST, 100)
        self.clock.pump([0.5] * 10)
        self.assertEqual(len(self.network.flows), 1)
