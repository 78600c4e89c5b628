"""The session is changed in the middle of a call: scripted browser and trunk, real rtpengine (RFC 3261 14, RFC 3311;
original.rst: re-INVITE)."""

from __future__ import annotations

import re

from tests.integration.media import identity
from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.part import pause
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP
from tests.support.sdp import attributes, lines, port
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.sdp.attributes import TO_BROWSER, TO_TRUNK

UNWANTED = TO_BROWSER - TO_TRUNK
VIDEO = (
    b"m=video 59460 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 127.0.0.1\r\n"
    b"a=ice-ufrag:L+wQ\r\na=ice-pwd:LMo/KpeJKOYdnq05vU4w40Eq\r\n"
    b"a=fingerprint:sha-256 77:33:8F:4A:CC:C8:70:0E:EC:67:2E:FD:A4:82:27:A0:"
    b"EB:A7:BC:68:66:07:EA:CF:11:35:3C:6E:45:72:50:DD\r\n"
    b"a=setup:actpass\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
    b"a=candidate:1 1 UDP 2130706431 127.0.0.1 59460 typ host\r\n"
)
PLAIN_VIDEO = b"m=video 9002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=sendrecv\r\n"


def version(sdp: bytes) -> tuple[str, int]:
    """Session id and version of the o= line."""
    _, name, number, *_ = lines(sdp, "o=")[0].split()
    return name, int(number)


def newer(sdp: bytes, number: int, direction: str = "sendrecv") -> bytes:
    """The same description, a version later, with this direction."""
    sdp = re.sub(rb"(o=\S+ \S+) \d+", rb"\1 %d" % number, sdp)
    return sdp.replace(b"a=sendrecv", b"a=" + direction.encode())


class SessionChangeCase(RealCase):
    """A call out of a browser, up."""

    browser_phone: Browser
    trunk_phone: Peer

    async def up(self, answer_of_trunk: bytes = PLAIN_SDP) -> tuple[Dialog, Dialog]:
        """The browser's dialog and the trunk's; what both were told is kept in `at_browser` and `at_trunk`."""
        self.browser_phone, self.trunk_phone = await self.browser(), await self.peer()
        calling = self.browser_phone.invite(f"sip:echo@{self.plain}")
        invite = await self.trunk_phone.request("INVITE")
        callee = self.trunk_phone.accept(invite, answer_of_trunk)
        answer = await calling.final()
        caller = Dialog.of_caller(self.browser_phone, calling.invite, answer)
        caller.ack()
        await self.trunk_phone.request("ACK")
        self.at_trunk, self.at_browser = invite.body, answer.body
        return caller, callee

    async def crossed(self, asker: Dialog, other: Dialog, offer: bytes, answer: bytes) -> tuple[Request, Response]:
        """Offer by re-INVITE, and answer: the INVITE that crossed, and the 200 that came back."""
        asked = asker.send("INVITE", body=offer)
        invite = await other.phone.request("INVITE")
        other.phone.reply(invite, 200, body=answer)
        await other.phone.request("ACK")
        response = await asker.phone.response(asked)
        self.assertEqual(200, response.status)
        asker.ack()
        return invite, response

    def assert_plain(self, sdp: bytes) -> None:
        """Nothing of WebRTC's, and the ports stay."""
        self.assertEqual(set(), attributes(sdp) & UNWANTED)
        self.assertEqual({"RTP/AVP"}, {line.split()[2] for line in lines(sdp, "m=")})
        self.assertEqual(port(self.at_trunk), port(sdp))

    def assert_browsers(self, sdp: bytes) -> None:
        """Ports, ICE credentials and certificate are those of the set-up."""
        self.assertEqual({"UDP/TLS/RTP/SAVPF"}, {line.split()[2] for line in lines(sdp, "m=")})
        self.assertEqual(identity(self.at_browser), identity(sdp))


