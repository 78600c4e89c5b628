"""Several workers as one proxy: real processes, browsers on both of them, Kamailio, rtpengine."""

import socket
from typing import ClassVar

from twisted.internet.threads import deferToThread

from tests.integration.workers import TWO, WorkersCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause, until
from tests.support.real.softphone import Browser


class Spread(WorkersCase):
    """Browsers on both workers."""

    async def test_both_are_hit(self) -> None:
        """Connections to the one port reach both workers; each sends from a UDP socket of its own."""
        trunk = await self.peer()
        for number in (1, 2):
            browser = await self.at(number)
            caller, callee = await self.connected(browser, trunk)
            invite = trunk.requests("INVITE")[-1]
            self.assertEqual(invite.via.port, self.proxy.sip + number)
            self.assertTrue((invite.via.branch or "").startswith(f"z9hG4bKwp-{number}-"))
            contact = invite.headers.get("Contact") or ""
            self.assertRegex(contact, rf"<sip:{number}-[0-9a-f]{{16}}@127\.0\.0\.1:{self.proxy.sip + number}>")
            await self.hang_up(caller, callee) if number == 1 else await self.hang_up(callee, caller)

    async def test_in_dialog_by_the_shared_socket(self) -> None:
        """A trunk that sends a request within a dialog to the shared port reaches the worker that has the dialog."""
        trunk = await self.peer()
        for number in (1, 2):
            caller, callee = await self.connected(await self.at(number), trunk)
            bye = callee.send("BYE")  # a `Peer` sends all that is no response to the shared port
            await caller.hung_up()
            self.assertEqual(200, (await trunk.response(bye)).status)

    async def test_registrar_sees_one_contact(self) -> None:
        """Whatever worker forwards a REGISTER, the Contact is the same, at the shared port: the registrar does not
        fork, and calls the proxy once."""
        first, second = await self.registered_at(1), await self.registered_at(2)
        query = await second.ask(second.registration(contacts=[], expires=None))
        self.assertEqual(len(query.contacts), 2)
        caller = await self.kamailio_peer()
        dialog, callee = await self.called(first, caller, second)
        self.assertEqual([1, 1], [len(phone.requests("INVITE")) for phone in (first, second)])
        second.reply(await second.request("CANCEL"), 200)
        second.reply(second.requests("INVITE")[0], 487)
        await second.request("ACK")
        await self.hang_up(dialog, callee)

    async def test_leaves_while_another_comes(self) -> None:
        """A browser un-registers while the REGISTER of another of its user is under way at the other worker: the
        registrar is not told to forget the Contact, whichever it answers first, and the user is called at the one that
        came (field.rst Y5: Registrations at two workers)."""
        registrar = await self.peer()
        for here, there, first in ((1, 2, 0), (2, 1, 1)):
            leaving, coming = await self.at(there, domain=self.plain), await self.at(here, domain=self.plain)
            registered = leaving.registration()
            leaving.send(registered)
            request = await registrar.request("REGISTER")
            own = str(request.contacts[0].uri)
            granted = [("Contact", f"<{own}>;expires=600")]
            registrar.reply(request, 200, headers=granted)
            self.assertEqual(200, (await leaving.response(registered)).status)
            await self.all_told()
            add, gone = coming.registration(), leaving.registration(expires=0)
            coming.send(add)
            under_way = await registrar.request("REGISTER")
            self.assertEqual(own, under_way.contacts[0].uri)
            await self.all_told()
            leaving.send(gone)
            asked = await registrar.request("REGISTER")
            self.assertNotIn("Contact", asked.headers)
            for each in ((under_way, asked), (asked, under_way))[first]:
                registrar.reply(each, 200, headers=granted)
            for browser, sent in ((coming, add), (leaving, gone)):
                self.assertEqual(200, (await browser.response(sent)).status)
            await self.all_told()
            calling = registrar.invite(own)
            coming.reply(await coming.request("INVITE"), 486)
            self.assertEqual(486, (await calling.final()).status)
            self.assertEqual([], leaving.requests("INVITE"))
            await coming.close()
            await leaving.close()

    async def test_inbound_reaches_the_right_one(self) -> None:
        """Calls to users on either worker arrive, and both sides can hang up."""
        alice, bob = await self.registered_at(1, "alice"), await self.registered_at(2, "bob")
        caller = await self.kamailio_peer()
        for browser in (alice, bob):
            dialog, callee = await self.called(browser, caller)
            await self.hang_up(dialog, callee)
            dialog, callee = await self.called(browser, caller)
            await self.hang_up(callee, dialog)

    async def test_two_ring_and_either_wins(self) -> None:
        """Two browsers of one user on two workers ring; one answers, the other gets CANCEL. Then the other one."""
        first, second = await self.registered_at(1), await self.registered_at(2)
        caller = await self.kamailio_peer()
        for winner, loser in ((first, second), (second, first)):
            dialog, callee = await self.called(winner, caller, loser)
            loser.reply(await loser.request("CANCEL"), 200)
            loser.reply(loser.requests("INVITE")[-1], 487)
            await loser.request("ACK")
            await self.session()
            await self.hang_up(*((dialog, callee) if winner is first else (callee, dialog)))
            await self.no_media()

    async def test_joins_from_the_other_worker(self) -> None:
        """A browser that registers on either worker while its user is called rings, too, and may take the call."""
        for one, other in ((1, 2), (2, 1)):
            first, caller = await self.registered_at(one), await self.kamailio_peer()
            calling = caller.invite("sip:alice@pbx.test")
            first.reply(await first.request("INVITE"), 180)
            await calling.response(180)
            second = await self.registered_at(other)
            callee = second.accept(await second.request("INVITE"))
            dialog = await calling.answered()
            await second.request("ACK")
            first.reply(await first.request("CANCEL"), 200)
            first.reply(first.requests("INVITE")[-1], 487)
            await first.request("ACK")
            await self.hang_up(dialog, callee)
            for phone in (first, second):
                await phone.register(expires=0)
                await phone.close()

    async def test_caller_cancels_both(self) -> None:
        """The CANCEL finds the INVITE's worker, and crosses to browsers on both."""
        browsers = await self.registered_at(1), await self.registered_at(2)
        caller = await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test")
        for phone in browsers:
            phone.reply(await phone.request("INVITE"), 180)
        await calling.response(180)
        calling.cancel()
        for phone in browsers:
            phone.reply(await phone.request("CANCEL"), 200)
            phone.reply(phone.requests("INVITE")[0], 487)
            await phone.request("ACK")
        self.assertEqual(487, (await calling.final()).status)

    async def test_browser_to_browser(self) -> None:
        """A browser on one worker calls one on the other through the registrar; both can hang up."""
        alice, bob = await self.registered_at(1, "alice"), await self.registered_at(2, "bob")
        for by_caller in (True, False):
            calling = alice.invite("sip:bob@pbx.test")
            callee = bob.accept(await bob.request("INVITE"))
            dialog = await calling.answered()
            await bob.request("ACK")
            await self.hang_up(*((dialog, callee) if by_caller else (callee, dialog)))

    async def test_socket_lost(self) -> None:
        """A browser that is lost on one worker is no longer called by the other."""
        browser = await self.registered_at(1)
        staying = await self.registered_at(2)
        caller = await self.kamailio_peer()
        await browser.break_off()
        for _ in range(50):
            if (await self.health())["sockets"] == 1:
                break
            await pause(0.1)
        await self.all_told()
        dialog, callee = await self.called(staying, caller)
        await self.hang_up(dialog, callee)

    async def test_health_sums(self) -> None:
        """/health of the hub: calls, sockets and bindings of both workers."""
        alice, bob = await self.registered_at(1, "alice"), await self.registered_at(2, "bob")
        trunk = await self.peer()
        ends = [await self.connected(browser, trunk) for browser in (alice, bob)]
        health = await self.health()
        told = {name: health[name] for name in ("healthy", "calls", "sockets", "bindings", "workers")}
        self.assertEqual(told, {"healthy": True, "calls": 2, "sockets": 2, "bindings": 2, "workers": "2 of 2"}, health)
        for caller, callee in ends:
            await self.hang_up(caller, callee)

    async def test_metrics_of_all(self) -> None:
        """/metrics of the hub: each process with its number, the hub with 0."""
        await self.registered_at(1, "alice"), await self.registered_at(2, "bob")
        lines = (await self.web("metrics")).decode().splitlines()
        for number, bindings in ((0, 0), (1, 1), (2, 1)):
            self.assertIn(f'webrtcproxy_bindings{{worker="{number}"}} {bindings}.0', lines)
        self.assertEqual(sum(line.startswith("# TYPE webrtcproxy_bindings ") for line in lines), 1)

    async def test_log_has_the_worker(self) -> None:
        """The line of a call is in the one log, with the number of its worker."""
        trunk = await self.peer()
        caller, callee = await self.connected(await self.at(2), trunk)
        await self.hang_up(caller, callee)

        def lines() -> list[str]:
            log = self.proxy.log(self._log_start).splitlines()
            return [line for line in log if f"{caller.call_id}: call over" in line and "worker 2]" in line]

        await until(lines, "the line of the call")


