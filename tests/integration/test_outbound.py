"""Calls out of a browser to a SIP endpoint over UDP: scripted browser, real rtpengine (original.rst: call out)."""

import re
from typing import ClassVar

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.part import pause, until
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.speech import CHROME_OFFER, PLAIN_SDP

NOT_FOR_TRUNKS = re.compile(
    rb"^a=(fingerprint|setup|ice-|candidate|crypto|extmap|msid|mid|group|rtcp-mux|rtcp-fb|ssrc)", re.MULTILINE
)
FOR_BROWSERS = (b"UDP/TLS/RTP/SAVPF", b"a=fingerprint:", b"a=ice-ufrag:", b"a=ice-pwd:", b"a=rtcp-mux", b"a=mid:0")


class Answered(RealCase):
    """Calls that are answered."""

    async def test_profiles_of_both_legs(self) -> None:
        """The trunk is offered plain RTP without a line of WebRTC's, the browser answered with all
        (original.rst: call out, SDP to the plain side)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        self.assertRegex(invite.body, rb"m=audio [1-9]\d* RTP/AVP ")
        self.assertNotRegex(invite.body, NOT_FOR_TRUNKS)
        callee = trunk.accept(invite)
        answer = await calling.final()
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        for line in FOR_BROWSERS:
            self.assertIn(line, answer.body)
        self.assertRegex(answer.body, rb"a=setup:(active|passive)\r\n")
        self.assertNotIn(b"a=crypto", answer.body)
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_early_media(self) -> None:
        """183 with SDP crosses as 183 with a browser's SDP, and the 200 after it keeps the media where it is."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 183, body=PLAIN_SDP)
        early = await calling.response(183)
        self.assertIn(b"a=fingerprint:", early.body)
        callee = trunk.accept(invite)
        answer = await calling.final()
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        port = re.compile(rb"m=audio (\d+) ")
        self.assertEqual(port.findall(early.body), port.findall(answer.body))
        await trunk.request("ACK")
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE sdp", "> 183 INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"],
            self.ladder.of("trunk"),
        )

    async def test_one_to_tag(self) -> None:
        """100 comes before the trunk has said anything; 180 and 200 carry one To tag, which is none of the trunk's (RFC
        3261 8.2.6.2; corners.rst 1: To-tag constancy)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        await calling.response(100)
        invite = await trunk.request("INVITE")
        theirs = trunk.reply(invite, 180).to.tag
        ringing = await calling.response(180)
        callee = trunk.accept(invite)
        caller = await calling.answered()
        self.assertTrue(caller.remote.endswith(f";tag={ringing.to.tag}"), caller.remote)
        self.assertNotEqual(theirs, ringing.to.tag)
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_no_from_tag(self) -> None:
        """A caller of RFC 2543 has no tag in From, and has its call all the same
        (original.rst: INVITE without From tag)."""
        browser, trunk = await self.browser(), await self.peer()
        invite = browser.build("INVITE", f"sip:echo@{self.plain}", body=CHROME_OFFER)
        invite.headers.set("From", f"<{browser.aor}>")
        browser.send(invite)
        callee = trunk.accept(await trunk.request("INVITE"))
        await trunk.request("ACK")
        caller = Dialog.of_caller(browser, invite, await browser.response(invite, 200))
        caller.ack()
        await self.hang_up(caller, callee)

    async def test_trunk_behind_two_proxies(self) -> None:
        """ACK and BYE go through the route set in reverse order of Record-Route (RFC 3261 12.1.2)."""
        sipp = await self.sipp("uas_route")
        browser = await self.browser()
        caller = await browser.invite(f"sip:echo@{sipp.host}").answered()
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()

    async def test_transport_of_browsers(self) -> None:
        """A page that writes ``transport=ws`` or ``wss`` into the addresses that it calls and refers to has its call by
        way of Kamailio, which would look for a WebSocket (field.rst X3: Transport of browsers)."""
        browser, trunk = await self.browser(), await self.peer(free_port())
        trunk.proxy = (LOOPBACK, self.kamailio.port)
        for transport in ("ws", "wss", "WSS"):
            calling = browser.invite(f"sip:echo-{trunk.port}@pbx.test;transport={transport}")
            invite = await trunk.request("INVITE")
            self.assertNotIn("transport", f"{invite.uri} {invite.headers.get('To')}")
            callee = trunk.accept(invite)
            caller = await calling.answered()
            await trunk.request("ACK")
            refer = caller.send("REFER", [("Refer-To", f"<sip:dave@pbx.test;transport={transport}>")])
            heard = await trunk.request("REFER")
            self.assertEqual("<sip:dave@pbx.test>", heard.headers.get("Refer-To"))
            trunk.reply(heard, 603)
            self.assertEqual(603, (await browser.response(refer)).status)
            await self.hang_up(caller, callee)

    async def test_bye_from_the_trunk(self) -> None:
        """BYE from the far side reaches the browser, and the browser's 200 is the far side's."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        await self.hang_up(callee, caller)

    async def test_bye_from_both_sides_at_once(self) -> None:
        """Both sides hang up before they learn of each other: both BYEs get 200 (the original: it exits)."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        byes = [(browser, caller.send("BYE")), (trunk, callee.send("BYE"))]
        await pause(0.1)
        for phone in (browser, trunk):
            for bye in phone.requests("BYE"):
                phone.reply(bye, 200)
        for phone, bye in byes:
            self.assertEqual(200, (await phone.response(bye)).status)

    async def test_lost_ack(self) -> None:
        """A repeated 200 is ACKed again, with the CSeq number of the INVITE (RFC 3261 13.2.2.4)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        answer = trunk.reply(invite, 200, body=PLAIN_SDP)
        callee = Dialog.of_callee(trunk, invite, answer)
        caller = await calling.answered()
        first = await trunk.request("ACK")
        trunk.send(answer)
        await until(lambda: len(trunk.requests("ACK")) > 1, "the ACK of the repeated 200")
        acks = trunk.requests("ACK")
        self.assertEqual(2, len(acks))
        self.assertEqual({invite.cseq.number}, {ack.cseq.number for ack in acks})
        self.assertEqual(first.uri, acks[1].uri)
        await self.hang_up(caller, callee)

    async def test_second_2xx_of_a_fork(self) -> None:
        """Another 200 with another To tag is ACKed and hung up; the first one's call goes on (RFC 3261 13.2.2.4;
        corners.rst 1: Forked 2xx from T)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        other = trunk.reply(invite, 200, body=PLAIN_SDP, tag="fork2")
        ack = await trunk.request("ACK")
        self.assertEqual("fork2", ack.to.tag)
        bye = await trunk.request("BYE")
        self.assertEqual(other.to.tag, bye.to.tag)
        trunk.reply(bye, 200)
        await browser.silence(0.2)
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "> 200 INVITE sdp", "< ACK", *HUNG_UP, *HUNG_UP], self.ladder.of("trunk"))

    async def test_callee_hangs_up_before_the_ack(self) -> None:
        """The trunk's BYE is answered at once; the browser's comes after its ACK, since who answers sends none before
        (RFC 3261 15; corners.rst 1: BYE before ACK)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        await trunk.request("ACK")
        caller = Dialog.of_caller(browser, calling.invite, await calling.final())
        self.assertEqual(200, (await callee.bye()).status)
        await browser.silence(0.3)
        caller.ack()
        await caller.hung_up()
        self.assertEqual(["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "< BYE", "> 200 BYE"], self.ladder.of("alice"))

    async def test_caller_hangs_up_without_an_ack(self) -> None:
        """A BYE says that the 200 was seen: it is answered, and crosses; the 200 is repeated no more."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        await trunk.request("ACK")
        caller = Dialog.of_caller(browser, calling.invite, await calling.final())
        bye = caller.send("BYE")
        await callee.hung_up()
        self.assertEqual(200, (await browser.response(bye)).status)
        await browser.silence(1.2)
        self.assertEqual(["> INVITE sdp", "< 200 INVITE sdp", "> BYE", "< 200 BYE"], self.ladder.of("alice"))

    async def test_info_crosses_with_its_answer(self) -> None:
        """INFO reaches the trunk whole, and the trunk's answer to it the browser."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        for status in (200, 415):
            sent = caller.send("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=7\r\nDuration=160\r\n")
            info = await trunk.request("INFO")
            self.assertEqual(("application/dtmf-relay", sent.body), (info.content_type, info.body))
            trunk.reply(info, status)
            self.assertEqual(status, (await browser.response(sent)).status)
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, "> INFO", "< 200 INFO", "> INFO", "< 415 INFO", *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "< INFO", "> 200 INFO", "< INFO", "> 415 INFO", *HUNG_UP], self.ladder.of("trunk"))

    async def test_headers_that_cross_and_that_do_not(self) -> None:
        """Unknown headers cross; the leg's own, and what a browser says of its identity, stay behind (design.rst:
        Rules)."""
        browser, trunk = await self.browser(), await self.peer()
        crosses = [("X-Customer", "4711, a;b"), ("Subject", "Tea \u2615"), ("Alert-Info", "<http://x.test/ring>")]
        stays = [("Session-Expires", "90"), ("Supported", "x-mine"), ("P-Asserted-Identity", "<sip:boss@pbx.test>"),
                 ("Record-Route", "<sip:127.0.0.9;lr>"), ("Route", "<sip:127.0.0.9;lr>")]  # fmt: skip
        calling = browser.invite(f"sip:echo@{self.plain}", headers=[*crosses, *stays])
        invite = await trunk.request("INVITE")
        for name, value in crosses:
            self.assertEqual([value], invite.headers.lines(name))
        for name, value in stays:
            self.assertNotIn(value, invite.headers.lines(name))
        trunk.reply(invite, 180, headers=[("P-Asserted-Identity", "<sip:callee@pbx.test>"), ("X-Queue", "3")])
        ringing = await calling.response(180)
        self.assertEqual("<sip:callee@pbx.test>", ringing.headers.get("P-Asserted-Identity"))
        self.assertEqual("3", ringing.headers.get("X-Queue"))
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        bye = callee.send("BYE", [("Reason", 'Q.850;cause=16;text="Normal"')])
        self.assertEqual('Q.850;cause=16;text="Normal"', (await caller.hung_up()).headers.get("Reason"))
        self.assertEqual(200, (await trunk.response(bye)).status)