class Hold(SessionChangeCase):
    """Hold and resume: directions cross, and nothing else changes."""

    async def test_by_the_browser(self) -> None:
        """sendonly to the trunk, recvonly back, and sendrecv again; each leg's o= line counts on (RFC 3264 8)."""
        caller, callee = await self.up()
        held, answer = await self.crossed(
            caller, callee, newer(CHROME_OFFER, 3, "sendonly"), newer(PLAIN_SDP, 2, "recvonly")
        )
        self.assertIn("a=sendonly", lines(held.body))
        self.assertIn("a=recvonly", lines(answer.body))
        self.assert_plain(held.body)
        self.assert_browsers(answer.body)
        self.assertEqual(["a=setup:passive"], lines(answer.body, "a=setup"))
        self.assertEqual((version(self.at_trunk)[0], version(self.at_trunk)[1] + 1), version(held.body))
        self.assertEqual((version(self.at_browser)[0], version(self.at_browser)[1] + 1), version(answer.body))
        resumed, answer = await self.crossed(caller, callee, newer(CHROME_OFFER, 4), newer(PLAIN_SDP, 3))
        self.assertIn("a=sendrecv", lines(resumed.body))
        self.assertIn("a=sendrecv", lines(answer.body))
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *SET_UP, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *TAKEN, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_by_the_trunk(self) -> None:
        """The browser is offered sendonly with setup:actpass, and its answer crosses as recvonly."""
        caller, callee = await self.up()
        held, answer = await self.crossed(
            callee, caller, newer(PLAIN_SDP, 2, "sendonly"), newer(CHROME_ANSWER, 3, "recvonly")
        )
        self.assertIn("a=sendonly", lines(held.body))
        self.assertEqual(["a=setup:actpass"], lines(held.body, "a=setup"))
        self.assert_browsers(held.body)
        self.assertIn("a=recvonly", lines(answer.body))
        self.assert_plain(answer.body)
        resumed, answer = await self.crossed(callee, caller, newer(PLAIN_SDP, 3), newer(CHROME_ANSWER, 4))
        self.assertIn("a=sendrecv", lines(resumed.body))
        self.assertIn("a=sendrecv", lines(answer.body))
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *TAKEN, *TAKEN, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *SET_UP, *SET_UP, *HUNG_UP], self.ladder.of("trunk"))

    async def test_by_the_trunk_in_the_old_way(self) -> None:
        """c=IN IP4 0.0.0.0 (RFC 2543) is a hold, too: the browser is told a direction."""
        caller, callee = await self.up()
        offer = newer(PLAIN_SDP, 2).replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0")
        held, _ = await self.crossed(callee, caller, offer, newer(CHROME_ANSWER, 3, "recvonly"))
        self.assert_browsers(held.body)
        await self.crossed(callee, caller, newer(PLAIN_SDP, 3), newer(CHROME_ANSWER, 4))
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *TAKEN, *TAKEN, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *SET_UP, *SET_UP, *HUNG_UP], self.ladder.of("trunk"))

    async def test_by_update(self) -> None:
        """A browser that lists UPDATE gets the trunk's UPDATE as one."""
        caller, callee = await self.up()
        self.assertEqual(200, (await caller.ask("UPDATE", [("Allow", "INVITE, ACK, BYE, UPDATE")])).status)
        update = callee.send("UPDATE", body=newer(PLAIN_SDP, 2, "sendonly"))
        crossed = await self.browser_phone.request("UPDATE")
        self.assertIn("a=sendonly", lines(crossed.body))
        self.browser_phone.reply(crossed, 200, body=newer(CHROME_ANSWER, 3, "recvonly"))
        answer = await self.trunk_phone.response(update)
        self.assertEqual(200, answer.status)
        self.assertIn("a=recvonly", lines(answer.body))
        await self.hang_up(caller, callee)
        self.assertEqual(
            [*SET_UP, "> UPDATE", "< 200 UPDATE", "< UPDATE sdp", "> 200 UPDATE sdp", *HANGS_UP],
            self.ladder.of("alice"),
        )
        self.assertEqual([*TAKEN, "> UPDATE sdp", "< 200 UPDATE sdp", *HUNG_UP], self.ladder.of("trunk"))


