"""REFER within a call, and the NOTIFYs of what comes of it (RFC 3515, RFC 4488, RFC 5057)."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Pair, Party, inbound, party_of
from tests.support.calls.transferring import ReplacingCase, name_of
from tests.support.calls.world import PLAIN
from tests.support.configs import CARRIER, PBX
from tests.support.messages import request
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transfer.transfer import Transfers
from webrtcproxy.transport.flow import Flow

REFER_TO = ("Refer-To", "<sip:carol@pbx.example.com;method=INVITE?Subject=x%20y>")
BY = ("Referred-By", '<sip:alice@pbx.example.com>;cid="1.2@x"')


class TransferCase(SessionChangeCase):
    """A call that is up, in all four ways: who refers, and who is referred."""

    def refer(self, asker: Party, other: Party, *headers: Pair) -> tuple[Request, Request]:
        """A REFER as it was sent, and as it crossed."""
        sent = asker.ask("REFER", b"", REFER_TO, BY, ("Contact", f"<{asker.contact}>"), *headers)
        return sent, other.peer.request("REFER")

    def notify(self, other: Party, asker: Party, fragment: str, state: str, event: str = "refer") -> Request:
        """The referred one tells how it goes; as it crossed, and was answered 200."""
        other.ask(
            "NOTIFY", f"SIP/2.0 {fragment}\r\n".encode(), ("Event", event), ("Subscription-State", state),
            ("Content-Type", "message/sipfrag;version=2.0"), ("Contact", f"<{other.contact}>"),
        )  # fmt: skip
        crossed = asker.peer.request("NOTIFY")
        asker.answer(crossed, 200)
        other.peer.heard(200)
        return crossed

    def end(self, asker: Party, other: Party) -> None:
        """The last NOTIFY, and the transferor hangs up."""
        self.notify(other, asker, "200 OK", "terminated;reason=noresource")
        self.hang_up(asker, other)
        self.check_over(asker, other)

    def hang_up(self, asker: Party, other: Party) -> None:
        asker.ask("BYE")
        asker.peer.heard(200)
        self.world.turn()
        other.answer(other.peer.request("BYE"), 200)

    def referred(self, *headers: Pair) -> Iterator[tuple[Party, Party, Request, Request]]:
        """For each way: the REFER as it was sent and as it crossed, answered 202."""
        for asker, other in self.all_ways():
            sent, crossed = self.refer(asker, other, *headers)
            other.answer(crossed, 202)
            asker.peer.heard(202)
            yield asker, other, sent, crossed


class Refer(TransferCase):
    """The REFER and its answer."""

    def test_crosses(self) -> None:
        """Refer-To and Referred-By are as they were written, the 202 comes back
        (original.rst: REFER, blind, either way, 202 and 401)."""
        for asker, other in self.all_ways():
            _, crossed = self.refer(asker, other)
            self.assertEqual(crossed.headers.get("Refer-To"), REFER_TO[1])
            self.assertEqual(crossed.headers.get("Referred-By"), BY[1])
            self.assertEqual(crossed.call_id, other.call_id)
            other.answer(crossed, 202)
            ok = asker.peer.response(202)
            self.assertEqual(ok.headers.get("Contact"), f"<{asker.target}>")
            self.end(asker, other)

    def test_refused(self) -> None:
        """What the far side says is what the transferor hears, and the call goes on (original.rst: REFER, refused)."""
        for asker, other in self.all_ways():
            for status in (401, 403, 405, 501, 603):
                _, crossed = self.refer(asker, other)
                other.answer(crossed, status)
                asker.peer.heard(status)
            self.check_alive(asker, other)
            other.ask("NOTIFY", b"", ("Event", "refer"), ("Subscription-State", "active"))
            asker.answer(asker.peer.request("NOTIFY"), 481)  # there is no subscription, as it knows best
            other.peer.heard(481)
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_dialog_gone(self) -> None:
        """481 to REFER ends the call, as it does to any request (RFC 3261 section 12.2.1.2)."""
        for asker, other in self.all_ways():
            _, crossed = self.refer(asker, other)
            other.answer(crossed, 481)
            asker.peer.heard(481)
            self.world.turn()
            self.check_over(asker, other)

    def test_silence(self) -> None:
        """No answer is 504 within 32 s, and ends the call (RFC 4320)."""
        for asker, other in self.all_ways():
            self.refer(asker, other)
            self.world.turn(31)
            while other.peer.pending() and other.peer.pending()[0] == "REFER":
                other.peer.heard("REFER")
            self.assertIn("504", asker.peer.pending())
            asker.peer.forget()
            self.check_over(asker, other)

    def test_unreachable(self) -> None:
        """A trunk that can't be reached is 502, and the call goes on (RFC 3261 section 21.5.3)."""
        for asker, other in self.all_ways():
            if not other.browser:
                self.world.unreachable = other.peer.flow.broken = True
                asker.ask("REFER", b"", REFER_TO)
                asker.peer.heard(502)
                self.world.unreachable = other.peer.flow.broken = False
                self.check_alive(asker, other)
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_refer_sub(self) -> None:
        """Where the far side makes no subscription, none is kept (RFC 4488); norefersub may be required of it."""
        for asker, other in self.all_ways():
            _, crossed = self.refer(asker, other, ("Refer-Sub", "false"), ("Require", "norefersub"))
            self.assertEqual(crossed.headers.get("Refer-Sub"), "false")
            self.assertEqual(crossed.headers.get("Require"), "norefersub")
            other.answer(crossed, 202, b"", ("Refer-Sub", "false"))
            self.assertEqual(asker.peer.response(202).headers.get("Refer-Sub"), "false")
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_bad(self) -> None:
        """One Refer-To, which can be read (RFC 3515 section 2.4.2)."""
        for asker, other in self.all_ways():
            for headers, why in (
                ((), "Missing Refer-To"), ((REFER_TO, REFER_TO), "Multiple Refer-To"),
                ((("Refer-To", "carol"),), "Bad Refer-To"), ((("Refer-To", "<>"),), "Bad Refer-To"),
                ((("Refer-To", "<sip:c@pbx.example.com?Replaces=1>"),), "Bad Replaces"),
            ):  # fmt: skip
                asker.ask("REFER", b"", *headers)
                self.assertEqual(asker.peer.response(400).reason, why)
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_malformed(self) -> None:
        """What is plain crosses in its right form (field.rst O: Odd Refer-To)."""
        for asker, other in self.all_ways():
            for text, right in (
                ("<sip:c@pbx.example.com", "<sip:c@pbx.example.com>"),
                ("c@pbx.example.com", "<sip:c@pbx.example.com>"),
                (
                    "sip:c@pbx.example.com?Replaces=x@y;to-tag=1;from-tag=2",
                    "<sip:c@pbx.example.com?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>",
                ),
            ):
                asker.ask("REFER", b"", ("Refer-To", text))
                crossed = other.peer.request("REFER")
                self.assertEqual(crossed.headers.get("Refer-To"), right)
                other.answer(crossed, 603)
                asker.peer.heard(603)
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_for_browsers(self) -> None:
        """A browser can call SIP addresses only: a number is at its own domain, and what is neither is refused
        (field.rst O: Odd Refer-To)."""
        trunk, browser = inbound(self.world)
        for text, heard in (
            ("tel:+4930", "<sip:+4930@pbx.example.com;user=phone>"),
            ("<tel:+4930>", "<sip:+4930@pbx.example.com;user=phone>"),
            ("sip:c@pbx.example.com;;", "<sip:c@pbx.example.com>"),
            ("<sip:c@pbx.example.com>;x=", "<sip:c@pbx.example.com>"),
        ):
            trunk.ask("REFER", b"", ("Refer-To", text))
            crossed = browser.peer.request("REFER")
            self.assertEqual(crossed.headers.get("Refer-To"), heard)
            browser.answer(crossed, 603)
            trunk.peer.heard(603)
        trunk.ask("REFER", b"", ("Refer-To", "<mailto:c@pbx.example.com>"))
        trunk.peer.heard(416)
        browser.peer.silent()

    def test_bound(self) -> None:
        """One that refers without end is told to wait."""
        for asker, other in self.all_ways():
            for _ in range(10):
                _, crossed = self.refer(asker, other)
                other.answer(crossed, 603)
                asker.peer.heard(603)
            asker.ask("REFER", b"", REFER_TO)
            self.assertIn("Retry-After", asker.peer.response(500).headers)
            self.world.turn(60)
            _, crossed = self.refer(asker, other)
            other.answer(crossed, 603)
            asker.peer.heard(603)
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_subscriptions_are_bounded(self) -> None:
        """No more than eight wait for their end at once."""
        for asker, other in self.all_ways():
            for _ in range(8):
                _, crossed = self.refer(asker, other)
                other.answer(crossed, 202)
                asker.peer.heard(202)
            self.world.turn(60)
            asker.ask("REFER", b"", REFER_TO)
            asker.peer.heard(500)
            self.hang_up(asker, other)
            self.world.turn(200)
            self.check_over(asker, other)


