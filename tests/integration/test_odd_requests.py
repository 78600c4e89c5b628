"""Odd requests within calls (docs/field.rst), with scripted endpoints, rtpengine and Kamailio."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from tests.integration.test_malformed import trunk_registers
from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.replacing import replaces, tag_of
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER, PLAIN_SDP, Endpoint, Pairs
from tests.support.real.stream import StreamPeer
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Message, Request
from webrtcproxy.sip.replaces import replaces_of


class OddRefer(RealCase):
    """Whom to call is said in an odd way (field.rst O: Odd Refer-To)."""

    async def test_blind(self) -> None:
        """What is plain crosses in its right form, by a browser and by a trunk; else 400 names the header, and the call
        goes on."""
        browser, trunk = await self.browser(), await self.peer()
        for number in (0, 1):
            dialogs = await self.connected(browser, trunk)
            by, other = dialogs[number], dialogs[1 - number]
            for text, right in (
                ("<sip:dave@far.test", "<sip:dave@far.test>"),
                ("dave@far.test", "<sip:dave@far.test>"),
                ('"Dave <sip:dave@far.test>', '"Dave" <sip:dave@far.test>'),
                ("sip:dave@far.test>", "<sip:dave@far.test>"),
            ):
                sent = by.send("REFER", [("Refer-To", text)])
                refer = await other.phone.request("REFER")
                self.assertEqual(right, refer.headers.get("Refer-To"))
                other.phone.reply(refer, 603)
                self.assertEqual(603, (await by.phone.response(sent)).status)
            for text, why in (
                ("<", "Bad Refer-To"),
                ("dave", "Bad Refer-To"),
                ("<sip:d@a>, <sip:e@b>", "Bad Refer-To"),
                ("<sip:dave@far.test?Replaces=1>", "Bad Replaces"),
            ):
                refused = await by.ask("REFER", [("Refer-To", text)])
                self.assertEqual((400, why), (refused.status, refused.reason), text)
            await self.hang_up(by, other)

    async def test_attended(self) -> None:
        """A browser names its other call without escapes and with its bracket left open: the trunk gets the dialog that
        it knows, and the call goes over."""
        alice, bob = await self.browser(), await self.peer()
        carol = await self.peer(LAB.paid)
        first, bobs = await self.connected(alice, bob)
        calling = alice.invite(f"sip:carol@{self.paid}")
        carols = carol.accept(await carol.request("INVITE"))
        second = await calling.answered()
        await carol.request("ACK")
        sent = first.send("REFER", [("Refer-To", f"<{second.target}?Replaces={replaces(second)}")])
        refer = await bob.request("REFER")
        bob.reply(refer, 202)
        self.assertEqual(202, (await alice.response(sent)).status)
        named = replaces_of(NameAddr.parse(refer.headers.get("Refer-To") or "").address)
        assert named is not None
        self.assertEqual((carols.call_id, tag_of(carols.local), tag_of(carols.remote)), named.key)
        headers = [("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")]
        told = bobs.send("NOTIFY", [*headers, ("Content-Type", "message/sipfrag")], b"SIP/2.0 200 OK\r\n")
        alice.reply(await alice.request("NOTIFY"), 200)
        self.assertEqual(200, (await bob.response(told)).status)
        await self.hang_up(second, carols)
        await self.hang_up(first, bobs)


Change = Callable[[bytes], bytes]


def without(name: str) -> Change:
    """Takes a header out."""
    return lambda data: re.sub(rb"\r\n%s: [^\r]*" % name.encode(), b"", data, count=1)


def having(name: str, value: str) -> Change:
    """Gives a header another value."""
    line = f"\r\n{name}: {value}".encode()
    return lambda data: re.sub(rb"\r\n%s: [^\r]*" % name.encode(), lambda _: line, data, count=1)


def say(phone: Endpoint, message: Message, change: Change) -> None:
    """Send a message that is changed."""
    data = change(message.to_bytes())
    phone.says_odd = True
    if isinstance(phone, StreamPeer):
        phone.connections[-1].transport.write(data)  # type: ignore[union-attr]
    elif isinstance(phone, (Browser, Peer)):
        phone.send_bytes(data)


ODD: dict[str, Change] = {
    "Via port": lambda data: re.sub(rb"(Via: [^;:]*)(:[0-9]+)?;", rb"\1:99999;", data, count=1),
    "Max-Forwards": having("Max-Forwards", "lots"),
    "no Max-Forwards": without("Max-Forwards"),
    "no Call-ID": without("Call-ID"),
    "no From": without("From"),
    "no To": without("To"),
    "no CSeq": without("CSeq"),
    "no Via": without("Via"),
    "no Content-Length": without("Content-Length"),
    "another method": having("CSeq", "9 INVITE"),
    "another version": lambda data: data.replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1),
    "no version": lambda data: data.replace(b" SIP/2.0\r\n", b"\r\n", 1),
    "Via without a host": lambda data: re.sub(rb"(Via: SIP/2.0/[A-Z]*) [^;]*", rb"\1 ", data, count=1),
    "an extension": lambda data: data.replace(b"\r\nCSeq", b"\r\nRequire: foo\r\nCSeq", 1),
}
"""How a request is odd that ends something."""


class OddEnd(RealCase):
    """What ends a call can't be taken as it is (field.rst P: Odd end)."""

    async def test_bye(self) -> None:
        """Of a browser and of a trunk over UDP: the other side hears BYE at once, and rtpengine is free."""
        browser, trunk = await self.browser(), await self.peer()
        for change in ODD.values():
            for number in (0, 1):
                dialogs = await self.connected(browser, trunk)
                by, other = dialogs[number], dialogs[1 - number]
                by.cseq += 1
                say(by.phone, by.build("BYE", by.cseq), change)
                await other.hung_up()
        await self.no_media()

    async def test_cancel(self) -> None:
        """Of a browser and of a trunk: it rings no longer, and the INVITE gets 487."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        for name, change in ODD.items():
            ways: list[tuple[Browser | Peer, Browser | Peer, str]] = [
                (browser, trunk, f"sip:echo@{self.plain}"),
                (trunk, browser, target),
            ]
            for caller, callee, uri in ways:
                if name == "an extension":  # is none of the proxy's (RFC 3261 section 9.1)
                    continue
                calling = caller.invite(uri)
                invite = await callee.request("INVITE")
                callee.reply(invite, 180)
                await calling.response(180)
                say(caller, calling.again_as("CANCEL"), change)
                callee.reply(await callee.request("CANCEL"), 200)
                callee.reply(invite, 487)
                self.assertEqual(487, (await calling.final()).status, name)
        await self.no_media()


class OddEndOverTcp(RealCase):
    """The same over TCP (field.rst P: Odd end): where the end of the message is in doubt, the connection closes."""

    changes: ClassVar = (
        ("udp:{sip}:interface=127.0.0.1", "udp:{sip}:interface=127.0.0.1\n  tcp:{sip}:interface=127.0.0.1"),
        ("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ntransport = tcp"),
    )

    async def test_bye(self) -> None:
        """Of a trunk."""
        browser, trunk = await self.browser(), StreamPeer(LAB.plain)
        self.addCleanup(trunk.close)
        trunk.ladder = self.ladder
        trunk.listen()
        for change in ODD.values():
            calling = browser.invite(f"sip:echo@{self.plain}")
            callee = trunk.accept(await trunk.request("INVITE"))
            caller = await calling.answered()
            await trunk.request("ACK")
            callee.cseq += 1
            say(trunk, callee.build("BYE", callee.cseq), change)
            await caller.hung_up()
        await self.no_media()


class OddAck(RealCase):
    """An ACK that does not say what it acknowledges (field.rst Q: Odd ACK)."""

    async def test_taken(self) -> None:
        """Of a browser and of a trunk: the 200 is not repeated, and the call stays until somebody hangs up."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        for name in ("CSeq", "From", "To", "Call-ID", "Via"):
            ways: list[tuple[Browser | Peer, Browser | Peer, str]] = [
                (browser, trunk, f"sip:echo@{self.plain}"),
                (trunk, browser, target),
            ]
            for caller, callee, uri in ways:
                calling = caller.invite(uri)
                called = callee.accept(await callee.request("INVITE"))
                dialog = Dialog.of_caller(caller, calling.invite, await calling.final())
                await callee.request("ACK")
                count = len(caller.received)
                say(caller, dialog.build("ACK", dialog.cseq), without(name))
                await caller.silence(1.2)
                self.assertEqual(count, len(caller.received), name)
                await self.hang_up(dialog, called)
        self.assertIn("Missing Call-ID, no Call-ID, likely of ", self.proxy.log(self._log_start))


