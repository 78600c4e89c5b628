"""The time of day is set while calls and registrations are up, and a machine is suspended: libfaketime stands between
the proxy and the system's clocks."""

from functools import partial
from os import kill
from signal import SIGCONT, SIGSTOP
from typing import ClassVar

from tests.integration.workers import TWO
from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause, until
from tests.support.real.proxy import ALL_CLOCKS, TIME_OF_DAY
from tests.support.real.softphone import Browser, Peer
from webrtcproxy.sip.message import Request

HOUR = 3600
BY_ITSELF = (
    ("Supported", "timer"),
    ("Session-Expires", "90;refresher=uac"),
    ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, INFO"),
)
"""The caller will refresh its session, which it can't while the proxy is suspended."""


class TimeOfDay(RealCase):
    """Somebody sets the time of day, or NTP does."""

    clock = TIME_OF_DAY

    async def test_set(self) -> None:
        """An hour ahead and two hours back: nobody notices. The call and the registration stay; no timer and no ping is
        due at once, and none is put off."""
        alice, trunk = await self.registered(), await self.peer()
        caller, callee = await self.connected(alice, trunk)
        await self.session()
        for seconds in (HOUR, -HOUR):
            self.proxy.set_clock(seconds)
            await self._lives(alice, trunk, caller, callee)
        await self.hang_up(callee, caller)
        self.assertNotIn("expired", self.proxy.log(self._log_start))

    async def _lives(self, alice: Browser, trunk: Peer, caller: Dialog, callee: Dialog) -> None:
        """For a while nothing ends; both sides of the call talk, what is not answered is sent again in time, and the
        browser is called."""
        await pause(1.5)
        for dialog, other in ((caller, trunk), (callee, alice)):
            info = dialog.send("INFO")
            arrived = await other.request("INFO")
            if other is trunk:
                await until(partial(self._repeated, trunk, arrived), "the INFO again", 2)
            other.reply(arrived, 200)
            self.assertEqual(200, (await dialog.phone.response(info)).status)
        calling = (await self.kamailio_peer()).invite(f"sip:{alice.user}@pbx.test")
        alice.reply(await alice.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        self.assertFalse(alice.closed.called)

    def _repeated(self, trunk: Peer, request: Request) -> bool:
        return len([one for one in trunk.requests(request.method) if one.via.branch == request.via.branch]) > 1


class TimeOfDayOfWorkers(TimeOfDay):
    """The same with two workers."""

    changes: ClassVar = (TWO,)


class Suspended(RealCase):
    """The machine with the proxy was suspended for an hour."""

    clock = ALL_CLOCKS
    timeout = 120

    def _pids(self) -> list[int]:
        return [self.proxy.pid, *self.proxy.worker_pids().values()]

    async def _suspend(self) -> None:
        """The processes stop, their clocks go on, and they run again."""
        for pid in self._pids():
            kill(pid, SIGSTOP)
        self._hours = getattr(self, "_hours", 0) + 1
        self.proxy.set_clock(self._hours * HOUR)
        await pause(1)
        for pid in self._pids():
            kill(pid, SIGCONT)

    async def test_an_hour(self) -> None:
        """The connection stays, and the registration is over. Both sides of a call are asked, and it goes on; a call
        that one side knows no more is ended. New registrations and calls are as ever, also after another hour."""
        alice, trunk = await self.registered(), await self.peer()
        calling = alice.invite(f"sip:echo@{self.plain}", headers=BY_ITSELF)
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        other = await self.connected(alice, trunk)
        await self.sessions(2)
        await self._suspend()

        final = await (await self.kamailio_peer()).invite(f"sip:{alice.user}@pbx.test").final()
        self.assertIn(final.status, (404, 480))
        gone = other[1].call_id

        def question(message: object) -> bool:
            return isinstance(message, Request) and message.method in ("UPDATE", "OPTIONS")

        for phone in (alice, alice, trunk, trunk):
            asked = await phone.message(question, "question", 40)
            assert isinstance(asked, Request)
            phone.reply(asked, 481 if asked.call_id == gone else 200)
        await other[0].hung_up()
        info = callee.send("INFO")
        alice.reply(await alice.request("INFO"), 200)
        self.assertEqual(200, (await trunk.response(info)).status)
        self.assertFalse(alice.closed.called)

        await self._suspend()
        await alice.register()
        incoming = (await self.kamailio_peer()).invite(f"sip:{alice.user}@pbx.test")
        alice.reply(await alice.request("INVITE"), 486)
        self.assertEqual(486, (await incoming.final()).status)
        await self.hang_up(callee, caller)
        self.assertIn("The process has not run for 360", self.proxy.log(self._log_start))
        self.assertFalse(alice.closed.called)


class SuspendedWorkers(Suspended):
    """The same with two workers: the hub takes none of them for stuck."""

    changes: ClassVar = (TWO,)
