"""Transfers by pages in Chromium, with JsSIP and with SIP.js (RFC 3515, RFC 5589; original.rst: REFER)."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from tests.browser.case import BrowserCase, Phone
from tests.support.real.case import LAB
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, TAKEN
from tests.support.real.replacing import replaces, tag_of
from tests.support.real.softphone import Peer
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.replaces import replaces_of


class Transfers:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]

    async def out(self, phone: Phone, trunk: Peer) -> Dialog:
        """A call out of the page: the trunk's dialog."""
        await phone.do("call", f"sip:{trunk.user}@{trunk.host}:{trunk.port}")
        dialog = trunk.accept(await trunk.request("INVITE"))
        await trunk.request("ACK")
        await phone.event("confirmed")
        return dialog

    async def into(self, caller: Peer, phone: Phone) -> Dialog:
        """A call to the page: the caller's dialog."""
        calling = caller.invite(f"sip:{phone.user}@pbx.test")
        await phone.event("incoming")
        await phone.do("answer")
        dialog = await calling.answered()
        await phone.event("confirmed")
        return dialog

    async def tell(self, dialog: Dialog, fragment: str, state: str) -> None:
        headers = [("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0")]
        self.assertEqual(200, (await dialog.ask("NOTIFY", headers, f"SIP/2.0 {fragment}\r\n".encode())).status)

    async def hear(self, peer: Peer, fragment: bytes) -> None:
        """Wait for the NOTIFY with this fragment; those before it are answered, too."""
        while True:
            notify = await peer.request("NOTIFY", 10)
            peer.reply(notify, 200)
            if fragment in notify.body:
                break

    async def test_blind(self) -> None:
        """The page refers its trunk, learns how it goes, and hangs up (original.rst: REFER, blind)."""
        trunk, phone = await self.peer(), await self.phone(self.library)
        dialog = await self.out(phone, trunk)
        await phone.do("refer", "sip:dave@far.test")
        refer = await trunk.request("REFER")
        self.assertEqual("sip:dave@far.test", NameAddr.parse(refer.headers.get("Refer-To") or "").uri)
        trunk.reply(refer, 202)
        await phone.event("referAccepted")
        for fragment, state in (("100 Trying", "active"), ("180 Ringing", "active"), ("200 OK", "terminated")):
            await self.tell(dialog, fragment, state)
            self.assertEqual(int(fragment[:3]), (await phone.event("transfer"))["code"])
        await phone.do("hangup")
        await dialog.hung_up()
        await phone.event("ended")
        told = ["> NOTIFY", "< 200 NOTIFY"]
        self.assertEqual([*TAKEN, "< REFER", "> 202 REFER", *told, *told, *told, *HUNG_UP], self.ladder.of(trunk.user))

    async def test_refused(self) -> None:
        """The page gets the trunk's refusal, and the call goes on."""
        trunk, phone = await self.peer(), await self.phone(self.library)
        dialog = await self.out(phone, trunk)
        await phone.do("refer", "sip:dave@far.test")
        trunk.reply(await trunk.request("REFER"), 603)
        self.assertEqual(603, (await phone.event("referRefused"))["code"])
        await phone.do("hangup")
        await dialog.hung_up()
        await phone.event("ended")
        self.assertEqual([*TAKEN, "< REFER", "> 603 REFER", *HUNG_UP], self.ladder.of(trunk.user))

    async def test_is_referred(self) -> None:
        """The page is referred by a caller: it calls the target, as it may call itself, and tells how it went."""
        phone, caller = await self.registered_phone(self.library), await self.kamailio_peer()
        sipp = await self.sipp("uas")
        dialog = await self.into(caller, phone)
        sent = dialog.send("REFER", [("Refer-To", f"<sip:echo@{sipp.host}>"), ("Referred-By", "<sip:desk@pbx.test>")])
        self.assertEqual(202, (await caller.response(sent)).status)
        self.assertEqual(f"sip:echo@{sipp.host}", (await phone.event("referred"))["to"])
        await self.hear(caller, b"200 OK")
        await phone.event("confirmed")
        await phone.assert_audio()
        self.assertEqual(200, (await dialog.bye()).status)
        await phone.do("hangup")
        await sipp.passed()

    async def test_attended(self) -> None:
        """The page brings the other ends of its two calls together: the REFER has the name of the target's own dialog
        (original.rst: attended)."""
        bob, carol = await self.peer(), await self.peer(LAB.paid)
        bob.user, carol.user = "bob", "carol"
        phone = await self.phone(self.library)
        bobs, carols = await self.out(phone, bob), await self.out(phone, carol)
        await phone.do("select", 0)
        await phone.do("attend", 1)
        refer = await bob.request("REFER")
        named = replaces_of(NameAddr.parse(refer.headers.get("Refer-To") or "").address)
        assert named is not None
        self.assertEqual((carols.call_id, tag_of(carols.local), tag_of(carols.remote)), named.key)
        bob.reply(refer, 202)
        await phone.event("referAccepted")
        await self.tell(bobs, "200 OK", "terminated")
        self.assertEqual(200, (await phone.event("transfer"))["code"])
        self.assertEqual(200, (await carols.bye()).status)
        await phone.event("ended")
        await phone.do("hangup")
        await bobs.hung_up()
        self.assertEqual(
            [*TAKEN, "< REFER", "> 202 REFER", "> NOTIFY", "< 200 NOTIFY", *HUNG_UP], self.ladder.of("bob")
        )
        self.assertEqual([*TAKEN, *HANGS_UP], self.ladder.of("carol"))

    async def test_pages_are_brought_together(self) -> None:
        """A caller has calls with two pages, and brings them together: they hear each other (corners.rst 4: 3891)."""
        bob, carol = await self.registered_phone(self.library, "bob"), await self.registered_phone(self.library)
        caller = await self.kamailio_peer()
        first, second = await self.into(caller, bob), await self.into(caller, carol)
        sent = first.send("REFER", [("Refer-To", f"<{second.target}?Replaces={quote(replaces(second), safe='')}>")])
        self.assertEqual(202, (await caller.response(sent)).status)
        await bob.event("referred")
        if self.library == "jssip":
            await carol.event("replaced")
        await carol.event("incoming")
        await carol.do("answer")
        await self.hear(caller, b"200 OK")
        await second.hung_up()
        self.assertEqual(200, (await first.bye()).status)
        await bob.event("confirmed")
        await bob.assert_audio()
        await carol.assert_audio()
        await bob.do("hangup")


