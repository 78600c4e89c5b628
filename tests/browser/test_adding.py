"""Media that are added in the middle of a call by a page that does not wait for their candidates, as JsSIP and SIP.js
do not (RFC 8829 section 5.2.2; corners.rst 3: A medium without candidates; field.rst X2: Medium without candidates).

Firefox ends the whole connection 5 s after that where it has found no way for one medium. From another address it looks
for none to one of loopback, where rtpengine is here, until rtpengine asks it; Chromium does.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.browser.case import BrowserCase, MixedCase, Phone
from tests.support.real.part import pause
from tests.support.real.rtp import TONE, RtpPhone
from tests.support.real.speech import PLAIN_SDP

GIVES_UP_AFTER = 5.5
"""Seconds after which Firefox has given up."""


class Adding(MixedCase):
    """A page in Firefox, and one in Chromium."""

    async def call(self, library: str, **ice: object) -> tuple[Phone, Phone]:
        """A call of alice in Firefox to bob in Chromium that is up.

        :param ice: of the configuration of the connection of alice.
        """
        alice = await self.phone(library, ice=ice)
        await alice.register()
        bob = await self.chromium_phone("jssip", "bob")
        await alice.do("call", "sip:bob@pbx.test")
        await bob.event("incoming")
        await bob.do("answer")
        for phone in (alice, bob):
            await phone.event("confirmed")
        return alice, bob

    async def add(self, phone: Phone, *kinds: str) -> None:
        """The page offers more, and the other one agrees."""
        await phone.do("add", *kinds)
        await phone.do("change", "renegotiate")
        await phone.event("changed")

    async def sees(self, phone: Phone, other: Phone, views: int) -> None:
        """Wait until a page has decoded pictures of so many of the other one's."""
        figures: dict[str, Any] = {}
        for count in range(75):
            if count % 10 == 9:
                await other.do("freshPicture")
            figures = await phone.do("stats")
            if figures["views"] == views:
                return
            await pause(0.2)
        self.fail(f"{phone.user} does not see {views} pictures: {figures}")

    async def end(self, alice: Phone, bob: Phone) -> None:
        """The call is up, both are heard; one hangs up."""
        for phone in (alice, bob):
            await phone.assert_audio()
            self.assertIn((await phone.do("stats"))["ice"], ("connected", "completed"))
        await bob.do("hangup")
        self.assertEqual("remote", (await alice.event("ended"))["by"])


class OfFirefox(Adding):
    """Firefox offers."""

    library: ClassVar[str] = "jssip"

    async def test_camera(self) -> None:
        """It is seen, and both are heard when the time is over."""
        alice, bob = await self.call(self.library)
        await self.add(alice, "camera")
        await self.sees(bob, alice, 1)
        await pause(GIVES_UP_AFTER)
        await self.end(alice, bob)

    async def test_more_of_a_kind(self) -> None:
        """A second one of a kind wants to be carried with the first, or to be refused (`bundle-only`, RFC 9143 section
        6): that it is, by rtpengine. The call goes on."""
        alice, bob = await self.call(self.library)
        await self.add(alice, "microphone")
        await self.add(alice, "camera", "screen")
        await self.sees(bob, alice, 1)
        await pause(GIVES_UP_AFTER)
        await self.end(alice, bob)

    async def test_more_of_a_kind_apart(self) -> None:
        """A page that offers each on a way of its own has them all."""
        alice, bob = await self.call(self.library, bundlePolicy="max-compat")
        await self.add(alice, "microphone")
        await self.add(alice, "camera", "camera")
        await self.sees(bob, alice, 2)
        await pause(GIVES_UP_AFTER)
        await self.end(alice, bob)


class OfFirefoxWithSipJs(OfFirefox):
    """The same with SIP.js."""

    library = "sipjs"


class ToFirefox(Adding):
    """Chromium offers; the answer of Firefox has no candidates for it, either."""

    library: ClassVar[str] = "jssip"

    async def test_camera(self) -> None:
        """The picture is seen, and both are heard when the time is over."""
        alice, bob = await self.call(self.library)
        await self.add(bob, "camera")
        await self.sees(alice, bob, 1)
        await pause(GIVES_UP_AFTER)
        await self.end(alice, bob)


class ToFirefoxWithSipJs(ToFirefox):
    """The same with SIP.js."""

    library = "sipjs"


class Refused(BrowserCase):
    """A far side that takes audio only."""

    browser_name = "firefox"

    async def test_camera(self) -> None:
        """It is refused; the call goes on."""
        trunk, rtp = await self.peer(), RtpPhone()
        self.addCleanup(rtp.close)
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        answer = PLAIN_SDP.replace(b"9000", b"%d" % rtp.port)
        callee = trunk.accept(invite, answer)
        await trunk.request("ACK")
        await phone.event("confirmed")
        rtp.talk(int(invite.body.split(b"m=audio ")[1].split()[0]), 0, TONE)
        await phone.assert_audio()
        await phone.do("add", "camera")
        await phone.do("change", "renegotiate")
        trunk.accept(await trunk.request("INVITE"), answer + b"m=video 0 RTP/AVP 96\r\n")
        await trunk.request("ACK")
        await phone.event("changed")
        await pause(GIVES_UP_AFTER)
        await phone.assert_audio()
        await phone.do("hangup")
        await callee.hung_up()
        await phone.event("ended")