class NobodyThere(ReplacingCase):
    """A call without another end."""

    def admits(self, request: Request, flow: Flow) -> bool:
        return True

    def request_arrived(self, transaction: ServerTransaction) -> None:
        self.arrived = transaction

    def test_refused(self) -> None:
        """It has nobody who could be referred: 481 (RFC 3515 section 2.4.1)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        mine, bob = self.out(alice, trunk)
        leg = self.world.legs.get(name_of(mine).key)
        assert leg is not None
        Transactions(self.world.clock, self).message_received(request("REFER", "sip:x@y.example"), alice.flow)
        transfers = Transfers(self.world.context, self.world.legs)
        alone = SimpleNamespace(other=lambda leg: None)
        refused = self.assertRaises(Refusal, transfers.arrived, alone, leg, self.arrived)
        self.assertEqual(refused.status, 481)
        self.arrived.reply(481)
        alice.heard(481)
        self.bye(mine, bob)


class Outside(TransferCase):
    """REFER that is within no call of the proxy's."""

    def test_answered(self) -> None:
        """Within a dialog that is unknown: 481."""
        alice = self.world.browser()
        for method in ("REFER", "NOTIFY", "SUBSCRIBE"):
            alice.say(request(method, "sip:bob@pbx.example.com", to="<sip:bob@pbx.example.com>;tag=nobody"))
            alice.heard(481)


