"""Connected line: who the other side is, where that changes within a call (RFC 4916, RFC 5876 section 3; field.rst
W4: Connected line)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.support.calls.case import CallCase
from tests.support.calls.party import Pair, Party, inbound, outbound
from tests.support.calls.world import Browser, World
from tests.support.configs import PBX
from tests.support.ngnode import on_one_port
from webrtcproxy.sip.message import Headers, Request

UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")
NO_UPDATES = ("Allow", "INVITE, ACK, BYE")
PAI = "P-Asserted-Identity"
DAVE = (PAI, '"Dave" <sip:+49303@pbx.example.com>')
ERIN = (PAI, "<sip:+49304@pbx.example.com>")
FROM_CHANGE = ("Supported", "timer, from-change")


class ConnectedCase(CallCase):
    """Calls that are up, out of a browser and into one."""

    trunks = (replace(PBX, pass_identity=True),)

    def make_world(self, *args: Any, **options: Any) -> World:
        world = super().make_world(*args, **options)
        world.nodes.sdp = on_one_port
        return world

    def ways(self, *headers: Pair) -> Iterator[tuple[Party, Party]]:
        """For each way: the end at the trunk, and that at the browser. Each has a world of its own."""
        for connect in (outbound, inbound):
            self.world = self.make_world()
            one, other = connect(self.world, *headers)
            trunk, browser = (other, one) if isinstance(one.peer, Browser) else (one, other)
            yield trunk, browser
            self.over(trunk, browser)

    def both_sides(self, *headers: Pair) -> Iterator[tuple[Party, Party]]:
        """For each way: who says something, and who is to be shown it."""
        for trunk, browser in self.ways(*headers):
            yield trunk, browser
            yield browser, trunk

    def over(self, trunk: Party, browser: Party) -> None:
        """The call is still up, and ends."""
        self.world.turn()
        trunk.peer.silent()
        browser.peer.silent()
        trunk.ask("BYE")
        trunk.peer.heard(200)
        browser.answer(browser.peer.request("BYE"), 200)
        self.assert_over(trunk.peer, browser.peer)

    def refresh(self, party: Party, *headers: Pair) -> None:
        """An UPDATE without SDP, which is answered at once."""
        party.ask("UPDATE", b"", *headers)
        party.peer.heard(200)

    def shown(self, party: Party, *headers: Pair, status: int = 200) -> Request:
        """The UPDATE without SDP that shows `headers`; answered."""
        update = party.peer.request("UPDATE")
        self.assertEqual((update.body, "Content-Type" in update.headers), (b"", False))
        self.assertEqual(identity(update.headers), list(headers))
        self.assertIn("Contact", update.headers)
        party.answer(update, status)
        return update


def identity(headers: Headers) -> list[Pair]:
    return [pair for pair in headers if pair[0] in (PAI, "Remote-Party-ID", "P-Preferred-Identity", "Privacy")]


class ByUpdate(ConnectedCase):
    """A peer that supports UPDATE is shown it in one without SDP."""

    def test_update(self) -> None:
        """News crosses, once, to whoever called or was called; a refresh that brings none stays here."""
        for party, other in self.both_sides(UPDATES):
            self.refresh(party, DAVE)
            self.shown(other, DAVE)
            for headers in ((DAVE,), (), (("P-Asserted-Identity", '"Dave"   <sip:+49303@pbx.example.com>'),)):
                self.refresh(party, *headers)
                other.peer.silent()
            self.refresh(party, ERIN)
            self.shown(other, ERIN)
            party.peer.silent()

    def test_same_session(self) -> None:
        """The same with a re-INVITE or UPDATE whose SDP is the same or has only a new port: it is answered here, and
        does not change the other side's session."""
        for method in ("INVITE", "UPDATE"):
            for party, other in self.both_sides(UPDATES):
                for sdp, headers in ((party.sdp(version=1), DAVE), (party.sdp(version=1), ERIN), (party.sdp(), DAVE)):
                    asked = party.ask(method, sdp, headers)
                    party.peer.heard(200)
                    if method == "INVITE":
                        party.ack(asked)
                    self.shown(other, headers)

    def test_all_headers(self) -> None:
        """Each header of an identity is one, and all of them cross that would in an INVITE."""
        for trunk, browser in self.ways(UPDATES):
            remote = ("Remote-Party-ID", '"Dave" <sip:303@pbx.example.com>;party=calling;screen=yes')
            self.refresh(trunk, remote)
            self.shown(browser, remote)
            self.refresh(trunk, DAVE, (PAI, "<tel:+49303>"), remote, ("Diversion", "<sip:x@y>"))
            self.shown(browser, DAVE, (PAI, "<tel:+49303>"), remote)

    def test_odd_headers(self) -> None:
        """A browser is shown what its library can read, newly written (field.rst H: Odd headers)."""
        for trunk, browser in self.ways(UPDATES):
            self.refresh(trunk, (PAI, '"Dave <sip:+49303@pbx.example.com>'))
            self.shown(browser, (PAI, '"Dave" <sip:+49303@pbx.example.com>'))
            self.refresh(trunk, ("Remote-Party-ID", "New Name <sip:304@pbx.example.com>;;party="))
            self.shown(browser, ("Remote-Party-ID", '"New Name" <sip:304@pbx.example.com>'))

    def test_private(self) -> None:
        """What its owner wants withheld does not cross (RFC 3325 section 7)."""
        for trunk, browser in self.ways(UPDATES):
            self.refresh(trunk, DAVE, ("Privacy", "id"))
            self.refresh(trunk, ERIN, ("Privacy", "none"))
            self.shown(browser, ERIN, ("Privacy", "none"))

    def test_was_shown_before(self) -> None:
        """What INVITE or 200 have shown is no news; and what one of them did not show is."""
        for party, other in self.both_sides(UPDATES, DAVE):
            self.refresh(party, DAVE)
            other.peer.silent()
            self.refresh(party, ERIN)
            self.shown(other, ERIN)

    def test_relayed(self) -> None:
        """A request that changes the session and its 2xx show identities themselves."""
        for party, other in self.both_sides(UPDATES):
            invite = party.ask("INVITE", party.sdp("sendonly"), DAVE)
            crossed = other.peer.request("INVITE")
            self.assertEqual(identity(crossed.headers), [DAVE])
            other.answer(crossed, 200, other.sdp("recvonly"), ERIN)
            other.peer.heard("ACK")
            self.assertEqual(identity(party.peer.response(200).headers), [ERIN])
            party.ack(invite)
            self.refresh(party, DAVE)
            self.refresh(other, ERIN)

    def test_while_the_session_changes(self) -> None:
        """It waits for the end of a change, which may show it, too."""
        for party, other in self.both_sides(UPDATES):
            invite = other.ask("INVITE", other.sdp("sendonly"))
            crossed = party.peer.request("INVITE")
            self.refresh(party, DAVE)
            other.peer.silent()
            party.answer(crossed, 200, party.sdp("recvonly"))
            party.peer.heard("ACK")
            other.peer.heard(200)
            self.assertEqual(other.peer.pending(), [])
            other.ack(invite)
            self.shown(other, DAVE)

    def test_many(self) -> None:
        """One after the other, and only the last one of those that came meanwhile."""
        for party, other in self.both_sides(UPDATES):
            self.refresh(party, DAVE)
            first = other.peer.request("UPDATE")
            for number in range(20):
                self.refresh(party, (PAI, f"<sip:{number}@pbx.example.com>"))
            other.peer.silent()
            other.answer(first, 200)
            self.shown(other, (PAI, "<sip:19@pbx.example.com>"))

    def test_in_answers(self) -> None:
        """So does the 2xx to a refresh of ours."""
        for trunk, browser in self.ways(UPDATES):
            self.world.turn(900)
            for _ in range(60):
                if trunk.peer.pending():
                    break
                self.world.turn(16)
            browser.answer(browser.peer.request("UPDATE"), 200)
            trunk.answer(trunk.peer.request("UPDATE"), 200, b"", DAVE)
            self.shown(browser, DAVE)


