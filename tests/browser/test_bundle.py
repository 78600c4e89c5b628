"""Pages whose media are carried together, or nothing is (``bundlePolicy: "max-bundle"``, RFC 8829 section 4.1.1), with
an rtpengine that carries each medium by itself (RFC 9143; field.rst X15: Bundled media)."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.browser.case import BrowserCase, MixedCase, Phone
from tests.support.real.part import pause
from tests.support.real.rtp import TONE, RtpPhone
from tests.support.real.speech import PLAIN_SDP

MAX_BUNDLE = {"bundlePolicy": "max-bundle"}
FRAMES = 5
"""How many must be decoded: the first is a key frame, of which the others live."""


class Bundled:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]
    policy: ClassVar[dict[str, str]] = MAX_BUNDLE

    async def page(self, user: str, video: bool = False, ice: dict[str, str] | None = None) -> Phone:
        """A page that is registered."""
        case: Any = self
        phone: Phone = await case.phone(self.library, user, video=video, ice=self.policy if ice is None else ice)
        case.assertEqual(200, (await phone.register())["code"])
        return phone

    async def call(self, caller: Phone, callee: Phone) -> None:
        """A page calls the other one."""
        await caller.do("call", f"sip:{callee.user}@pbx.test")
        await callee.event("incoming")
        await callee.do("answer")
        for phone in (callee, caller):
            await phone.event("confirmed")

    async def heard(self, *phones: Phone) -> None:
        """All hear, and are heard."""
        for phone in phones:
            await phone.assert_audio()

    async def seen(self, phone: Phone, other: Phone) -> None:
        """Wait until a page has decoded further pictures of the other one's."""
        case: Any = self
        first = figures = await phone.do("stats")
        for count in range(75):
            if count % 10 == 9:
                await other.do("freshPicture")
            figures = await phone.do("stats")
            if figures["framesReceived"] < first["framesReceived"]:
                first = figures  # another stream, which is counted from zero
            if figures["framesReceived"] >= first["framesReceived"] + FRAMES:
                return
            await pause(0.2)
        case.fail(f"{phone.user} sees nothing: {first} {figures}")

    async def end(self, phone: Phone, other: Phone) -> None:
        """One hangs up."""
        case: Any = self
        await phone.do("hangup")
        case.assertEqual("remote", (await other.event("ended"))["by"])

    async def change(self, phone: Phone, how: str) -> None:
        """A page holds, resumes or renegotiates; the other side has agreed."""
        await phone.do("change", how)
        await phone.event("changed")

    async def test_audio(self) -> None:
        """Both hear each other, the page that calls and the one that is called; and after a hold by either."""
        alice, bob = await self.page("alice"), await self.page("bob")
        await self.call(alice, bob)
        await self.heard(alice, bob)
        for phone in (alice, bob):
            await self.change(phone, "hold")
            await self.change(phone, "unhold")
            await self.heard(alice, bob)
        await self.end(bob, alice)

    async def test_video(self) -> None:
        """It calls another page with a camera: both see each other, too, and after a hold by that one. After one by the
        caller both are heard: its pictures may be lost there (field.rst X15)."""
        alice, bob = await self.page("alice", video=True), await self.page("bob", video=True, ice={})
        await self.call(alice, bob)
        await self.heard(alice, bob)
        await self.seen(alice, bob)
        await self.seen(bob, alice)
        for phone in (bob, alice):
            await self.change(phone, "hold")
            await pause(1)
            await self.change(phone, "unhold")
            await self.heard(alice, bob)
            if phone is bob:
                await self.seen(alice, bob)
                await self.seen(bob, alice)
        await self.end(bob, alice)

    async def test_added(self) -> None:
        """A camera that is added by the one, and one by the other, is seen."""
        alice, bob = await self.page("alice"), await self.page("bob")
        await self.call(alice, bob)
        await self.heard(alice, bob)
        for phone, other in ((alice, bob), (bob, alice)):
            await phone.do("add", "camera")
            await self.change(phone, "renegotiate")
            await self.seen(other, phone)
            await self.heard(alice, bob)
        await self.end(bob, alice)


class JsSip(Bundled, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJs(Bundled, BrowserCase):
    """With SIP.js."""

    library = "sipjs"


class JsSipBalanced(Bundled, BrowserCase):
    """JsSIP, and the policy of most pages."""

    library = "jssip"
    policy: ClassVar[dict[str, str]] = {}


class WithTrunk(BrowserCase):
    """A far side that does not take all."""

    async def test_refused(self) -> None:
        """It takes no video: sound crosses both ways."""
        for library in ("jssip", "sipjs"):
            trunk, rtp = await self.peer(), RtpPhone()
            self.addCleanup(rtp.close)
            phone = await self.phone(library, video=True, ice=MAX_BUNDLE)
            await phone.do("call", f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            answer = PLAIN_SDP.replace(b"9000", b"%d" % rtp.port) + b"m=video 0 RTP/AVP 96\r\n"
            callee = trunk.accept(invite, answer)
            await trunk.request("ACK")
            await phone.event("confirmed")
            rtp.talk(int(invite.body.split(b"m=audio ")[1].split()[0]), 0, TONE)
            await phone.assert_audio()
            await phone.do("hangup")
            await callee.hung_up()
            await phone.event("ended")
            await trunk.close()


class WithFirefox(Bundled):
    """Alice has Firefox, bob has Chromium."""

    library = "jssip"

    async def page(self, user: str, video: bool = False, ice: dict[str, str] | None = None) -> Phone:
        """Bob's is in Chromium."""
        case: Any = self
        firefox = case.tools
        if user == "bob":
            case.tools = case._chromium
        try:
            return await super().page(user, video, ice)
        finally:
            case.tools = firefox


class FirefoxBalanced(WithFirefox, MixedCase):
    """The policy of most pages."""

    policy: ClassVar[dict[str, str]] = {}


class Firefox(WithFirefox, MixedCase):
    """``max-bundle``: Firefox offers all but the first medium as ``bundle-only``, which is refused."""

    async def test_video(self) -> None:
        """Both hear each other, and after a hold."""
        alice, bob = await self.page("alice", video=True), await self.page("bob", video=True)
        await self.call(alice, bob)
        await self.heard(alice, bob)
        for how in ("hold", "unhold"):
            await self.change(alice, how)
        await self.heard(alice, bob)
        self.assertEqual(0, (await alice.do("stats"))["framesReceived"])
        await self.end(bob, alice)

    async def test_added(self) -> None:
        """A camera is added by Firefox: both hear each other."""
        alice, bob = await self.page("alice"), await self.page("bob")
        await self.call(alice, bob)
        await self.heard(alice, bob)
        await alice.do("add", "camera")
        await self.change(alice, "renegotiate")
        await self.heard(alice, bob)
        await self.end(bob, alice)
