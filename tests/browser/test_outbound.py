"""Calls that a browser makes, in Chromium with JsSIP and with SIP.js (original.rst: call out, digest)."""

from typing import ClassVar

from tests.browser.case import BrowserCase
from tests.support.real.part import pause, until


class Outbound:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]

    async def test_two_way_audio(self) -> None:
        """A browser calls a trunk: 180, 200, audio in both directions over DTLS, BYE from the browser."""
        sipp = await self.sipp("uas")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        self.assertEqual(180, (await phone.event("progress"))["code"])
        await self.is_heard(phone)
        await sipp.passed()

    async def test_challenge_answered_by_the_proxy(self) -> None:
        """A trunk with username and password: the proxy answers its 407, the browser sees nothing of it."""
        sipp = await self.behind_kamailio("uas")
        phone = await self.phone(self.library, password="not the right one")
        await phone.do("call", f"sip:auth-{sipp.port}@upstream.test")
        await self.is_heard(phone)
        await sipp.passed()
        self.assertNotIn("failed", await phone.events())

    async def test_challenge_passed_back(self) -> None:
        """A trunk without: the 407 crosses, and the browser's answer to it is accepted upstream."""
        sipp = await self.behind_kamailio("uas")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:auth-{sipp.port}@pbx.test")
        await self.is_heard(phone)
        await sipp.passed()

    async def test_busy(self) -> None:
        """The page sees the callee's code and reason phrase: 486 Out For Tea."""
        sipp = await self.sipp("uas_busy")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        failed = await phone.event("failed")
        self.assertEqual(("remote", 486, "Out For Tea"), (failed["by"], failed["code"], failed["reason"]))
        await sipp.passed()

    async def test_caller_cancels(self) -> None:
        """Hanging up while it rings: the far side gets CANCEL and answers 487."""
        sipp = await self.sipp("uas_ring")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("progress")
        await phone.do("hangup")
        await phone.event("failed")
        await sipp.passed()

    async def test_digit_by_info(self) -> None:
        """A digit as INFO application/dtmf-relay, the default of both, reaches the trunk as it is."""
        sipp = await self.sipp("uas_info")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.do("digits", "5")
        await until(lambda: any(text.startswith("INFO") for text in sipp.received()), "INFO at the far end")
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()


class OutboundWithJsSip(Outbound):
    """With JsSIP, in either browser."""

    library = "jssip"

    async def test_early_media(self) -> None:
        """183 with SDP reaches the page before the 200, and the call has audio both ways."""
        sipp = await self.sipp("uas_early")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        progress = await phone.event("progress")
        self.assertEqual((183, True), (progress["code"], progress["early"]))
        await self.is_heard(phone)
        await sipp.passed()

    async def test_far_end_hangs_up(self) -> None:
        """BYE from the trunk ends the call in the page."""
        sipp = await self.sipp("uas_bye", hold=500)
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        self.assertEqual("remote", (await phone.event("ended"))["by"])
        await sipp.passed()

    async def test_page_closed_in_mid_call(self) -> None:
        """The tab is closed: within ten seconds the far side has its BYE, and the media session is gone."""
        sipp = await self.sipp("uas")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.assert_audio()
        await phone.tab.close()
        await sipp.passed(10)
        await self.no_media(1)


class JsSipOutbound(OutboundWithJsSip, BrowserCase):
    """With JsSIP."""

    async def test_longer_than_the_session_timer(self) -> None:
        """JsSIP refreshes its session of 90 s by UPDATE after 45 s: the call has audio after that, too."""
        sipp = await self.sipp("uas")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await pause(48)
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()


class SipJsOutbound(Outbound, BrowserCase):
    """With SIP.js."""

    library = "sipjs"


class Origins(BrowserCase):
    """`origins` as a real browser meets it."""

    changes = (("origins = *", "origins = https://phone.example.com"),)

    async def test_page_from_elsewhere(self) -> None:
        """A page whose origin is not in the list does not even connect."""
        tab = await self.tools.open(self.pages.url("jssip"))
        outcome = await tab.run(
            f"""new Promise((done) => {{
                const socket = new WebSocket("{self.proxy.url}", "sip");
                socket.onopen = () => done("open");
                socket.onclose = () => done("closed");
            }})"""
        )
        self.assertEqual("closed", outcome)
