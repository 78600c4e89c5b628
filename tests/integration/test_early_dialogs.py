"""What the field says before a call is answered: who somebody is, where it is reached, and that it wants credentials;
with scripted trunks and browsers and rtpengine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tests.integration.test_malformed import trunk_registers
from tests.support.real import digest
from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ports import LOOPBACK
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP, Endpoint
from webrtcproxy.sip.message import Request, Response

ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")
RELIABLE = ("Supported", "100rel, from-change")
IDENTITY = "P-Asserted-Identity"


@dataclass
class Early:
    """A call that rings.

    :ivar calling: the caller's INVITE.
    :ivar caller: the dialog of the caller.
    :ivar invite: what the callee got.
    :ivar callee: its dialog.
    """

    calling: Calling
    caller: Dialog
    invite: Request
    callee: Dialog

    def sdp(self, of: Dialog, direction: bytes = b"sendrecv") -> bytes:
        """A description of one side's: the direction, in another version where it is another one."""
        sdp = CHROME_ANSWER if isinstance(of.phone, Browser) else PLAIN_SDP
        if of is self.caller and isinstance(of.phone, Browser):
            sdp = CHROME_OFFER
        if direction != b"sendrecv":
            sdp = sdp.replace(b"sendrecv", direction).replace(b" 7 1 ", b" 7 2 ").replace(b" 2 IN", b" 3 IN")
        return sdp


