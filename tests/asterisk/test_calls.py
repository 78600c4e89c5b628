"""Calls of pages by way of Asterisk: registered with digest, out and in, over each transport, with SDES and BUNDLE."""

from __future__ import annotations

from tests.asterisk.case import MILLIWATT_HERTZ, AsteriskBrowserCase


class Calls(AsteriskBrowserCase):
    """Accounts in Chromium."""

    async def test_out_and_in(self) -> None:
        """One page registers, calls another, is heard, and hangs up; then the other way, with the other library."""
        alice, bob = await self.page("1001"), await self.page("1002", "sipjs")
        await self.call(alice, bob)
        await self.hang_up(alice, bob)
        await self.call(bob, alice)
        await self.hang_up(alice, bob)

    async def test_to_asterisk(self) -> None:
        """Asterisk itself answers: its tone is heard, and its echo."""
        for library in ("jssip", "sipjs"):
            phone = await self.page("1001", library)
            await self.dial(phone, "601")
            await self.tone(phone, MILLIWATT_HERTZ)
            await self.hang_up(phone)
            await self.dial(phone, "600")
            await self.heard(phone)
            await self.hang_up(phone)

    async def test_from_asterisk(self) -> None:
        """Asterisk calls the page, plays, and hangs up."""
        phone = await self.page("1001")
        await self.pbx.order("channel originate PJSIP/1001 extension 601@calls")
        await phone.event("incoming")
        await phone.do("answer")
        await phone.event("confirmed")
        await self.tone(phone, MILLIWATT_HERTZ)
        await self.pbx.order("channel request hangup all")
        self.assertEqual("remote", (await phone.event("ended"))["by"])

    async def test_transports(self) -> None:
        """Over TCP and over TLS, with its certificate checked, as over UDP: both call and are called."""
        for domain in ("tcp.asterisk.test", "tls.asterisk.test"):
            alice, bob = await self.page("1001", domain=domain), await self.page("1002", domain=domain)
            await self.call(alice, bob, domain)
            await self.hang_up(bob, alice)
            await self.call(bob, alice, domain)
            await self.hang_up(bob, alice)

    async def test_sdes(self) -> None:
        """An account with SDES, of a tenant at the same address: calls, and is called (field.rst X12: Several trunks
        at one address)."""
        alice, bob = await self.page("1031", domain="srtp.asterisk.test"), await self.page("1002")
        await self.call(alice, bob, "srtp.asterisk.test")
        await self.hang_up(alice, bob)
        await self.call(bob, alice)
        await self.hang_up(alice, bob)

    async def test_bundle(self) -> None:
        """An account to which Asterisk offers BUNDLE, msid and ssrc: it is heard, both ways, by either library
        (field.rst X11: Streams of the other side)."""
        for library in ("jssip", "sipjs"):
            alice, bob = await self.page("1051", library), await self.page("1002")
            await self.call(bob, alice)
            await self.hang_up(bob, alice)
            await self.call(alice, bob)
            await self.hang_up(bob, alice)


class CallsOfFirefox(AsteriskBrowserCase):
    """Accounts in Firefox."""

    browser_name = "firefox"

    async def test_out_and_in(self) -> None:
        """As Chromium does."""
        alice, bob = await self.page("1001"), await self.page("1002", "sipjs")
        await self.call(alice, bob)
        await self.hang_up(alice, bob)
        await self.call(bob, alice)
        await self.hang_up(alice, bob)