class Policy(ConnectedCase):
    """Only what would cross in a first INVITE."""

    trunks = (PBX,)

    def test_browser_is_not_believed(self) -> None:
        """A browser's identity crosses with `pass-identity` only."""
        for trunk, browser in self.ways(UPDATES):
            self.refresh(browser, DAVE)
            trunk.peer.silent()
            self.refresh(trunk, DAVE)
            self.shown(browser, DAVE)

    def test_stripped(self) -> None:
        """The options `strip` and `set` of its trunk count."""
        remote = ("Remote-Party-ID", "<sip:303@pbx.example.com>")
        self.trunks = (replace(PBX, strip=("remote-*",), set=(ERIN,), pass_identity=True),)  # type: ignore[misc]
        for trunk, browser in self.ways(UPDATES):
            self.refresh(trunk, remote)
            browser.peer.silent()
            self.refresh(trunk, remote, DAVE)
            self.shown(browser, DAVE)
            self.refresh(browser, remote, DAVE)
            if trunk.peer.pending():  # it has called: no request of ours has shown it the one that is set
                self.shown(trunk, ERIN)
            self.refresh(browser, remote, DAVE)


class ByReInvite(ConnectedCase):
    """A peer that does not list UPDATE gets a re-INVITE with the session that it has."""

    def offered(self, other: Party, *headers: Pair, status: int = 200) -> None:
        invite = other.peer.request("INVITE")
        self.assertEqual(identity(invite.headers), list(headers))
        self.assertIn(b"m=audio", invite.body)
        other.answer(invite, status, other.sdp(version=1) if status == 200 else b"")
        other.peer.heard("ACK")

    def test_update_and_invite(self) -> None:
        """Whatever brings the news; nothing of the session changes."""
        for headers in ((NO_UPDATES,), ()):
            for party, other in self.both_sides(*headers):
                self.refresh(party, DAVE)
                self.offered(other, DAVE)
                self.refresh(party, DAVE)
                invite = party.ask("INVITE", party.sdp(version=1), ERIN)
                party.peer.heard(200)
                party.ack(invite)
                self.offered(other, ERIN)

    def test_waits_for_the_ack(self) -> None:
        """No INVITE is sent before the ACK for the last 2xx (RFC 3261 section 14.1)."""
        for trunk, browser in self.ways(NO_UPDATES):
            invite = browser.ask("INVITE", browser.sdp(version=1))
            browser.peer.heard(200)
            self.refresh(trunk, DAVE)
            browser.peer.silent()
            browser.ack(invite)
            self.offered(browser, DAVE)

    def test_glare(self) -> None:
        """491: tried again, three times at most."""
        for trunk, browser in self.ways(NO_UPDATES):
            self.refresh(trunk, DAVE)
            self.offered(browser, DAVE, status=491)
            browser.peer.silent()
            self.world.turn(3)
            self.offered(browser, DAVE, status=200)
            self.refresh(trunk, ERIN)
            for _ in range(3):
                self.offered(browser, ERIN, status=491)
                self.world.turn(3)
            self.world.turn(10)
            browser.peer.silent()

    def test_refused(self) -> None:
        """Any other refusal is not asked again."""
        for trunk, browser in self.ways(NO_UPDATES):
            self.refresh(trunk, DAVE)
            self.offered(browser, DAVE, status=488)
            self.refresh(trunk, DAVE)

    def test_asks_itself(self) -> None:
        """The other side may change the session right after."""
        for trunk, browser in self.ways(NO_UPDATES):
            self.refresh(trunk, DAVE)
            self.offered(browser, DAVE)
            invite = trunk.ask("INVITE", trunk.sdp("sendonly"))
            self.offered(browser)
            trunk.peer.heard(200)
            trunk.ack(invite)