class OfferInPrack(RealCase):
    """A trunk changes the session by its PRACK, to a browser without 100rel (field.rst R: Offer in PRACK)."""

    async def rings(self, browser: Browser, trunk: Peer, target: str) -> tuple[Calling, Request, Dialog, Pairs]:
        """A call that the browser has answered in a 183: the INVITE of the trunk, what the browser got, the trunk's
        dialog, and the headers of its PRACK."""
        calling = trunk.invite(target, headers=[("Require", "100rel")])
        invite = await browser.request("INVITE")
        browser.reply(invite, 183, body=CHROME_ANSWER)
        early = await calling.response(183)
        dialog = Dialog.of_caller(trunk, calling.invite, early)
        return calling, invite, dialog, [("RAck", f"{early.headers.get('RSeq')} 1 INVITE")]

    async def test_answered(self) -> None:
        """200 with an answer, to the same on another port, and to a hold; the 200 to the INVITE has no other one. The
        browser, to which only the hold is news, is offered that after its ACK."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        other = PLAIN_SDP.replace(b" 7 1 ", b" 7 2 ")
        for offer, answered in ((other.replace(b"9000", b"9004"), b"sendrecv"),
                                (other.replace(b"sendrecv", b"sendonly"), b"recvonly")):  # fmt: skip
            calling, invite, dialog, rack = await self.rings(browser, trunk, target)
            ok = await dialog.ask("PRACK", rack, offer)
            self.assertEqual(200, ok.status)
            self.assertIn(b"a=" + answered, ok.body)
            called = browser.accept(invite)
            final = await calling.final()
            self.assertEqual(200, final.status)
            self.assertIn(final.body, (b"", ok.body))
            dialog.cseq = 1
            dialog.ack()
            dialog.cseq = 2
            await browser.request("ACK")
            if answered == b"recvonly":
                again = await browser.request("INVITE")
                self.assertIn(b"a=sendonly", again.body)
                browser.reply(again, 200, body=CHROME_ANSWER.replace(b"sendrecv", b"recvonly"))
                await browser.request("ACK")
            else:
                self.assertIn(9004, await self.endpoints())
            await browser.silence(0.2)
            await self.hang_up(dialog, called)

    async def test_refused(self) -> None:
        """488 for an offer that nobody can read; the call comes up, and rtpengine has the first one."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        calling, invite, dialog, rack = await self.rings(browser, trunk, target)
        self.assertEqual(488, (await dialog.ask("PRACK", rack, b"v=0\r\nm=audio x\r\n")).status)
        self.assertEqual(200, (await dialog.ask("PRACK", rack)).status)
        called = browser.accept(invite)
        self.assertEqual(200, (await calling.final()).status)
        dialog.cseq = 1
        dialog.ack()
        dialog.cseq = 3
        await browser.request("ACK")
        self.assertIn(9000, await self.endpoints())
        await self.hang_up(dialog, called)


class PortZero(RealCase):
    """A trunk's Contact with port 0 (field.rst S: Port 0)."""

    SENDER = "127.0.0.7"
    changes: ClassVar = (("host = 127.0.0.1:@plain@", f"host = 127.0.0.1:@plain@\nsources = 127.0.0.1/32 {SENDER}/32"),)

    async def test_bye(self) -> None:
        """The BYE of the browser gets to port 5060."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        caller = await self.peer(5060, self.SENDER)
        caller.contact = f"sip:trunk@{self.SENDER}:0"
        calling = caller.invite(target)
        called = browser.accept(await browser.request("INVITE"))
        dialog = await calling.answered()
        await browser.request("ACK")
        await self.hang_up(called, dialog)
