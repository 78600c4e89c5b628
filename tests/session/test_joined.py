"""Media that a browser has joined to others, which rtpengine can't carry together, are moved out of their group by an
offer (RFC 9143 section 7.5.2; field.rst X15: Bundled media)."""

from __future__ import annotations

from tests.session.test_candidates import CANDIDATE, TO_BROWSER, TO_TRUNK, camera
from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party, hang_up, inbound, outbound, party_of
from tests.support.calls.world import OFFER, PLAIN
from tests.support.ngnode import Operation
from webrtcproxy.sip.message import Request

VIDEO = b"m=video 40002 RTP/AVP 120\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:120 VP8/90000\r\na=sendrecv\r\n"


def grouped(sdp: bytes, mids: bytes) -> bytes:
    """A description with a group."""
    return sdp.replace(b"t=0 0\r\n", b"t=0 0\r\na=group:BUNDLE %b\r\n" % mids, 1)


def of_session(operation: Operation) -> bytes:
    """A media session that answers a browser's camera as joined, and offers it apart."""
    assert operation.to is not None
    video = b"m=video" in operation.sdp
    if operation.to.name != "browser":
        return TO_TRUNK + (VIDEO if video else b"")
    if operation.command == "answer":
        joined = camera(30000).replace(b"a=sendrecv", b"a=inactive")
        return grouped(TO_BROWSER.replace(b"actpass", b"passive") + joined, b"0 1") if video else TO_BROWSER
    return grouped(TO_BROWSER + (camera(30002) + CANDIDATE if video else b""), b"0")


class Added(SessionChangeCase):
    """A browser adds a camera to a call with a trunk."""

    def connect(self, calls: bool) -> tuple[Party, Party]:
        """A call that is up, and the browser's offer with the camera, which the trunk takes."""
        self.world = self.make_world()
        self.world.nodes.sdp = of_session
        ends = (outbound if calls else inbound)(self.world)
        browser, trunk = ends if calls else (ends[1], ends[0])
        invite = browser.ask("INVITE", grouped(browser.sdp() + camera(), b"0 1"))
        trunk.answer(trunk.peer.request("INVITE"), 200, trunk.sdp() + VIDEO)
        trunk.peer.heard("ACK")
        self.assertIn(b"a=group:BUNDLE 0 1\r\n", browser.peer.response(200).body)
        browser.ack(invite)
        return browser, trunk

    def moved(self, browser: Party) -> Request:
        """The offer that moves it."""
        invite = browser.peer.request("INVITE")
        self.assertIn(b"a=group:BUNDLE 0\r\n", invite.body)
        self.assertIn(b"m=video 30002 ", invite.body)
        return invite

    def test_moved(self) -> None:
        """It is offered with a transport of its own, once; rtpengine is told of that of the browser, the trunk hears
        nothing of it."""
        for calls in (True, False):
            browser, trunk = self.connect(calls)
            told = grouped(browser.sdp() + camera() + CANDIDATE, b"0")
            browser.answer(self.moved(browser), 200, told)
            browser.peer.heard("ACK")
            offer, answer = self.media(2)
            self.assertEqual(("offer", trunk.sdp() + VIDEO), (offer.command, offer.sdp))
            self.assertEqual(("answer", told), (answer.command, answer.sdp))
            self.world.turn(40)
            trunk.peer.silent()
            browser.peer.silent()
            hang_up(browser, trunk)

    def test_candidates(self) -> None:
        """One that has none for it as yet is asked for them after that."""
        browser, trunk = self.connect(True)
        audio = browser.sdp() + CANDIDATE
        browser.answer(self.moved(browser), 200, grouped(audio + camera(), b"0"))
        browser.peer.heard("ACK")
        browser.answer(self.moved(browser), 200, grouped(audio + camera() + CANDIDATE, b"0"))
        browser.peer.heard("ACK")
        self.world.turn(40)
        browser.peer.silent()
        trunk.peer.silent()
        hang_up(browser, trunk)

    def test_refused(self) -> None:
        """A browser that refuses it, or can't now, is not asked again; the call goes on, without the camera."""
        for status in (488, 491, 500):
            browser, trunk = self.connect(True)
            browser.answer(self.moved(browser), status)
            browser.peer.heard("ACK")
            self.world.turn(40)
            browser.peer.silent()
            trunk.peer.silent()
            hang_up(browser, trunk)

    def test_hangs_up_meanwhile(self) -> None:
        """The offer is taken back."""
        browser, trunk = self.connect(True)
        invite = self.moved(browser)
        browser.answer(invite, 100)
        trunk.ask("BYE")
        browser.answer(browser.peer.request("CANCEL"), 200)
        browser.answer(browser.peer.request("BYE"), 200)
        trunk.peer.heard(200)
        browser.answer(invite, 487)
        browser.peer.heard("ACK")
        self.check_over(browser, trunk)


class FromTheStart(SessionChangeCase):
    """A browser calls with a camera."""

    def test_moved(self) -> None:
        """It is moved once the call is up."""
        self.world = self.make_world()
        self.world.nodes.sdp = of_session
        alice, far = self.world.browser(), self.world.trunk()
        alice.sdp = grouped(OFFER + camera(), b"0 1")
        asked = alice.invite("sip:bob@pbx.example.com")
        leg = far.request("INVITE")
        answer = far.answer(leg, 200, PLAIN + VIDEO)
        far.heard("ACK")
        ok = alice.response(200)
        alice.silent()
        alice.ack(asked, ok)
        browser, trunk = party_of(alice, asked, ok), party_of(far, leg, answer)
        invite = browser.peer.request("INVITE")
        self.assertIn(b"a=group:BUNDLE 0\r\n", invite.body)
        browser.answer(invite, 200, grouped(OFFER + camera() + CANDIDATE, b"0"))
        browser.peer.heard("ACK")
        self.world.turn(40)
        browser.peer.silent()
        trunk.peer.silent()
        hang_up(browser, trunk)
