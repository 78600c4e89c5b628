"""Odd headers of a trunk and of a registrar, and what a page in Chromium makes of what the proxy makes of them."""

from __future__ import annotations

from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.integration.test_malformed import changing, odd_invites
from tests.support.real.softphone import Peer


class OddHeaders:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]

    async def registered_at(self, trunk: Peer, contacts: str = "{ours};expires=600") -> tuple[Phone, str]:
        """A page that is registered at the trunk, whose 200 has that as Contact, and the URI that calls it there."""
        phone: Phone = await self.phone(self.library, uri=f"sip:alice@{self.plain}")
        await phone.do("register")
        register = await trunk.request("REGISTER")
        ours = (register.headers.get("Contact") or "").partition(">")[0] + ">"
        trunk.reply(register, 200, headers=[("Contact", contacts.format(ours=ours))])
        self.assertEqual(200, (await phone.event("registered"))["code"])
        return phone, ours[1:-1]

    async def test_rings(self) -> None:
        """The page rings whatever the INVITE has, shows who calls, and what it refuses with reaches the trunk; one that
        it answers comes up (field.rst H: Odd headers)."""
        trunk = await self.peer()
        phone, target = await self.registered_at(trunk)
        for number, (change, shown) in enumerate(odd_invites(self.plain)):
            changing(trunk, change)
            calling = trunk.invite(target)
            incoming = await phone.event("incoming")  # both libraries escape what is a parameter of a user part
            self.assertEqual(shown, incoming["from"].replace("%3B", ";").replace("%3D", "="))
            changing(trunk, lambda data: data)
            if number:
                await phone.do("reject", 486, "Busy")
                self.assertEqual(486, (await calling.final()).status, (number, shown))
            else:
                await phone.do("answer")
                caller = await calling.answered()
                await phone.event("confirmed")
                self.assertEqual(200, (await caller.bye()).status)
                await phone.event("ended")

    async def test_called_back(self) -> None:
        """A local number that names its context can be called by what the page is shown: the trunk gets both (field.rst
        H: Odd headers)."""
        trunk = await self.peer()
        phone, target = await self.registered_at(trunk)
        (change,) = (change for change, shown in odd_invites(self.plain) if "phone-context" in shown)
        changing(trunk, change)
        calling = trunk.invite(target)
        shown = (await phone.event("incoming"))["from"]
        await phone.do("reject", 486, "Busy")
        self.assertEqual(486, (await calling.final()).status)
        changing(trunk, lambda data: data)
        await phone.do("call", shown.replace("@127.0.0.1", f"@{self.plain}"))
        invite = await trunk.request("INVITE")
        self.assertEqual(f"sip:123;phone-context=+4930@{self.plain};user=phone", invite.uri)
        trunk.reply(invite, 486)
        await trunk.request("ACK")
        await phone.event("failed")

    async def test_contact_beside_ours(self) -> None:
        """The page takes the 200 to its REGISTER, whatever stands beside its Contact, and is called (field.rst W9:
        Contact beside ours)."""
        trunk = await self.peer()
        phone, target = await self.registered_at(trunk, "<sip:x@192.0.2.9;expires=300, {ours};expires=120")
        calling = trunk.invite(target)
        await phone.event("incoming")
        await phone.do("reject", 486, "Busy")
        self.assertEqual(486, (await calling.final()).status)


class JsSip(OddHeaders, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJs(OddHeaders, BrowserCase):
    """With SIP.js."""

    library = "sipjs"
