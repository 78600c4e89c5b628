"""TLS to a trunk and from it, with real parts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from twisted.internet.ssl import PrivateCertificate
from twisted.names import dns

from tests.integration.next_hops import CALLED, NextHopsCase
from tests.integration.stream_transfers import StreamTransfers
from tests.support.authority import Authority
from tests.support.real.case import until
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK
from tests.support.real.softphone import Browser
from tests.support.real.stream import StreamPeer
from webrtcproxy.sip.headers import NameAddr

DOMAIN = "secure.test"


class OverTls(NextHopsCase, StreamTransfers):
    """A trunk with TLS, found by SRV, whose certificate has the name of its domain."""

    sections = f"""\
[trunk secure]
host = {DOMAIN}
transport = tls
tls-ca = @authority@
"""
    listens = "tls:@tls@:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem"
    authority: ClassVar[Authority | None] = None

    @classmethod
    def _filled(cls, text: str) -> str:
        if OverTls.authority is None:
            OverTls.authority = Authority(Path(tempfile.mkdtemp(prefix="webrtcproxy-authority-")))
        return super()._filled(text.replace("@authority@", str(OverTls.authority.file)))

    def zone(self) -> None:
        self.names.add(f"_sips._tcp.{DOMAIN}", dns.Record_SRV(1, 1, self.port("trunk"), f"a.{DOMAIN}".encode()))
        self.names.add(f"a.{DOMAIN}", dns.Record_A(LOOPBACK))

    async def trunk(self, *names: str) -> StreamPeer:
        """The trunk, with a certificate for these names."""
        assert OverTls.authority is not None
        key, certificate = OverTls.authority.issue(*(names or (DOMAIN,)))
        peer = StreamPeer(self.port("trunk"), PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes()))
        peer.ladder = self.ladder
        peer.listen()
        self.addCleanup(peer.close)
        return peer

    async def test_call_out(self) -> None:
        """Two calls out, over one connection; Via and Contact tell TLS; the trunk's BYE comes back by it, too."""
        browser, trunk = await self.browser(), await self.trunk()
        for _ in range(2):
            invite = await self.called(browser, trunk, f"sip:bob@{DOMAIN}")
            self.assertEqual((invite.via.transport, invite.via.port), ("TLS", self.port("tls")))
            contact = NameAddr.parse(invite.headers.get("Contact") or "").uri
            self.assertRegex(contact, rf"^sip:[^@]+@127\.0\.0\.1:{self.port('tls')};transport=tls$")
        self.assertEqual(len(trunk.connections), 1)
        self.assertEqual(self.ladder.of("trunk"), CALLED * 2)

    async def test_sips(self) -> None:
        """A sips URI crosses as it is, and has a sips Contact (corners.rst 1: URI schemes); without TLS it is 416."""
        browser, trunk = await self.browser(), await self.trunk()
        invite = await self.called(browser, trunk, f"sips:bob@{DOMAIN}")
        self.assertEqual(invite.uri, f"sips:bob@{DOMAIN}")
        self.assertTrue((invite.headers.get("Contact") or "").startswith("<sips:"))
        final = await browser.invite(f"sips:bob@{self.plain}").final()
        self.assertEqual(final.status, 416)
        self.assertEqual(self.ladder.of("trunk"), CALLED)

    async def test_call_in(self) -> None:
        """A browser registers over TLS, and the trunk calls its Contact by a connection of its own."""
        trunk = await self.trunk()
        browser = Browser("alice", self.proxy.wss, domain=DOMAIN)
        self.addCleanup(browser.close)
        browser.ladder = self.ladder
        await browser.connect()
        register = browser.registration()
        browser.send(register)
        upstream = await trunk.request("REGISTER")
        contact = upstream.headers.get("Contact") or ""
        trunk.reply(upstream, 200, headers=[("Contact", contact)])
        self.assertEqual((await browser.response(register)).status, 200)
        self.assertIn(f":{self.port('tls')};transport=tls", contact)
        await trunk.connect(self.port("tls"))
        calling = trunk.invite(NameAddr.parse(contact).uri)
        browser.accept(await browser.request("INVITE"))
        dialog = await calling.answered()
        await browser.request("ACK")
        bye = dialog.send("BYE")
        browser.reply(await browser.request("BYE"), 200)
        self.assertEqual((await trunk.response(bye)).status, 200)
        self.assertEqual(
            self.ladder.of("trunk"),
            ["< REGISTER", "> 200 REGISTER", "> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
        )

    async def test_refer_and_replaces(self) -> None:
        """REFER, and an INVITE with Replaces on another connection (field.rst O: Odd Refer-To; RFC 3891)."""
        await self.refers_and_replaces(await self.trunk(), self.port("tls"), DOMAIN)

    async def test_wrong_certificate(self) -> None:
        """A certificate of another name: 502 for the caller, a log line that says whose and why, and not a word of SIP
        for whoever that is."""
        browser, trunk = await self.browser(), await self.trunk("other.test", f"a.{DOMAIN}")
        final = await browser.invite(f"sip:bob@{DOMAIN}").final()
        self.assertEqual(final.status, 502)
        await self.log(rf"No TLS with {DOMAIN}.*does not name {DOMAIN}")
        self.assertEqual(self.ladder.of("alice"), ["> INVITE sdp", "< 502 INVITE", "> ACK"])
        self.assertEqual(trunk.received, [])

    async def test_unknown_authority(self) -> None:
        """The same where nobody whom we believe has signed it."""
        browser = await self.browser()
        key, certificate = Authority(Path(tempfile.mkdtemp()), "impostor").issue(DOMAIN)
        impostor = StreamPeer(
            self.port("trunk"), PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes())
        )
        impostor.listen()
        self.addCleanup(impostor.close)
        self.assertEqual((await browser.invite(f"sip:bob@{DOMAIN}").final()).status, 502)
        await self.log(rf"No TLS with {DOMAIN}.*certificate verify failed")
        self.assertEqual(impostor.received, [])

    async def test_trunk_goes_away(self) -> None:
        """The connection ends within a call: what comes next goes by a new one, to the same domain, though the Contact
        has the address only."""
        browser, trunk = await self.browser(), await self.trunk()
        calling = browser.invite(f"sip:bob@{DOMAIN}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        trunk.connections[-1].abort()
        await until(lambda: not trunk.connections[-1].open, "the connection is gone")
        await pause(0.1)
        bye = caller.send("BYE")
        await callee.hung_up()
        self.assertEqual((await browser.response(bye)).status, 200)
        self.assertEqual(len(trunk.connections), 2)
        self.assertEqual(self.ladder.of("trunk"), ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"])


class OverTlsWithWorkers(OverTls):
    """The same with two processes: the port for TLS is one, the connections out are each one's own."""

    workers = "2"

    async def test_call_out(self) -> None:
        """Calls out by either; each has a connection."""
        browsers, trunk = [await self.browser(f"user{number}") for number in range(6)], await self.trunk()
        for browser in browsers:
            invite = await self.called(browser, trunk, f"sip:bob@{DOMAIN}")
            self.assertEqual((invite.via.transport, invite.via.port), ("TLS", self.port("tls")))
        self.assertIn(len(trunk.connections), (1, 2))
