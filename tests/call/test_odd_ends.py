"""BYE, CANCEL and ACK that can't be taken as they are: what they end, ends; what is acknowledged, is not repeated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from twisted.logger import capturedLogs, formatEvent

from tests.call.test_malformed import Change, MalformedCase, adding, replacing, within
from tests.support.calls.party import Party, hang_up, inbound, outbound, party_of
from tests.support.calls.world import OFFER, PLAIN, Peer
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.table import TransactionLimits

ANSWER = OFFER.replace(b"actpass", b"active")


def without(name: str) -> Change:
    """Takes a header out."""
    return lambda data: re.sub(rb"\r\n%s: [^\r]*" % name.encode(), b"", data, count=1)


def having(name: str, value: str) -> Change:
    """Gives a header another value."""
    line = f"\r\n{name}: {value}".encode()
    return lambda data: re.sub(rb"\r\n%s: [^\r]*" % name.encode(), lambda _: line, data, count=1)


REFUSED: dict[str, tuple[Change, int | None]] = {
    "no Call-ID": (without("Call-ID"), 400),
    "no From": (without("From"), 400),
    "no To": (without("To"), 400),
    "no CSeq": (without("CSeq"), 400),
    "no Via": (without("Via"), None),
    "blank in Call-ID": (having("Call-ID", "a b"), 400),
    "To without a tag": (lambda data: re.sub(rb"(\r\nTo: [^\r]*?);tag=[^\r;]*", rb"\1", data), 481),
    "From without a tag": (lambda data: re.sub(rb"(\r\nFrom: [^\r]*?);tag=[^\r;]*", rb"\1", data), 481),
    "Via without a host": (lambda data: re.sub(rb"(\r\nVia: )[^;\r]*", rb"\1SIP/2.0/UDP ", data), 400),
    "Via without a branch that can be read": (having("Via", "SIP/2.0/UDP h:x"), 400),
    "another method in CSeq": (having("CSeq", "7 INVITE"), 400),
    "another version": (replacing(" SIP/2.0\r\n", " SIP/3.0\r\n"), 505),
    "no version": (replacing(" SIP/2.0\r\n", "\r\n"), 400),
    "blank in the Request-URI": (replacing(" SIP/2.0\r\n", " x SIP/2.0\r\n"), 400),
    "extension": (adding("Require: foo"), 420),
    "Proxy-Require": (adding("Proxy-Require: foo"), 420),
    "too many headers": (adding(*["X: y"] * 2000), 513),
    "Call-ID twice": (adding("Call-ID: other"), None),
}
"""How a BYE is odd, and the response that it gets; None where it gets none, or 200."""


def heard(peer: Peer) -> list[str]:
    """The methods and status codes of what was sent there, which is forgotten then. A response to a request without a
    Call-ID has none, either."""
    lines = [data.partition(b"\r\n")[0].decode() for data in peer.flow.sent]
    peer.forget()
    return [line.split()[1 if line.startswith("SIP") else 0] for line in lines]


class OddBye(MalformedCase):
    """A BYE that has to be refused (field.rst P: Odd end)."""

    def calls(self) -> Iterator[tuple[Party, Party]]:
        """A call in each direction, ended by each side: who ends it, and the other."""
        for way in (outbound, inbound):
            for swapped in (False, True):
                self.fresh()
                one, two = way(self.world)
                yield (two, one) if swapped else (one, two)

    def test_ends(self) -> None:
        """It gets the response that the RFC wants, and the call ends, whoever has sent it; the log says so."""
        for name, (change, status) in REFUSED.items():
            for party, other in self.calls():
                bye = within(party, "BYE")
                bye.headers.add("Reason", "Q.850;cause=16")
                with capturedLogs() as events:
                    self.octets(party.peer, change(bye.to_bytes()))
                self.world.turn()
                crossed = other.peer.request("BYE")
                self.assertEqual(crossed.headers.get("Reason"), "Q.850;cause=16", name)
                self.assertNotIn("X", crossed.headers)
                other.answer(crossed, 200)
                said = heard(party.peer)
                if status is not None:
                    self.assertEqual(said[-1:], [str(status)], name)
                    lines = [formatEvent(event) for event in events]
                    self.assertTrue(any("a BYE that is refused" in line for line in lines), (name, lines))
                self.assert_over(party.peer, other.peer)

    def test_out_of_order(self) -> None:
        """A CSeq number below that of an earlier request is 500 (RFC 3261 section 12.2.2)."""
        for party, other in self.calls():
            party.ask("OPTIONS")
            party.peer.heard(200)
            self.octets(party.peer, having("CSeq", "0 BYE")(within(party, "BYE").to_bytes()))
            party.peer.heard(500)
            self.world.turn()
            other.answer(other.peer.request("BYE"), 200)
            self.assert_over(party.peer, other.peer)

    def test_too_many(self) -> None:
        """Neither does the limit of transactions keep a call up."""
        for party, other in self.calls():
            self.patch(self.world.transactions._table, "_limits", TransactionLimits(total=0))
            party.ask("BYE")
            party.peer.heard(503)
            self.world.turn()
            other.answer(other.peer.request("BYE"), 200)
            self.assert_over(party.peer, other.peer)

    def test_while_it_rings(self) -> None:
        """A caller that says BYE instead of CANCEL; the INVITE gets 487."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        bye = within(party_of(alice, invite, alice.response(180)), "BYE")
        self.octets(alice, without("To")(bye.to_bytes()))
        self.world.turn()
        self.assertEqual(heard(alice)[-2:], ["400", "487"])
        trunk.answer(trunk.request("CANCEL"), 200)
        trunk.answer(leg, 487)
        trunk.heard("ACK")

    def test_somebody_else(self) -> None:
        """It has to come from the peer of the dialog, and to name no other one."""
        for party, other in self.calls():
            stranger = self.world.trunk("198.51.100.66") if not party.browser else self.world.browser("eve")
            for change in (without("Call-ID"), without("From"), adding("Require: foo"), without("To")):
                self.octets(stranger, change(within(party, "BYE").to_bytes()))
            for change in (having("Call-ID", "other"), having("From", "<sip:x@y>;tag=other")):
                bye = within(party, "BYE").to_bytes()
                self.octets(party.peer, without("CSeq")(change(bye)))
            self.octets(
                party.peer, without("CSeq")(having("To", "<sip:x@y>;tag=other")(within(party, "BYE").to_bytes()))
            )
            self.world.turn()
            self.assertEqual(other.peer.pending(), [])
            party.peer.forget()
            stranger.forget()
            party.ask("BYE")
            other.answer(other.peer.request("BYE"), 200)
            party.peer.heard(200)

    def test_several(self) -> None:
        """Where it may mean several calls, none ends, and a warning says what is missing: one in a second, with how
        many there were. The Request-URI tells them apart."""
        pairs = [outbound(self.world) for _ in range(2)]
        trunk = pairs[0][1].peer
        bye = without("Call-ID")(without("To")(within(pairs[1][1], "BYE").to_bytes()))
        target = pairs[1][1].target.encode()
        for count in (3, 1):
            with capturedLogs() as events:
                for _ in range(count):
                    self.octets(trunk, bye.replace(target, b"sip:x@192.0.2.1"))
            (line,) = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
            self.assertIn("it may mean 2 dialogs: it has no Call-ID, tag in To that can be read", line)
            self.assertEqual(line.endswith("; 2 more of these before"), count == 1)
            self.world.turn(1)
        self.assertEqual([pair[0].peer.pending() for pair in pairs], [[], []])
        self.octets(trunk, bye)
        self.world.turn()
        pairs[0][0].peer.silent()
        pairs[1][0].answer(pairs[1][0].peer.request("BYE"), 200)
        trunk.forget()
        pairs[0][0].ask("BYE")
        pairs[0][1].answer(trunk.request("BYE"), 200)


