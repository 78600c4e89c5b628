"""Transfers that the proxy carries out by itself: scripted endpoints, real rtpengine (RFC 3515, RFC 3725; original.rst:
REFER)."""

from __future__ import annotations

from urllib.parse import quote

from tests.integration.test_transfer import TransferCase
from tests.support.real.case import LAB
from tests.support.real.dialog import Dialog
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.replacing import ORDERS, replaces
from tests.support.real.softphone import Peer
from tests.support.real.sound import Sound, talk
from tests.support.real.speech import CHROME_ANSWER
from webrtcproxy.sip.message import Request

TOLD = ["< NOTIFY", "> 200 NOTIFY"]


class LocalCase(TransferCase):
    """What the scenarios have in common."""

    changes = (
        ("[trunk plain]\nhost = 127.0.0.1:@plain@\n", "[trunk plain]\nhost = 127.0.0.1:@plain@\nrefer = local\n"),
        ("[trunk paid]\n", "[trunk paid]\nredirects = follow\n"),
    )

    async def sound(self, ssrc: int) -> Sound:
        sound = Sound(ssrc)
        self.addCleanup(sound.close)
        return sound

    async def begin(self) -> None:
        """Alice calls bob, who has sound."""
        self.alice, self.bob = await self.browser(), await self.named("bob")
        self.carol = await self.named("carol", LAB.paid)
        self.bobs_sound, self.carols_sound = await self.sound(1), await self.sound(2)
        calling = self.alice.invite(f"sip:bob@{self.plain}")
        self.bobs = self.bob.accept(await self.bob.request("INVITE"), self.bobs_sound.sdp)
        self.first = await calling.answered()
        await self.bob.request("ACK")

    async def refer(self, refer_to: str, status: int = 405) -> None:
        sent = self.first.send("REFER", [("Refer-To", refer_to), ("Referred-By", "<sip:alice@pbx.test>")])
        self.bob.reply(await self.bob.request("REFER"), status)
        self.assertEqual(202, (await self.alice.response(sent)).status)
        await self.told(self.alice, "100 Trying")

    async def agree(self, phone: Peer, sound: Sound) -> bytes:
        """Take the proxy's offer: what it said."""
        invite = await phone.request("INVITE")
        phone.reply(invite, 200, body=sound.sdp.replace(b" 7 1 ", b" 7 2 "))
        await phone.request("ACK")
        return invite.body

    async def taken_over(self, carols: Dialog, invite: Request) -> None:
        """Carol has answered: she and Bob hear each other, Alice is told and hung up on, and then Carol hangs up."""
        await self.carol.request("ACK")
        to_bob = await self.agree(self.bob, self.bobs_sound)
        await self.told(self.alice, "200 OK", last=True)
        await self.first.hung_up()
        await self.session()
        await talk(self.bobs_sound, to_bob, self.carols_sound, invite.body)
        await self.hang_up(carols, self.bobs)


