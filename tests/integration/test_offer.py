"""INVITE without SDP, reliable provisional responses and early UPDATE with SIPp, scripted phones and a real rtpengine
(RFC 3264, RFC 3262; original.rst: INVITE without SDP)."""

from __future__ import annotations

import re

from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP
from tests.support.sdp import attributes, lines, port
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.sdp.attributes import TO_BROWSER, TO_TRUNK

UNWANTED = TO_BROWSER - TO_TRUNK
UPDATES = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")
RELIABLE = ("Supported", "100rel")


class OfferCase(RealCase):
    """What all of them look at."""

    def assert_plain(self, sdp: bytes) -> None:
        """For a trunk."""
        self.assertEqual({"RTP/AVP"}, {line.split()[2] for line in lines(sdp, "m=")})
        self.assertEqual(set(), attributes(sdp) & UNWANTED)
        self.assertNotEqual(0, port(sdp))

    def assert_browsers(self, sdp: bytes, setup: str) -> None:
        """For a browser."""
        self.assertEqual({"UDP/TLS/RTP/SAVPF"}, {line.split()[2] for line in lines(sdp, "m=")})
        self.assertEqual([f"a=setup:{setup}"], lines(sdp, "a=setup"))
        self.assertNotEqual(0, port(sdp))

    leg: Request


class Late(OfferCase):
    """The offer in the 200, the answer in the ACK."""

    async def test_out_of_a_browser(self) -> None:
        """The trunk offers, the browser answers (original.rst: call out, INVITE without SDP)."""
        sipp = await self.sipp("uas_late")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}", body=b"")
        offer = await calling.final()
        self.assert_browsers(offer.body, "actpass")
        caller = Dialog.of_caller(browser, calling.invite, offer)
        caller.ack(CHROME_ANSWER)
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE", "< 180 INVITE", "< 200 INVITE sdp", "> ACK sdp", "> BYE", "< 200 BYE"], self.ladder.of("alice")
        )

    async def test_into_a_browser(self) -> None:
        """The browser offers, the caller answers."""
        browser = await self.registered()
        sipp = await self.caller("uac_late", hold=200)
        invite = await browser.request("INVITE")
        browser.reply(invite, 180)
        callee = browser.accept(invite, CHROME_OFFER)
        ack = await browser.request("ACK")
        self.assert_browsers(ack.body, "passive")
        await callee.hung_up()
        await sipp.passed()
        self.assertEqual(
            ["< INVITE", "> 180 INVITE", "> 200 INVITE sdp", "< ACK sdp", "< BYE", "> 200 BYE"],
            self.ladder.of("alice")[-6:],
        )

    async def test_into_two_browsers(self) -> None:
        """Kamailio has two bindings of one user: the browser that answers offers, the other one is cancelled."""
        phones = [await self.registered(), await self.registered()]
        sipp = await self.caller("uac_late", hold=200)
        first, second = phones
        legs = [await phone.request("INVITE") for phone in phones]
        first.reply(legs[0], 180)
        callee = second.accept(legs[1], CHROME_OFFER)
        self.assert_browsers((await second.request("ACK")).body, "passive")
        first.reply(await first.request("CANCEL"), 200)
        first.reply(legs[0], 487)
        await first.request("ACK")
        await callee.hung_up()
        await sipp.passed()

    async def test_ack_without_answer(self) -> None:
        """The browser's ACK has no SDP: the trunk's has one that refuses all, and both get a BYE."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", body=b"")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = Dialog.of_caller(browser, calling.invite, await calling.final())
        caller.ack()
        self.assertEqual(["0"], [line.split()[1] for line in lines((await trunk.request("ACK")).body, "m=")])
        await callee.hung_up()
        await caller.hung_up()
        self.assertEqual(["< INVITE", "> 200 INVITE sdp", "< ACK sdp", "< BYE", "> 200 BYE"], self.ladder.of("trunk"))

    async def test_changed_later(self) -> None:
        """Hold by both sides of a call that the callee has offered; ports and credentials stay."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", body=b"")
        callee = trunk.accept(await trunk.request("INVITE"))
        offer = await calling.final()
        caller = Dialog.of_caller(browser, calling.invite, offer)
        caller.ack(CHROME_ANSWER)
        told = (await trunk.request("ACK")).body
        hold = CHROME_OFFER.replace(b"sendrecv", b"sendonly")
        asked = caller.send("INVITE", body=hold.replace(b"9 2 IN", b"9 3 IN"))
        invite = await trunk.request("INVITE")
        self.assertEqual(port(told), port(invite.body))
        self.assertIn("a=sendonly", lines(invite.body))
        trunk.reply(invite, 200, body=PLAIN_SDP.replace(b"sendrecv", b"recvonly").replace(b" 7 1 ", b" 7 2 "))
        answer = await Calling(browser, asked, True).final()
        self.assertEqual(port(offer.body), port(answer.body))
        caller.ack()
        asked = callee.send("INVITE", body=PLAIN_SDP.replace(b" 7 1 ", b" 7 3 "))
        invite = await browser.request("INVITE")
        self.assertEqual(port(offer.body), port(invite.body))
        browser.reply(invite, 200, body=CHROME_ANSWER.replace(b"9 2 IN", b"9 4 IN"))
        self.assertEqual(port(told), port((await Calling(trunk, asked, True).final()).body))
        callee.ack()
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE", "< 200 INVITE sdp", "> ACK sdp", *SET_UP, *TAKEN, *HANGS_UP],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE", "> 200 INVITE sdp", "< ACK sdp", *TAKEN, *SET_UP, *HUNG_UP],
            self.ladder.of("trunk"),
        )

    async def test_again(self) -> None:
        """re-INVITE without SDP, by the browser and by the trunk (corners.rst 3: empty re-INVITE)."""
        sipp = await self.sipp("uas_late_again")
        browser = await self.browser()
        caller = await browser.invite(f"sip:echo@{sipp.host}").answered()
        offer = await Calling(browser, caller.send("INVITE"), True).final()
        self.assert_browsers(offer.body, "actpass")
        caller.ack(CHROME_ANSWER.replace(b"9 2 IN", b"9 3 IN"))
        invite = await browser.request("INVITE")
        self.assertEqual(b"", invite.body)
        browser.reply(invite, 200, body=CHROME_OFFER.replace(b"9 2 IN", b"9 4 IN"))
        self.assert_browsers((await browser.request("ACK")).body, "passive")
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> INVITE", "< 200 INVITE sdp", "> ACK sdp", "< INVITE",
             "> 200 INVITE sdp", "< ACK sdp", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip


