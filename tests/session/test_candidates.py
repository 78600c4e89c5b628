"""A browser adds media before it has candidates for them (RFC 8829 section 5.2.2, corners.rst 3: A medium without
candidates): it is asked for them (field.rst X2: Medium without candidates)."""

from __future__ import annotations

from tests.support.calls.local import DOMAIN, LocalCase
from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party, hang_up, inbound, outbound, party_of
from tests.support.calls.world import OFFER
from tests.support.ngnode import BROWSER_SDP, TRUNK_SDP, Operation
from webrtcproxy.sip.message import Request

CANDIDATE = b"a=candidate:0 1 UDP 2122252543 192.0.2.9 54207 typ host\r\n"
TO_BROWSER = BROWSER_SDP % {b"port": 30000, b"version": 1}
TO_TRUNK = TRUNK_SDP % {b"port": 30000, b"version": 1}
CAMERA = b"m=video %d RTP/AVP 120\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:120 VP8/90000\r\na=sendrecv\r\n"
ICE = b"a=mid:1\r\na=rtcp-mux\r\na=setup:actpass\r\na=ice-ufrag:C4w6tlXa\r\na=ice-pwd:KLpCGw5IgvNAqS7FjfM4LjZ0e6\r\n"


def camera(port: int = 9, browser: bool = True) -> bytes:
    """A section of video."""
    section = CAMERA % port
    return section.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF") + ICE if browser else section


def answer_of_rtpengine(operation: Operation) -> bytes:
    """A fake rtpengine that takes as many media as it is told."""
    assert operation.to is not None
    to_browser = operation.to.name == "browser"
    ours = TO_BROWSER if to_browser else TO_TRUNK
    count = operation.sdp.count(b"m=video 9")
    more = camera(30002, to_browser) + (CANDIDATE if to_browser else b"")
    return ours + more * count + camera(0, to_browser) * (operation.sdp.count(b"m=video") - count)


class Added(SessionChangeCase):
    """A browser has a call with a trunk."""

    def connect(self, calls: bool) -> tuple[Party, Party]:
        """A call that is up: the browser, and the trunk."""
        self.world = self.make_world()
        self.world.nodes.sdp = answer_of_rtpengine
        ends = (outbound if calls else inbound)(self.world)
        return ends if calls else (ends[1], ends[0])

    def add(self, asker: Party, other: Party, offer: bytes, answer: bytes) -> None:
        """A re-INVITE that both sides agree on."""
        invite = asker.ask("INVITE", offer)
        other.answer(other.peer.request("INVITE"), 200, answer)
        other.peer.heard("ACK")
        asker.peer.heard(200)
        self.world.nodes.sessions[0].operations.clear()
        asker.ack(invite)

    def asked(self, browser: Party) -> Request:
        """The question: an offer of the session that it has."""
        invite = browser.peer.request("INVITE")
        self.assertEqual(2, invite.body.count(b"m="))
        self.assertIn(b"a=setup:actpass", invite.body)
        return invite

    def test_by_the_browser(self) -> None:
        """It is offered what is agreed, once; rtpengine is told of the candidates in its answer, the trunk hears
        nothing of it."""
        for calls in (True, False):
            browser, trunk = self.connect(calls)
            self.add(browser, trunk, browser.sdp() + camera(), trunk.sdp() + camera(browser=False))
            invite = self.asked(browser)
            told = browser.sdp() + camera() + CANDIDATE
            browser.answer(invite, 200, told)
            browser.peer.heard("ACK")
            offer, answer = self.media(2)
            self.assertEqual(("offer", trunk.sdp() + camera(browser=False)), (offer.command, offer.sdp))
            self.assertEqual(("answer", told), (answer.command, answer.sdp))
            self.world.turn(40)
            trunk.peer.silent()
            browser.peer.silent()
            hang_up(browser, trunk)

    def test_by_the_trunk(self) -> None:
        """So is one that was offered the medium, and has answered before it had candidates."""
        for calls in (True, False):
            browser, trunk = self.connect(calls)
            self.add(trunk, browser, trunk.sdp() + camera(browser=False), browser.sdp() + camera())
            browser.answer(self.asked(browser), 200, browser.sdp() + camera() + CANDIDATE)
            browser.peer.heard("ACK")
            self.assertEqual([b"offer", b"answer"], [each.command.encode() for each in self.media(2)])
            self.world.turn(40)
            trunk.peer.silent()
            browser.peer.silent()
            hang_up(trunk, browser)

    def test_odd_answers(self) -> None:
        """One that still has none, refuses, or can't now, is not asked again; the call goes on."""
        for status in (200, 491, 500, 488):
            browser, trunk = self.connect(True)
            self.add(browser, trunk, browser.sdp() + camera(), trunk.sdp() + camera(browser=False))
            browser.answer(self.asked(browser), status, browser.sdp() + camera() if status == 200 else b"")
            browser.peer.heard("ACK")
            self.world.turn(40)
            browser.peer.silent()
            trunk.peer.silent()
            hang_up(browser, trunk)

    def test_hangs_up_meanwhile(self) -> None:
        """The question is taken back."""
        browser, trunk = self.connect(True)
        self.add(browser, trunk, browser.sdp() + camera(), trunk.sdp() + camera(browser=False))
        invite = self.asked(browser)
        browser.answer(invite, 100)
        trunk.ask("BYE")
        browser.answer(browser.peer.request("CANCEL"), 200)
        browser.answer(browser.peer.request("BYE"), 200)
        trunk.peer.heard(200)
        browser.answer(invite, 487)
        browser.peer.heard("ACK")
        self.check_over(browser, trunk)

    def test_nothing_to_ask_for(self) -> None:
        """Not asked is one that has named them, for each medium or for none; and for what the trunk has refused."""
        all_named, video = camera() + CANDIDATE, camera(browser=False)
        for more, answer in ((all_named, video), (camera(), camera(0, browser=False))):
            browser, trunk = self.connect(True)
            self.add(browser, trunk, browser.sdp() + more, trunk.sdp() + answer)
            browser.peer.silent()
            hang_up(browser, trunk)
        browser, trunk = self.connect(True)
        none = b"".join(line for line in browser.sdp().splitlines(True) if b"candidate" not in line)
        self.add(browser, trunk, none + camera(), trunk.sdp() + video)
        browser.peer.silent()
        hang_up(browser, trunk)


class BothBrowsers(LocalCase):
    """A user of a domain that is served here has called another one."""

    def test_one_after_the_other(self) -> None:
        """Neither has candidates: each is asked, the second one once the first has answered."""
        alice, bob = self.registered(), self.registered("bob")
        self.world.nodes.sdp = answer_of_rtpengine
        invite = alice.invite(f"sip:bob@{DOMAIN}")
        leg = bob.request("INVITE")
        answer = bob.answer(leg, 200, OFFER)
        bob.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        caller, callee = party_of(alice, invite, ok), party_of(bob, leg, answer)
        changed = caller.ask("INVITE", caller.sdp() + camera())
        callee.answer(bob.request("INVITE"), 200, callee.sdp() + camera())
        bob.heard("ACK")
        alice.heard(200)
        caller.ack(changed)
        for end, other in ((callee, caller), (caller, callee)):
            question = end.peer.request("INVITE")
            other.peer.silent()
            end.answer(question, 200, end.sdp() + camera() + CANDIDATE)
            end.peer.heard("ACK")
        self.world.turn(40)
        alice.silent()
        bob.silent()
        hang_up(caller, callee)
