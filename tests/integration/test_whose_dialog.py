"""Whose dialog it is, with real sockets: others know Call-ID, tags and branches, and get nowhere (docs/access.rst: A
request within a dialog)."""

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import until
from tests.support.real.speech import CHROME_OFFER, PLAIN_SDP, Endpoint
from webrtcproxy.sip.message import Headers, Request

METHODS = ("INFO", "UPDATE", "REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE", "OPTIONS", "PRACK", "INVITE", "BYE")
HEADERS = [("Refer-To", "<sip:0900@127.0.0.1>"), ("Subscription-State", "active"), ("Event", "refer")]
FOREIGN = "is not from the peer"


def known_to(dialog: Dialog, phone: Endpoint) -> Dialog:
    """The same end of a dialog, told by somebody else who knows all of it."""
    return Dialog(phone, dialog.call_id, dialog.local, dialog.remote, dialog.target, dialog.route, dialog.cseq + 10)


def cancel_of(invite: Request) -> Request:
    """The CANCEL of somebody's INVITE, with its branch."""
    names = ("Via", "Max-Forwards", "From", "To", "Call-ID")
    headers = Headers((name, invite.headers.get(name) or "") for name in names)
    headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    return Request("CANCEL", invite.uri, headers)


class DialogCase(RealCase):
    """Looks into the log for those who were refused."""

    async def told(self, times: int) -> None:
        """So many lines of the log name somebody who is not the peer."""
        await until(lambda: self.proxy.log(self._log_start).count(FOREIGN) == times, "the lines of the log", 5)


class AnotherBrowser(DialogCase):
    """Two browsers, each registered at Kamailio with its own password; one tries the other's calls."""

    async def setUp(self) -> None:
        await super().setUp()
        self.alice, self.bob, self.trunk = await self.registered(), await self.registered("bob"), await self.peer()

    async def test_methods(self) -> None:
        """481 for each, as for a dialog that does not exist; the call goes on between its ends."""
        caller, callee = await self.connected(self.alice, self.trunk)
        thief = known_to(caller, self.bob)
        for method in METHODS:
            body = CHROME_OFFER if method == "INVITE" else b""
            self.assertEqual((await thief.ask(method, HEADERS, body)).status, 481, method)
        await self.trunk.silence(0.3)
        await self.told(len(METHODS))
        info = caller.send("INFO", [("Content-Type", "text/plain")], b"still here")
        self.trunk.reply(await self.trunk.request("INFO"), 200)
        self.assertEqual((await self.alice.response(info)).status, 200)
        await self.hang_up(callee, caller)

    async def test_cancel_and_answer(self) -> None:
        """Neither a CANCEL with the branch of the caller's INVITE, nor a 200 to the INVITE that rings, counts."""
        calling = self.alice.invite(f"sip:echo@{self.plain}")
        invite = await self.trunk.request("INVITE")
        self.trunk.reply(invite, 180)
        await calling.response(180)
        cancel = cancel_of(calling.invite)
        self.bob.send(cancel)
        self.assertEqual((await self.bob.response(cancel)).status, 481)
        self.bob.reply(invite, 200, body=CHROME_OFFER)
        await self.trunk.silence(0.3)
        callee = self.trunk.accept(invite)
        caller = await calling.answered()
        await self.trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_replaces(self) -> None:
        """Another user can't take the call with Replaces (RFC 3891 section 3)."""
        caller, callee = await self.connected(self.alice, self.trunk)
        tags = [value.rpartition("tag=")[2] for value in (caller.remote, caller.local)]
        replaces = f"{caller.call_id};to-tag={tags[0]};from-tag={tags[1]}"
        taking = self.bob.invite(f"sip:echo@{self.plain}", headers=[("Replaces", replaces)])
        self.assertEqual((await taking.final()).status, 403)
        await self.trunk.silence(0.3)
        await self.hang_up(callee, caller)


class Elsewhere(DialogCase):
    """Somebody at an address that is no trunk's."""

    async def test_stranger(self) -> None:
        """Requests with the right tags get silence, and a 200 with the right branch is ignored."""
        browser, trunk = await self.browser(), await self.peer()
        stranger = await self.peer(5060, "127.0.0.9")
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        stranger.reply(invite, 200, body=PLAIN_SDP)
        await stranger.silence(0.3)
        callee = trunk.accept(invite)
        caller = await calling.answered()
        self.assertEqual(caller.remote.count("tag="), 1)
        await trunk.request("ACK")
        thief = known_to(callee, stranger)
        for method in METHODS:
            thief.send(method, HEADERS, PLAIN_SDP if method == "INVITE" else b"")
        await stranger.silence(0.5)
        await self.told(len(METHODS) + 1)
        await self.hang_up(callee, caller)
