"""Who offers, and who has it reliably, with JsSIP and SIP.js in Chromium (RFC 3264, RFC 3262; original.rst: INVITE
without SDP)."""

from typing import ClassVar

from tests.browser.case import BrowserCase


class Late:
    """Calls into a browser without an offer, with either library; the classes below name it."""

    library: ClassVar[str]
    options: ClassVar[dict[str, object]] = {}

    async def test_into_the_browser(self) -> None:
        """The page offers in its 200, the caller answers in the ACK: audio in both directions."""
        phone = await self.registered_phone(self.library)
        sipp = await self.caller("uac_late", hold=3000)
        await phone.event("incoming")
        await phone.do("answer", self.options)
        await phone.event("confirmed")
        await phone.assert_audio()
        self.assertEqual("remote", (await phone.event("ended"))["by"])
        await sipp.passed()


class JsSipLate(Late, BrowserCase):
    """With JsSIP, which has to be told that it may want audio, since no offer says so."""

    library = "jssip"
    options: ClassVar = {"rtcOfferConstraints": {"offerToReceiveAudio": True}}


class SipJsLate(Late, BrowserCase):
    """With SIP.js, which can call without an offer, and knows 100rel."""

    library = "sipjs"

    async def test_out_of_the_browser(self) -> None:
        """The trunk offers in its 200, the page answers in the ACK."""
        sipp = await self.sipp("uas_late")
        phone = await self.phone("sipjs")
        await phone.do("call", f"sip:echo@{sipp.host}", [], {"inviteWithoutSdp": True})
        await self.is_heard(phone)
        await sipp.passed()

    async def test_early_media(self) -> None:
        """The trunk's 183 is a final answer, which the page acknowledges, and the proxy, too."""
        sipp = await self.sipp("uas_100rel")
        phone = await self.phone("sipjs", reliable=True)
        await phone.do("call", f"sip:echo@{sipp.host}", [], {"earlyMedia": True})
        progress = [await phone.event("progress") for _ in range(2)]
        self.assertEqual({(183, True), (180, False)}, {(event["code"], event["early"]) for event in progress})
        await self.is_heard(phone)
        await sipp.passed()

    async def test_offer_in_a_183(self) -> None:
        """INVITE without SDP: the trunk offers in a reliable 183, the page answers in PRACK."""
        sipp = await self.sipp("uas_late_100rel")
        phone = await self.phone("sipjs", reliable=True)
        options = {"inviteWithoutSdp": True, "earlyMedia": True}
        await phone.do("call", f"sip:echo@{sipp.host}", [], options)
        await self.is_heard(phone)
        await sipp.passed()


class Forked(BrowserCase):
    """The far side forks."""

    async def test_audio_of_who_answers(self) -> None:
        """183 of one and 200 of another, at another port: audio in both directions."""
        sipp = await self.sipp("uas_fork")
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        progress = [await phone.event("progress") for _ in range(2)]
        self.assertEqual({183: True, 180: False}, {event["code"]: event["early"] for event in progress})
        await self.is_heard(phone)
        await sipp.passed()