class Moving(WorkersCase):
    """A browser that comes back finds itself on another worker."""

    async def _moved(self, browser: Browser, number: int) -> Browser:
        """The same browser, on a new connection to that worker; the old one is lost."""
        again = await self.at(number)
        again.contact, again.instance, again._sent_by = browser.contact, browser.instance, browser._sent_by
        again._tags = browser._tags
        await browser.break_off()
        await again.register()
        await self.all_told()
        return again

    def _at(self, browser: Browser, dialog: Dialog) -> Dialog:
        """The dialog of the browser's former self."""
        dialog.phone = browser
        return dialog

    async def test_callee_moves_and_the_caller_hangs_up(self) -> None:
        """The BYE reaches the called browser where it is now."""
        browser, caller = await self.registered_at(1), await self.kamailio_peer()
        dialog, callee = await self.called(browser, caller)
        again = await self._moved(browser, 2)
        await self.hang_up(dialog, self._at(again, callee))

    async def test_callee_moves_and_hangs_up(self) -> None:
        """Its BYE by the new worker ends the call that the old one has."""
        browser, caller = await self.registered_at(2), await self.kamailio_peer()
        dialog, callee = await self.called(browser, caller)
        again = await self._moved(browser, 1)
        await self.hang_up(self._at(again, callee), dialog)

    async def test_caller_moves(self) -> None:
        """The same for a browser that has called out, and back again."""
        browser, trunk = await self.registered_at(1), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        again = await self._moved(browser, 2)
        info = self._at(again, caller).send("INFO")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await again.response(info)).status)
        last = await self._moved(again, 1)
        await self.hang_up(callee, self._at(last, caller))

    async def test_as_another_instance(self) -> None:
        """As the same user with a new Contact and instance it has its call at the worker of the call only
        (docs/users.rst: Several workers)."""
        trunk = await self.peer()
        for number, status in ((1, 200), (2, 481)):
            browser = await self.registered_at(1)
            caller, _ = await self.connected(browser, trunk)
            again = await self.registered_at(number)
            await browser.break_off()
            again._tags = browser._tags
            info = self._at(again, caller).send("INFO")
            if status == 200:
                trunk.reply(await trunk.request("INFO"), 200)
            self.assertEqual(status, (await again.response(info)).status)

    async def test_old_binding_is_replaced(self) -> None:
        """The browser rings once."""
        browser, caller = await self.registered_at(1), await self.kamailio_peer()
        again = await self._moved(browser, 2)
        dialog, callee = await self.called(again, caller)
        self.assertEqual(len(again.requests("INVITE")), 1)
        await self.hang_up(dialog, callee)


