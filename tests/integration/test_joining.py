"""Browsers that register while their user is called (design.rst: a fork that grows)."""

from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.softphone import Browser, Peer


class Joining(RealCase):
    """A call comes in by way of Kamailio, and rings at one browser."""

    async def ring(self) -> tuple[Browser, Peer, Calling]:
        first, caller = await self.registered(), await self.kamailio_peer()
        first.user = "first"
        calling = caller.invite("sip:alice@pbx.test")
        first.reply(await first.request("INVITE"), 180)
        await calling.response(180)
        return first, caller, calling

    async def test_second_browser(self) -> None:
        """It rings at once, and takes the call; the first learns that it was answered elsewhere."""
        first, _, calling = await self.ring()
        second = await self.registered()
        invite = await second.request("INVITE")
        second.reply(invite, 180)
        callee = second.accept(invite)
        dialog = await calling.answered()
        await second.request("ACK")
        cancel = await first.request("CANCEL")
        self.assertIn("cause=200", cancel.headers.get("Reason") or "")
        first.reply(cancel, 200)
        first.reply(first.requests("INVITE")[0], 487)
        await first.request("ACK")
        await self.session()
        await self.hang_up(dialog, callee)
        self.assertEqual(
            ["< INVITE sdp", "> 180 INVITE", "< CANCEL", "> 200 CANCEL", "> 487 INVITE", "< ACK"],
            [rung for rung in self.ladder.of("first") if "REGISTER" not in rung],
        )
        self.assertEqual(
            ["< INVITE sdp", "> 180 INVITE", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"],
            [rung for rung in self.ladder.of("alice") if "REGISTER" not in rung],
        )

    async def test_page_is_reloaded(self) -> None:
        """The socket goes while it rings, and the same instance registers on a new one: it rings there, and the caller
        learns nothing of it but the answer."""
        first, caller, calling = await self.ring()
        await first.break_off()
        again = await self.browser(password=PASSWORDS["alice"])
        again.contact, again.instance = first.contact, first.instance
        await again.register()
        callee: Dialog = again.accept(await again.request("INVITE"))
        dialog = await calling.answered()
        await again.request("ACK")
        await self.hang_up(dialog, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
            self.ladder.of(caller.user),
        )
