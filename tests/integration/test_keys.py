"""Keys in descriptions, with the real rtpengine and a scripted trunk (RFC 4568; corners.rst 3: Transport protocol)."""

from __future__ import annotations

from re import sub

from tests.integration.media import CHROME, MediaCase, browser_answer
from tests.integration.test_media import sdp
from tests.sip.sdp.test_keys import LENGTHS, SUITE, key
from tests.support.real.case import RealCase, until
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.softphone import Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER
from tests.support.real.trunk_media import TrunkMedia as Media
from tests.support.real.webrtc import WebPhone
from tests.support.sdp import lines
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import profiles_of
from webrtcproxy.runtime.errors import NgRefused


def secure(*keys: str) -> bytes:
    """A trunk's description with these."""
    return (
        sdp(40000, (0, 101)).replace(b"RTP/AVP", b"RTP/SAVP")
        + "".join(f"a=crypto:{each}\r\n" for each in keys).encode()
    )


def chosen(description: bytes) -> list[list[str]]:
    """Tag and suite of each key."""
    return [line.removeprefix("a=crypto:").split()[:2] for line in lines(description, "a=crypto")]


USELESS = (
    key(1, "NULL_HMAC_SHA1_80", 30), key(1, "X", 30), key(octets=16), key(octets=46), key()[:-1] + "-",
    key(rest=" UNENCRYPTED_SRTP"), key(rest=" UNENCRYPTED_SRTCP"), key(rest=" UNAUTHENTICATED_SRTP"), key(rest=" FOO"),
    key(rest=" KDR=4"), key(rest="|2^20|1:4;inline:" + "A" * 40 + "|2^20|2:4"),
)  # fmt: skip


class Keys(MediaCase):
    """What rtpengine agrees to with a trunk that encrypts."""

    to, back = profiles_of(TrunkMedia(srtp=True))

    async def answered(self, *keys: str) -> list[list[str]]:
        """What a trunk that offers these is answered."""
        self.session = self.nodes.session("call")
        self.addCleanup(self.session.delete)
        await self.offer(secure(*keys), self.back)
        return chosen(await self.answer(browser_answer("AAAA", 50001, mid="1"), self.to))

    async def test_suites(self) -> None:
        """Each suite that is taken for usable rtpengine has, and answers with the tag that was offered; with lifetime,
        identifier and harmless parameters, too, and with keys beside it that can't be used."""
        for suite in LENGTHS:
            self.assertEqual([["7", suite]], await self.answered(key(7, suite)))
            self.assertEqual([["7", suite]], await self.answered(key(7, suite).rstrip("=")))
        for rest in ("|2^20|1:4", "|1:1", "|2^48", "|255:128", " WSH=64 -X=y", " KDR=0"):
            self.assertEqual([["5", SUITE]], await self.answered(key(5, rest=rest)))
        for useless in USELESS:
            self.assertEqual([["2", SUITE]], await self.answered(useless, key(2)))

    async def test_useless(self) -> None:
        """An offer with nothing else is refused, and so is an answer."""
        for useless in USELESS:
            with self.assertRaises(NgRefused):
                await self.offer(secure(useless), self.back)
        self.session = self.nodes.session("call")
        self.addCleanup(self.session.delete)
        tags = {suite: int(tag) for tag, suite in chosen(await self.offer(CHROME, self.to))}
        for useless in USELESS:
            with self.assertRaises(NgRefused):
                await self.answer(secure(useless.replace("1 ", f"{tags[SUITE]} ", 1)), self.back)
        for tag in (*tags.values(), 99):
            with self.assertRaises(NgRefused):
                await self.answer(secure(key(tag, "F8_128_HMAC_SHA1_80")), self.back)
        await self.answer(secure(key(99, "F8_128_HMAC_SHA1_80"), key(tags[SUITE])), self.back)

    async def test_changed_later(self) -> None:
        """A later offer, and the answer to it, keep tag and suite, whoever makes it and whatever the tag was."""
        self.assertEqual([["7", SUITE]], await self.answered(key(7)))
        held = await self.offer(CHROME.replace(b"sendrecv", b"sendonly"), self.to, from_tag="B")
        self.assertEqual(["7", SUITE], chosen(held)[0])
        await self.answer(secure(key(7)), self.back, from_tag="B", to_tag="A")
        await self.offer(secure(key(7)), self.back)
        answer = await self.answer(browser_answer("AAAA", 50001, mid="1"), self.to)
        self.assertEqual([["7", SUITE]], chosen(answer))


