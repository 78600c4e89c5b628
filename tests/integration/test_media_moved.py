"""rtpengine dies, hangs, is cut off or restarted, in every state of a call: audio is heard again at another one, or the
call ends on both sides. Scripted browser with ICE and DTLS, scripted trunk with RTP, two rtpengines."""

from __future__ import annotations

from typing import ClassVar

from tests.support.real.dialog import Calling, Dialog
from tests.support.real.part import pause, until
from tests.support.real.rtpengine import Rtpengine
from tests.support.real.several_nodes import SeveralNodesCase
from tests.support.real.webrtc import WebPhone
from tests.support.sdp import lines
from webrtcproxy.sip.message import Request

LOST = 'SIP;cause=503;text="Media lost"'
WITHIN = 10.0
"""Seconds."""


class MovedCase(SeveralNodesCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.web = WebPhone()
        self.addCleanup(self.web.close)
        self.alice = await self.browser()

    async def ringing(self) -> tuple[Calling, Request]:
        """Alice calls, and the trunk has not answered."""
        calling = self.alice.invite(f"sip:bob@{self.plain}", body=self.web.offer())
        return calling, await self.trunk.request("INVITE")

    async def taken(self, calling: Calling, invite: Request) -> None:
        """The trunk answers, and both have their ACK."""
        self.bobs = self.trunk.accept(invite, self.media.answer(invite.body))
        answer = await calling.response(200, seconds=WITHIN)
        self.web.take(answer.body)
        self.alices = Dialog.of_caller(self.alice, calling.invite, answer)
        self.alices.ack()
        await self.trunk.request("ACK")
        self.media.talk(invite.body)

    async def up(self) -> Rtpengine:
        """A call with audio both ways; the rtpengine that has it, which has run for a while."""
        await self.taken(*await self.ringing())
        await self.heard()
        await pause(2)
        return await self.holder()

    async def heard(self) -> None:
        """Audio comes to both."""
        self.web.heard.clear()
        self.media.heard.clear()
        await until(
            lambda: self.web.heard[self.media.ssrc] > 20 and self.media.heard[self.web.ssrc] > 20, "audio both ways"
        )

    async def moved(self, of_trunk: str = "sendrecv", of_browser: str = "sendrecv") -> tuple[Request, Request]:
        """Both are offered the session of another rtpengine, and take it."""
        invite = await self.answered(WITHIN, of_trunk)
        offered = await self.alice.request("INVITE", WITHIN)
        self.alice.reply(offered, 200, body=self.web.answer_restart(offered.body, of_browser))
        await self.alice.request("ACK")
        return invite, offered

    async def ended(self) -> None:
        """Both get a BYE that says why."""
        for phone in (self.alice, self.trunk):
            bye = await phone.request("BYE", WITHIN)
            self.assertEqual(LOST, bye.headers.get("Reason"))
            phone.reply(bye, 200)

    async def over(self) -> None:
        await self.hang_up(self.alices, self.bobs)


class Moved(MovedCase):
    async def test_killed(self) -> None:
        """It is killed: both sides are asked within 10 s, and hear each other at the other rtpengine."""
        engine = await self.up()
        self.kill(engine)
        await self.moved()
        await self.heard()
        self.assertIs(self.other(engine), await self.holder())
        await self.over()

    async def test_hangs(self) -> None:
        """It hangs: the same. When it goes on, the session that it has still is deleted there."""
        engine = await self.up()
        engine.stall()
        await self.moved()
        await self.heard()
        engine.resume()
        await engine.assert_empty(10)
        await self.over()

    async def test_restarted(self) -> None:
        """It is restarted, and empty, before anybody has missed a reply."""
        engine = await self.up()
        self.kill(engine)
        await engine.start()
        await self.moved()
        await self.heard()
        await self.over()

    async def test_ringing(self) -> None:
        """It is killed while the trunk rings: that answers to the ports of the old one, and is asked again."""
        calling, invite = await self.ringing()
        self.trunk.reply(invite, 180)
        self.kill(await self.holder())
        await self.taken(calling, invite)
        again = await self.answered(WITHIN)
        self.media.talk(again.body)
        offers = self.alice.requests("INVITE")
        if offers:
            self.alice.reply(offers[0], 200, body=self.web.answer_restart(offers[0].body))
        await self.heard()
        await self.over()

    async def test_held(self) -> None:
        """A call that the browser holds is held there, too: it is offered to send, and nothing comes back."""
        engine = await self.up()
        sent = self.alices.send("INVITE", body=self.web.offer("sendonly"))
        invite = await self.trunk.request("INVITE")
        self.media.stop()
        self.trunk.reply(invite, 200, body=self.media.answer(invite.body, "recvonly"))
        await self.alice.response(sent, 200)
        self.alices.ack()
        await self.trunk.request("ACK")
        self.kill(engine)
        to_trunk, to_browser = await self.moved("recvonly", "sendonly")
        self.assertIn("a=sendonly", lines(to_trunk.body))
        self.assertIn("a=recvonly", lines(to_browser.body))
        await self.trunk_hears()
        await self.over()

    async def test_exchange(self) -> None:
        """It is killed while the trunk has a re-INVITE of the browser's. That is answered, with the connection that the
        browser has, and then both are asked."""
        engine = await self.up()
        sent = self.alices.send("INVITE", body=self.web.offer("sendonly"))
        invite = await self.trunk.request("INVITE")
        self.kill(engine)
        await pause(1)
        self.trunk.reply(invite, 200, body=self.media.answer(invite.body, "recvonly"))
        answer = await self.alice.response(sent, 200, seconds=WITHIN)
        self.alices.ack()
        await self.trunk.request("ACK")
        _, offered = await self.moved("recvonly", "sendonly")
        self.assertNotEqual(lines(answer.body, "a=ice-ufrag"), lines(offered.body, "a=ice-ufrag"))
        await self.trunk_hears()
        await self.over()

    async def test_refused(self) -> None:
        """A trunk that does not take what it is offered: BYE for both, and no session is left."""
        self.kill(await self.up())
        self.trunk.reply(await self.trunk.request("INVITE", WITHIN), 488)
        await self.trunk.request("ACK")
        await self.ended()


class Alone(MovedCase):
    """One rtpengine."""

    count = 1

    async def test_killed(self) -> None:
        """It is killed: BYE for both within 10 s, and a line in the log with the call's id."""
        engine = await self.up()
        since = self.proxy.log_size()
        self.kill(engine)
        await self.ended()
        self.assertIn(f"{self.alices.call_id}: rtpengine has given up its media", self.proxy.log(since))

    async def test_restarted(self) -> None:
        """It is restarted after a while, as systemd does it: it takes its calls over."""
        engine = await self.up()
        self.kill(engine)
        await pause(3)
        await engine.start()
        await self.moved()
        await self.heard()
        await self.over()

    async def test_hangs_for_a_moment(self) -> None:
        """It hangs for 6 seconds: its call goes on as if nothing had been."""
        engine = await self.up()
        engine.stall()
        await pause(6)
        engine.resume()
        await self.heard()
        await pause(4)
        self.assertEqual([], self.alice.requests("INVITE"))
        await self.over()

    async def test_ringing(self) -> None:
        """It is killed while the trunk rings: 503, and CANCEL."""
        calling, invite = await self.ringing()
        self.trunk.reply(invite, 180)
        self.kill(await self.holder())
        refused = await calling.response(503, seconds=WITHIN)
        calling.ack_refusal(refused)
        self.trunk.reply(await self.trunk.request("CANCEL"), 200)
        self.trunk.reply(invite, 487)
        await self.trunk.request("ACK")


class TimedOut(MovedCase):
    """rtpengine gives up what is silent for two seconds."""

    media_timeout: ClassVar[int] = 2

    async def test_silence(self) -> None:
        """Nobody sends any more: the call ends within some seconds, not half a minute, and is not moved."""
        await pause(2.5)
        engine = await self.up()
        self.media.stop()
        await self.web.close()
        await until(lambda: "Closing call due to timeout" in engine.log(), "given up", 8)
        for phone in (self.alice, self.trunk):
            phone.reply(await phone.request("BYE", 5.5), 200)
        self.assertEqual(1, len(self.trunk.requests("INVITE")))


class Spawned(MovedCase):
    """The proxy runs rtpengine itself."""

    count = 0
    changes = (("nodes = @rtpengine@", "nodes = spawn"),)

    async def test_killed(self) -> None:
        """It is started again, and takes its calls over. A trunk that has the same port there is not asked."""
        await self.taken(*await self.ringing())
        await self.heard()
        await pause(2)
        self.kill_spawned()
        asked = lambda: self.trunk.requests("INVITE")[1:] or self.alice.requests("INVITE")  # noqa: E731
        await until(asked, "one of the two is asked", WITHIN)
        if self.trunk.requests("INVITE")[1:]:
            await self.answered()
        offered = await self.alice.request("INVITE", WITHIN)
        self.alice.reply(offered, 200, body=self.web.answer_restart(offered.body))
        await self.alice.request("ACK")
        await self.heard()
        await self.over()
