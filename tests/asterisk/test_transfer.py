"""Transfers by either side of a call, which Asterisk carries out, and one that it asks for (RFC 3515, 5589)."""

from __future__ import annotations

from typing import ClassVar

from tests.asterisk.case import DOMAIN, AsteriskBrowserCase, Phone


class Transfers:
    """What holds with media by way of Asterisk and without; the classes below name the accounts."""

    numbers: ClassVar[tuple[str, str, str]]

    async def trio(self) -> tuple[Phone, Phone, Phone]:
        one, two, three = self.numbers
        return await self.page(one), await self.page(two, "sipjs"), await self.page(three)

    async def blind(self, by: Phone, other: Phone, third: Phone) -> None:
        """`by` sends the other one to the third."""
        await by.do("refer", f"sip:{third.user}@{DOMAIN}")
        await by.event("referAccepted")
        await third.event("incoming")
        await third.do("answer")
        await third.event("confirmed")
        await self.over(by)
        await self.heard(other, third)
        await self.hang_up(third, other)

    async def over(self, phone: Phone) -> None:
        """Who has transferred learns that the other ones are connected, and hangs up, as phones do."""
        while (await phone.event("transfer"))["code"] != 200:
            pass
        await phone.do("hangup")
        await phone.event("ended")

    async def test_blind_by_caller(self) -> None:
        """The caller sends the callee on."""
        alice, bob, carol = await self.trio()
        await self.call(alice, bob)
        await self.blind(alice, bob, carol)

    async def test_blind_by_callee(self) -> None:
        """The callee sends the caller on."""
        alice, bob, carol = await self.trio()
        await self.call(alice, bob)
        await self.blind(bob, alice, carol)

    async def test_attended(self) -> None:
        """Who has called one and then another brings them together."""
        alice, bob, carol = await self.trio()
        await self.call(alice, bob)
        await self.change(alice, "hold")
        await self.music(bob)
        await self.call(alice, carol)
        await alice.do("select", 0)
        await alice.do("attend", 1)
        await alice.event("referAccepted")
        self.assertEqual("remote", (await alice.event("ended"))["by"])
        await self.over(alice)
        await self.heard(bob, carol)
        await self.hang_up(bob, carol)

    async def test_attended_by_callee(self) -> None:
        """The same by who was called, with the other library: the caller talks with the third in the end."""
        alice, bob, carol = await self.trio()
        await self.call(alice, bob)
        await self.change(bob, "hold")
        await self.call(bob, carol)
        await bob.do("select", 0)
        await bob.do("attend", 1)
        await bob.event("referAccepted")
        self.assertEqual("remote", (await bob.event("ended"))["by"])
        await self.over(bob)
        await self.heard(alice, carol)
        await self.hang_up(carol, alice)

    async def test_blind_to_echo(self) -> None:
        """The callee sends the caller to where nobody speaks first, and he hears himself: rtpengine sends to the new
        place before it has heard from there, whatever still comes from the old one."""
        alice, bob, _ = await self.trio()
        await self.call(alice, bob)
        await bob.do("refer", f"sip:600@{DOMAIN}")
        await bob.event("referAccepted")
        await self.told("CALL 600")
        await self.over(bob)
        await self.heard(alice)
        await self.hang_up(alice)


class ByWayOfAsterisk(Transfers, AsteriskBrowserCase):
    """Asterisk has the media."""

    numbers = ("1001", "1002", "1003")

    async def test_by_asterisk(self) -> None:
        """Asterisk's own Transfer() refers the page, which calls where it is sent."""
        alice = await self.page("1001")
        await self.dial(alice, "603")
        self.assertEqual("sip:600@asterisk.test", (await alice.event("referred"))["to"])
        await self.told("CALL 600 FROM 1001")
        await alice.event("ended")
        await alice.event("confirmed")
        await self.heard(alice)
        await self.hang_up(alice)


class DirectMedia(Transfers, AsteriskBrowserCase):
    """Asterisk takes itself out of the media with re-INVITE."""

    numbers = ("1011", "1012", "1013")
