"""Transfers: scripted endpoints and SIPp, real rtpengine and Kamailio (RFC 3515, RFC 5589; original.rst: REFER)."""

from __future__ import annotations

from urllib.parse import quote

from tests.support.real import digest
from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, REGISTERED, SET_UP, TAKEN
from tests.support.real.replacing import ORDERS, replaces, tag_of
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces, replaces_of


class TransferCase(RealCase):
    """What the scenarios have in common."""

    async def notify(self, by: Dialog, to: Dialog, fragment: str, state: str = "active;expires=60") -> Request:
        """The one that was referred tells how it goes."""
        headers = [("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0")]
        sent = by.send("NOTIFY", headers, f"SIP/2.0 {fragment}\r\n".encode())
        crossed = await to.phone.request("NOTIFY")
        self.assertEqual((sent.body, state), (crossed.body, crossed.headers.get("Subscription-State")))
        self.assertEqual("message/sipfrag", crossed.content_type)
        self.assertEqual((to.call_id, tag_of(to.local)), (crossed.call_id, crossed.to.tag))
        to.phone.reply(crossed, 200)
        self.assertEqual(200, (await by.phone.response(sent)).status)
        return crossed

    async def told(self, phone: Browser, fragment: str, last: bool = False) -> None:
        """The proxy's own NOTIFY; answered 200."""
        notify = await phone.request("NOTIFY")
        self.assertEqual(f"SIP/2.0 {fragment}\r\n".encode(), notify.body)
        state = notify.headers.get("Subscription-State") or ""
        self.assertEqual("terminated;reason=noresource" if last else "active;expires=180", state)
        phone.reply(notify, 200)

    async def into(self, caller: Peer, browser: Browser) -> tuple[Dialog, Dialog]:
        """A call to the browser: the caller's dialog, and the browser's."""
        calling = caller.invite(f"sip:{browser.user}@pbx.test")
        called = browser.accept(await browser.request("INVITE"))
        dialog = await calling.answered()
        await browser.request("ACK")
        return dialog, called

    async def named(self, user: str, port: int = 0) -> Peer:
        peer = await self.peer(port)
        peer.user = user
        return peer