class Ends(ConnectedCase):
    """Peers that do not take it."""

    def test_dialog_is_gone(self) -> None:
        """481 or no response: the call ends (RFC 5057)."""
        for silent in (False, True):
            self.world = self.make_world()
            browser, trunk = outbound(self.world, UPDATES)
            self.refresh(trunk, DAVE)
            update = browser.peer.request("UPDATE")
            if silent:
                for _ in range(33):
                    self.world.turn(1)
            else:
                browser.answer(update, 481)
                self.world.turn()
            trunk.answer(trunk.peer.request("BYE"), 200)

    def test_refused(self) -> None:
        """Another refusal ends nothing, and is not asked again; 491 and 500 are, a while later."""
        for trunk, browser in self.ways(UPDATES):
            self.refresh(trunk, DAVE)
            self.shown(browser, DAVE, status=403)
            self.world.turn(10)
            self.refresh(trunk, DAVE)
            for status in (491, 500):
                self.refresh(trunk, ERIN)
                self.shown(browser, ERIN, status=status)
                self.world.turn(3)
                self.shown(browser, ERIN)
                self.refresh(trunk, DAVE)
                self.shown(browser, DAVE)

    def test_browser_comes_back(self) -> None:
        """One whose connection is lost is shown it when it is back."""
        self.world = self.make_world()
        browser, trunk = outbound(self.world, UPDATES)
        assert isinstance(browser.peer, Browser)
        browser.peer.bind()
        browser.peer.flow.lose()
        self.refresh(trunk, DAVE)
        browser.peer = again = self.world.browser()
        again.bind()
        browser.ask("UPDATE")
        self.assertEqual(sorted(again.pending()), ["200", "UPDATE"])
        for message in (again.next(), again.next()):
            if isinstance(message, Request):
                browser.answer(message, 200)
        self.over(trunk, browser)

    def test_call_ends(self) -> None:
        """The call ends while something waits."""
        self.world = self.make_world()
        browser, trunk = outbound(self.world, NO_UPDATES)
        invite = trunk.ask("INVITE", trunk.sdp("sendonly"))
        crossed = browser.peer.request("INVITE")
        self.refresh(trunk, DAVE)
        trunk.ask("BYE")
        self.world.turn()
        self.assertEqual(trunk.peer.pending(), ["200", "487"])
        trunk.peer.forget()
        trunk.ack_refusal(invite)
        browser.answer(crossed, 487)
        browser.peer.forget()
        self.refresh_is_over(browser)

    def refresh_is_over(self, browser: Party) -> None:
        for _ in range(5):
            self.world.turn(1)
        self.assertNotIn("INVITE", browser.peer.pending())


