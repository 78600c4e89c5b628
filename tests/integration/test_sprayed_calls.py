"""Calls through the whole proxy with real media, while a third party sprays RTP and RTCP at every port of them, from
before the answer to the end: it hears nothing and is not heard (docs/access.rst: media)."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from tests.integration.sprayer import SprayerCase
from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause, until
from tests.support.real.ports import free_port
from tests.support.real.replacing import replaces
from tests.support.real.softphone import Peer
from tests.support.real.trunk_media import TrunkMedia
from tests.support.real.webrtc import WebPhone
from webrtcproxy.sip.message import Request

PLAIN = "[trunk plain]\nhost = 127.0.0.1:@plain@\n"
FIRST, SECOND = free_port(), free_port()


class CallCase(SprayerCase, RealCase):
    """A scripted browser with ICE and DTLS, and a scripted trunk."""

    async def setUp(self) -> None:
        await super().setUp()
        self.begin()
        self.alice, self.bob = await self.browser(), await self.peer()

    async def call(self) -> None:
        """Alice calls Bob, who answers after a while, and says nothing for another while."""
        calling = self.alice.invite(f"sip:bob@{self.plain}", body=self.web.offer())
        invite = await self.bob.request("INVITE")
        await self.sprayed()
        self.bobs = self.bob.accept(invite, self.trunk.answer(invite.body))
        answer = await calling.response(200)
        self.web.take(answer.body)
        self.alices = Dialog.of_caller(self.alice, calling.invite, answer)
        self.alices.ack()
        await self.bob.request("ACK")
        await self.sprayed()
        self.trunk.talk(invite.body)
        await self.both_hear()

    async def web_offers(self, direction: str, answered: str) -> None:
        """A re-INVITE of the browser's."""
        sent = self.alices.send("INVITE", body=self.web.offer(direction))
        invite = await self.bob.request("INVITE")
        self.trunk.stop()
        self.bob.reply(invite, 200, body=self.trunk.answer(invite.body, answered))
        self.web.take((await self.alice.response(sent, 200)).body)
        self.alices.ack()
        await self.bob.request("ACK")
        await self.sprayed()

    async def over(self, by: Dialog, other: Dialog) -> None:
        await self.hang_up(by, other)
        self.nobody_in()


class Calls(CallCase):
    """A trunk whose section says no more than where it is."""

    async def test_hold(self) -> None:
        """The browser holds and resumes; while it holds, the trunk is silent."""
        await self.call()
        await self.web_offers("sendonly", "recvonly")
        await pause(4)
        await self.web_offers("sendrecv", "sendrecv")
        self.trunk.talk((self.bob.requests("INVITE")[-1]).body)
        await self.both_hear()
        await self.over(self.alices, self.bobs)

    async def test_trunk_moves(self) -> None:
        """A re-INVITE of the trunk with another address, where nobody speaks before he hears something, while packets
        from the former one still come. The browser, for which nothing changes, need not be asked (field.rst X7: Media
        that move)."""
        await self.call()
        moved = self.end()
        sent = self.bobs.send("INVITE", body=moved.sdp())
        answer = await self.bob.response(sent, 200)
        self.bobs.ack()
        await pause(0.5)
        self.trunk.stop()
        await until(lambda: moved.heard[self.web.ssrc] > 20, "heard at the new address")
        moved.talk(answer.body)
        await self.both_hear(moved)
        await self.over(self.alices, self.bobs)

    async def test_early_media(self) -> None:
        """The trunk plays an announcement before it answers with the same SDP."""
        calling = self.alice.invite(f"sip:bob@{self.plain}", body=self.web.offer())
        invite = await self.bob.request("INVITE")
        await self.sprayed()
        early = self.bob.reply(invite, 183, body=self.trunk.answer(invite.body))
        self.web.take((await calling.response(183)).body)
        await self.sprayed()
        self.trunk.talk(invite.body)
        await self.both_hear()
        bobs = Dialog.of_callee(self.bob, invite, self.bob.reply(invite, 200, body=early.body))
        alices = await calling.answered()
        await self.bob.request("ACK")
        await self.sprayed()
        await self.both_hear()
        await self.over(alices, bobs)


class Encrypted(Calls):
    """`media = srtp`."""

    srtp = True
    changes = ((PLAIN, f"{PLAIN}media = srtp\n"),)


class Called(CallCase):
    """A trunk behind Kamailio, which rings the browser that is registered there."""

    async def test_called(self) -> None:
        """A trunk calls a browser, which answers after a while."""
        alice, bob = await self.registered(), await self.kamailio_peer()
        calling = bob.invite("sip:alice@pbx.test", body=self.trunk.sdp())
        invite = await alice.request("INVITE")
        await self.sprayed()
        called = alice.accept(invite, self.web.answer(invite.body))
        answer = await calling.response(200)
        caller = Dialog.of_caller(bob, calling.invite, answer)
        caller.ack()
        await alice.request("ACK")
        await self.sprayed()
        self.trunk.talk(answer.body)
        await self.both_hear()
        await self.over(caller, called)