class Calls(RealCase):
    """Calls to and from a trunk that encrypts."""

    changes = (
        ("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\nmedia = srtp"),
        ("host = pbx.test", "host = pbx.test\nmedia = srtp"),
    )

    async def test_answers(self) -> None:
        """The trunk answers with a key that it was not offered: it gets BYE, the browser 488 (RFC 4568 section
        5.1.3), and no session is left at rtpengine."""
        browser, trunk = await self.browser(), await self.peer()
        for answer in (secure(), secure(key(1, "F8_128_HMAC_SHA1_80")), secure(USELESS[0])):
            calling = browser.invite(f"sip:echo@{self.plain}")
            callee = trunk.accept(await trunk.request("INVITE"), answer)
            self.assertEqual(488, (await calling.final()).status)
            await trunk.request("ACK")
            await callee.hung_up()
        await self.rtpengine.assert_empty()

    async def test_same_tag(self) -> None:
        """The trunk offers two suites with one tag, in either order: the answer has the first, and both hear each
        other, also after it has offered them again (field.rst X18: Keys that share a tag)."""
        browser, trunk = await self.registered(), await self.kamailio_peer()
        short = "AES_CM_128_HMAC_SHA1_32"
        for suite, other in ((SUITE, short), (short, SUITE)):
            media, web = Media(srtp=True, key=key(1, suite).partition(" ")[2]), WebPhone()
            self.addCleanup(media.close)
            self.addCleanup(web.close)
            offer = media.sdp().replace(b"a=rtpmap:0", f"a=crypto:{key(1, other)}\r\na=rtpmap:0".encode())
            calling = trunk.invite("sip:alice@pbx.test", body=offer)
            invite = await browser.request("INVITE")
            called = browser.accept(invite, web.answer(invite.body))
            final = await calling.final()
            self.assertEqual((200, [["1", suite]]), (final.status, chosen(final.body)))
            caller = Dialog.of_caller(trunk, calling.invite, final)
            caller.ack()
            await browser.request("ACK")
            media.talk(final.body)
            await self.heard(web, media)
            answer = await caller.ask("INVITE", body=offer)
            self.assertEqual([["1", suite]], chosen(answer.body))
            caller.ack()
            media.talk(answer.body)
            await self.heard(web, media)
            await self.hang_up(caller, called)
            await web.close()

    async def test_same_tag_in_an_answer(self) -> None:
        """The trunk answers with two keys with one tag, of which one is as it was offered: that counts (field.rst X18:
        Keys that share a tag)."""
        browser, trunk, media = await self.browser(), await self.peer(), Media(srtp=True)
        self.addCleanup(media.close)
        for before in (True, False):
            web = WebPhone()
            self.addCleanup(web.close)
            calling = browser.invite(f"sip:echo@{self.plain}", body=web.offer())
            invite = await trunk.request("INVITE")
            answer = media.answer(invite.body)
            ((tag, _),) = chosen(answer)
            other = f"a=crypto:{key(tag, 'AES_CM_128_HMAC_SHA1_32')}\r\n".encode()
            at = answer.index(b"a=crypto" if before else b"a=rtpmap")
            callee = trunk.accept(invite, answer[:at] + other + answer[at:])
            caller = await self.confirmed(calling, web)
            await trunk.request("ACK")
            media.talk(invite.body)
            await self.heard(web, media)
            await self.hang_up(caller, callee)
            await web.close()

    async def test_more_media(self) -> None:
        """The trunk answers one audio with two, in the clear and encrypted: both hear each other, encrypted; the log
        says what is dropped (field.rst X17: More media than offered)."""
        browser, trunk, media = await self.browser(), await self.peer(), Media(srtp=True)
        self.addCleanup(media.close)
        for is_first in (True, False):
            web = WebPhone()
            self.addCleanup(web.close)
            calling = browser.invite(f"sip:echo@{self.plain}", body=web.offer())
            invite = await trunk.request("INVITE")
            head, m, secure = media.answer(invite.body).partition(b"m=audio")
            plain = sub(rb"a=crypto:.*\r\n", b"", secure).replace(b"RTP/SAVP", b"RTP/AVP")
            both = [plain, secure] if is_first else [secure, plain]
            callee = trunk.accept(invite, head + b"".join(m + each for each in both))
            caller = await self.confirmed(calling, web)
            await trunk.request("ACK")
            media.talk(invite.body)
            await self.heard(web, media)
            await self.hang_up(caller, callee)
            self.assertIn("has audio of RTP/AVP, which was not offered: it is dropped", self.proxy.log())
            await web.close()

    async def test_another_tag(self) -> None:
        """The trunk answers with a suite that it was offered, but with a tag of another one or of none: both hear each
        other, also after each side has changed the session. The log says so (field.rst U: Key by another tag)."""
        browser, trunk, media = await self.browser(), await self.peer(), Media(srtp=True)
        self.addCleanup(media.close)
        for tag in ("1", "2", "99"):
            web = WebPhone()
            self.addCleanup(web.close)
            calling = browser.invite(f"sip:echo@{self.plain}", body=web.offer())
            invite = await trunk.request("INVITE")
            self.assertNotIn([tag, SUITE], chosen(invite.body))
            callee = trunk.accept(invite, self.misnamed(media.answer(invite.body), tag))
            caller = await self.confirmed(calling, web)
            await trunk.request("ACK")
            media.talk(invite.body)
            await self.heard(web, media)
            for direction in ("sendonly", "sendrecv"):
                asked = caller.send("INVITE", body=web.offer(direction))
                invite = await trunk.request("INVITE")
                answer = media.answer(invite.body, "recvonly" if direction == "sendonly" else direction)
                trunk.reply(invite, 200, body=self.misnamed(answer, tag))
                await trunk.request("ACK")
                self.assertEqual(200, (await Calling(browser, asked, True).final()).status)
                caller.ack()
            await self.heard(web, media)
            answer = await callee.ask("INVITE", body=self.misnamed(media.sdp(), tag))
            self.assertEqual([[tag, SUITE]], chosen(answer.body))
            callee.ack()
            media.talk(answer.body)
            await self.heard(web, media)
            await self.hang_up(caller, callee)
            self.assertIn(f"has the key {tag} {SUITE}, which was offered with another tag", self.proxy.log())
            await web.close()

    def misnamed(self, sdp: bytes, tag: str) -> bytes:
        return sub(rb"a=crypto:\d+", f"a=crypto:{tag}".encode(), sdp)

    async def confirmed(self, calling: Calling, web: WebPhone) -> Dialog:
        """The browser takes the answer."""
        answer = await calling.final()
        self.assertEqual(200, answer.status)
        web.take(answer.body)
        caller = Dialog.of_caller(calling.phone, calling.invite, answer)
        caller.ack()
        return caller

    async def heard(self, web: WebPhone, media: Media) -> None:
        """Audio comes to both, and can be decrypted."""
        web.heard.clear()
        media.heard.clear()
        await until(lambda: web.heard[media.ssrc] > 20 and media.heard[web.ssrc] > 20, "audio both ways")

    async def test_ice_restart(self) -> None:
        """A browser on a new network is no matter of the trunk's (corners.rst 3: ICE restart), though rtpengine has
        further keys to offer; whoever has called."""
        browser, trunk, caller = await self.registered(), await self.peer(), await self.kamailio_peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        ((tag, _),) = (each for each in chosen(invite.body) if each[1] == SUITE)
        callee = trunk.accept(invite, secure(key(tag)))
        dialog = await calling.answered()
        await trunk.request("ACK")
        await self.restart(dialog, CHROME_OFFER, trunk)
        await self.hang_up(dialog, callee)
        calling = caller.invite("sip:alice@pbx.test", body=secure(key(4, "AES_CM_128_HMAC_SHA1_32"), key(2)))
        called = browser.accept(await browser.request("INVITE"))
        dialog = await calling.answered()
        await browser.request("ACK")
        await self.restart(called, CHROME_ANSWER.replace(b"setup:active", b"setup:actpass"), caller)
        await self.hang_up(dialog, called)

    async def restart(self, of: Dialog, offer: bytes, other: Peer) -> None:
        """An ICE restart of a browser, of which the other side learns nothing."""
        asked = of.send("INVITE", body=sub(rb"a=(ice-ufrag|ice-pwd):.*\r", rb"a=\1:abcdabcdabcdabcdabcdabcd\r", offer))
        self.assertEqual(200, (await Calling(of.phone, asked, True).final()).status)
        of.ack()
        await other.silence(0.3)

    async def test_offers(self) -> None:
        """One that calls with nothing but what can't be used gets 488; with another key beside it, it is answered with
        that."""
        browser, trunk = await self.registered(), await self.kamailio_peer()
        for useless in USELESS[:3]:
            self.assertEqual(488, (await trunk.invite("sip:alice@pbx.test", body=secure(useless)).final()).status)
        calling = trunk.invite("sip:alice@pbx.test", body=secure(USELESS[0], key(2)))
        called = browser.accept(await browser.request("INVITE"))
        final = await calling.final()
        self.assertEqual([["2", SUITE]], chosen(final.body))
        caller = Dialog.of_caller(trunk, calling.invite, final)
        caller.ack()
        await browser.request("ACK")
        await self.hang_up(caller, called)