class FromChange(ConnectedCase):
    """A peer that says so may be shown another From (RFC 4916 section 4.4)."""

    trunks = (PBX,)
    NEW = "sip:+49303@pbx.example.com"

    def renamed(self, party: Party, uri: str) -> None:
        tag = party.local.partition(";")[2]
        party.local = f'"Dave" <{uri}>;{tag}'

    def test_crosses(self) -> None:
        """It is the address in From of our next requests; the tags stay, and the peer's is To of those back."""
        for trunk, browser in self.ways(UPDATES, FROM_CHANGE):
            before = browser.remote
            self.renamed(trunk, self.NEW)
            self.refresh(trunk)
            update = self.shown(browser)
            self.assertEqual(str(update.from_), f'"Dave" <{self.NEW}>;{before.partition(";")[2]}')
            self.refresh(trunk)
            browser.ask("INFO", b"x", ("Content-Type", "text/plain"))
            info = trunk.peer.request("INFO")
            self.assertEqual(str(info.to), trunk.local)
            trunk.answer(info, 200)
            browser.peer.heard(200)
            self.renamed(trunk, "sip:+49304@pbx.example.com")
            invite = trunk.ask("INVITE", trunk.sdp("sendonly"))
            crossed = browser.peer.request("INVITE")
            self.assertEqual(crossed.from_.uri, "sip:+49304@pbx.example.com")
            browser.answer(crossed, 200, browser.sdp("recvonly"))
            browser.peer.heard("ACK")
            trunk.peer.heard(200)
            trunk.ack(invite)

    def test_not_supported(self) -> None:
        """A peer that does not say so keeps the From that it knows; nothing is told."""
        for trunk, browser in self.ways(UPDATES):
            self.renamed(trunk, self.NEW)
            self.refresh(trunk)
            browser.peer.silent()

    def test_announced(self) -> None:
        """Each side is told whether the other one supports it."""
        for connect in (outbound, inbound):
            for headers, told in (((FROM_CHANGE,), True), ((), False)):
                self.world = self.make_world()
                connect(self.world, *headers)
                for peer in self.world.peers:
                    for message in peer.flow.messages:
                        if message.cseq.method == "INVITE" and getattr(message, "status", 200) == 200:
                            self.assertEqual("from-change" in (message.headers.get("Supported") or ""), told)

    def test_browser_is_nobody_else(self) -> None:
        """The From of a browser may be its own, or nobody's."""
        for trunk, browser in self.ways(UPDATES, FROM_CHANGE):
            assert isinstance(browser.peer, Browser)
            browser.peer.bind()
            self.renamed(browser, "sip:mallory@pbx.example.com")
            self.refresh(browser)
            trunk.peer.silent()
            self.renamed(browser, "sip:anonymous@anonymous.invalid")
            self.refresh(browser)
            self.assertIn("anonymous.invalid", str(self.shown(trunk).from_))