class OddCancel(MalformedCase):
    """A CANCEL that has to be refused (field.rst P: Odd end)."""

    def cancelled(self, change: Change, browser: bool, stranger: bool = False) -> tuple[Peer, Peer]:
        """The caller and the callee, after such a CANCEL of a caller for whom it rings."""
        self.fresh()
        alice, trunk = self.world.browser(), self.world.trunk()
        if browser:
            caller: Peer = alice
            callee: Peer = trunk
            invite = alice.invite("sip:bob@pbx.example.com")
        else:
            alice.bind()
            caller, callee = trunk, alice
            invite = trunk.call(alice)
        self.leg = callee.request("INVITE")
        callee.answer(self.leg, 180)
        caller.heard(180)
        cancel = Request("CANCEL", invite.uri, invite.headers.only({"Via", "From", "To", "Call-ID"}))
        cancel.headers.set("CSeq", f"{invite.cseq.number} CANCEL")
        sender = (self.world.browser("eve") if browser else self.world.trunk("198.51.100.66")) if stranger else caller
        self.octets(sender, change(cancel.to_bytes()))
        self.world.turn()
        return caller, callee

    def test_ends(self) -> None:
        """It gets the response that the RFC wants, the INVITE 487, and the callee stops ringing."""
        for browser in (True, False):
            for name in ("no Call-ID", "no From", "no To", "no CSeq", "no Via", "another method in CSeq", "no version",
                         "another version", "Via without a host", "blank in Call-ID", "too many headers"):  # fmt: skip
                change, status = REFUSED[name]
                caller, callee = self.cancelled(change, browser)
                self.assertEqual(callee.pending(), ["CANCEL"], (name, browser))
                self.assertEqual(heard(caller)[1:], [*([str(status)] if status else []), "487"], (name, browser))
                callee.answer(callee.request("CANCEL"), 200)
                callee.answer(self.leg, 487)
                callee.heard("ACK")

    def test_somebody_else(self) -> None:
        """It has to come from where the INVITE came from, and to name no other one."""
        for browser in (True, False):
            for change, stranger in (
                (without("CSeq"), True), (without("Call-ID"), True), (without("Via"), True),
                (lambda data: without("CSeq")(having("Call-ID", "other")(data)), False),
                (lambda data: without("CSeq")(re.sub(rb"branch=[^;\r]*", b"branch=z9hG4bKother", data)), False),
            ):  # fmt: skip
                caller, callee = self.cancelled(change, browser, stranger)
                self.assertEqual((callee.pending(), "487" in heard(caller)), ([], False))
                callee.answer(self.leg, 486)
                callee.heard("ACK")
                caller.forget()