class NewestWins(WorkersCase):
    """`multiple = no`."""

    changes: ClassVar = (TWO, ("multiple = yes", "multiple = no"))

    async def test_newest_wins(self) -> None:
        """The newest browser of a user is called, on whatever worker."""
        caller = await self.kamailio_peer()
        old = await self.registered_at(1)
        for number in (2, 1):
            before = len(old.requests("INVITE"))
            new = await self.registered_at(number)
            await pause(0.1)
            dialog, callee = await self.called(new, caller)
            await self.hang_up(dialog, callee)
            self.assertEqual(len(old.requests("INVITE")), before)
            self.assertEqual((await self.health())["bindings"], 1)
            old = new


TCP = ("udp:{sip}:interface=127.0.0.1", "udp:{sip}:interface=127.0.0.1\n  tcp:{sip}:interface=127.0.0.1")


class OverTcp(WorkersCase):
    """A trunk over TCP: the workers share the port."""

    changes: ClassVar = (TWO, TCP, ("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ntransport = tcp"))

    async def test_call_out(self) -> None:
        """Calls go out from either worker."""
        for number in (1, 2):
            sipp = await self.sipp("uas", tcp=True)
            browser = await self.at(number)
            caller = await browser.invite(f"sip:echo@{sipp.host}").answered()
            self.assertEqual(200, (await caller.bye()).status)
            await sipp.passed()


class AlsoOverTcp(WorkersCase):
    """A trunk over UDP that comes by TCP, too."""

    changes: ClassVar = (TWO, TCP)

    async def test_dialog_by_another_connection(self) -> None:
        """A BYE by a TCP connection of its own, which the kernel gives to one of the workers, reaches the one that has
        the call, and is answered there."""
        trunk = await self.peer()
        for number in (1, 2) * 4:
            browser = await self.at(number)
            caller, callee = await self.connected(browser, trunk)
            bye = callee.build("BYE", 101)
            bye.headers.set_first("Via", str(bye.via).replace("SIP/2.0/UDP", "SIP/2.0/TCP"))
            answer = deferToThread(self._over_tcp, bye.to_bytes())
            await caller.hung_up()
            self.assertTrue((await answer).startswith(b"SIP/2.0 200"))
            await browser.close()

    def _over_tcp(self, data: bytes) -> bytes:
        """What is answered to a message by a TCP connection of its own."""
        with socket.create_connection(self.proxy.address, 5) as connection:
            connection.sendall(data)
            return connection.recv(65536)
