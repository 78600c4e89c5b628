"""Requests that are no calls, outside and within dialogs: scripted endpoints, Kamailio, SIPp, real rtpengine."""

from twisted.internet.defer import Deferred

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, REGISTERED
from tests.support.real.part import pause
from tests.support.real.ports import free_port
from tests.support.real.softphone import Browser
from tests.support.real.speech import CHROME_OFFER, PLAIN_SDP

METHODS = ("MESSAGE", "PUBLISH", "INFO", "NOTIFY", "OPTIONS", "FROBNICATE")
TEXT = [("Content-Type", "text/plain")]


class Outside(RealCase):
    """Without a dialog. (original.rst: OPTIONS, MESSAGE, PUBLISH, NOTIFY, INFO)"""

    async def test_to_a_trunk(self) -> None:
        """What a browser sends reaches the trunk, and the browser gets the trunk's own answer."""
        browser, trunk = await self.browser(), await self.peer()
        for method, status in zip(METHODS, (202, 412, 469, 489, 200, 501), strict=True):
            sent = browser.build(method, f"sip:bob@{self.plain}", headers=TEXT, body=b"hello")
            browser.send(sent)
            heard = await trunk.request(method)
            self.assertEqual((heard.uri, heard.body, heard.content_type), (sent.uri, b"hello", "text/plain"))
            trunk.reply(heard, status, "As I Say", headers=[("SIP-ETag", "e1")])
            answer = await browser.response(sent)
            self.assertEqual((answer.status, answer.reason, answer.headers.get("SIP-ETag")), (status, "As I Say", "e1"))
        rungs = list(zip(METHODS, (202, 412, 469, 489, 200, 501), strict=True))
        self.assertEqual(
            [rung for method, status in rungs for rung in (f"> {method}", f"< {status} {method}")],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            [rung for method, status in rungs for rung in (f"< {method}", f"> {status} {method}")],
            self.ladder.of("trunk"),
        )

    async def test_description_in_an_answer(self) -> None:
        """A 200 to OPTIONS that describes media goes on without that, from a browser and from a trunk (field.rst X4:
        Description outside of offer and answer)."""
        browser, trunk = await self.registered(), await self.kamailio_peer()
        for asker, other, to, body in (
            (browser, trunk, f"sip:echo-{trunk.port}@pbx.test", PLAIN_SDP),
            (trunk, browser, "sip:alice@pbx.test", CHROME_OFFER),
        ):  # fmt: skip
            sent = asker.build("OPTIONS", to)
            asker.send(sent)
            other.reply(await other.request("OPTIONS"), 200, body=body, headers=[("Accept", "application/sdp")])
            answer = await asker.response(sent)
            self.assertEqual((200, b"", None), (answer.status, answer.body, answer.headers.get("Content-Type")))
            self.assertEqual("application/sdp", answer.headers.get("Accept"))

    async def test_to_a_browser(self) -> None:
        """What comes by way of the registrar reaches the browser that has registered, and its answer goes back."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        for method in METHODS:
            sent = caller.build(method, "sip:alice@pbx.test", headers=TEXT, body=b"hi")
            caller.send(sent)
            heard = await browser.request(method)
            self.assertEqual((heard.uri, heard.body), (browser.contact, b"hi"))
            self.assertEqual(1, len(heard.headers.lines("Via")))
            browser.reply(heard, 299, "Mine")
            answer = await caller.response(sent)
            self.assertEqual((answer.status, answer.reason), (299, "Mine"))
        heard_and_said = [rung for method in METHODS for rung in (f"< {method}", f"> 299 {method}")]
        self.assertEqual([*REGISTERED, *heard_and_said], self.ladder.of("alice"))

    async def test_waiting_messages(self) -> None:
        """A PBX tells of waiting messages without having been asked."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        headers = [
            ("Event", "message-summary"), ("Subscription-State", "active"),
            ("Content-Type", "application/simple-message-summary"),
        ]  # fmt: skip
        sent = caller.build("NOTIFY", "sip:alice@pbx.test", headers=headers, body=b"Messages-Waiting: yes\r\n")
        caller.send(sent)
        heard = await browser.request("NOTIFY")
        for name, value in headers:
            self.assertEqual(heard.headers.get(name), value)
        browser.reply(heard, 200)
        self.assertEqual(200, (await caller.response(sent)).status)
        self.assertEqual([*REGISTERED, "< NOTIFY", "> 200 NOTIFY"], self.ladder.of("alice"))
        self.assertEqual(["> NOTIFY", "< 200 NOTIFY"], self.ladder.of("trunk"))

    async def test_chat(self) -> None:
        """Two browsers write to each other by way of Kamailio. (corners.rst 4: 3428 MESSAGE)"""
        alice, bob = await self.registered("alice"), await self.registered("bob")
        await self.write(alice, bob, b"hello")
        await self.write(bob, alice, "grüß dich".encode())
        for user in ("alice", "bob"):
            rungs = [rung for rung in self.ladder.of(user) if "MESSAGE" in rung]
            ways = ["> MESSAGE", "< 200 MESSAGE", "< MESSAGE", "> 200 MESSAGE"]
            self.assertEqual(ways if user == "alice" else ways[2:] + ways[:2], rungs)

    async def write(self, one: Browser, other: Browser, text: bytes) -> None:
        sent = one.build("MESSAGE", other.aor, headers=TEXT, body=text)
        one.send(sent)
        heard = await other.request("MESSAGE")
        self.assertEqual((heard.body, heard.from_.uri, heard.to.uri), (text, one.aor, other.aor))
        other.reply(heard, 200)
        self.assertEqual(200, (await one.response(sent)).status)

    async def test_challenge(self) -> None:
        """A challenge that is the browser's crosses, and its answer is good: the Request-URI is what it signed, and the
        far side sees one sequence."""
        browser = await self.browser(password="wonderland")
        end = await self.peer(free_port())
        sent = browser.build("MESSAGE", f"sip:auth-{end.port}@pbx.test", headers=TEXT, body=b"x")
        asking = Deferred.fromCoroutine(browser.ask(sent))
        heard = await end.request("MESSAGE")
        self.assertEqual(2, heard.cseq.number)
        end.reply(heard, 202)
        self.assertEqual(202, (await asking).status)
        self.assertEqual(["> MESSAGE", "< 407 MESSAGE", "> MESSAGE", "< 202 MESSAGE"], self.ladder.of("alice"))

    async def test_credentials_of_the_proxy(self) -> None:
        """A challenge of the trunk whose account the proxy has is answered by the proxy."""
        browser, end = await self.browser(), await self.peer(free_port())
        sent = browser.build("MESSAGE", f"sip:auth-{end.port}@upstream.test", headers=TEXT, body=b"x")
        browser.send(sent)
        heard = await end.request("MESSAGE")
        end.reply(heard, 202)
        self.assertEqual(202, (await browser.response(sent)).status)
        self.assertEqual(["> MESSAGE", "< 202 MESSAGE"], self.ladder.of("alice"))

    async def test_silent_end(self) -> None:
        """Kamailio gives up with 408, as a proxy must not: the browser gets 504. (corners.rst 1: Non-INVITE 408)"""
        browser, end = await self.browser(), await self.peer(free_port())
        browser.send(sent := browser.build("MESSAGE", f"sip:echo-{end.port}@pbx.test", headers=TEXT, body=b"x"))
        self.assertEqual(504, (await browser.response(sent, seconds=15)).status)
        self.assertEqual(["> MESSAGE", "< 504 MESSAGE"], self.ladder.of("alice"))
        self.assertEqual(["< MESSAGE"], self.ladder.of("trunk"))

    async def test_several_browsers(self) -> None:
        """All browsers of a user are asked; the first success counts, whatever the others say."""
        first, second = await self.registered(), await self.registered()
        caller = await self.kamailio_peer()
        caller.send(sent := caller.build("MESSAGE", "sip:alice@pbx.test", headers=TEXT, body=b"x"))
        heard = [await phone.request("MESSAGE") for phone in (first, second)]
        first.reply(heard[0], 415)
        await pause(0.1)
        second.reply(heard[1], 202)
        self.assertEqual(202, (await caller.response(sent)).status)
        self.assertEqual(
            [*REGISTERED, *REGISTERED, "< MESSAGE", "< MESSAGE", "> 415 MESSAGE", "> 202 MESSAGE"],
            self.ladder.of("alice"),
        )
        self.assertEqual(["> MESSAGE", "< 202 MESSAGE"], self.ladder.of("trunk"))

    async def test_browser_gone(self) -> None:
        """A browser that has gone: 480 at once."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        await browser.break_off()
        await self.proxy.assert_idle(("sockets",), 5)
        caller.send(sent := caller.build("MESSAGE", "sip:alice@pbx.test", headers=TEXT, body=b"x"))
        self.assertEqual(480, (await caller.response(sent, seconds=2)).status)
        self.assertEqual(REGISTERED, self.ladder.of("alice"))
        self.assertEqual(["> MESSAGE", "< 480 MESSAGE"], self.ladder.of("trunk"))

    async def test_ping_of_a_trunk(self) -> None:
        """A trunk that asks whether the proxy is there gets what it can do, without anybody else being asked."""
        trunk = await self.peer()
        for user in ("", "ping@"):
            host, port = self.proxy.address
            trunk.send(sent := trunk.build("OPTIONS", f"sip:{user}{host}:{port}"))
            answer = await trunk.response(sent)
            self.assertEqual(200, answer.status)
            self.assertIn("SUBSCRIBE", answer.headers.get("Allow") or "")

    async def test_too_long(self) -> None:
        """A MESSAGE that does not fit into a datagram: 513. (corners.rst 4: 3428 MESSAGE)"""
        browser, trunk = await self.browser(), await self.peer()
        browser.send(sent := browser.build("MESSAGE", f"sip:bob@{self.plain}", headers=TEXT, body=b"x" * 1400))
        self.assertEqual(513, (await browser.response(sent)).status)
        await trunk.silence()


class Inside(RealCase):
    """Within a call. (original.rst: UPDATE with SDP, OPTIONS, MESSAGE, NOTIFY, PUBLISH; INFO dtmf-relay, any other)"""

    async def test_both_ways(self) -> None:
        """Each method crosses, both ways, and is answered by the other end."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        methods = ("INFO", "MESSAGE", "NOTIFY", "PUBLISH", "FROBNICATE")
        headers = [*TEXT, ("Event", "x"), ("Subscription-State", "active")]
        for one, other in ((caller, callee), (callee, caller)):
            for method in methods:
                sent = one.send(method, headers, b"hello")
                heard = await other.phone.request(method)
                self.assertEqual((heard.body, heard.call_id), (b"hello", other.call_id))
                other.phone.reply(heard, 488, "Not So")
                answer = await one.phone.response(sent)
                self.assertEqual((answer.status, answer.reason), (488, "Not So"))
        await self.hang_up(caller, callee)
        asked = [rung for method in methods for rung in (f"> {method}", f"< 488 {method}")]
        told = [rung for method in methods for rung in (f"< {method}", f"> 488 {method}")]
        self.assertEqual([*asked, *told, "> BYE", "< 200 BYE"], self.ladder.of("alice")[3:])
        self.assertEqual([*told, *asked, "< BYE", "> 200 BYE"], self.ladder.of("trunk")[3:])
        await self.no_media()

    async def test_before_the_answer(self) -> None:
        """So does what is said while it rings, in the early dialog that a plain 180 has opened."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        far = Dialog.of_callee(trunk, invite, trunk.reply(invite, 180, tag="far"))
        near = Dialog.of_caller(browser, calling.invite, await calling.response(180))
        for one, other in ((near, far), (far, near)):
            sent = one.send("INFO", TEXT, b"hello")
            heard = await other.phone.request("INFO")
            self.assertEqual((heard.body, heard.call_id), (b"hello", other.call_id))
            other.phone.reply(heard, 202, "Mine")
            answer = await one.phone.response(sent)
            self.assertEqual((answer.status, answer.reason), (202, "Mine"))
        trunk.reply(invite, 486, tag="far")
        self.assertEqual(486, (await calling.final()).status)
        asked, told = ["> INFO", "< 202 INFO"], ["< INFO", "> 202 INFO"]
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", *asked, *told, "< 486 INVITE", "> ACK"], self.ladder.of("alice")
        )
        self.assertEqual(
            ["< INVITE sdp", "> 180 INVITE", *told, *asked, "> 486 INVITE", "< ACK"], self.ladder.of("trunk")
        )
        await self.no_media()

    async def test_options(self) -> None:
        """OPTIONS shows each end that its dialog is there, and bothers nobody else. (corners.rst 1: OPTIONS)"""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        for one in (caller, callee):
            self.assertEqual(200, (await one.ask("OPTIONS")).status)
        await self.hang_up(caller, callee)
        self.assertEqual(["> OPTIONS", "< 200 OPTIONS", "> BYE", "< 200 BYE"], self.ladder.of("alice")[3:])
        self.assertEqual(481, (await callee.ask("OPTIONS")).status)

    async def test_sipp(self) -> None:
        """The same with SIPp at the other end, which is asked INFO."""
        sipp = await self.sipp("uas_info")
        browser = await self.browser()
        caller = await browser.invite(f"sip:echo@{self.plain}").answered()
        digit = [("Content-Type", "application/dtmf-relay")]
        self.assertEqual(200, (await caller.ask("INFO", digit, b"Signal=5\r\nDuration=160\r\n")).status)
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> INFO", "< 200 INFO", *HANGS_UP],
            self.ladder.of("alice"),
        )