class Reliable(OfferCase):
    """PRACK on one leg, or on both."""

    async def test_trunk_alone(self) -> None:
        """The trunk's 183 and 180 get a PRACK each, the browser sees them plain
        (original.rst: call out, a reliable 183)."""
        sipp = await self.sipp("uas_100rel")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        early = await calling.response(183)
        self.assert_browsers(early.body, "passive")
        for response in (early, await calling.response(180)):
            self.assertEqual((None, None), (response.headers.get("RSeq"), response.headers.get("Require")))
        answer = await calling.final()
        self.assertEqual(early.body, answer.body)
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )

    async def test_caller_requires_it(self) -> None:
        """A caller that requires 100rel calls a browser that has not heard of it (corners.rst 4: 3262 B2BUA)."""
        browser = await self.registered()
        sipp = await self.caller("uac_100rel", hold=200)
        invite = await browser.request("INVITE")
        self.assertNotIn("Require", invite.headers)
        browser.reply(invite, 180)
        await pause(0.3)  # a 180 without SDP is nothing that a 200 waits for
        callee = browser.accept(invite)
        await browser.request("ACK")
        await callee.hung_up()
        await sipp.passed()
        self.assertEqual(
            ["< INVITE sdp", "> 180 INVITE", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"],
            self.ladder.of("alice")[-6:],
        )

    async def test_both(self) -> None:
        """A browser and a trunk that both know it: each has RSeq and RAck of its own, the 200 waits for the PRACK."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", headers=[RELIABLE])
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "9")], body=PLAIN_SDP)
        prack = await trunk.request("PRACK")
        self.assertEqual(f"9 {invite.cseq}", prack.headers.get("RAck"))
        trunk.reply(prack, 200)
        early = await calling.response(183)
        callee = Dialog.of_callee(trunk, invite, trunk.reply(invite, 200))
        await trunk.request("ACK")
        await browser.silence(0.7)  # but for the repeat of the 183
        caller = Dialog.of_caller(browser, calling.invite, early)
        self.assertEqual(200, (await caller.ask("PRACK", [rack(early)])).status)
        answer = await calling.final()
        self.assertEqual(early.body, answer.body)
        caller.phone.send(caller.build("ACK", calling.invite.cseq.number))
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "> PRACK", "< 200 PRACK", "< 200 INVITE sdp", "> ACK", "> BYE",
             "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK", "> 200 INVITE", "< ACK", "< BYE",
             "> 200 BYE"],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def test_behind_kamailio(self) -> None:
        """PRACK and UPDATE go through the route set of the early dialog, as ACK and BYE do through that of the 200."""
        browser, phone = await self.browser(), await self.peer(free_port())
        phone.proxy = (LOOPBACK, self.kamailio.port)
        calling = browser.invite(f"sip:echo-{phone.port}@pbx.test", headers=[RELIABLE, UPDATES])
        invite = await phone.request("INVITE")
        response = phone.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "9"), UPDATES], body=PLAIN_SDP)
        phone.reply(await phone.request("PRACK"), 200)
        early = await calling.response(183)
        caller, callee = Dialog.of_caller(browser, calling.invite, early), Dialog.of_callee(phone, invite, response)
        self.assertEqual(200, (await caller.ask("PRACK", [rack(early)])).status)
        asked = caller.send("UPDATE", body=CHROME_OFFER.replace(b"sendrecv", b"sendonly").replace(b"9 2 IN", b"9 3 IN"))
        update = await phone.request("UPDATE")
        phone.reply(update, 200, body=PLAIN_SDP.replace(b"sendrecv", b"recvonly").replace(b" 7 1 ", b" 7 2 "))
        self.assertEqual(200, (await browser.response(asked)).status)
        phone.reply(invite, 200)
        ack = await phone.request("ACK")
        browser.send(caller.build("ACK", (await calling.final()).cseq.number))
        self.assertEqual([2, 2], [len(request.headers.all("Via")) for request in (update, ack)])
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "> PRACK", "< 200 PRACK", "> UPDATE sdp", "< 200 UPDATE sdp",
             "< 200 INVITE", "> ACK", *HANGS_UP],
            self.ladder.of("alice"),
        )  # fmt: skip
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK", "< UPDATE sdp", "> 200 UPDATE sdp",
             "> 200 INVITE", "< ACK", *HUNG_UP],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def test_offer_by_the_trunk(self) -> None:
        """INVITE without SDP: the offer in a reliable 183, the answer in PRACK, on both legs."""
        sipp = await self.sipp("uas_late_100rel")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}", headers=[RELIABLE], body=b"")
        early = await calling.response(183)
        self.assert_browsers(early.body, "actpass")
        caller = Dialog.of_caller(browser, calling.invite, early)
        self.assertEqual(200, (await caller.ask("PRACK", [rack(early)], CHROME_ANSWER)).status)
        self.assertEqual(b"", (await calling.final()).body)
        browser.send(caller.build("ACK", calling.invite.cseq.number))
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE", "< 183 INVITE sdp", "> PRACK sdp", "< 200 PRACK", "< 200 INVITE", "> ACK", "> BYE",
             "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_offer_by_the_browser(self) -> None:
        """The other way: the browser offers in a reliable 183."""
        browser = await self.registered()
        sipp = await self.caller("uac_late_100rel", hold=200)
        invite = await browser.request("INVITE")
        self.assertIn("100rel", invite.headers.all("Supported"))
        browser.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "9")], body=CHROME_OFFER)
        prack = await browser.request("PRACK")
        self.assert_browsers(prack.body, "passive")
        browser.reply(prack, 200)
        callee = Dialog.of_callee(browser, invite, browser.reply(invite, 200))
        self.assertEqual(b"", (await browser.request("ACK")).body)
        await callee.hung_up()
        await sipp.passed()
        self.assertEqual(
            ["< INVITE", "> 183 INVITE sdp", "< PRACK sdp", "> 200 PRACK", "> 200 INVITE", "< ACK", "< BYE",
             "> 200 BYE"],
            self.ladder.of("alice")[-8:],
        )  # fmt: skip


class Update(OfferCase):
    """UPDATE before the call is answered."""

    async def test_trunk_moves(self) -> None:
        """The trunk's media is elsewhere after the 183: rtpengine sends there, the browser learns nothing of it."""
        sipp = await self.sipp("uas_update")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        answer = await calling.final()
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        last = [text for text in sipp.sent() if "m=audio" in text][-1]
        self.assertIn(int(re.findall(r"m=audio (\d+)", last)[0]), await self.endpoints())
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )

    async def test_crosses(self) -> None:
        """Both sides have agreed finally and take UPDATE: a hold by either crosses."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee, calling = await self.early(browser, trunk)
        update = callee.send("UPDATE", body=PLAIN_SDP.replace(b"sendrecv", b"sendonly").replace(b" 7 1 ", b" 7 2 "))
        crossed = await browser.request("UPDATE")
        self.assert_browsers(crossed.body, "actpass")
        self.assertIn("a=sendonly", lines(crossed.body))
        browser.reply(crossed, 200, body=CHROME_ANSWER.replace(b"sendrecv", b"recvonly").replace(b"9 2 IN", b"9 3 IN"))
        answer = await trunk.response(update)
        self.assert_plain(answer.body)
        self.assertIn("a=recvonly", lines(answer.body))
        asked = caller.send("UPDATE", body=CHROME_OFFER.replace(b"9 2 IN", b"9 4 IN"))
        crossed = await trunk.request("UPDATE")
        self.assertIn("a=sendrecv", lines(crossed.body))
        trunk.reply(crossed, 200, body=PLAIN_SDP.replace(b" 7 1 ", b" 7 3 "))
        self.assertIn("a=sendrecv", lines((await browser.response(asked)).body))
        await self.answered(caller, callee, calling)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "> PRACK", "< 200 PRACK", "< UPDATE sdp", "> 200 UPDATE sdp",
             "> UPDATE sdp", "< 200 UPDATE sdp", "< 200 INVITE", "> ACK", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_offer_in_prack(self) -> None:
        """The browser's PRACK has a further offer, which crosses as UPDATE."""
        browser, trunk = await self.browser(), await self.peer()
        hold = CHROME_OFFER.replace(b"sendrecv", b"sendonly").replace(b"9 2 IN", b"9 3 IN")
        caller, callee, calling = await self.early(browser, trunk, hold)
        await self.answered(caller, callee, calling)
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK", "< UPDATE sdp", "> 200 UPDATE sdp",
             "> 200 INVITE", "< ACK", "< BYE", "> 200 BYE"],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def early(self, browser: Browser, trunk: Peer, offer: bytes = b"") -> tuple[Dialog, Dialog, Calling]:
        """A call that has a final answer on both legs: caller, callee, and the INVITE of the caller.

        :param offer: for the caller's PRACK; the trunk answers it.
        """
        calling = browser.invite(f"sip:echo@{self.plain}", headers=[RELIABLE, UPDATES])
        invite = await trunk.request("INVITE")
        response = trunk.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "9"), UPDATES], body=PLAIN_SDP)
        trunk.reply(await trunk.request("PRACK"), 200)
        early = await calling.response(183)
        self.leg = invite
        caller, callee = Dialog.of_caller(browser, calling.invite, early), Dialog.of_callee(trunk, invite, response)
        prack = caller.send("PRACK", [rack(early)], offer)
        if offer:
            update = await trunk.request("UPDATE")
            trunk.reply(update, 200, body=PLAIN_SDP.replace(b"sendrecv", b"recvonly").replace(b" 7 1 ", b" 7 2 "))
        self.assertEqual(bool(offer), bool((await browser.response(prack)).body))
        return caller, callee, calling

    async def answered(self, caller: Dialog, callee: Dialog, calling: Calling) -> None:
        """The trunk answers; what was told in the 183 is not true any more, and in no 200. The browser hangs up."""
        callee.phone.reply(self.leg, 200)
        await callee.phone.request("ACK")
        self.assertEqual(b"", (await calling.final()).body)
        caller.phone.send(caller.build("ACK", calling.invite.cseq.number))
        await self.hang_up(caller, callee)


def rack(response: Response) -> tuple[str, str]:
    """The RAck for a response."""
    return "RAck", f"{response.headers.get('RSeq')} {response.cseq}"