class Challenged(TransferCase):
    """REFER to a trunk whose password the proxy has."""

    trunks = (CARRIER, PBX)

    def test_answered(self) -> None:
        """The trunk's challenge is answered by the proxy, and the subscription is known by either number
        (corners.rst 4: challenge to in-dialog)."""
        world = self.world
        alice, trunk = world.browser(), world.trunk("192.0.2.7", 5090)
        alice.bind()
        invite = alice.invite("sip:bob@carrier.example.net:5080")
        leg = trunk.request("INVITE")
        answer = trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        asker, other = party_of(alice, invite, ok), party_of(trunk, leg, answer)
        challenge = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')
        _, first = self.refer(asker, other)
        other.answer(first, 401, b"", challenge)
        second = trunk.request("REFER")
        self.assertIn('username="us"', second.headers.get("Authorization") or "")
        other.answer(second, 202)
        alice.heard(202)
        crossed = self.notify(other, asker, "100 Trying", "active", f"refer;id={second.cseq.number}")
        self.assertEqual(crossed.headers.get("Event"), f"refer;id={asker.cseq}")
        self.end(asker, other)


class Notify(TransferCase):
    """What is told of the transfer."""

    def test_crosses(self) -> None:
        """Each NOTIFY crosses with its fragment and its state, and gets the transferor's answer (original.rst: NOTIFY
        of progress) (corners.rst 4: 3515)."""
        for asker, other, _, _ in self.referred():
            crossed = self.notify(other, asker, "100 Trying", "active;expires=60")
            self.assertEqual(crossed.body, b"SIP/2.0 100 Trying\r\n")
            self.assertEqual(crossed.content_type, "message/sipfrag")
            self.assertEqual(crossed.headers.get("Event"), "refer")
            self.assertEqual(crossed.headers.get("Subscription-State"), "active;expires=60")
            self.assertEqual(crossed.call_id, asker.call_id)
            self.end(asker, other)

    def test_id(self) -> None:
        """The subscription is named by the CSeq number of the REFER, which each leg has its own of (RFC 3515 2.4.6)."""
        for asker, other in self.all_ways():
            asker.cseq += 40
            sent, crossed = self.refer(asker, other)
            other.answer(crossed, 202)
            asker.peer.heard(202)
            again, crossed_again = self.refer(asker, other)
            other.answer(crossed_again, 202)
            asker.peer.heard(202)
            self.assertNotEqual(sent.cseq.number, crossed.cseq.number)
            for mine, there in ((again, crossed_again), (sent, crossed)):
                told = self.notify(other, asker, "200 OK", "terminated", f"refer;id={there.cseq.number};x=1")
                self.assertEqual(told.headers.get("Event"), f"refer;id={mine.cseq.number};x=1")
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_before_the_202(self) -> None:
        """A NOTIFY may overtake the 202 (RFC 6665 section 4.4.1)."""
        for asker, other in self.all_ways():
            sent, crossed = self.refer(asker, other)
            told = self.notify(other, asker, "100 Trying", "active", f"refer;id={crossed.cseq.number}")
            self.assertEqual(told.headers.get("Event"), f"refer;id={sent.cseq.number}")
            other.answer(crossed, 202)
            asker.peer.heard(202)
            self.end(asker, other)

    def test_after_the_bye(self) -> None:
        """The transferor hangs up at once, and learns how it went all the same; then the dialogs are gone
        (RFC 5057 section 4)."""
        for asker, other, _, _ in self.referred():
            self.hang_up(asker, other)
            self.world.turn(40)
            self.assertEqual(len(self.world.calls), 0)
            self.notify(other, asker, "180 Ringing", "active;expires=60")
            asker.ask("INFO", b"x")
            asker.peer.heard(481)
            self.notify(other, asker, "200 OK", "terminated;reason=noresource")
            self.assertEqual(len(self.world.legs), 0)
            other.ask("NOTIFY", b"", ("Event", "refer"), ("Subscription-State", "active"))
            other.peer.heard(481)

    def test_nothing_else_after_the_bye(self) -> None:
        """A dialog that only its subscription keeps takes the NOTIFYs of that, and no REFER or other event: 481
        (RFC 5057 section 4)."""
        for asker, other, _, _ in self.referred():
            self.hang_up(asker, other)
            other.ask("REFER", b"", REFER_TO)
            other.peer.heard(481)
            other.ask("NOTIFY", b"", ("Event", "presence"), ("Subscription-State", "active"))
            other.peer.heard(481)
            self.notify(other, asker, "200 OK", "terminated;reason=noresource")
            self.assertEqual(len(self.world.legs), 0)

    def test_slow(self) -> None:
        """Each NOTIFY has the next one waited for as long."""
        for asker, other in self.all_ways():
            asker.cseq += 10
            sent, crossed = self.refer(asker, other)
            other.answer(crossed, 202)
            asker.peer.heard(202)
            event = f"refer;id={crossed.cseq.number}"
            for _ in range(3):
                self.world.turn(100)
                told = self.notify(other, asker, "180 Ringing", "active;expires=200", event)
                self.assertEqual(told.headers.get("Event"), f"refer;id={sent.cseq.number}")
            self.end(asker, other)

    def test_never_told(self) -> None:
        """Who is never told how it went keeps the dialogs for a bounded time."""
        for asker, other, _, _ in self.referred():
            self.hang_up(asker, other)
            self.world.turn(179)
            self.assertEqual(len(self.world.legs), 2)
            self.world.turn(2)
            self.assertEqual(len(self.world.legs), 0)

    def test_refused(self) -> None:
        """481 to a NOTIFY ends the subscription, and not the call (RFC 5057 section 5.1)."""
        for asker, other, _, _ in self.referred():
            other.ask("NOTIFY", b"", ("Event", "refer"), ("Subscription-State", "active"))
            asker.answer(asker.peer.request("NOTIFY"), 481)
            other.peer.heard(481)
            self.check_alive(asker, other)
            self.hang_up(asker, other)
            self.check_over(asker, other)

    def test_silence(self) -> None:
        """A transferor that does not answer a NOTIFY loses neither the subscription nor the call."""
        for asker, other, _, _ in self.referred():
            other.ask("NOTIFY", b"", ("Event", "refer"), ("Subscription-State", "active"))
            self.world.turn(31)
            self.assertIn("504", other.peer.pending())
            other.peer.forget()
            asker.peer.forget()
            self.end(asker, other)

    def test_subscribe(self) -> None:
        """The transferor may refresh the subscription, or end it: that crosses too (RFC 3515 section 2.4.4)."""
        for asker, other, sent, crossed in self.referred():
            asker.ask("SUBSCRIBE", b"", ("Event", f"refer;id={sent.cseq.number}"), ("Expires", "0"))
            there = other.peer.request("SUBSCRIBE")
            self.assertEqual(there.headers.get("Event"), f"refer;id={crossed.cseq.number}")
            self.assertEqual(there.headers.get("Expires"), "0")
            other.answer(there, 200, b"", ("Expires", "0"))
            self.assertIn("Expires", asker.peer.response(200).headers)
            self.end(asker, other)

    def test_other_package(self) -> None:
        """SUBSCRIBE and NOTIFY of something else cross as they are; the 2xx has our Contact (RFC 6665 8.2.1)."""
        for asker, other in self.all_ways():
            asker.ask("SUBSCRIBE", b"", ("Event", "talk"))
            other.answer(other.peer.request("SUBSCRIBE"), 200, b"", ("Expires", "60"), ("Contact", "<sip:x@y>"))
            self.assertEqual(asker.peer.response(200).headers.lines("Contact"), [f"<{asker.target}>"])
            other.ask("NOTIFY", b"", ("Event", "talk"), ("Subscription-State", "active"))
            crossed = asker.peer.request("NOTIFY")
            self.assertEqual(crossed.headers.get("Event"), "talk")
            asker.answer(crossed, 489)
            other.peer.heard(489)
            self.hang_up(asker, other)
            self.check_over(asker, other)


class Moves(TransferCase):
    """The browser of a call that is over."""

    def test_on_another_socket(self) -> None:
        """It gets the NOTIFY on its new socket (corners.rst 4: 6665 to browsers)."""
        for asker, other, _, _ in self.referred():
            if not asker.browser:
                self.end(asker, other)
                continue
            self.hang_up(asker, other)
            self.world.turn(40)
            leg = next(leg for leg in self.world.legs._legs.values() if leg.profile.browser)
            assert leg.owner is not None
            new = self.world.browser()
            leg.owner.moved(leg, new.flow)
            asker.peer = new
            self.notify(other, asker, "200 OK", "terminated")
            self.assertEqual(len(self.world.legs), 0)
            self.assertFalse(new.flow.watched)