class JsSipTransfers(Transfers, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJsTransfers(Transfers, BrowserCase):
    """With SIP.js."""

    library = "sipjs"


class LocalTransfer(BrowserCase):
    """`refer = local`: the trunk does no REFER, and the page does not notice."""

    changes = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\nrefer = local\n"),)

    async def test_blind(self) -> None:
        """The page is told as if the trunk had done it, and hung up on."""
        for library in ("jssip", "sipjs"):
            bob, carol = await self.peer(), await self.peer(LAB.paid)
            phone = await self.phone(library)
            await phone.do("call", f"sip:bob@{self.plain}")
            bobs = bob.accept(await bob.request("INVITE"))
            await bob.request("ACK")
            await phone.event("confirmed")
            await phone.do("refer", f"sip:carol@{self.paid}")
            bob.reply(await bob.request("REFER"), 405)
            await phone.event("referAccepted")
            self.assertEqual(100, (await phone.event("transfer"))["code"])
            carols = carol.accept(await carol.request("INVITE"))
            await carol.request("ACK")
            bob.accept(await bob.request("INVITE"))
            await bob.request("ACK")
            self.assertEqual(200, (await phone.event("transfer"))["code"])
            self.assertEqual("remote", (await phone.event("ended"))["by"])
            await self.hang_up(carols, bobs)
            await bob.close()
            await carol.close()