class EarlyCase(RealCase):
    """Calls out of a browser, and into one."""

    port: int = LAB.plain

    @property
    def host(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def ringing(self, trunk: Peer, inward: bool, reliable: bool = True) -> Early:
        """A call that rings; both sides take UPDATE, and an answer in a reliable 183, or a 180 without any."""
        browser = await self.browser(domain=self.host)
        target = await trunk_registers(browser, trunk) if inward else f"sip:echo@{self.host}"
        near, far = (trunk, browser) if inward else (browser, trunk)
        calling = near.invite(target, headers=[ALLOW, RELIABLE])
        invite = await far.request("INVITE")
        status, body = (183, CHROME_ANSWER if inward else PLAIN_SDP) if reliable else (180, b"")
        more = [("Require", "100rel"), ("RSeq", "1")] if reliable else []
        rung = far.reply(invite, status, headers=[ALLOW, ("Supported", "from-change"), *more], body=body)
        called = Dialog.of_callee(far, invite, rung)
        if reliable:
            await self.pracked(far)
        heard = await calling.response(status)
        call = Early(calling, Dialog.of_caller(near, calling.invite, heard), invite, called)
        if reliable:
            rack = ("RAck", f"{heard.headers.get('RSeq')} {heard.cseq}")
            self.assertEqual(200, (await call.caller.ask("PRACK", [rack])).status)
        return call

    async def pracked(self, callee: Endpoint) -> None:
        callee.reply(await callee.request("PRACK"), 200)

    async def answered(self, call: Early) -> Response:
        """The callee picks up."""
        far, number = call.callee.phone, call.caller.cseq
        far.reply(call.invite, 200, headers=[ALLOW], body=call.sdp(call.callee))
        answer = await call.calling.final()
        self.assertEqual(200, answer.status)
        call.caller.target = Dialog.of_caller(call.caller.phone, call.calling.invite, answer).target
        call.caller.cseq = call.calling.invite.cseq.number
        call.caller.ack()
        call.caller.cseq = number
        await far.request("ACK")
        return answer

    async def ended(self, call: Early) -> None:
        """The callee picks up, and the caller hangs up."""
        await self.answered(call)
        await self.hang_up(call.caller, call.callee)


def asserted(message: Request | Response) -> list[str]:
    return message.headers.lines(IDENTITY)


class WhoItIs(EarlyCase):
    """Either side says who it is now, to a trunk that believes its browsers (field.rst W4: Connected line)."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\npass-identity = yes\n"),)

    async def test_update(self) -> None:
        """By UPDATE before the answer, and by UPDATE and by re-INVITE after it: the other side is shown it each time,
        once, by an UPDATE without SDP; the caller's 200 needs not have it."""
        trunk = await self.peer()
        for inward in (False, True):
            for reliable in (False, True):
                call = await self.ringing(trunk, inward, reliable)
                await self.say(call.caller, call.callee, "UPDATE", "Alice")
                await self.say(call.callee, call.caller, "UPDATE", "Dave")
                self.assertEqual([], asserted(await self.answered(call)))
                for by, to, name in ((call.caller, call.callee, "Bob"), (call.callee, call.caller, "Erin")):
                    await self.say(by, to, "UPDATE", name)
                    await self.say(by, to, "INVITE", f"{name} too", call.sdp(by))
                await self.hang_up(call.caller, call.callee)

    async def say(self, by: Dialog, to: Dialog, method: str, name: str, body: bytes = b"") -> None:
        """One side says that it is somebody else, and again; the other one hears of it once."""
        identity = (IDENTITY, f'"{name}" <sip:+4930{len(name)}@{self.host}>')
        for _ in range(2):
            self.assertEqual(200, (await by.ask(method, [ALLOW, identity], body)).status)
            if method == "INVITE":
                by.ack()
        update = await to.phone.request("UPDATE")
        self.assertEqual(([identity[1]], b""), (asserted(update), update.body))
        to.phone.reply(update, 200)

    async def test_from_change(self) -> None:
        """The same by another From, where the peer says that it takes one (RFC 4916 section 4)."""
        trunk = await self.peer()
        for inward in (False, True):
            call = await self.ringing(trunk, inward)
            for by, to in ((call.caller, call.callee), (call.callee, call.caller)):
                tag = by.local.partition(";tag=")[2]
                by.local = f'"Zoe" <sip:zoe@{self.host}>;tag={tag}'
                self.assertEqual(200, (await by.ask("UPDATE", [ALLOW])).status)
                update = await to.phone.request("UPDATE")
                self.assertEqual(("zoe", "Zoe"), (update.from_.address.user, update.from_.display))
                to.phone.reply(update, 200)
            await self.ended(call)


class WhoMayAsk(EarlyCase):
    """The trunk with an account challenges what the proxy sends in an early dialog (field.rst A: Challenge in a call
    that came in)."""

    port = LAB.paid
    changes: ClassVar = (("host = 127.0.0.1:@paid@\n", "host = 127.0.0.1:@paid@\npass-identity = yes\n"),)
    NAMES = ((401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization"))
    nonce = 0

    async def challenged(self, trunk: Peer, method: str) -> Request:
        """The next request of this method, after it was challenged, with credentials that are right. Each way of asking
        has its turn, each time with a nonce of its own."""
        first = await trunk.request(method)
        self.nonce += 1
        status, asks, answers = self.NAMES[self.nonce % 2]
        trunk.reply(first, status, headers=[(asks, digest.challenge("trunk.test", f"nonce-{self.nonce}"))])
        again = await trunk.request(method)
        self.assertEqual(first.cseq.number + 1, again.cseq.number)
        params = digest.verify(again.headers.get(answers), method, "secret", again.body)
        self.assertEqual(f"nonce-{self.nonce}", params["nonce"])
        return again

    def unseen(self, call: Early) -> None:
        """Neither 401 nor 407 has reached the browser."""
        browser = next(end.phone for end in (call.caller, call.callee) if isinstance(end.phone, Browser))
        self.assertFalse({401, 407} & {getattr(message, "status", 0) for message in browser.received})

    async def pracked(self, callee: Endpoint) -> None:
        prack = await self.challenged(callee, "PRACK") if isinstance(callee, Peer) else await callee.request("PRACK")
        self.assertEqual("1", (prack.headers.get("RAck") or "").split()[0])
        callee.reply(prack, 200)

    async def test_prack_and_update(self) -> None:
        """PRACK, and the UPDATE by which the browser changes the session, are sent again with credentials; the browser
        hears nothing of it. So it is in a call out, and in one that came in."""
        trunk = await self.peer(LAB.paid)
        for inward in (False, True):
            call = await self.ringing(trunk, inward)
            page, far = (call.callee, call.caller) if inward else (call.caller, call.callee)
            update = page.send("UPDATE", [ALLOW], call.sdp(page, b"sendonly"))
            crossed = await self.challenged(trunk, "UPDATE")
            self.assertIn(b"a=sendonly", crossed.body)
            trunk.reply(crossed, 200, body=call.sdp(far, b"recvonly"))
            self.assertEqual(200, (await page.phone.response(update)).status)
            await self.ended(call)
            self.unseen(call)

    async def test_identity(self) -> None:
        """So it is for what the proxy sends by itself to show who the browser is, without a session as yet."""
        trunk = await self.peer(LAB.paid)
        for inward in (False, True):
            call = await self.ringing(trunk, inward, reliable=False)
            page = call.callee if inward else call.caller
            identity = (IDENTITY, f'"Zoe" <sip:zoe@{self.host}>')
            self.assertEqual(200, (await page.ask("UPDATE", [ALLOW, identity])).status)
            shown = await self.challenged(trunk, "UPDATE")
            self.assertEqual([identity[1]], asserted(shown))
            trunk.reply(shown, 200)
            await self.ended(call)
            self.unseen(call)
