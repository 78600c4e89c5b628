"""Forking on the far side: several early dialogs and answers to one INVITE."""

from __future__ import annotations

import re

from tests.integration.media import identity
from tests.integration.test_offer import RELIABLE, OfferCase, rack
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP
from tests.support.real.part import until
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP
from tests.support.sdp import lines
from webrtcproxy.sip.message import Request, Response


def at(number: int) -> bytes:
    """The description of another phone of the fork: its media is at that port."""
    return PLAIN_SDP.replace(b"m=audio 9000", b"m=audio %d" % number)


class Forked(OfferCase):
    """The trunk, or who is behind it, forks."""

    calling: Calling
    early: Response
    caller: Dialog

    async def test_two_answers(self) -> None:
        """183 of one and 200 of another: the browser has one dialog, rtpengine sends to the one that answered, and the
        first one's 200, late, gets ACK and BYE."""
        sipp = await self.sipp("uas_fork")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        early = await calling.response(183)
        ringing = await calling.response(180)
        answer = await calling.final()
        self.assertEqual(1, len({response.to.tag for response in (early, ringing, answer)}))
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        ports = [int(number) for text in sipp.sent() for number in re.findall(r"m=audio (\d+)", text)]
        self.assertIn(ports[1], await self.endpoints())
        self.assertNotIn(ports[0], await self.endpoints())
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )

    async def test_back_to_the_first(self) -> None:
        """183 of one, 183 of another, 200 of the first with what it has said before: rtpengine sends there again."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        for tag, number, status in (("one", 9100, 183), ("two", 9200, 182)):
            trunk.reply(invite, status, body=at(number), tag=tag)
            await calling.response(status)
            self.assertIn(number, await self.endpoints())
        callee = Dialog.of_callee(trunk, invite, trunk.reply(invite, 200, body=at(9100), tag="one"))
        caller = await calling.answered()
        await trunk.request("ACK")
        self.assertIn(9100, await self.endpoints())
        self.assertNotIn(9200, await self.endpoints())
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 182 INVITE sdp", "< 200 INVITE sdp", "> ACK", *HANGS_UP],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "> 182 INVITE sdp", "> 200 INVITE sdp", "< ACK", *HUNG_UP],
            self.ladder.of("trunk"),
        )

    async def test_kamailio_forks(self) -> None:
        """bob has two phones behind Kamailio: one has early media, the other one answers, the first is cancelled."""
        phones = [await self.desk_phone(), await self.desk_phone()]
        browser = await self.browser("alice", password="wonderland")
        calling = browser.invite("sip:bob@pbx.test")
        first, second = phones
        legs = [await phone.request("INVITE") for phone in phones]
        first.reply(legs[0], 183, headers=routes(legs[0]), body=at(9100))
        await calling.response(183)
        self.assertIn(9100, await self.endpoints())
        answer = second.reply(legs[1], 200, headers=routes(legs[1]), body=at(9200))
        callee = Dialog.of_callee(second, legs[1], answer)
        caller = await calling.answered()
        await second.request("ACK")
        first.reply(await first.request("CANCEL"), 200)
        first.reply(legs[0], 487)
        await first.request("ACK")
        self.assertIn(9200, await self.endpoints())
        self.assertNotIn(9100, await self.endpoints())
        bye = caller.send("BYE")
        second.reply(await second.request("BYE"), 200)
        self.assertEqual(200, (await browser.response(bye)).status)
        self.assertEqual(callee.call_id, answer.call_id)
        self.assertEqual(
            ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"], self.ladder.of(second.user)
        )

    async def desk_phone(self) -> Peer:
        """A phone of bob's over UDP, registered at Kamailio."""
        phone = await self.peer(free_port())
        phone.proxy = (LOOPBACK, self.kamailio.port)
        phone.user, phone.password = "bob", "builder"
        request = phone.build("REGISTER", "sip:pbx.test", to="<sip:bob@pbx.test>")
        request.headers.set("Expires", "600")
        self.assertEqual(200, (await phone.ask(request)).status)
        phone.user = f"desk{phone.port}"
        return phone

    async def test_reliable_dialogs(self) -> None:
        """Two early dialogs, each with a PRACK within; the second one answers."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        for tag, number, status in (("one", 9100, 183), ("two", 9200, 182)):
            headers = [("Require", "100rel"), ("RSeq", str(number))]
            trunk.reply(invite, status, headers=headers, body=at(number), tag=tag)
            prack = await trunk.request("PRACK")
            self.assertEqual((tag, f"{number} {invite.cseq}"), (prack.to.tag, prack.headers.get("RAck")))
            trunk.reply(prack, 200)
            await calling.response(status)
        callee = Dialog.of_callee(trunk, invite, trunk.reply(invite, 200, tag="two"))
        caller = await calling.answered()
        self.assertEqual("two", (await trunk.request("ACK")).to.tag)
        self.assertIn(9200, await self.endpoints())
        other = trunk.reply(invite, 200, tag="one")
        self.assertEqual("one", (await trunk.request("ACK")).to.tag)
        bye = await trunk.request("BYE")
        self.assertEqual(other.to.tag, bye.to.tag)
        trunk.reply(bye, 200)
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 182 INVITE sdp", "< 200 INVITE sdp", "> ACK", *HANGS_UP],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK", "> 182 INVITE sdp", "< PRACK", "> 200 PRACK",
             "> 200 INVITE", "< ACK", "> 200 INVITE", "< ACK", *HUNG_UP, *HUNG_UP],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def test_another_codec(self) -> None:
        """183 with PCMU of one, 200 with PCMA of another: the browser learns of each codec in its turn."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 183, body=at(9100).replace(b"101", b"126"), tag="one")
        early = await calling.response(183)
        pcma = at(9200).replace(b"RTP/AVP 0 101", b"RTP/AVP 8 126").replace(b"0 PCMU", b"8 PCMA")
        callee = Dialog.of_callee(trunk, invite, trunk.reply(invite, 200, body=pcma.replace(b"101", b"126"), tag="two"))
        answer = await calling.final()
        codecs = [lines(response.body, "m=")[0].split()[3:] for response in (early, answer)]
        self.assertEqual([["0", "126"], ["8", "126"]], codecs)
        self.assertEqual(identity(early.body), identity(answer.body))
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        await trunk.request("ACK")
        self.assertIn(9200, await self.endpoints())
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 200 INVITE sdp", "> ACK", *HANGS_UP],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "> 200 INVITE sdp", "< ACK", *HUNG_UP],
            self.ladder.of("trunk"),
        )

    async def test_another_answer(self) -> None:
        """The other one only listens: a final answer can't be taken back, so the 200 is in another
        dialog for the browser, too (RFC 3261 section 13.2.2.4); its port and credentials stay."""
        trunk = await self.acknowledged()
        body = at(9200).replace(b"sendrecv", b"recvonly")
        callee = Dialog.of_callee(trunk, self.leg, trunk.reply(self.leg, 200, body=body, tag="two"))
        answer = await self.calling.final()
        self.assertNotEqual(self.early.to.tag, answer.to.tag)
        self.assertIn("a=recvonly", lines(answer.body))
        self.assertEqual(identity(self.early.body), identity(answer.body))
        again = Dialog.of_caller(self.caller.phone, self.calling.invite, answer)
        again.ack()
        await trunk.request("ACK")
        self.assertEqual(481, (await self.caller.ask("INFO")).status)
        again.cseq = self.caller.cseq
        await self.hang_up(again, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "> PRACK", "< 200 PRACK", "< 200 INVITE sdp", "> ACK", "> INFO",
             "< 481 INFO", *HANGS_UP],
            self.ladder.of("alice"),
        )  # fmt: skip
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK", "> 200 INVITE sdp", "< ACK", *HUNG_UP],
            self.ladder.of("trunk"),
        )

    async def acknowledged(self) -> Peer:
        """The trunk, in a call that has a final answer on both legs, of the first one of a fork."""
        browser, trunk = await self.browser(), await self.peer()
        self.calling = browser.invite(f"sip:echo@{self.plain}", headers=[RELIABLE])
        self.leg = await trunk.request("INVITE")
        trunk.reply(self.leg, 183, headers=[("Require", "100rel"), ("RSeq", "1")], body=at(9100), tag="one")
        trunk.reply(await trunk.request("PRACK"), 200)
        self.early = await self.calling.response(183)
        self.caller = Dialog.of_caller(browser, self.calling.invite, self.early)
        self.assertEqual(200, (await self.caller.ask("PRACK", [rack(self.early)])).status)
        return trunk


