"""Users of a domain that the proxy serves itself, in Chromium with JsSIP and with SIP.js (docs/users.rst)."""

from __future__ import annotations

from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.real.domain import DOMAIN, HOME, NUMBER, Home


class HomeCase(BrowserCase):
    """A proxy that serves home.test; its trunk has no account for anybody."""

    home: ClassVar[Home]

    async def setUp(self) -> None:
        cls = type(self)
        if "home" not in cls.__dict__:
            cls.home = Home()
            cls.changes = cls.home.changes
        await super().setUp()

    async def in_house(self, library: str, user: str = "alice", password: str = "") -> Phone:
        """A phone of a user of the domain, connected."""
        return await self.phone(library, user, password or HOME[user], uri=f"sip:{user}@{DOMAIN}")


class InHouse:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]
    other: ClassVar[str]

    async def test_registers(self) -> None:
        """REGISTER at the proxy: 401 with SHA-256 and MD5, of which the library takes MD5, 200; and un-REGISTER."""
        phone = await self.in_house(self.library)
        self.assertEqual(200, (await phone.register())["code"])
        await phone.do("unregister")
        self.assertEqual(200, (await phone.event("unregistered"))["code"])

    async def test_wrong_password(self) -> None:
        """With a wrong password the page gets 401, and tries no further."""
        phone = await self.in_house(self.library, password="wrong")
        await phone.do("register")
        self.assertEqual(401, (await phone.event("registrationFailed"))["code"])

    async def test_calls_user(self) -> None:
        """Browser to browser without any trunk: audio both ways, DTLS on both sides."""
        alice, bob = await self.in_house(self.library), await self.in_house(self.other, "bob")
        await alice.register()
        await bob.register()
        await self.talk(alice, bob, DOMAIN)

    async def test_calls_without_registration(self) -> None:
        """A page that has not registered answers the 407 to its INVITE by itself."""
        alice, bob = await self.in_house(self.library), await self.in_house(self.other, "bob")
        await bob.register()
        await self.talk(alice, bob, DOMAIN)

    async def test_calls_number(self) -> None:
        """A number goes to the domain's trunk, which is paid with its own account: audio both ways."""
        sipp = await self.behind_kamailio("uas")
        phone = await self.in_house(self.library)
        await phone.register()
        await phone.do("call", f"sip:{NUMBER}{sipp.port}@{DOMAIN}")
        await self.is_heard(phone)
        await sipp.passed()


class JsSipInHouse(InHouse, HomeCase):
    """With JsSIP."""

    library, other = "jssip", "sipjs"


class SipJsInHouse(InHouse, HomeCase):
    """With SIP.js."""

    library, other = "sipjs", "jssip"
