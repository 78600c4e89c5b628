"""A transfer by a trunk over a stream: what the tests of TCP and TLS have in common."""

from __future__ import annotations

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.replacing import replaces, tag_of
from tests.support.real.softphone import Browser
from tests.support.real.stream import StreamPeer
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.replaces import Replaces


class StreamTransfers(RealCase):
    """REFER, and an INVITE with Replaces."""

    async def at_trunk(self, trunk: StreamPeer, domain: str) -> tuple[Browser, str]:
        """A browser that has registered at the trunk, and the URI that calls it."""
        browser = await self.browser(domain=domain)
        register = browser.registration()
        browser.send(register)
        upstream = await trunk.request("REGISTER")
        contact = upstream.headers.get("Contact") or ""
        trunk.reply(upstream, 200, headers=[("Contact", contact)])
        self.assertEqual(200, (await browser.response(register)).status)
        return browser, NameAddr.parse(contact).uri

    async def into(self, trunk: StreamPeer, browser: Browser, uri: str) -> tuple[Dialog, Dialog]:
        """A call of the trunk's to the browser."""
        calling = trunk.invite(uri)
        called = browser.accept(await browser.request("INVITE"))
        caller = await calling.answered()
        await browser.request("ACK")
        return caller, called

    async def refers_and_replaces(self, trunk: StreamPeer, port: int, domain: str) -> None:
        """The trunk refers the browser; then it replaces its own dialog, by another connection, whose former one it
        closes; and the browser hangs up."""
        browser, uri = await self.at_trunk(trunk, domain)
        await trunk.connect(port)
        caller, called = await self.into(trunk, browser, uri)
        sent = caller.send("REFER", [("Refer-To", f"<sip:dave@{domain}"), ("Referred-By", f"{trunk.aor}>")])
        refer = await browser.request("REFER")
        self.assertEqual(f"<sip:dave@{domain}>", refer.headers.get("Refer-To"))
        browser.reply(refer, 202)
        self.assertEqual(202, (await trunk.response(sent)).status)
        headers = [("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")]
        told = called.send("NOTIFY", [*headers, ("Content-Type", "message/sipfrag")], b"SIP/2.0 603 Decline\r\n")
        trunk.reply(await trunk.request("NOTIFY"), 200)
        self.assertEqual(200, (await browser.response(told)).status)

        await trunk.connect(port)
        calling = trunk.invite(uri, headers=[("Replaces", replaces(caller)), ("Require", "replaces")])
        invite = await browser.request("INVITE")
        named = Replaces.parse(invite.headers.get("Replaces") or "")
        self.assertEqual((called.call_id, tag_of(called.local), tag_of(called.remote)), named.key)
        replacing = browser.accept(invite)
        replaced = await calling.answered()
        await browser.request("ACK")
        trunk.connections[-2].abort()
        bye = called.send("BYE")
        trunk.reply(await trunk.request("BYE"), 200)
        self.assertEqual(200, (await browser.response(bye)).status)
        await self.hang_up(replaced, replacing)
