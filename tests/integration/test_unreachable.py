"""Trunks that can't be reached, or have moved, with real parts: ICMP from the kernel, TCP, DNS."""

from __future__ import annotations

import re
import time
from functools import partial

from twisted.names import dns

from tests.integration.next_hops import NextHopsCase
from tests.integration.test_malformed import changing, trunk_registers
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause, until
from tests.support.real.ports import LOOPBACK
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import PLAIN_SDP
from tests.support.real.stream import StreamPeer

FIRST, SECOND = "127.0.0.3", "127.0.0.2"


class Unreachable(NextHopsCase):
    """Ports at which nobody listens."""

    sections = """\
[trunk gone]
host = gone.test
proxy = 127.0.0.1:@gone@
[trunk half]
host = half.test
proxy = 127.0.0.1:@dead@ 127.0.0.1:@alive@
failover = 20
[trunk wire]
host = wire.test
transport = tcp
proxy = 127.0.0.1:@dead@ 127.0.0.1:@stream@
failover = 20
[trunk odd]
host = odd.test
proxy = 127.0.0.1:@odd@
[trunk moved]
host = moved.test:@moved@
"""
    listens = "tcp:@tcp@:interface=127.0.0.1"

    def zone(self) -> None:
        self.names.clear("moved.test")
        self.names.add("moved.test", dns.Record_A(FIRST), ttl=5)

    async def stream(self) -> StreamPeer:
        """The trunk over TCP."""
        peer = StreamPeer(self.port("stream"))
        peer.ladder = self.ladder
        peer.listen()
        self.addCleanup(peer.close)
        return peer

    async def test_refused(self) -> None:
        """ICMP port unreachable, and no other server: final at once; the log names it. The socket lives on."""
        browser = await self.browser()
        for _ in range(3):
            begun = time.monotonic()
            self.assertEqual((await browser.invite("sip:bob@gone.test").final()).status, 502)
            self.assertLess(time.monotonic() - begun, 2)
        port = self.port("gone")
        await self.log(rf"INVITE failed at udp:127\.0\.0\.1:{port} after 0\.\d s, and there is no other server: Conn")
        await self.called(browser, await self.peer(self.port("alive")), "sip:bob@half.test")
        self.assertNotIn("broke", self.proxy.log(self._log_start))

    async def test_next(self) -> None:
        """ICMP port unreachable at the first server: the second one is called at once."""
        browser, trunk = await self.browser(), await self.peer(self.port("alive"))
        begun = time.monotonic()
        await self.called(browser, trunk, "sip:bob@half.test")
        self.assertLess(time.monotonic() - begun, 3)

    async def test_tcp_refused(self) -> None:
        """So over TCP, where the connection is refused."""
        browser, trunk = await self.browser(), await self.stream()
        begun = time.monotonic()
        await self.called(browser, trunk, "sip:bob@wire.test")
        self.assertLess(time.monotonic() - begun, 3)

    async def test_tcp_ends_in_a_call(self) -> None:
        """A connection that ends within a call: the next request within the dialog goes by a new one."""
        browser, trunk = await self.browser(), await self.stream()
        calling = browser.invite("sip:bob@wire.test")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        for _ in range(2):
            before = len(trunk.connections)
            trunk.connections[-1].abort()
            await until(lambda: not trunk.connections[-1].open, "the connection is gone")
            await pause(0.1)
            info = caller.send("INFO")
            trunk.reply(await trunk.request("INFO"), 200)
            self.assertEqual((await browser.response(info)).status, 200)
            self.assertEqual(len(trunk.connections), before + 1)
        await self.hang_up(caller, callee)

    async def test_target(self) -> None:
        """A trunk whose Contact leads nowhere: ACK and BYE come where the INVITE went or came from, whoever has called
        (field.rst K: Target out of reach)."""
        browser, trunk = await self.browser(domain="odd.test"), await self.peer(self.port("odd"))
        target = await trunk_registers(browser, trunk)
        for place in (
            f"{LOOPBACK}:{self.port('odd')};transport=tcp", "no-such-host.invalid", "0.0.0.0:5070", "[2001:db8::1]",
        ):  # fmt: skip
            trunk.contact = f"sip:trunk@{place}"
            ways: list[tuple[Browser | Peer, Browser | Peer, str]] = [
                (browser, trunk, "sip:echo@odd.test"), (trunk, browser, target),
            ]  # fmt: skip
            for caller, callee, uri in ways:
                calling = caller.invite(uri)
                called = callee.accept(await callee.request("INVITE"))
                dialog = await calling.answered()
                self.assertEqual((await callee.request("ACK")).call_id, called.call_id)
                await self.hang_up(*((dialog, called) if caller is browser else (called, dialog)))
            await self.log(rf"sip:trunk@{re.escape(place)} can't be reached, going on by <UdpFlow to 127\.0\.0\.1")

    async def test_contact_that_is_none(self) -> None:
        """A trunk that answers with a Contact that is no SIP address, at once or after a reliable 183: PRACK, ACK and
        BYE come where the INVITE went (field.rst V: Odd Contact)."""
        browser, trunk = await self.browser(domain="odd.test"), await self.peer(self.port("odd"))
        for contact in ("<tel:+4930123>", "<<nowhere", "<http://x>"):
            change = partial(re.sub, rb"(?m)^Contact: [^\r]*", b"Contact: " + contact.encode())
            for is_early in (False, True):
                calling = browser.invite("sip:echo@odd.test")
                invite = await trunk.request("INVITE")
                send = trunk.send_bytes
                changing(trunk, change)
                if is_early:
                    trunk.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "1")], body=PLAIN_SDP)
                    prack = await trunk.request("PRACK")
                    self.assertEqual(invite.uri, prack.uri)
                    trunk.reply(prack, 200)
                trunk.reply(invite, 200, body=PLAIN_SDP)
                answer = await calling.final()
                self.assertEqual(200, answer.status)
                dialog = Dialog.of_caller(browser, calling.invite, answer)
                dialog.ack()
                self.assertEqual(invite.uri, (await trunk.request("ACK")).uri)
                bye = dialog.send("BYE")
                trunk.reply(await trunk.request("BYE"), 200)
                self.assertEqual(200, (await browser.response(bye)).status)
                trunk.send_bytes = send  # type: ignore[method-assign]
            await self.log("leads nowhere, going on by the way of the request")

    async def test_moved(self) -> None:
        """A trunk gets another address in the DNS: when the old one has expired, calls go to the new one, and come from
        there; the old address is a stranger's."""
        browser, target = await self.browser(), f"sip:bob@moved.test:{self.port('moved')}"
        old = await self.peer(self.port("moved"), FIRST)
        await self.called(browser, old, target)
        self.assertEqual((await old.ask(old.build("OPTIONS", f"sip:{LOOPBACK}"))).status, 200)
        self.names.clear("moved.test")
        self.names.add("moved.test", dns.Record_A(SECOND), ttl=5)
        new = await self.peer(self.port("moved"), SECOND)
        new.user = "new"
        await pause(6)
        await self.called(browser, new, target)
        await pause(11)
        self.assertEqual((await new.ask(new.build("OPTIONS", f"sip:{LOOPBACK}"))).status, 200)
        strangers = 'refused_total{reason="unknown_source"}'
        before = (await self.proxy.samples()).get(strangers, 0)
        old.send(old.build("OPTIONS", f"sip:{LOOPBACK}"))
        await pause(0.5)
        samples = await self.proxy.samples()
        after = sum(
            count for name, count in samples.items() if name.startswith("refused_total") and "unknown_so" in name
        )
        self.assertGreater(after, before)
