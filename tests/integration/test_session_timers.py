"""Session timers between scripted browsers and SIP endpoints, and real rtpengine (RFC 4028, corners.rst 4: 4028)."""

from typing import ClassVar

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ports import free_port
from tests.support.real.speech import PLAIN_SDP

TIMER = ("Supported", "timer")
NINETY = ("Session-Expires", "90;refresher=uac")
UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")


class Negotiated(RealCase):
    """What is agreed upon at the set-up, on each leg for itself."""

    async def test_trunk_wants_an_hour(self) -> None:
        """422 of the trunk is ours to obey: INVITE again, and the browser gets 200 alone. The trunk's UPDATE refreshes
        its leg, and the browser's learns nothing of it."""
        sipp = await self.sipp("uas_timer")
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}", headers=[TIMER, ("Session-Expires", "90")])
        ok = await calling.final()
        self.assertEqual("90;refresher=uac", ok.headers.get("Session-Expires"))
        self.assertEqual("timer", ok.headers.get("Require"))
        caller = Dialog.of_caller(browser, calling.invite, ok)
        caller.ack()
        await browser.silence(0.3)
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"], self.ladder.of("alice"))

    async def test_too_short(self) -> None:
        """422 with Min-SE for a browser that asks for a minute; with the interval that it names the call is up."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", headers=[TIMER, ("Session-Expires", "60")])
        final = await calling.final()
        self.assertEqual((422, "90"), (final.status, final.headers.get("Min-SE")))
        again = calling.again([("Session-Expires", "90"), ("Min-SE", "90")])
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await again.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)
        self.assertEqual(
            [
                "> INVITE sdp",
                "< 422 INVITE",
                "> ACK",
                "> INVITE sdp",
                "< 200 INVITE sdp",
                "> ACK",
                "> BYE",
                "< 200 BYE",
            ],
            self.ladder.of("alice"),
        )

    async def test_refreshes_of_both_sides(self) -> None:
        """UPDATE of the browser and re-INVITE of the trunk, with the old description: each is answered at once with its
        own timer, and the other side gets nothing."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", headers=[TIMER, ("Session-Expires", "90")])
        invite = await trunk.request("INVITE")
        accepted = trunk.reply(invite, 200, headers=[TIMER, ("Session-Expires", "600;refresher=uas")], body=PLAIN_SDP)
        callee = Dialog.of_callee(trunk, invite, accepted)
        caller = await calling.answered()
        await trunk.request("ACK")
        update = await caller.ask("UPDATE", [TIMER, NINETY])
        self.assertEqual((200, NINETY[1]), (update.status, update.headers.get("Session-Expires")))
        bodies = []
        for _ in range(2):
            sent = callee.send("INVITE", [TIMER, ("Session-Expires", "600;refresher=uac")], PLAIN_SDP)
            ok = await trunk.response(sent)
            self.assertEqual((200, "600;refresher=uac"), (ok.status, ok.headers.get("Session-Expires")))
            callee.ack()
            bodies.append(ok.body)
        self.assertEqual(bodies[0], bodies[1])
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> UPDATE", "< 200 UPDATE", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "> INVITE sdp", "< 200 INVITE sdp", "> ACK",
             "> INVITE sdp", "< 200 INVITE sdp", "> ACK", "< BYE", "> 200 BYE"],
            self.ladder.of("trunk"),
        )  # fmt: skip


class Lapsed(RealCase):
    """The time as it is."""

    timeout = 90
    changes: ClassVar = (("[calls]\n", "[calls]\nsession-expires = 90\n"),)

    async def test_refreshed_by_us_and_vanished(self) -> None:
        """Two calls to a trunk that leaves refreshing to us: when half of the 90 seconds are over, it gets an UPDATE
        where it takes one, whose 200 says where it is from now on; else a re-INVITE with what it was offered first, to
        the letter. The browser of the first call, which was to refresh and does not, has its call ended when two thirds
        are; that of the second, which knows no timer, goes on."""
        alice, bob, trunk = await self.browser(), await self.browser("bob"), await self.peer()
        ninety = [("Require", "timer"), NINETY]
        calls = []
        for browser, asked, allowed in ((alice, [TIMER, ("Session-Expires", "90")], [UPDATES]), (bob, [], [])):
            calling = browser.invite(f"sip:echo@{self.plain}", headers=asked)
            invite = await trunk.request("INVITE")
            self.assertEqual("90", invite.headers.get("Session-Expires"))
            answer = trunk.reply(invite, 200, headers=[*ninety, *allowed], body=PLAIN_SDP)
            calls.append((await calling.answered(), Dialog.of_callee(trunk, invite, answer), invite))
            await trunk.request("ACK")
        (first, first_callee, _), (second, second_callee, offered) = calls
        update, invite = await trunk.request("UPDATE", 47), await trunk.request("INVITE", 5)
        self.assertEqual((NINETY[1], b""), (update.headers.get("Session-Expires"), update.body))
        moved = await self.peer(free_port())
        moved.user = "moved"
        trunk.reply(update, 200, headers=[*ninety, ("Contact", f"<sip:echo@{moved.host}:{moved.port}>")])
        first_callee.phone = moved
        self.assertEqual((NINETY[1], offered.body), (invite.headers.get("Session-Expires"), invite.body))
        trunk.reply(invite, 200, headers=ninety, body=PLAIN_SDP)
        await trunk.request("ACK")
        options = await bob.request("OPTIONS", 5)
        bob.reply(options, 200)
        for dialog in (first, first_callee):
            self.assertEqual('SIP;cause=408;text="Session expired"', (await dialog.hung_up(20)).headers.get("Reason"))
        await self.hang_up(second, second_callee)
        self.assertEqual(["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "< BYE", "> 200 BYE"], self.ladder.of("alice"))
        self.assertEqual(
            ["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "< OPTIONS", "> 200 OPTIONS", "> BYE", "< 200 BYE"],
            self.ladder.of("bob"),
        )
        set_up = ["< INVITE sdp", "> 200 INVITE sdp", "< ACK"]
        ladder = self.ladder.of("trunk")
        self.assertEqual([*set_up, *set_up], ladder[:6])
        refreshes = ["< ACK", "< INVITE sdp", "< UPDATE", "> 200 INVITE sdp", "> 200 UPDATE"]
        self.assertEqual(refreshes, sorted(ladder[6:11]))
        self.assertEqual(["< BYE", "> 200 BYE"], ladder[11:])
        self.assertEqual(["< BYE", "> 200 BYE"], self.ladder.of("moved"))
