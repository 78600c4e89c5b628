"""Calls from the registrar or trunk to registered browsers: scripted browsers, real Kamailio and rtpengine."""

from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ladder import HANGS_UP
from tests.support.real.part import pause, until
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import PLAIN_SDP


class Inbound(RealCase):
    """Issue: "Inbound calls"."""

    async def _ringing(self, caller: Peer, *browsers: Browser) -> Calling:
        calling = caller.invite("sip:alice@pbx.test")
        for browser in browsers:
            invite = await browser.request("INVITE")
            browser.reply(invite, 180)
        await calling.response(180)
        return calling

    async def test_profiles_and_both_hang_up(self) -> None:
        """The browser is offered WebRTC with setup:actpass at exactly its Contact, the trunk answered plain RTP."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        for by_browser in (True, False):
            calling = caller.invite("sip:alice@pbx.test")
            invite = await browser.request("INVITE")
            self.assertEqual(browser.contact, invite.uri)
            for line in (b"UDP/TLS/RTP/SAVPF", b"a=fingerprint:", b"a=setup:actpass", b"a=rtcp-mux", b"a=ice-ufrag:"):
                self.assertIn(line, invite.body)
            called = browser.accept(invite)
            answer = await calling.final()
            self.assertRegex(answer.body, rb"m=audio [1-9]\d* RTP/AVP ")
            self.assertNotRegex(answer.body, rb"a=(fingerprint|setup|ice-|candidate|mid|rtcp-mux)")
            dialog = Dialog.of_caller(caller, calling.invite, answer)
            dialog.ack()
            await browser.request("ACK")
            await self.hang_up(*((called, dialog) if by_browser else (dialog, called)))

    async def test_refusals_cross(self) -> None:
        """Busy, rejected, not now: the browser's code and reason phrase reach the caller."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        for status, reason in ((486, "At Tea"), (480, "Later"), (603, "Decline")):
            calling = caller.invite("sip:alice@pbx.test")
            browser.reply(await browser.request("INVITE"), status, reason)
            final = await calling.final()
            self.assertEqual((status, reason), (final.status, final.reason))
            await browser.request("ACK")

    async def test_caller_cancels(self) -> None:
        """CANCEL crosses; the browser says 487, and so hears the caller."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        calling = await self._ringing(caller, browser)
        cancel = calling.cancel()
        self.assertEqual(200, (await caller.response(cancel)).status)
        theirs = await browser.request("CANCEL")
        browser.reply(theirs, 200)
        browser.reply(browser.requests("INVITE")[0], 487)
        await browser.request("ACK")
        self.assertEqual(487, (await calling.final()).status)

    async def test_two_ring_and_one_answers(self) -> None:
        """Two browsers of one user ring; the first to answer wins, the other gets CANCEL (`multiple = yes`)."""
        first, second = await self.registered(), await self.registered()
        caller = await self.kamailio_peer()
        calling = await self._ringing(caller, first, second)
        called = second.accept(second.requests("INVITE")[0])
        dialog = await calling.answered()
        cancel = await first.request("CANCEL")
        first.reply(cancel, 200)
        first.reply(first.requests("INVITE")[0], 487)
        await first.request("ACK")
        await second.request("ACK")
        await self.session()
        await self.hang_up(dialog, called)
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", *HANGS_UP],
            self.ladder.of("trunk"),
        )

    async def test_two_ring_and_both_refuse(self) -> None:
        """One busy, the other rejects: the caller gets one of the two, after both (RFC 3261 16.7)."""
        first, second = await self.registered(), await self.registered()
        caller = await self.kamailio_peer()
        calling = await self._ringing(caller, first, second)
        first.reply(first.requests("INVITE")[0], 486)
        await pause(0.2)
        self.assertFalse([r for r in caller.received if getattr(r, "status", 0) >= 300])
        second.reply(second.requests("INVITE")[0], 480)
        self.assertIn((await calling.final()).status, (480, 486))
        self.assertEqual(["> INVITE sdp", "< 180 INVITE", "< 486 INVITE", "> ACK"], self.ladder.of("trunk"))

    async def test_two_answer_at_once(self) -> None:
        """Both answer before either learns of the other: one has the call, the other is hung up."""
        first, second = await self.registered(), await self.registered()
        caller = await self.kamailio_peer()
        calling = await self._ringing(caller, first, second)
        dialogs = [phone.accept(phone.requests("INVITE")[0]) for phone in (first, second)]
        dialog = await calling.answered()
        winner, loser = await self._loser(dialogs)
        self.assertIsNot(winner, loser)
        await self.session()
        await self.hang_up(dialog, winner)

    async def _loser(self, dialogs: list[Dialog]) -> tuple[Dialog, Dialog]:
        def hung_up() -> list[Dialog]:
            return [dialog for dialog in dialogs if dialog.phone.requests("BYE")]

        await until(hung_up, "one of them is hung up")
        await pause(0.3)
        (loser,) = hung_up()
        await loser.hung_up()
        winner = dialogs[1] if loser is dialogs[0] else dialogs[0]
        return winner, loser

    async def test_socket_gone(self) -> None:
        """The binding dies with its socket: the next call to it gets 480 at once."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        await browser.break_off()
        await self.proxy.assert_idle(("sockets",), 5)
        final = await caller.invite("sip:alice@pbx.test").final(1)
        self.assertEqual(480, final.status)

    async def test_socket_lost_while_ringing(self) -> None:
        """The called browser is gone while it rings: the caller gets a final answer after `grace` at the latest."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        calling = await self._ringing(caller, browser)
        await browser.break_off()
        self.assertIn((await calling.final(5)).status, (408, 480, 410))

    async def test_socket_lost_in_the_call(self) -> None:
        """The called browser is gone in mid-call: the caller gets BYE within ten seconds."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test")
        browser.accept(await browser.request("INVITE"))
        dialog = await calling.answered()
        await browser.request("ACK")
        await browser.break_off()
        await dialog.hung_up(10)
        await self.no_media()

    async def test_browser_to_browser(self) -> None:
        """Through the registrar and back: the caller is answered with DTLS, the callee offered it
        (original.rst: call in, browser to browser)."""
        alice, bob = await self.registered("alice"), await self.registered("bob")
        calling = alice.invite("sip:bob@pbx.test")
        invite = await bob.request("INVITE")
        called = bob.accept(invite)
        answer = await calling.final()
        caller = Dialog.of_caller(alice, calling.invite, answer)
        caller.ack()
        for body in (invite.body, answer.body):
            self.assertIn(b"UDP/TLS/RTP/SAVPF", body)
            self.assertIn(b"a=fingerprint:", body)
        self.assertNotEqual(calling.invite.call_id, invite.call_id)
        await bob.request("ACK")
        await self.hang_up(caller, called)

    async def test_name_in_latin_1(self) -> None:
        """A display name that is no UTF-8 reaches the browser octet for octet, in a binary message (RFC 7118 5)."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await self._registered_at(browser, trunk)
        invite = trunk.build("INVITE", target, body=PLAIN_SDP)
        data = invite.to_bytes().replace(b"From: <", b'From: "J\xfcrgen" <')
        trunk.send_bytes(data)
        heard = await browser.request("INVITE")
        self.assertIn(b'"J\xfcrgen"', heard.to_bytes())
        browser.reply(heard, 486)
        self.assertEqual(486, (await Calling(trunk, invite, already_sent=True).final()).status)

    async def test_browser_comes_back(self) -> None:
        """A browser that speaks within the call on a new socket, before `grace` is over, keeps it (design.rst:
        Rules)."""
        browser, trunk = await self.registered(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        await pause(0.1)
        await browser.break_off()
        again = await self.browser(password=browser.password)
        again.instance, again.contact = browser.instance, browser.contact
        await again.register()
        caller.phone = again
        info = caller.send("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=1\r\n")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await again.response(info)).status)
        await pause(1.3)
        self.assertEqual([], trunk.requests("BYE"))
        bye = callee.send("BYE")
        again.reply(await again.request("BYE"), 200)
        self.assertEqual(200, (await trunk.response(bye)).status)

    async def test_nobody_else_is_captured(self) -> None:
        """A binding takes calls for its user and domain only: another domain's alice is called there."""
        await self.registered()
        other, trunk = await self.browser("bob"), await self.peer()
        calling = other.invite(f"sip:alice@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_nobody_registered(self) -> None:
        """A trunk's call to a user that is not there: 404 or 480 at once."""
        trunk = await self.peer()
        final = await trunk.invite(f"sip:nobody@127.0.0.1:{self.proxy.sip}").final(1)
        self.assertIn(final.status, (404, 480))

    async def test_repeated_invite(self) -> None:
        """An INVITE that UDP brings three times rings once, and is answered once per repeat (RFC 3261 17.2.1)."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await self._registered_at(browser, trunk)
        calling = trunk.invite(target)
        trunk.send(calling.invite)
        rung = await browser.request("INVITE")
        trunk.send(calling.invite)
        browser.reply(rung, 486)
        self.assertEqual(486, (await calling.final()).status)
        await pause(0.3)
        self.assertEqual(1, len(browser.requests("INVITE")))

    async def _registered_at(self, browser: Browser, trunk: Peer) -> str:
        """The Contact that the trunk was given for the browser."""
        register = browser.registration()
        browser.send(register)
        request = await trunk.request("REGISTER")
        contact = request.headers.get("Contact") or ""
        trunk.reply(request, 200, headers=[("Contact", contact), ("Expires", "600")])
        self.assertEqual(200, (await browser.response(register)).status)
        return contact.partition("<")[2].partition(">")[0]