class Unchanged(SessionChangeCase):
    """What the other side has already is answered without it."""

    async def test_five_refreshes(self) -> None:
        """A re-INVITE that changes nothing: the o= line of the answer stays (RFC 3264 section 8)."""
        caller, callee = await self.up()
        seen = set()
        for _ in range(5):
            calling = Calling(self.browser_phone, caller.send("INVITE", body=CHROME_OFFER), True)
            answer = await calling.final()
            self.assertEqual(200, answer.status)
            caller.ack()
            self.assert_browsers(answer.body)
            seen.add(version(answer.body))
        self.assertEqual({version(self.at_browser)}, seen)
        await self.trunk_phone.silence(0.2)
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP * 6, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_ice_restart(self) -> None:
        """New ICE credentials of the browser's get new ones of rtpengine's; certificate, DTLS role and ports stay,
        and the trunk learns nothing of it (RFC 8839 section 4.4.1.1, RFC 8842 section 5.5; field.rst X6: ICE
        restart)."""
        caller, callee = await self.up()
        offer = newer(CHROME_OFFER, 3).replace(b"ufrag:L+wQ", b"ufrag:N3ww").replace(b"pwd:LMo/", b"pwd:abcd")
        answer = await Calling(self.browser_phone, caller.send("INVITE", body=offer), True).final()
        self.assertEqual(200, answer.status)
        caller.ack()
        for same in ("a=fingerprint", "a=setup", "m=audio"):
            self.assertEqual(lines(self.at_browser, same), lines(answer.body, same))
        for other in ("a=ice-ufrag", "a=ice-pwd"):
            self.assertNotEqual(lines(self.at_browser, other), lines(answer.body, other))
        await self.trunk_phone.silence(0.2)
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_trunk_on_another_port(self) -> None:
        """The trunk's media moves: rtpengine sends there, and the browser learns nothing of it."""
        plain = PLAIN_SDP.replace(b"101", b"126")  # as the browser has numbered it
        caller, callee = await self.up(plain)
        offer = newer(plain, 2).replace(b"m=audio 9000", b"m=audio 9100")
        answer = await Calling(self.trunk_phone, callee.send("INVITE", body=offer), True).final()
        self.assertEqual(200, answer.status)
        callee.ack()
        self.assert_plain(answer.body)
        await self.browser_phone.silence(0.2)
        self.assertIn(9100, await self.endpoints())
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *SET_UP, *HUNG_UP], self.ladder.of("trunk"))


class Media(SessionChangeCase):
    """m-lines come and go."""

    async def test_video(self) -> None:
        """Video is added, and refused by port 0 later: its place is kept (RFC 3264 sections 5.1 and 8)."""
        caller, callee = await self.up()
        added, answer = await self.crossed(
            caller, callee, newer(CHROME_OFFER, 3) + VIDEO, newer(PLAIN_SDP, 2) + PLAIN_VIDEO
        )
        self.assert_plain(added.body)
        self.assertEqual(["m=audio", "m=video"], [line.split()[0] for line in lines(answer.body, "m=")])
        self.assertNotEqual("0", lines(added.body, "m=video")[0].split()[1])
        self.assertNotEqual("0", lines(answer.body, "m=video")[0].split()[1])
        without = VIDEO.replace(b"m=video 59460", b"m=video 0")
        removed, answer = await self.crossed(
            caller,
            callee,
            newer(CHROME_OFFER, 4) + without,
            newer(PLAIN_SDP, 3) + PLAIN_VIDEO.replace(b"m=video 9002", b"m=video 0"),
        )
        self.assertEqual("0", lines(removed.body, "m=video")[0].split()[1])
        self.assertEqual("0", lines(answer.body, "m=video")[0].split()[1])
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *SET_UP, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *TAKEN, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))

    async def test_codec(self) -> None:
        """The trunk changes to PCMA; so does the browser."""
        caller, callee = await self.up()
        pcma = newer(PLAIN_SDP, 2).replace(b"RTP/AVP 0 101", b"RTP/AVP 8 101").replace(b"0 PCMU", b"8 PCMA")
        answer = newer(CHROME_ANSWER, 3).replace(b"SAVPF 0 126", b"SAVPF 8 101").replace(b":126 tele", b":101 tele")
        changed, back = await self.crossed(callee, caller, pcma, answer)
        self.assertEqual("8", lines(changed.body, "m=audio")[0].split()[3])
        self.assertEqual("8", lines(back.body, "m=audio")[0].split()[3])
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *TAKEN, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *SET_UP, *HUNG_UP], self.ladder.of("trunk"))


