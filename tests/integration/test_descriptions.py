"""Corners of SDP with the real rtpengine, as a scripted browser and trunk see them (corners.rst 3)."""

from __future__ import annotations

from typing import Any, cast

from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP
from tests.support.sdp import lines, sample

OTHER_FINGERPRINT = b"99:AA:8F:4A:CC:C8:70:0E:EC:67:2E:FD:A4:82:27:A0:EB:A7:BC:68:66:07:EA:CF:11:35:3C:6E:45:72:50:DD"
FINGERPRINT = b"77:33:8F:4A:CC:C8:70:0E:EC:67:2E:FD:A4:82:27:A0:EB:A7:BC:68:66:07:EA:CF:11:35:3C:6E:45:72:50:DD"


class Offers(RealCase):
    """What browsers and trunks offer and answer."""

    async def test_refused_by_rtpengine(self) -> None:
        """An offer that rtpengine can't read: 488, nobody is called, and the next call works
        (original.rst: INVITE with SDP rtpengine refuses)."""
        browser, trunk = await self.browser(), await self.peer()
        final = await browser.invite(f"sip:echo@{self.plain}", body=b"v=0\r\nthis is none\r\n").final()
        self.assertEqual(488, final.status)
        await trunk.silence(0.2)
        caller, callee = await self.connected(browser, trunk)
        await self.hang_up(caller, callee)

    async def test_mdns_candidates(self) -> None:
        """Candidates with names of multicast DNS, as browsers have them by default: the call comes about, and the name
        is nobody's to look up (corners.rst 3: mDNS candidates)."""
        browser, trunk = await self.browser(), await self.peer()
        offer = sample("firefox-audio")
        self.assertIn(b".local ", offer)
        calling = browser.invite(f"sip:echo@{self.plain}", body=offer)
        invite = await trunk.request("INVITE")
        self.assertNotIn(b".local", invite.body)
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        self.assertNotIn(".local", self.proxy.log(self._log_start))
        await self.hang_up(caller, callee)

    async def test_without_candidates(self) -> None:
        """An offer without any candidate, since they are to trickle: taken, and answered whole
        (corners.rst 3: Trickle; RFC 8838)."""
        browser, trunk = await self.browser(), await self.peer()
        bare = b"".join(line for line in CHROME_OFFER.splitlines(True) if not line.startswith(b"a=candidate"))
        calling = browser.invite(f"sip:echo@{self.plain}", body=bare)
        callee = trunk.accept(await trunk.request("INVITE"))
        answer = await calling.final()
        self.assertEqual(1, len(lines(answer.body, "a=candidate")))
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_telephone_events_of_both_rates(self) -> None:
        """A browser's telephone-event for 48000 Hz, beside opus, and for 8000 Hz both reach the trunk: one for each
        clock rate (corners.rst 3: telephone-event; RFC 4733 section 2.1)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        events = [line.split()[1] for line in lines(invite.body, "a=rtpmap") if "telephone-event" in line]
        self.assertEqual(["telephone-event/48000", "telephone-event/8000"], sorted(events))
        trunk.reply(invite, 486)
        self.assertEqual(486, (await calling.final()).status)

    async def test_payload_numbers(self) -> None:
        """A trunk that calls telephone-event otherwise in its answer than it was offered (RFC 3264 section 6.1 has it
        as a SHOULD): the browser is told the trunk's number (corners.rst 3: Payload numbers; field.rst D: Another
        payload number)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        self.assertIn("a=rtpmap:126 telephone-event/8000", lines(invite.body))
        callee = trunk.accept(invite)  # whose number is 101
        answer = await calling.final()
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        await trunk.request("ACK")
        self.assertEqual(["0", "101"], lines(answer.body, "m=audio")[0].split()[3:])
        self.assertIn("a=rtpmap:101 telephone-event/8000", lines(answer.body, "a=rtpmap"))
        await self.hang_up(caller, callee)

    async def test_names_of_hosts(self) -> None:
        """A trunk that names a host in the place of its address is called, and may call; one that nobody knows is
        refused (corners.rst 3: Names of hosts; RFC 8866 section 5.7; field.rst W8: Name of a host)."""
        browser, trunk = await self.registered(), await self.kamailio_peer()
        named = PLAIN_SDP.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 localhost")
        calling = trunk.invite("sip:alice@pbx.test", body=named)
        invite = await browser.request("INVITE")
        self.assertNotIn(b"localhost", invite.body)
        called = browser.accept(invite)
        caller = await calling.answered()
        await browser.request("ACK")
        await self.hang_up(caller, called)
        refused = trunk.invite("sip:alice@pbx.test", body=named.replace(b"localhost", b"nobody.invalid"))
        self.assertEqual(488, (await refused.final()).status)

    async def test_another_fingerprint(self) -> None:
        """A browser that comes with another certificate has another DTLS association: its offer is taken and answered,
        the trunk need not know (corners.rst 3: tls-id / fingerprint; RFC 8842 section 5.5)."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        offer = CHROME_OFFER.replace(FINGERPRINT, OTHER_FINGERPRINT).replace(b" 2 IN", b" 3 IN")
        offer = offer.replace(b"ufrag:L+wQ", b"ufrag:N3ww").replace(b"pwd:LMo/", b"pwd:abcd")
        answer = await Calling(browser, caller.send("INVITE", body=offer), True).final()
        self.assertEqual(200, answer.status)
        self.assertEqual(1, len(lines(answer.body, "a=fingerprint")))
        self.assertIn(lines(answer.body, "a=setup")[0], ("a=setup:active", "a=setup:passive"))
        caller.ack()
        await trunk.silence(0.2)
        await self.hang_up(caller, callee)

    async def test_attributes_of_the_session(self) -> None:
        """Fingerprint and ICE credentials for the whole session instead of for the medium (as Firefox has the former)
        serve as well, in an offer and in an answer (corners.rst 3: Session-level vs media-level)."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        moved = (b"a=fingerprint", b"a=ice-ufrag", b"a=ice-pwd", b"a=setup")
        all_lines = CHROME_ANSWER.splitlines(True)
        session = [line for line in all_lines if line.startswith(moved)]
        rest = b"".join(line for line in all_lines if not line.startswith(moved))
        answer = rest.replace(b"t=0 0\r\n", b"t=0 0\r\n" + b"".join(session))
        calling = caller.invite("sip:alice@pbx.test")
        called = browser.accept(await browser.request("INVITE"), answer)
        dialog = await calling.answered()
        await browser.request("ACK")
        known = await self.rtpengine.query(await self.session())
        tags = cast(dict[bytes, Any], known[b"tags"])
        flags = [media[b"flags"] for tag in tags.values() for media in tag[b"medias"]]
        self.assertTrue(any(b"DTLS-SRTP" in each and b"ICE" in each for each in flags), flags)
        await self.hang_up(dialog, called)
