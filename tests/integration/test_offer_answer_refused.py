"""A change of the session is refused in the middle of a call: scripted browser and trunk, real rtpengine (RFC 3261
14.1; original.rst: re-INVITE, other side refuses)."""

from __future__ import annotations

from tests.integration.media import identity
from tests.integration.test_offer_answer import VIDEO, SessionChangeCase, newer
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.part import pause
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP
from tests.support.sdp import lines

IS_REFUSED = ["> INVITE sdp", "< 488 INVITE", "> ACK"]
REFUSES = ["< INVITE sdp", "> 488 INVITE", "< ACK"]


class Refused(SessionChangeCase):
    """The old session stands, in rtpengine, too."""

    async def flags(self) -> list[list[bytes]]:
        """What rtpengine has noted of the media of both sides: directions among it."""
        known = await self.rtpengine.query(await self.session())
        return [
            sorted(set(media[b"flags"]) - {b"RTCP feedback"})  # from 12 on: by the codecs that are left
            for tag in known[b"tags"].values()  # type: ignore[attr-defined]
            for media in tag[b"medias"]
        ]

    async def stands(self, before: list[list[bytes]]) -> None:
        """rtpengine is told right after the refusal."""
        for _ in range(20):
            if before == await self.flags():
                return
            await pause(0.05)
        self.assertEqual(before, await self.flags())

    async def test_by_the_trunk(self) -> None:
        """488 to the browser's hold."""
        caller, callee = await self.up()
        before = await self.flags()
        asked = caller.send("INVITE", body=newer(CHROME_OFFER, 3, "sendonly"))
        invite = await self.trunk_phone.request("INVITE")
        self.trunk_phone.reply(invite, 488, "Not Here")
        await self.trunk_phone.request("ACK")
        refused = await Calling(self.browser_phone, asked, True).final()
        self.assertEqual((488, "Not Here"), (refused.status, refused.reason))
        await self.stands(before)
        await self.works_on(caller, callee)
        self.assertEqual([*SET_UP, *IS_REFUSED, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *REFUSES, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_by_the_browser(self) -> None:
        """488 to the trunk's hold."""
        caller, callee = await self.up()
        before = await self.flags()
        asked = callee.send("INVITE", body=newer(PLAIN_SDP, 2, "sendonly"))
        invite = await self.browser_phone.request("INVITE")
        self.browser_phone.reply(invite, 488)
        await self.browser_phone.request("ACK")
        self.assertEqual(488, (await Calling(self.trunk_phone, asked, True).final()).status)
        await self.stands(before)
        await self.works_on(caller, callee)
        self.assertEqual([*SET_UP, *REFUSES, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *IS_REFUSED, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_with_an_ice_restart(self) -> None:
        """The browser's hold was an ICE restart, too. rtpengine has made that, and can't go back: the browser is
        offered the old session with the credentials that rtpengine has now."""
        caller, callee = await self.up()
        offer = (
            newer(CHROME_OFFER, 3, "sendonly").replace(b"ufrag:L+wQ", b"ufrag:N3ww").replace(b"pwd:LMo/", b"pwd:abcd")
        )
        asked = caller.send("INVITE", body=offer)
        self.trunk_phone.reply(await self.trunk_phone.request("INVITE"), 488)
        self.assertEqual(488, (await Calling(self.browser_phone, asked, True).final()).status)
        await self.trunk_phone.request("ACK")
        back = await self.browser_phone.request("INVITE")
        for same in ("a=fingerprint", "m=audio", "a=sendrecv"):
            self.assertEqual(lines(self.at_browser, same)[0].split()[:2], lines(back.body, same)[0].split()[:2])
        for other in ("a=ice-ufrag", "a=ice-pwd"):
            self.assertNotEqual(lines(self.at_browser, other), lines(back.body, other))
        self.browser_phone.reply(back, 200, body=newer(CHROME_ANSWER, 4))
        await self.browser_phone.request("ACK")
        await pause(0.1)
        held, answer = await self.crossed(
            caller, callee, newer(CHROME_ANSWER, 5, "sendonly"), newer(PLAIN_SDP, 5, "recvonly")
        )
        self.assert_plain(held.body)
        self.assertEqual(identity(back.body), identity(answer.body))
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *IS_REFUSED, *TAKEN, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *REFUSES, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_by_rtpengine(self) -> None:
        """An offer that it can't read: 488, and the trunk gets nothing."""
        caller, callee = await self.up()
        asked = caller.send("INVITE", body=b"v=0\r\nnonsense\r\n")
        self.assertEqual(488, (await Calling(self.browser_phone, asked, True).final()).status)
        await self.trunk_phone.silence(0.2)
        await self.works_on(caller, callee)
        self.assertEqual([*SET_UP, *IS_REFUSED, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_video(self) -> None:
        """The trunk refuses the whole of an offer that adds video: audio stands, in one m-line."""
        caller, callee = await self.up()
        asked = caller.send("INVITE", body=newer(CHROME_OFFER, 3) + VIDEO)
        invite = await self.trunk_phone.request("INVITE")
        self.assertEqual(2, len(lines(invite.body, "m=")))
        self.trunk_phone.reply(invite, 488)
        await self.trunk_phone.request("ACK")
        self.assertEqual(488, (await Calling(self.browser_phone, asked, True).final()).status)
        held, answer = await self.crossed(
            caller, callee, newer(CHROME_OFFER, 4, "sendonly"), newer(PLAIN_SDP, 2, "recvonly")
        )
        self.assertEqual((1, 1), (len(lines(held.body, "m=")), len(lines(answer.body, "m="))))
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *IS_REFUSED, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *REFUSES, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def works_on(self, caller: Dialog, callee: Dialog) -> None:
        """The next change crosses; ports and credentials are those of the set-up."""
        held, answer = await self.crossed(
            caller, callee, newer(CHROME_OFFER, 5, "sendonly"), newer(PLAIN_SDP, 5, "recvonly")
        )
        self.assert_plain(held.body)
        self.assert_browsers(answer.body)
        await self.hang_up(caller, callee)