class Local(LocalCase):
    """`refer = local`: the proxy does what the trunk will not."""

    async def test_done(self) -> None:
        """The target rings and answers; both ends hear each other; the transferor is hung up on."""
        await self.begin()
        await self.refer(f"<sip:carol@{self.paid}>")
        invite = await self.carol.request("INVITE")
        self.assertEqual("<sip:alice@pbx.test>", invite.headers.get("Referred-By"))
        self.carol.reply(invite, 180)
        await self.told(self.alice, "180 Ringing")
        carols = self.carol.accept(invite, self.carols_sound.sdp)
        await self.taken_over(carols, invite)
        self.assertEqual(
            [*SET_UP, "> REFER", "< 202 REFER", *TOLD, *TOLD, *TOLD, "< BYE", "> 200 BYE"], self.ladder.of("alice")
        )
        self.assertEqual([*TAKEN, "< REFER", "> 405 REFER", *TAKEN, "< BYE", "> 200 BYE"], self.ladder.of("bob"))
        self.assertEqual(
            ["< INVITE sdp", "> 180 INVITE", "> 200 INVITE sdp", "< ACK", "> BYE", "< 200 BYE"], self.ladder.of("carol")
        )

    async def test_early(self) -> None:
        """The target's answer is in a reliable 183 alone, and it has rung at another place before."""
        await self.begin()
        await self.refer(f"<sip:carol@{self.paid}>")
        invite = await self.carol.request("INVITE")
        self.carol.reply(invite, 302, headers=[("Contact", f"<sip:erin@{self.paid}>")])
        invite = await self.carol.request("INVITE")
        self.assertTrue(invite.uri.startswith("sip:erin@"))
        reliable = [("Require", "100rel"), ("RSeq", "5"), ("Contact", f"<{self.carol.contact}>")]
        self.carol.reply(invite, 183, headers=reliable, body=self.carols_sound.sdp)
        await self.told(self.alice, "183 Session Progress")
        self.carol.reply(await self.carol.request("PRACK"), 200)
        carols = Dialog.of_callee(self.carol, invite, self.carol.reply(invite, 200))
        await self.taken_over(carols, invite)
        self.assertEqual([*SET_UP, "> REFER", "< 202 REFER", *TOLD, *TOLD, *TOLD, *HUNG_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "< REFER", "> 405 REFER", *TAKEN, *HUNG_UP], self.ladder.of("bob"))
        self.assertEqual(
            ["< INVITE sdp", "> 302 INVITE", "< ACK", "< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK",
             "> 200 INVITE", "< ACK", *HANGS_UP],
            self.ladder.of("carol"),
        )  # fmt: skip

    async def test_transferor_leaves(self) -> None:
        """It hangs up after the 202; the two are brought together all the same."""
        await self.begin()
        await self.refer(f"<sip:carol@{self.paid}>", 603)
        invite = await self.carol.request("INVITE")
        self.assertEqual(200, (await self.first.bye()).status)
        carols = self.carol.accept(invite, self.carols_sound.sdp)
        await self.carol.request("ACK")
        to_bob = await self.agree(self.bob, self.bobs_sound)
        await self.told(self.alice, "200 OK", last=True)
        await talk(self.bobs_sound, to_bob, self.carols_sound, invite.body)
        await self.hang_up(self.bobs, carols)
        self.assertEqual([*SET_UP, "> REFER", "< 202 REFER", *TOLD, *HANGS_UP, *TOLD], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "< REFER", "> 603 REFER", *TAKEN, *HANGS_UP], self.ladder.of("bob"))
        self.assertEqual([*TAKEN, *HUNG_UP], self.ladder.of("carol"))

    async def test_failed(self) -> None:
        """Busy: the old call stands, with its session, which may be changed."""
        await self.begin()
        before = await self.session()
        await self.refer(f"<sip:carol@{self.paid}>", 501)
        self.carol.reply(await self.carol.request("INVITE"), 486)
        await self.carol.request("ACK")
        await self.told(self.alice, "486 Busy Here", last=True)
        self.assertEqual(before, await self.session())
        hold = self.bobs_sound.sdp.replace(b" 7 1 ", b" 7 2 ").replace(b"sendrecv", b"sendonly")
        sent = self.bobs.send("INVITE", [("Contact", f"<{self.bob.contact}>")], hold)
        self.alice.reply(await self.alice.request("INVITE"), 200, body=CHROME_ANSWER.replace(b"sendrecv", b"recvonly"))
        await self.alice.request("ACK")
        self.assertEqual(200, (await self.bob.response(sent)).status)
        self.bobs.ack()
        await self.hang_up(self.first, self.bobs)
        self.assertEqual(
            [*SET_UP, "> REFER", "< 202 REFER", "< NOTIFY", "> 200 NOTIFY", "< NOTIFY", "> 200 NOTIFY", *TAKEN, "> BYE",
             "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_not_allowed(self) -> None:
        """Where the transferor may not call itself, it may not send anybody."""
        await self.begin()
        sent = self.first.send("REFER", [("Refer-To", "<sip:x@203.0.113.9>")])
        self.assertEqual(403, (await self.alice.response(sent)).status)
        await self.hang_up(self.first, self.bobs)
        self.assertEqual([*SET_UP, "> REFER", "< 403 REFER", *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *HUNG_UP], self.ladder.of("bob"))

    async def test_two_calls(self) -> None:
        """Attended: the other ends of both calls hear each other; the transferor is hung up on in both."""
        await self.begin()
        calling = self.alice.invite(f"sip:carol@{self.paid}")
        carols = self.carol.accept(await self.carol.request("INVITE"), self.carols_sound.sdp)
        second = await calling.answered()
        await self.carol.request("ACK")
        await self.refer(f"<{second.target}?Replaces={quote(replaces(second, ORDERS[1]), safe='')}>")
        to_carol = await self.agree(self.carol, self.carols_sound)
        to_bob = await self.agree(self.bob, self.bobs_sound)
        await second.hung_up()
        await self.told(self.alice, "200 OK", last=True)
        await self.first.hung_up()
        await self.session()
        await talk(self.bobs_sound, to_bob, self.carols_sound, to_carol)
        await self.hang_up(carols, self.bobs)
        self.assertEqual(
            [*SET_UP, *SET_UP, "> REFER", "< 202 REFER", "< NOTIFY", "> 200 NOTIFY", "< BYE", "> 200 BYE", "< NOTIFY",
             "> 200 NOTIFY", "< BYE", "> 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip


class ServiceRoute(LocalCase):
    """The transferor has registered at Kamailio, which gives it a route (RFC 3608)."""

    async def test_kamailio(self) -> None:
        """The INVITE that the proxy sends there for its transfer has it, and BYE goes by the route of the dialog."""
        self.alice, self.bob = await self.browser(password=PASSWORDS["alice"]), await self.named("bob")
        await self.alice.register(headers=[("X-Service-Route", "please")])
        port = free_port()
        self.carol = await self.peer(port)
        self.carol.proxy = (LOOPBACK, self.kamailio.port)
        self.bobs_sound, self.carols_sound = await self.sound(1), await self.sound(2)
        calling = self.alice.invite(f"sip:bob@{self.plain}")
        self.bobs = self.bob.accept(await self.bob.request("INVITE"), self.bobs_sound.sdp)
        self.first = await calling.answered()
        await self.bob.request("ACK")
        await self.refer(f"<sip:echo-{port}@pbx.test>")
        invite = await self.carol.request("INVITE")
        came_by = f"<sip:orig@127.0.0.1:{self.kamailio.port};lr>"
        self.assertEqual([came_by], invite.headers.lines("X-Came-By"))
        await self.taken_over(self.carol.accept(invite, self.carols_sound.sdp), invite)