class OddAck(MalformedCase):
    """An ACK that does not say what it acknowledges (field.rst Q: Odd ACK)."""

    LOST = ("CSeq", "From", "Call-ID", "To", "Via", "Max-Forwards")

    def answered(self, browser: bool) -> tuple[Peer, Request, Response]:
        """A caller, its INVITE and the 200 that waits for its ACK."""
        alice, trunk = self.world.browser(), self.world.trunk()
        if browser:
            invite = alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 200, PLAIN)
            trunk.heard("ACK")
            return alice, invite, alice.response(200)
        alice.bind()
        invite = trunk.call(alice)
        alice.answer(alice.request("INVITE"), 200, ANSWER)
        alice.heard("ACK")
        return trunk, invite, trunk.response(200)

    def acknowledged(self, browser: bool, change: Callable[[bytes], bytes]) -> bool:
        """Whether such an ACK is taken."""
        self.fresh()
        caller, invite, ok = self.answered(browser)
        self.lines = self.changed(caller, caller.inside("ACK", invite, ok, cseq=invite.cseq.number), change)
        self.world.turn(3)
        return "200" not in caller.pending()

    def test_taken(self) -> None:
        """Whatever is missing or can't be read: one 2xx waits for the ACK of its sender. The log says what is
        missing."""
        for browser in (True, False):
            for name in self.LOST:
                self.assertTrue(self.acknowledged(browser, without(name)), name)
                self.assertEqual(len(self.lines), 0 if name == "Max-Forwards" else 1, self.lines)
            for name, value in (
                ("CSeq", "x"), ("CSeq", "99 ACK"), ("From", "<sip:x@y>"), ("To", "<sip:x@y>"), ("Call-ID", "a b"),
                ("Via", "x"), ("CSeq", "1 INVITE"),
            ):  # fmt: skip
                self.assertTrue(self.acknowledged(browser, having(name, value)), (name, value))
            self.assertTrue(self.acknowledged(browser, lambda data: b"ACK\r\n" + data.partition(b"\r\n")[2]))

    def test_number(self) -> None:
        """A number that can't be an earlier 2xx's means this one; that of an earlier one does not, whose ACK it may be,
        repeated."""
        for number, taken in ((1, False), (2, True), (3, True), (99, True)):
            self.fresh()
            trunk, browser = inbound(self.world)
            invite = trunk.ask("INVITE", trunk.sdp("sendonly"))
            browser.answer(browser.peer.request("INVITE"), 200, browser.sdp("recvonly"))
            browser.peer.heard("ACK")
            trunk.peer.heard(200)
            ack = trunk._build("ACK", number, b"")
            trunk.peer.say(ack)
            self.world.turn(1)
            self.assertEqual("200" not in trunk.peer.pending(), taken, number)
            trunk.peer.forget()
            trunk.ack(invite)
            hang_up(trunk, browser)

    def test_of_something_else(self) -> None:
        """One that names another dialog is none of this."""
        for browser in (True, False):
            for name, value in (("Call-ID", "x"), ("From", "<sip:x@y>;tag=x"), ("To", "<sip:x@y>;tag=x")):
                self.assertFalse(self.acknowledged(browser, having(name, value)))

    def test_nothing_named(self) -> None:
        """On a connection one that names nothing means the only 2xx; over UDP its Request-URI has to say it."""
        self.fresh()

        def bare(data: bytes) -> bytes:
            return without("Call-ID")(without("From")(without("To")(data)))

        for browser in (True, False):
            self.assertTrue(self.acknowledged(browser, bare))
            other = self.acknowledged(browser, lambda data: re.sub(rb"^ACK [^ ]*", b"ACK sip:x@y", bare(data)))
            self.assertEqual(other, browser)

    def test_several(self) -> None:
        """Where two 2xx wait and it may mean either, none is acknowledged, and a warning says what is missing."""
        alice, trunk = self.world.browser(), self.world.trunk()
        for _ in range(2):
            invite = alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 200, PLAIN)
            trunk.heard("ACK")
            ok = alice.response(200)
        ack = alice.inside("ACK", invite, ok, cseq=invite.cseq.number)
        ack.uri = "sip:x@192.0.2.1"
        with capturedLogs() as events:
            for _ in range(3):
                self.octets(alice, without("Call-ID")(without("To")(without("From")(ack.to_bytes()))))
        (line,) = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
        self.assertIn("ACK from 198.51.100.9 is dropped, it may mean 2 dialogs: it has no Call-ID, tag in To, ", line)
        self.world.turn(3)
        self.assertIn("200", alice.pending())
        for _ in range(35):
            self.world.turn(1)
        for _ in range(2):
            trunk.answer(trunk.request("BYE"), 200)
        alice.forget()
