"""CANCEL at every moment of a call (RFC 3261 9)."""

from tests.support.real.case import RealCase
from tests.support.real.ladder import HUNG_UP, SET_UP, TAKEN
from tests.support.real.part import pause

GIVEN_UP = ["> INVITE sdp", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"]


class Cancel(RealCase):
    """A browser calls a trunk and gives up."""

    async def test_before_the_second_leg_exists(self) -> None:
        """While rtpengine is thinking: 487 at once, and the trunk is never called (the original: it is rung later)."""
        browser, trunk = await self.browser(), await self.peer()
        self.addCleanup(self.rtpengine.resume)
        self.rtpengine.stall()
        calling = browser.invite(f"sip:echo@{self.plain}")
        await calling.response(100)
        cancel = calling.cancel()
        self.assertEqual(200, (await browser.response(cancel)).status)
        self.assertEqual(487, (await calling.final(1.5)).status)
        self.rtpengine.resume()
        await trunk.silence(0.7)
        self.assertEqual(GIVEN_UP, self.ladder.of("alice"))

    async def test_before_the_first_provisional(self) -> None:
        """No CANCEL leaves before a 1xx has come; then it does, with the INVITE's branch (RFC 3261 9.1)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        cancel = calling.cancel([("Reason", 'SIP;cause=200;text="Elsewhere"')])
        self.assertEqual(200, (await browser.response(cancel)).status)
        self.assertEqual(487, (await calling.final()).status)
        await pause(0.6)
        self.assertEqual([], trunk.requests("CANCEL"))
        trunk.reply(invite, 100)
        theirs = await trunk.request("CANCEL")
        self.assertEqual(
            (invite.uri, invite.via.branch, invite.call_id, invite.cseq.number, None),
            (theirs.uri, theirs.via.branch, theirs.call_id, theirs.cseq.number, theirs.to.tag),
        )
        self.assertEqual(invite.headers.get("From"), theirs.headers.get("From"))
        trunk.reply(theirs, 200)
        trunk.reply(invite, 487)
        await trunk.request("ACK")
        self.assertEqual(GIVEN_UP, self.ladder.of("alice"))
        self.assertEqual(["< INVITE sdp", "< CANCEL", "> 200 CANCEL", "> 487 INVITE", "< ACK"], self.ladder.of("trunk"))

    async def test_while_ringing(self) -> None:
        """The trunk gets CANCEL and says 487; the caller gets 200 and 487."""
        sipp = await self.sipp("uas_ring")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        await calling.response(180)
        cancel = calling.cancel()
        self.assertEqual(200, (await browser.response(cancel)).status)
        self.assertEqual(487, (await calling.final()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"],
            self.ladder.of("alice"),
        )

    async def test_racing_the_200(self) -> None:
        """The trunk answers as CANCEL arrives: its 200 is ACKed and hung up, the caller has 487."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 180)
        await calling.response(180)
        calling.cancel()
        cancel = await trunk.request("CANCEL")
        callee = trunk.accept(invite)
        trunk.reply(cancel, 200)
        await trunk.request("ACK")
        await callee.hung_up()
        self.assertEqual(487, (await calling.final()).status)
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE sdp", "> 180 INVITE", "< CANCEL", "> 200 INVITE sdp", "> 200 CANCEL", "< ACK", *HUNG_UP],
            self.ladder.of("trunk"),
        )

    async def test_after_the_answer(self) -> None:
        """CANCEL after the 200 changes nothing: 200 or 481 to it, and the call stays (RFC 3261 9.2)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        cancel = calling.cancel()
        self.assertIn((await browser.response(cancel)).status, (200, 481))
        await browser.silence(0.3)
        await trunk.silence(0)
        await self.hang_up(caller, callee)
        self.assertEqual([*TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_two_hundred(self) -> None:
        """Calls that are given up while they ring, and others at once: rtpengine holds none of them
        (corners.rst 5: Orphans)."""
        browser, trunk = await self.browser(), await self.peer()
        for _ in range(100):
            calling = browser.invite(f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            trunk.reply(invite, 180)
            await calling.response(180)
            calling.cancel()
            self.assertEqual(487, (await calling.final()).status)
            trunk.reply(await trunk.request("CANCEL"), 200)
            trunk.reply(invite, 487)
            await trunk.request("ACK")
        for _ in range(100):
            calling = browser.invite(f"sip:echo@{self.plain}")
            calling.cancel()
            self.assertEqual(487, (await calling.final()).status)
        await self.no_media()
        for invite in trunk.requests("INVITE")[100:]:  # of those that were given up a moment too late for no INVITE
            trunk.reply(invite, 487)

    async def test_of_no_call(self) -> None:
        """CANCEL that matches nothing: 481 (RFC 3261 9.2)."""
        browser = await self.browser()
        cancel = browser.build("CANCEL", f"sip:echo@{self.plain}")
        browser.send(cancel)
        self.assertEqual(481, (await browser.response(cancel)).status)

    async def test_socket_lost_while_ringing(self) -> None:
        """The calling browser is gone: the trunk gets CANCEL after `grace` (the original: it rings on)."""
        sipp = await self.sipp("uas_ring")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        await calling.response(180)
        await browser.break_off()
        await sipp.passed(10)

    async def test_socket_lost_in_the_call(self) -> None:
        """The calling browser is gone in mid-call: the trunk gets BYE within ten seconds."""
        browser, trunk = await self.browser(), await self.peer()
        _, callee = await self.connected(browser, trunk)
        await browser.break_off()
        await callee.hung_up(10)
        await self.no_media()
        self.assertEqual(SET_UP, self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *HUNG_UP], self.ladder.of("trunk"))