class Glare(OfferCase):
    """Both sides change the session at once."""

    async def test_491(self) -> None:
        """SIPp's re-INVITE crosses with the browser's: 491 both ways, and the later try is carried (corners.rst 1:
        re-INVITE glare)."""
        sipp = await self.sipp("uas_glare")
        browser = await self.browser()
        caller = await browser.invite(f"sip:echo@{sipp.host}").answered()
        hold = CHROME_OFFER.replace(b"sendrecv", b"sendonly").replace(b"9 2 IN", b"9 3 IN")
        refused = Calling(browser, caller.send("INVITE", body=hold), True)
        self.assertEqual(491, (await refused.final()).status)
        invite = await browser.request("INVITE")
        self.assertIn("a=sendonly", lines(invite.body))
        held = CHROME_ANSWER.replace(b"sendrecv", b"recvonly").replace(b"9 2 IN", b"9 4 IN")
        before = self.rtpengine.log_size()
        browser.reply(invite, 200, body=held)
        await browser.request("ACK")
        await until(lambda: "Replying to 'answer'" in self.rtpengine.log(before), "rtpengine makes the answer")
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> INVITE sdp", "< 491 INVITE", "> ACK", "< INVITE sdp",
             "> 200 INVITE sdp", "< ACK", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip


def routes(invite: Request) -> list[tuple[str, str]]:
    """The Record-Route of a request, for its response."""
    return [("Record-Route", value) for value in invite.headers.lines("Record-Route")]