class LateOffer(SessionChangeCase):
    """re-INVITE without SDP."""

    async def test_by_the_trunk(self) -> None:
        """The browser's offer is in the trunk's 200, the trunk's answer in the browser's ACK."""
        caller, callee = await self.up()
        asked = callee.send("INVITE")
        invite = await self.browser_phone.request("INVITE")
        self.assertEqual(b"", invite.body)
        self.browser_phone.reply(invite, 200, body=newer(CHROME_OFFER, 3))
        offer = await self.trunk_phone.response(asked)
        self.assert_plain(offer.body)
        callee.ack(newer(PLAIN_SDP, 2))
        ack = await self.browser_phone.request("ACK")
        self.assert_browsers(ack.body)
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, "< INVITE", "> 200 INVITE sdp", "< ACK sdp", *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "> INVITE", "< 200 INVITE sdp", "> ACK sdp", *HUNG_UP], self.ladder.of("trunk"))

    async def test_by_the_browser(self) -> None:
        """The trunk's offer is in the browser's 200, the browser's answer in the trunk's ACK
        (original.rst: re-INVITE, without an offer, from the browser)."""
        caller, callee = await self.up()
        asked = caller.send("INVITE")
        invite = await self.trunk_phone.request("INVITE")
        self.trunk_phone.reply(invite, 200, body=newer(PLAIN_SDP, 2))
        offer = await self.browser_phone.response(asked)
        self.assert_browsers(offer.body)
        caller.ack(newer(CHROME_ANSWER, 3))
        ack = await self.trunk_phone.request("ACK")
        self.assert_plain(ack.body)
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, "> INVITE", "< 200 INVITE sdp", "> ACK sdp", *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "< INVITE", "> 200 INVITE sdp", "< ACK sdp", *HUNG_UP], self.ladder.of("trunk"))


class Glare(SessionChangeCase):
    """Both sides offer at once."""

    async def test_both_hear_491(self) -> None:
        """What crosses on the wire is refused on both sides, and the later try works (RFC 3261 section 14.1)."""
        caller, callee = await self.up()
        first = caller.send("INVITE", body=newer(CHROME_OFFER, 3, "sendonly"))
        second = callee.send("INVITE", body=newer(PLAIN_SDP, 2, "sendonly"))
        await pause(0.3)
        await self.refuse(callee)
        await self.refuse(caller)
        self.assertEqual(491, (await Calling(self.browser_phone, first, True).final()).status)
        self.assertEqual(491, (await Calling(self.trunk_phone, second, True).final()).status)
        await self.crossed(callee, caller, newer(PLAIN_SDP, 3, "sendonly"), newer(CHROME_ANSWER, 4, "recvonly"))
        await self.hang_up(caller, callee)
        self.assertEqual([*TAKEN, *HANGS_UP], self.ladder.of("alice")[-5:])
        self.assertEqual([*SET_UP, *HUNG_UP], self.ladder.of("trunk")[-5:])

    async def refuse(self, dialog: Dialog) -> None:
        """491 to the re-INVITE, where it is the other side's that has crossed."""
        if any(invite.to.tag is not None for invite in dialog.phone.requests("INVITE")):
            dialog.phone.reply(await dialog.phone.request("INVITE"), 491)