class NotAnswered(RealCase):
    """Calls that the far side refuses, or that do not reach it."""

    async def test_refusals_cross(self) -> None:
        """The browser gets the callee's code and reason phrase."""
        browser, trunk = await self.browser(), await self.peer()
        for status, reason in ((404, "No Such Tea"), (480, "Out"), (486, "Busy Here"), (488, ""), (603, "Never")):
            calling = browser.invite(f"sip:echo@{self.plain}")
            trunk.reply(await trunk.request("INVITE"), status, reason)
            final = await calling.final()
            self.assertEqual(status, final.status)
            if reason:
                self.assertEqual(reason, final.reason)
            await trunk.request("ACK")

    async def test_503_of_the_trunk_is_not_ours(self) -> None:
        """503 upstream is no 503 of the proxy, which is not out of service (RFC 3261 16.7; corners.rst 1: 503 from
        upstream)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        trunk.reply(await trunk.request("INVITE"), 503)
        final = await calling.final()
        self.assertIn(final.status, (480, 500, 502))

    async def test_redirection_is_not_followed(self) -> None:
        """302 does not make the proxy call a number that nobody asked for; the browser gets a final answer (corners.rst
        1: 3xx)."""
        elsewhere = await self.peer(address="127.0.0.9", port=5060)
        sipp = await self.sipp("uas_redirect")
        browser = await self.browser()
        final = await browser.invite(f"sip:echo@{sipp.host}").final()
        self.assertGreaterEqual(final.status, 300)
        await sipp.passed()
        await elsewhere.silence(0.3)

    async def test_rtpengine_silent(self) -> None:
        """rtpengine takes commands and says nothing: 503 within `timeout` (1 s here), and nobody is called."""
        browser, trunk = await self.browser(), await self.peer()
        self.addCleanup(self.rtpengine.resume)
        self.rtpengine.stall()
        final = await browser.invite(f"sip:echo@{self.plain}").final(3)
        self.assertEqual(503, final.status)
        self.rtpengine.resume()
        await trunk.silence(0.5)

    async def test_unresolvable_destination(self) -> None:
        """A host that has no address, or a port nobody is at, ends in a final response (the original: silence)."""
        browser = await self.browser()
        final = await browser.invite("sip:echo@unreachable.test").final(10)
        self.assertIn(final.status, (403, 404, 408, 480, 500, 502, 503))

    async def test_unreachable_trunk(self) -> None:
        """Nobody is at the trunk's port, as ICMP says at once: no wait for Timer B (RFC 3261 section 18.4)."""
        browser = await self.browser()
        final = await browser.invite(f"sip:echo@{self.plain}").final(5)
        self.assertEqual((final.status, final.reason), (502, "Trunk Unreachable"))


class Ringing(RealCase):
    """`ring`: how long a call may ring."""

    changes: ClassVar = (("[calls]\n", "[calls]\nring = 1\n"),)

    async def test_no_answer(self) -> None:
        """A trunk that rings for ever is cancelled after `ring` seconds, and the browser gets 408 or 480 (corners.rst
        1: Timer C analogue)."""
        sipp = await self.sipp("uas_ring")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        await calling.response(180)
        self.assertIn((await calling.final(4)).status, (408, 480, 487))
        await sipp.passed()

    async def test_browser_rings_for_ever(self) -> None:
        """The same into a browser: it gets CANCEL, the caller 408 or 480."""
        browser = await self.registered("bob")
        caller = await self.kamailio_peer()
        calling = caller.invite("sip:bob@pbx.test")
        invite = await browser.request("INVITE")
        browser.reply(invite, 180)
        await calling.response(180)
        cancel = await browser.request("CANCEL")
        browser.reply(cancel, 200)
        browser.reply(invite, 487)
        self.assertIn((await calling.final()).status, (408, 480))
