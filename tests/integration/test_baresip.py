"""baresip at the SIP end: a second SIP stack, with dialogs and a mind of its own, registered at Kamailio."""

from tests.support.real.baresip import Baresip
from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, REGISTERED, TAKEN
from tests.support.real.part import pause
from tests.support.real.softphone import Browser
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER


class WithBaresip(RealCase):
    """Calls between a scripted browser and baresip."""

    async def out(self) -> tuple[Browser, Dialog, Baresip]:
        """A call of the browser's that baresip has answered."""
        baresip, browser = await self.baresip(), await self.browser(password="wonderland")
        calling = browser.invite("sip:bob@pbx.test")
        await baresip.event("CALL_INCOMING")
        await calling.response(180)
        await baresip.do("accept")
        caller = await calling.answered()
        await baresip.event("CALL_ESTABLISHED")
        return browser, caller, baresip

    async def into(self) -> tuple[Browser, Dialog, Baresip]:
        """A call of baresip's that the browser has answered."""
        baresip, browser = await self.baresip(), await self.registered()
        await baresip.do("dial", "sip:alice@pbx.test")
        invite = await browser.request("INVITE")
        browser.reply(invite, 180)
        callee = browser.accept(invite)
        await browser.request("ACK")
        await baresip.event("CALL_ESTABLISHED")
        return browser, callee, baresip

    async def settled(self) -> None:
        """A moment for what is still on its way to baresip or from it."""
        await pause(0.3)

    async def last(self, baresip: Baresip, count: int) -> list[str]:
        """The last rungs of baresip's ladder, once there are responses to all that is out."""
        await self.settled()
        return baresip.ladder()[-count:]


class Calls(WithBaresip):
    """Set up and torn down by either side."""

    async def test_called(self) -> None:
        """A browser calls baresip by way of Kamailio: ringing, answered, BYE from the browser
        (original.rst: call out, WSS to UDP)."""
        _, caller, baresip = await self.out()
        self.assertEqual(200, (await caller.bye()).status)
        await baresip.event("CALL_CLOSED")
        rungs = ["< INVITE sdp", "> 180 INVITE", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"]
        self.assertEqual(rungs, await self.last(baresip, 6))
        ours = ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"]
        self.assertEqual(ours, self.ladder.of("alice"))

    async def test_called_and_hangs_up(self) -> None:
        """The same, BYE from baresip."""
        _, caller, baresip = await self.out()
        await baresip.do("hangup")
        await caller.hung_up()
        self.assertEqual(["> BYE", "< 200 BYE"], await self.last(baresip, 2))
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", *HUNG_UP],
            self.ladder.of("alice"),
        )

    async def test_calls(self) -> None:
        """baresip calls a browser that is registered at its own registrar, and hangs up
        (original.rst: call in, SIP to registered WSS client)."""
        _, callee, baresip = await self.into()
        await baresip.do("hangup")
        await callee.hung_up()
        rungs = ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"]
        self.assertEqual(rungs, await self.last(baresip, 6))
        self.assertEqual(
            [*REGISTERED, "< INVITE sdp", "> 180 INVITE", "> 200 INVITE sdp", "< ACK", *HUNG_UP],
            self.ladder.of("alice"),
        )

    async def test_calls_and_is_hung_up(self) -> None:
        """The same, BYE from the browser."""
        _, callee, baresip = await self.into()
        self.assertEqual(200, (await callee.bye()).status)
        await baresip.event("CALL_CLOSED")
        self.assertEqual(
            [*REGISTERED, "< INVITE sdp", "> 180 INVITE", "> 200 INVITE sdp", "< ACK", *HANGS_UP],
            self.ladder.of("alice"),
        )

    async def test_rejects(self) -> None:
        """baresip rejects the call: its code and words reach the browser."""
        baresip, browser = await self.baresip(), await self.browser(password="wonderland")
        calling = browser.invite("sip:bob@pbx.test")
        await baresip.event("CALL_INCOMING")
        await baresip.do("hangup")
        final = await calling.final()
        self.assertEqual((486, "Rejected"), (final.status, final.reason))
        self.assertEqual(["> INVITE sdp", "< 180 INVITE", "< 486 INVITE", "> ACK"], self.ladder.of("alice"))

    async def test_gives_up(self) -> None:
        """baresip hangs up while the browser rings: CANCEL, 487 (original.rst: cancel, while ringing)."""
        baresip, browser = await self.baresip(), await self.registered()
        await baresip.do("dial", "sip:alice@pbx.test")
        invite = await browser.request("INVITE")
        browser.reply(invite, 180)
        await baresip.event("CALL_RINGING")
        await baresip.do("hangup")
        browser.reply(await browser.request("CANCEL"), 200)
        browser.reply(invite, 487)
        await browser.request("ACK")
        rungs = ["> INVITE sdp", "< 180 INVITE", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"]
        self.assertEqual(rungs, await self.last(baresip, 6))
        self.assertEqual(
            [*REGISTERED, "< INVITE sdp", "> 180 INVITE", "< CANCEL", "> 200 CANCEL", "> 487 INVITE", "< ACK"],
            self.ladder.of("alice"),
        )


class Changes(WithBaresip):
    """The session is changed by either side."""

    async def test_hold_and_resume(self) -> None:
        """baresip holds by sendonly, and resumes: the browser is asked, and its answers are taken
        (original.rst: re-INVITE, hold / resume by either side)."""
        browser, caller, baresip = await self.out()
        for held, offered, answered in ((True, b"sendonly", b"recvonly"), (False, b"sendrecv", b"sendrecv")):
            await baresip.hold(held)
            invite = await browser.request("INVITE")
            self.assertIn(b"a=" + offered, invite.body)
            browser.reply(invite, 200, body=CHROME_ANSWER.replace(b"a=sendrecv", b"a=" + answered))
            await browser.request("ACK")
            await self.settled()
            self.assertIn(b"a=" + answered, self.last_answer(baresip))
        self.assertEqual(200, (await caller.bye()).status)
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", *TAKEN, *TAKEN, *HANGS_UP],
            self.ladder.of("alice"),
        )

    async def test_held_and_resumed(self) -> None:
        """The browser holds and resumes: baresip answers with the direction that belongs to it."""
        _, callee, baresip = await self.into()
        for offered, answered in ((b"sendonly", b"recvonly"), (b"sendrecv", b"sendrecv")):
            version = b" %d IN" % (3 if offered == b"sendonly" else 4)
            offer = CHROME_OFFER.replace(b"a=sendrecv", b"a=" + offered).replace(b" 2 IN", version)
            response = await callee.ask("INVITE", body=offer)
            self.assertEqual(200, response.status)
            self.assertIn(b"a=" + answered, response.body)
            callee.ack()
        self.assertEqual(["< INVITE sdp", "> 200 INVITE sdp", "< ACK"] * 2, await self.last(baresip, 6))
        self.assertEqual(200, (await callee.bye()).status)

    async def test_offers_the_same_again(self) -> None:
        """A re-INVITE of baresip's that changes nothing is answered with what the browser said last, and the browser
        is left alone; the call goes on."""
        browser, caller, baresip = await self.out()
        await baresip.do("reinvite")
        await self.settled()
        self.assertEqual(["> INVITE sdp", "< 200 INVITE sdp", "> ACK"], baresip.ladder()[-3:])
        await browser.silence()
        self.assertEqual(200, (await caller.bye()).status)

    def last_answer(self, baresip: Baresip) -> bytes:
        """The SDP that baresip got last."""
        return [message.body for arrow, message in baresip.trace() if arrow == "<" and message.body][-1]