class Blind(TransferCase):
    """One call, and a REFER to somewhere else."""

    async def test_ladder(self) -> None:
        """The whole of it, in order; the transferor hangs up first, and learns how it went (RFC 5057)."""
        for fragment in ("200 OK", "486 Busy Here", "408 Request Timeout"):
            browser, trunk = await self.browser(), await self.peer()
            self.ladder.rungs.clear()
            caller, callee = await self.connected(browser, trunk)
            sent = caller.send("REFER", [("Refer-To", "<sip:dave@far.test>")])
            trunk.reply(await trunk.request("REFER"), 202)
            self.assertEqual(202, (await browser.response(sent)).status)
            await self.notify(callee, caller, "100 Trying")
            await self.hang_up(caller, callee)
            await self.no_media()
            await self.notify(callee, caller, fragment, "terminated;reason=noresource")
            told = ["< NOTIFY", "> 200 NOTIFY"]
            self.assertEqual(
                [*SET_UP, "> REFER", "< 202 REFER", *told, "> BYE", "< 200 BYE", *told], self.ladder.of("alice")
            )
            said = ["> NOTIFY", "< 200 NOTIFY"]
            self.assertEqual(
                [*TAKEN, "< REFER", "> 202 REFER", *said, "< BYE", "> 200 BYE", *said], self.ladder.of("trunk")
            )
            late = callee.send("NOTIFY", [("Event", "refer"), ("Subscription-State", "active")])
            self.assertEqual(481, (await trunk.response(late)).status)
            await trunk.close()

    async def test_refused(self) -> None:
        """Every refusal is the transferor's to hear, and the call goes on (original.rst: REFER)."""
        browser, trunk = await self.registered(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        phone = await self.kamailio_peer()
        outside, inside = await self.into(phone, browser)
        for asker, other in ((caller, callee), (outside, inside)):
            for status in (401, 403, 405, 501, 603):
                sent = asker.send("REFER", [("Refer-To", "<sip:dave@far.test>")])
                other.phone.reply(await other.phone.request("REFER"), status)
                self.assertEqual(status, (await asker.phone.response(sent)).status)
            await self.hang_up(asker, other)
        refusals = [rung for status in (401, 403, 405, 501, 603) for rung in ("> REFER", f"< {status} REFER")]
        self.assertEqual(refusals, [rung for rung in self.ladder.of("alice") if rung.endswith(" REFER")][:10])

    async def test_challenged(self) -> None:
        """A trunk's challenge to REFER is answered with its password; the NOTIFYs name the REFER that was taken
        (corners.rst 4: challenge to in-dialog)."""
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        sent = caller.send("REFER", [("Refer-To", "<sip:dave@far.test>")])
        refer = await trunk.request("REFER")
        trunk.reply(refer, 401, headers=[("WWW-Authenticate", digest.challenge("trunk.test", "n"))])
        again = await trunk.request("REFER")
        digest.verify(again.headers.get("Authorization"), "REFER", "secret")
        self.assertEqual(refer.cseq.number + 1, again.cseq.number)
        trunk.reply(again, 202)
        self.assertEqual(202, (await browser.response(sent)).status)
        headers = [("Event", f"refer;id={again.cseq.number}"), ("Subscription-State", "terminated;reason=noresource")]
        quoted = b"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n"
        kind = ("Content-Type", "message/sipfrag")
        told = callee.send("NOTIFY", [*headers, kind], b"SIP/2.0 200 OK\r\n" + quoted)
        notify = await browser.request("NOTIFY")
        self.assertEqual(b"SIP/2.0 200 OK\r\n", notify.body)
        self.assertEqual(f"refer;id={sent.cseq.number}", notify.headers.get("Event"))
        browser.reply(notify, 200)
        self.assertEqual(200, (await trunk.response(told)).status)
        await self.hang_up(caller, callee)
        self.assertEqual(
            [*SET_UP, "> REFER", "< 202 REFER", "< NOTIFY", "> 200 NOTIFY", *HANGS_UP],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            [*TAKEN, "< REFER", "> 401 REFER", "< REFER", "> 202 REFER", "> NOTIFY", "< 200 NOTIFY", *HUNG_UP],
            self.ladder.of("trunk"),
        )

    async def test_no_subscription(self) -> None:
        """Refer-Sub: false crosses both ways; nothing is kept (RFC 4488)."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        headers = [("Refer-To", "<sip:dave@far.test>"), ("Refer-Sub", "false"), ("Require", "norefersub")]
        sent = caller.send("REFER", headers)
        refer = await trunk.request("REFER")
        self.assertEqual(("false", "norefersub"), (refer.headers.get("Refer-Sub"), refer.headers.get("Require")))
        trunk.reply(refer, 200, headers=[("Refer-Sub", "false")])
        self.assertEqual("false", (await browser.response(sent)).headers.get("Refer-Sub"))
        await self.hang_up(caller, callee)
        late = callee.send("NOTIFY", [("Event", "refer"), ("Subscription-State", "active")])
        self.assertEqual(481, (await trunk.response(late)).status)
        self.assertEqual([*SET_UP, "> REFER", "< 200 REFER", "> BYE", "< 200 BYE"], self.ladder.of("alice"))

    async def test_sipp_is_referred(self) -> None:
        """A SIPp that is referred by a browser, hung up on at once, and tells it all the same."""
        sipp = await self.sipp("uas_refer")
        browser = await self.browser()
        caller = await browser.invite(f"sip:echo@{sipp.host}").answered()
        sent = caller.send("REFER", [("Refer-To", "<sip:dave@far.test>")])
        self.assertEqual(202, (await browser.response(sent)).status)
        for fragment in (b"100 Trying", b"200 OK"):
            notify = await browser.request("NOTIFY")
            self.assertIn(fragment, notify.body)
            self.assertEqual(f"refer;id={sent.cseq.number}", notify.headers.get("Event"))
            browser.reply(notify, 200)
            if fragment == b"100 Trying":
                self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> REFER", "< 202 REFER", "< NOTIFY",
             "> 200 NOTIFY", *HANGS_UP, "< NOTIFY", "> 200 NOTIFY"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_sipp_refers(self) -> None:
        """A SIPp that calls a browser by way of Kamailio, refers it, and waits for the last NOTIFY."""
        browser = await self.registered()
        sipp = await self.caller("uac_refer")
        called = browser.accept(await browser.request("INVITE"))
        refer = await browser.request("REFER")
        self.assertEqual("<sip:dave@far.test>", refer.headers.get("Refer-To"))
        self.assertEqual("<sip:trunk@pbx.test>", refer.headers.get("Referred-By"))
        browser.reply(refer, 202)
        for fragment, state in (("100 Trying", "active;expires=60"), ("200 OK", "terminated;reason=noresource")):
            headers = [("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag")]
            self.assertEqual(200, (await called.ask("NOTIFY", headers, f"SIP/2.0 {fragment}\r\n".encode())).status)
        await called.hung_up()
        await sipp.passed()
        said = ["> NOTIFY", "< 200 NOTIFY"]
        self.assertEqual(
            [*REGISTERED, *TAKEN[:2], "< REFER", "> 202 REFER", *said, *said, *HUNG_UP],
            [rung for rung in self.ladder.of("alice") if rung != "< ACK"],  # which Kamailio may send after the REFER
        )


class Attended(TransferCase):
    """Two calls, and a REFER that brings their other ends together."""

    async def test_two_calls_of_a_browser(self) -> None:
        """The one that is referred calls the target straight, in the name of the target's own dialog, whatever the
        order of its parts was (original.rst: attended) (corners.rst 4: 3891)."""
        for order in ORDERS[:2]:
            alice = await self.browser()
            bob, carol = await self.named("bob"), await self.named("carol", LAB.paid)
            self.ladder.rungs.clear()
            first, bobs = await self.connected(alice, bob)
            calling = alice.invite(f"sip:carol@{self.paid}")
            carols = carol.accept(await carol.request("INVITE"))
            second = await calling.answered()
            await carol.request("ACK")
            refer_to = f"<{second.target}?Replaces={quote(replaces(second, order), safe='')}&Require=replaces>"
            sent = first.send("REFER", [("Refer-To", refer_to)])
            refer = await bob.request("REFER")
            bob.reply(refer, 202)
            self.assertEqual(202, (await alice.response(sent)).status)
            uri = NameAddr.parse(refer.headers.get("Refer-To") or "").address
            self.assertTrue(uri.headers.endswith("&Require=replaces"))
            named = replaces_of(uri)
            assert named is not None
            bob.proxy = (carol.host, carol.port)
            triggered = bob.invite(str(uri).partition("?")[0], headers=[("Replaces", str(named))])
            invite = await carol.request("INVITE")
            self.assertEqual(carol.contact, invite.uri)
            replaced = Replaces.parse(invite.headers.get("Replaces") or "")
            self.assertEqual((carols.call_id, tag_of(carols.local), tag_of(carols.remote)), replaced.key)
            new = carol.accept(invite)
            theirs = await triggered.answered()
            await carol.request("ACK")
            bye = carols.send("BYE")
            await second.hung_up()
            self.assertEqual(200, (await carol.response(bye)).status)
            bob.proxy = self.proxy.address
            await self.notify(bobs, first, "200 OK", "terminated;reason=noresource")
            await self.hang_up(first, bobs)
            bob.proxy = (carol.host, carol.port)
            await self.hang_up(theirs, new)
            self.assertEqual(
                [*SET_UP, *SET_UP, "> REFER", "< 202 REFER", "< BYE", "> 200 BYE", "< NOTIFY", "> 200 NOTIFY", "> BYE",
                 "< 200 BYE"],
                self.ladder.of("alice"),
            )  # fmt: skip
            await bob.close()
            await carol.close()

    async def test_foreign(self) -> None:
        """A dialog that is not ours: Refer-To crosses letter by letter, and so does Replaces in the INVITE of a
        browser (corners.rst 4: 3891)."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        foreign = "<sip:c@far.test?Replaces=a%40b%3bfrom-tag%3d1%3bto-tag%3d2&Subject=x>"
        for asker, other in ((caller, callee), (callee, caller)):
            sent = asker.send("REFER", [("Refer-To", foreign), ("Refer-Sub", "false")])
            refer = await other.phone.request("REFER")
            self.assertEqual(foreign, refer.headers.get("Refer-To"))
            other.phone.reply(refer, 202, headers=[("Refer-Sub", "false")])
            self.assertEqual(202, (await asker.phone.response(sent)).status)
        headers = [("Replaces", "a@b;from-tag=1;to-tag=2"), ("Require", "replaces")]
        calling = browser.invite(f"sip:c@{self.plain}", headers=headers)
        invite = await trunk.request("INVITE")
        self.assertEqual("a@b;from-tag=1;to-tag=2", invite.headers.get("Replaces"))
        self.assertEqual("replaces", invite.headers.get("Require"))
        trunk.reply(invite, 481)
        self.assertEqual(481, (await calling.final()).status)
        await trunk.request("ACK")
        await self.hang_up(caller, callee)
        self.assertEqual(
            [*SET_UP, "> REFER", "< 202 REFER", "< REFER", "> 202 REFER", "> INVITE sdp", "< 481 INVITE", "> ACK",
             *HANGS_UP],
            self.ladder.of("alice"),
        )  # fmt: skip
        self.assertEqual(
            [*TAKEN, "< REFER", "> 202 REFER", "> REFER", "< 202 REFER", "< INVITE sdp", "> 481 INVITE", "< ACK",
             *HUNG_UP],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def test_by_the_other_side(self) -> None:
        """Kamailio's caller has calls with two browsers: the one that is referred calls by way of the proxy, which
        knows where the other one is, and what it calls its dialog (corners.rst 4: 3891, 3892)."""
        bob, carol = await self.registered("bob"), await self.registered("alice")
        phone = await self.kamailio_peer()
        first, bobs = await self.into(phone, bob)
        second, carols = await self.into(phone, carol)
        refer_to = f"<{second.target}?Replaces={quote(replaces(second), safe='')}>"
        sent = first.send("REFER", [("Refer-To", refer_to), ("Referred-By", "<sip:desk@pbx.test>")])
        refer = await bob.request("REFER")
        bob.reply(refer, 202)
        self.assertEqual(202, (await phone.response(sent)).status)
        uri = NameAddr.parse(refer.headers.get("Refer-To") or "").address
        named = replaces_of(uri)
        headers = [("Replaces", str(named)), ("Require", "replaces"), ("Referred-By", "<sip:desk@pbx.test>")]
        calling = bob.invite(str(uri).partition("?")[0], headers=headers)
        invite = await carol.request("INVITE")
        self.assertEqual(carol.contact, invite.uri)
        self.assertEqual("<sip:desk@pbx.test>", invite.headers.get("Referred-By"))
        replaced = Replaces.parse(invite.headers.get("Replaces") or "")
        self.assertEqual((carols.call_id, tag_of(carols.local), tag_of(carols.remote)), replaced.key)
        new = carol.accept(invite, CHROME_ANSWER)
        theirs = await calling.answered()
        await carol.request("ACK")
        await self.hang_up(carols, second)
        await self.notify(bobs, first, "200 OK", "terminated;reason=noresource")
        await self.hang_up(first, bobs)
        await self.hang_up(theirs, new)
        self.assertEqual(
            [*REGISTERED, *TAKEN, "< REFER", "> 202 REFER", *SET_UP, "> NOTIFY", "< 200 NOTIFY", *HUNG_UP, *HANGS_UP],
            self.ladder.of("bob"),
        )
        self.assertEqual([*REGISTERED, *TAKEN, *TAKEN, *HANGS_UP, *HUNG_UP], self.ladder.of("alice"))
        self.assertEqual(
            [*SET_UP, *SET_UP, "> REFER", "< 202 REFER", *HUNG_UP, "< NOTIFY", "> 200 NOTIFY", *HANGS_UP],
            self.ladder.of("trunk"),
        )

    async def test_who_may_not(self) -> None:
        """481 for no dialog, 486 for one that is confirmed and must not be, 403 for one that is nobody's business
        (RFC 3891 section 3)."""
        alice, eve, trunk = await self.browser(), await self.browser("eve"), await self.peer()
        mine, theirs = await self.connected(alice, trunk)
        name = f"{theirs.call_id};to-tag={tag_of(theirs.remote)};from-tag={tag_of(theirs.local)}"
        own = f"{mine.call_id};to-tag={tag_of(mine.remote)};from-tag={tag_of(mine.local)}"
        for phone, value, status in (
            (trunk, "a@b;to-tag=1;from-tag=2", 481), (trunk, f"{name};early-only", 486), (eve, own, 403),
            (trunk, own, 403), (trunk, "rubbish", 400),
        ):  # fmt: skip
            calling = phone.invite(theirs.target, headers=[("Replaces", value)])
            self.assertEqual(status, (await calling.final()).status, value)
        await self.hang_up(mine, theirs)
        self.assertEqual([*SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual(["> INVITE sdp", "< 403 INVITE", "> ACK"], self.ladder.of("eve"))
