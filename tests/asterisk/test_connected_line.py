"""Who is shown to whom when Asterisk connects others (RFC 3325, RFC 5876 section 3; corners.rst 4: 3325/3323)."""

from __future__ import annotations

from tests.asterisk.case import DOMAIN, AsteriskCase
from tests.support.real import digest
from tests.support.real.asterisk import PASSWORD
from tests.support.real.dialog import Dialog
from tests.support.real.softphone import Browser
from tests.support.real.speech import CHROME_ANSWER
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request, Response


class ConnectedLine(AsteriskCase):
    """Accounts with `send_pai`, `send_rpid` and `trust_connected_line`; WebSocket clients."""

    async def call(self, caller: Browser, callee: Browser) -> tuple[Dialog, Dialog]:
        """A call by way of Asterisk: the dialogs of both. Each is shown the other one."""
        calling = caller.invite(f"sip:{callee.user}@{DOMAIN}")
        challenge = await calling.final()
        value = challenge.headers.get("WWW-Authenticate") or ""
        answer = digest.answer(value, "INVITE", calling.invite.uri, caller.user, PASSWORD)
        calling = calling.again([("Authorization", answer)])
        invite = await callee.request("INVITE")
        self.assertEqual(caller.user, shown(invite))
        callees = callee.accept(invite)
        await callee.request("ACK")
        ok = await calling.final()
        self.assertEqual((200, callee.user), (ok.status, shown(ok)))
        callers = Dialog.of_caller(caller, calling.invite, ok)
        callers.ack()
        return callers, callees

    async def is_shown(self, phone: Browser, number: str) -> None:
        """Wait for the re-INVITE or UPDATE that says who is connected now; it is answered."""
        request = await phone.message(
            lambda message: isinstance(message, Request) and message.method in ("INVITE", "UPDATE"), "new line", 10
        )
        assert isinstance(request, Request)
        self.assertEqual(number, shown(request))
        if request.method == "INVITE":
            phone.accept(request, CHROME_ANSWER)
            await phone.request("ACK")
        else:
            phone.reply(request, 200, body=CHROME_ANSWER if request.body else b"")

    async def transferred(self, dialog: Dialog, number: str) -> None:
        """A phone sends the other end of its call on."""
        response = await dialog.ask("REFER", [("Refer-To", f"<sip:{number}@{DOMAIN}>")])
        self.assertEqual(202, response.status)

    async def done(self, dialog: Dialog) -> None:
        """It hears that the third one has answered, and hangs up."""
        phone = dialog.phone
        while True:
            notify = await phone.request("NOTIFY", 10)
            phone.reply(notify, 200)
            if b"200 OK" in notify.body:
                break
        self.assertEqual(200, (await dialog.bye()).status)

    async def test_transferred_caller(self) -> None:
        """The callee sends the caller on: the caller is shown the third one, who is shown the caller."""
        alice, bob, carol = [await self.account(number) for number in ("1071", "1072", "1073")]
        callers, callees = await self.call(alice, bob)
        await self.transferred(callees, carol.user)
        invite = await carol.request("INVITE")
        self.assertEqual(alice.user, shown(invite))
        carols = carol.accept(invite)
        await carol.request("ACK")
        await self.is_shown(alice, carol.user)
        await self.done(callees)
        self.assertEqual(200, (await callers.bye()).status)
        await carols.hung_up()

    async def test_transferred_callee(self) -> None:
        """The caller sends the callee on: the same for the callee."""
        alice, bob, carol = [await self.account(number) for number in ("1071", "1072", "1073")]
        callers, callees = await self.call(alice, bob)
        await self.transferred(callers, carol.user)
        invite = await carol.request("INVITE")
        self.assertEqual(bob.user, shown(invite))
        carols = carol.accept(invite)
        await carol.request("ACK")
        await self.is_shown(bob, carol.user)
        await self.done(callers)
        self.assertEqual(200, (await carols.bye()).status)
        await callees.hung_up()


def shown(message: Request | Response) -> str:
    """The number in P-Asserted-Identity; both headers that Asterisk has for it say the same."""
    asserted, remote = (message.headers.get(name) or "" for name in ("P-Asserted-Identity", "Remote-Party-ID"))
    number = NameAddr.parse(asserted).address.user if asserted else ""
    assert not remote or NameAddr.parse(remote).address.user == number, (asserted, remote)
    return number or ""
