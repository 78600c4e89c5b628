"""What the field says before a call is answered: who somebody is, where it is reached, and that it wants credentials;
with scripted trunks and browsers and rtpengine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from twisted.internet.ssl import PrivateCertificate

from tests.integration.test_malformed import trunk_registers
from tests.support.authority import Authority
from tests.support.real import digest
from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP, Endpoint
from tests.support.real.stream import StreamPeer
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


LISTEN = "udp:{sip}:interface=127.0.0.1"


class WhereItIs(EarlyCase):
    """A trunk whose INVITE, or 183 to ours, says that it is reached at another port, by UDP, TCP or TLS (field.rst K:
    Transport of the target)."""

    elsewhere: Peer | StreamPeer
    said = 0
    authority: ClassVar = Authority(Path(tempfile.mkdtemp(prefix="webrtcproxy-authority-")))
    tls: ClassVar = free_port()
    changes: ClassVar = (
        ("level = info", "level = debug"),
        (LISTEN, f"{LISTEN}\n  tcp:{{sip}}:interface={LOOPBACK}\n  "
         f"tls:{tls}:interface={LOOPBACK}:privateKey=key.pem:certKey=cert.pem"),
        ("host = 127.0.0.1:@plain@\n", f"host = 127.0.0.1:@plain@\npass-identity = yes\ntls-ca = {authority.file}\n"),
    )  # fmt: skip

    async def places(self) -> list[Peer | StreamPeer]:
        """Where else it is reached."""
        key, certificate = self.authority.issue(LOOPBACK)
        pair = PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes())
        found: list[Peer | StreamPeer] = [await self.peer(free_port())]
        for stream in (StreamPeer(free_port()), StreamPeer(free_port(), pair)):
            stream.ladder = self.ladder
            stream.listen()
            self.addCleanup(stream.close)
            found.append(stream)
        return found

    def kind(self, place: Endpoint) -> str:
        """The transport in the Via of what comes to it."""
        return "UDP" if isinstance(place, Peer) else "TLS" if "tls" in place.contact else "TCP"

    async def shown(self, page: Dialog, place: Endpoint) -> None:
        """The page says who it is: the UPDATE comes there. So does an INFO, whose 200 follows that to the UPDATE."""
        self.said += 1
        identity = (IDENTITY, f"<sip:zoe-{self.said}@{self.host}>")
        self.assertEqual(200, (await page.ask("UPDATE", [ALLOW, identity])).status)
        update = await place.request("UPDATE")
        self.assertEqual(([identity[1]], self.kind(place)), (asserted(update), update.via.transport))
        place.reply(update, 200)
        sent = page.send("INFO", [("Content-Type", "text/plain")], b"1")
        place.reply(await place.request("INFO"), 200)
        self.assertEqual(200, (await page.phone.response(sent)).status)

    async def test_call_out(self) -> None:
        """PRACK, UPDATE, the ACK of the 200 and BYE go there; CANCEL and the ACK of the 487 where the INVITE went. The
        200, or an UPDATE of the trunk's, may say that it is elsewhere again."""
        trunk = await self.peer()
        home = trunk.contact
        for place in await self.places():
            self.elsewhere = place
            for end in ("cancelled", "answered", "answered at home", "moved home"):
                trunk.contact = place.contact
                call = await self.ringing(trunk, inward=False)
                trunk.contact = home
                await self.shown(call.caller, place)
                if end == "moved home":
                    await self.moves(call.callee, place, home)
                    await self.shown(call.caller, trunk)
                if end == "cancelled":
                    call.calling.cancel()
                    trunk.reply(await trunk.request("CANCEL"), 200)
                    trunk.reply(call.invite, 487)
                    self.assertEqual(487, (await call.calling.final()).status)
                    await trunk.request("ACK")
                    continue
                there: Peer | StreamPeer = place if end == "answered" else trunk
                trunk.contact = there.contact
                trunk.reply(call.invite, 200, headers=[ALLOW], body=PLAIN_SDP)
                self.assertEqual(200, (await call.calling.final()).status)
                number, call.caller.cseq = call.caller.cseq, 1
                call.caller.ack()
                call.caller.cseq = number
                self.assertEqual(self.kind(there), (await there.request("ACK")).via.transport)
                call.callee.phone = there
                await self.hang_up(call.caller, call.callee)

    async def test_call_in(self) -> None:
        """So do UPDATE and BYE in a call that came in; responses go where the INVITE came from, and CANCEL is taken
        from there."""
        trunk = await self.peer()
        home = trunk.contact
        for place in await self.places():
            self.elsewhere = place
            for end in ("cancelled", "answered", "moved home"):
                trunk.contact = place.contact
                call = await self.ringing(trunk, inward=True)
                trunk.contact = home
                await self.shown(call.callee, place)
                if end == "moved home":
                    await self.moves(call.caller, trunk, home)
                    await self.shown(call.callee, trunk)
                if end == "cancelled":
                    call.calling.cancel()
                    browser = call.callee.phone
                    browser.reply(await browser.request("CANCEL"), 200)
                    browser.reply(call.invite, 487)
                    self.assertEqual(487, (await call.calling.final()).status)
                    continue
                await self.answered(call)
                await self.shown(call.callee, place if end == "answered" else trunk)
                call.caller.phone = place if end == "answered" else trunk
                await self.hang_up(call.callee, call.caller)

    async def moves(self, dialog: Dialog, by: Endpoint, contact: str) -> None:
        """The trunk says in an UPDATE that it is reached elsewhere."""
        dialog.phone, by.contact, before = by, contact, by.contact
        self.assertEqual(200, (await dialog.ask("UPDATE", [ALLOW])).status)
        by.contact = before

    async def pracked(self, callee: Endpoint) -> None:
        place = self.elsewhere if isinstance(callee, Peer) else callee
        prack = await place.request("PRACK")
        if place is self.elsewhere:
            self.assertEqual(self.kind(place), prack.via.transport)
        place.reply(prack, 200)
