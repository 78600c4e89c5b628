"""A trunk redirects a call out of a browser, and its section says to follow (RFC 3261 8.1.3.4; corners.rst 1: 3xx;
original.rst: 486 / 302)."""

from typing import ClassVar

from tests.support.real.case import LAB, RealCase
from tests.support.real.ladder import REGISTERED


class Followed(RealCase):
    """`redirects = follow`."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\nredirects = follow\n"),)

    async def test_to_another_trunk(self) -> None:
        """SIPp sends the caller to a number that nobody may call, and to two at another trunk: these are tried by their
        q, and the browser learns of the answer alone."""
        nobody = await self.peer(5060, "127.0.0.9")
        other = await self.peer(LAB.paid)
        other.user = "paid"
        sipp = await self.sipp("uas_moved", words={"elsewhere": self.paid})
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        first = await other.request("INVITE")
        self.assertEqual(f"sip:desk@{self.paid}", first.uri)
        other.reply(first, 480)
        await other.request("ACK")
        second = await other.request("INVITE")
        self.assertEqual(f"sip:sales@{self.paid}", second.uri)
        self.assertNotIn("Subject", second.headers)
        self.assertEqual(first.call_id, second.call_id)
        callee = other.accept(second)
        caller = await calling.answered()
        await other.request("ACK")
        await sipp.passed()
        await self.session()
        await self.hang_up(caller, callee)
        await nobody.silence(0.1)
        self.assertEqual(["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"], self.ladder.of("alice"))
        self.assertEqual(
            [
                "< INVITE sdp",
                "> 480 INVITE",
                "< ACK",
                "< INVITE sdp",
                "> 200 INVITE sdp",
                "< ACK",
                "< BYE",
                "> 200 BYE",
            ],
            self.ladder.of("paid"),
        )

    async def test_nowhere(self) -> None:
        """A redirect that leads only where nobody may call is the browser's, with its Contact."""
        nobody = await self.peer(5060, "127.0.0.9")
        sipp = await self.sipp("uas_redirect")
        browser = await self.browser()
        final = await browser.invite(f"sip:echo@{sipp.host}").final()
        self.assertEqual((302, ["<sip:0900@127.0.0.9:5060>"]), (final.status, final.headers.lines("Contact")))
        await sipp.passed()
        await nobody.silence(0.2)
        self.assertEqual(["> INVITE sdp", "< 302 INVITE", "> ACK"], self.ladder.of("alice"))


class OfABrowser(RealCase):
    """A browser redirects a call that comes in."""

    async def test_crosses(self) -> None:
        """The trunk gets the 302 with its Contact; one that only we could reach becomes 480."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        for contact, status in (("<sip:bob@pbx.test>", 302), (f"<{browser.contact}>", 480)):
            calling = caller.invite("sip:alice@pbx.test")
            browser.reply(await browser.request("INVITE"), 302, headers=[("Contact", contact)])
            await browser.request("ACK")
            final = await calling.final()
            self.assertEqual(status, final.status)
            self.assertEqual([contact] if status == 302 else [], final.headers.lines("Contact"))
        self.assertEqual(
            [*REGISTERED, "< INVITE sdp", "> 302 INVITE", "< ACK", "< INVITE sdp", "> 302 INVITE", "< ACK"],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["> INVITE sdp", "< 302 INVITE", "> ACK", "> INVITE sdp", "< 480 INVITE", "> ACK"],
            self.ladder.of("trunk"),
        )
