"""Several trunk sections at one address, such as a PBX with a domain for each tenant: what comes in is of the trunk
where its callee has registered, whatever From says (corners.rst 4: Several trunks at one address; field.rst X12:
Several trunks at one address)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, TRUNK_ADDRESS
from tests.support.configs import PBX
from webrtcproxy.config import Trunk, TrunkLimits, TrunkMedia
from webrtcproxy.media.profile import TRUNK, profiles_of
from webrtcproxy.sip.message import Request

FIRST = replace(PBX, sources=(ip_network(f"{TRUNK_ADDRESS}/32"),))
SECOND = replace(
    FIRST,
    name="second",
    host="second.example.com",
    media=TrunkMedia(("PCMU",)),
    strip=("x-inner",),
    limits=TrunkLimits(calls=1),
)


class Callee(CallCase):
    """A browser has registered at the second, and one at the first; the PBX calls in the name of the first's."""

    trunks: tuple[Trunk, ...] = (FIRST, SECOND)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser("alice", "second.example.com"), self.world.trunk()
        self.bob = self.world.browser("bob")
        self.alice.bind()
        self.bob.bind()

    def test_media(self) -> None:
        """The media are negotiated as the section of the callee has it."""
        for browser, (own, for_browsers) in (
            (self.alice, profiles_of(SECOND.media)),
            (self.bob, profiles_of(FIRST.media)),
        ):
            self.trunk.call(browser)
            browser.answer(browser.request("INVITE"), 200, OFFER)
            offer, answer = self.world.nodes.sessions[-1].operations
            self.assertEqual((for_browsers, own), (offer.to, answer.to))
        self.assertEqual(TRUNK, own)

    def test_by_name(self) -> None:
        """The same where the callee is written as an address, as elastic trunks do."""
        self.trunk.invite("sip:alice@192.0.2.1")
        self.alice.answer(self.alice.request("INVITE"), 200, OFFER)
        self.assertEqual(profiles_of(SECOND.media)[0], self.world.nodes.sessions[0].operations[1].to)

    def test_headers(self) -> None:
        """Those headers cross that cross from there, in calls and outside."""
        for browser, kept in ((self.alice, None), (self.bob, "1")):
            invite = self.trunk.call(browser, ("X-Inner", "1"))
            self.assertEqual(kept, browser.request("INVITE").headers.get("X-Inner"))
            headers = invite.headers.copy()
            headers.set("CSeq", f"{invite.cseq.number + 1} MESSAGE")
            headers.remove("Content-Type")
            self.trunk.say(Request("MESSAGE", invite.uri, headers))
            message = browser.request("MESSAGE")
            self.assertEqual(kept, message.headers.get("X-Inner"))
            browser.answer(message, 200)

    def test_limits(self) -> None:
        """A call counts for the trunk of its callee: the second one to alice gets 486, bob still rings."""
        self.trunk.call(self.alice)
        self.alice.request("INVITE")
        self.trunk.call(self.alice)
        self.trunk.heard(486)
        self.trunk.call(self.bob)
        self.bob.request("INVITE")