class Transferred(CallCase):
    """`refer = local`: rtpengine knows both ends of the new session as trunks, which do not encrypt."""

    changes = ((PLAIN, f"{PLAIN}refer = local\n"), ("[trunk paid]\n", "[trunk paid]\nredirects = follow\n"))

    async def test_blind(self) -> None:
        """The one that is transferred hears nothing of what is sprayed at the ports of a target that only rings; nor
        does anybody later."""
        carol, carols_media = await self.peer(LAB.paid), self.end()
        await self.call()
        sent = self.alices.send("REFER", [("Refer-To", f"<sip:carol@{self.paid}>")])
        self.bob.reply(await self.bob.request("REFER"), 405)
        self.assertEqual(202, (await self.alice.response(sent)).status)
        invite = await carol.request("INVITE")
        carol.reply(invite, 180)
        await self.sprayed()
        carols = carol.accept(invite, carols_media.answer(invite.body))
        await carol.request("ACK")
        again = await self.bob.request("INVITE")
        self.bob.reply(again, 200, body=self.trunk.answer(again.body))
        await self.bob.request("ACK")
        await self.sprayed()
        for _ in range(3):
            self.alice.reply(await self.alice.request("NOTIFY"), 200)
        await self.alices.hung_up()
        self.trunk.talk(again.body)
        carols_media.talk(invite.body)
        await self.trunks_hear(self.trunk, carols_media)
        await self.over(carols, self.bobs)

    async def test_attended(self) -> None:
        """Nor does anybody where the target is the other end of a second call of the transferor, sprayed as well."""
        carol, carols_media, second = await self.peer(LAB.paid), self.end(), WebPhone()
        self.addCleanup(second.close)
        await self.call()
        calling = self.alice.invite(f"sip:carol@{self.paid}", body=second.offer())
        invite = await carol.request("INVITE")
        carols = carol.accept(invite, carols_media.answer(invite.body))
        consulting = await calling.answered()
        await carol.request("ACK")
        await self.sprayed()
        where = f"<{consulting.target}?Replaces={quote(replaces(consulting), safe='')}>"
        sent = self.alices.send("REFER", [("Refer-To", where)])
        self.bob.reply(await self.bob.request("REFER"), 405)
        self.assertEqual(202, (await self.alice.response(sent)).status)
        to_carol = await carol.request("INVITE")
        await self.sprayed()
        carol.reply(to_carol, 200, body=carols_media.answer(to_carol.body))
        await carol.request("ACK")
        to_bob = await self.bob.request("INVITE")
        await self.sprayed()
        self.bob.reply(to_bob, 200, body=self.trunk.answer(to_bob.body))
        await self.bob.request("ACK")
        await self.sprayed()
        await consulting.hung_up()
        for _ in range(2):
            self.alice.reply(await self.alice.request("NOTIFY"), 200)
        await self.alices.hung_up()
        self.trunk.talk(to_bob.body)
        carols_media.talk(to_carol.body)
        await self.trunks_hear(self.trunk, carols_media)
        await self.over(carols, self.bobs)

    async def trunks_hear(self, one: TrunkMedia, other: TrunkMedia) -> None:
        await until(lambda: min(one.heard[other.ssrc], other.heard[one.ssrc]) > 50, "both hear each other", 5)


class EncryptedTransferred(Transferred):
    """`media = srtp` at both trunks: each end has keys of its own with rtpengine."""

    srtp = True
    changes = (
        (PLAIN, f"{PLAIN}refer = local\nmedia = srtp\n"),
        ("[trunk paid]\n", "[trunk paid]\nredirects = follow\nmedia = srtp\n"),
    )


class Failover(CallCase):
    """A trunk with two servers."""

    changes: ClassVar[tuple[tuple[str, str], ...]] = (
        (PLAIN, f"[trunk pair]\nhost = pair.test\nproxy = 127.0.0.1:{FIRST} 127.0.0.1:{SECOND}\n{PLAIN}"),
    )

    async def test_second_server(self) -> None:
        """The first one says 503; the second answers after a while."""
        first, second = await self.peer(FIRST), await self.peer(SECOND)
        calling = self.alice.invite("sip:bob@pair.test", body=self.web.offer())
        await self.sprayed()
        await self.refused(first, await first.request("INVITE"))
        invite = await second.request("INVITE")
        await self.sprayed()
        bobs = second.accept(invite, self.trunk.answer(invite.body))
        answer = await calling.response(200)
        self.web.take(answer.body)
        alices = Dialog.of_caller(self.alice, calling.invite, answer)
        alices.ack()
        await second.request("ACK")
        await self.sprayed()
        self.trunk.talk(invite.body)
        await self.both_hear()
        await self.over(alices, bobs)

    async def refused(self, server: Peer, invite: Request) -> None:
        server.reply(invite, 503)
        await server.request("ACK")
