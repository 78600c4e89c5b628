"""What is no call: qualify, voice mail, lamps, and text (RFC 3261 11, RFC 3842, RFC 4235, RFC 3856, RFC 3428)."""

from __future__ import annotations

import re

from tests.asterisk.case import DOMAIN, AsteriskBrowserCase, AsteriskCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause
from tests.support.real.softphone import Browser
from webrtcproxy.sip.message import Request


class Qualify(AsteriskBrowserCase):
    """Asterisk asks each second whether the account is there (OPTIONS)."""

    async def test_reachable(self) -> None:
        """It is while its page is there, which answers itself, with either library; and is not when that was closed."""
        for library in ("jssip", "sipjs"):
            phone = await self.page("1043", library)
            await self.is_shown("Avail")
            await phone.tab.close()
            await self.is_shown("Unavail")

    async def is_shown(self, state: str) -> None:
        """Wait until Asterisk has the account's contact in that state."""
        shown = ""
        for _ in range(50):
            shown = await self.pbx.order("pjsip show contacts")
            if re.search(rf"Contact:\s+1043/\S+\s+\S+\s+{state}\b", shown):
                return
            await pause(0.2)
        raise AssertionError(f"1043 is not {state}:\n{shown}")


class Watching(AsteriskCase):
    """Accounts of WebSocket clients, which subscribe."""

    async def subscribed(self, phone: Browser, target: str, event: str) -> Dialog:
        """A subscription that is granted: the phone's side of its dialog."""
        headers = [("Event", event), ("Expires", "600")]
        subscribe = phone.build("SUBSCRIBE", f"sip:{target}@{DOMAIN}", headers=headers)
        response = await phone.ask(subscribe)
        self.assertEqual(200, response.status)
        return Dialog.of_caller(phone, subscribe, response)

    async def notified(self, phone: Browser, event: str, text: str) -> Request:
        """Wait for the NOTIFY with this text in its body; those before it are answered, too."""
        while True:
            notify = await phone.request("NOTIFY", 15)
            phone.reply(notify, 200)
            if (notify.headers.get("Event") or "").partition(";")[0] == event and text in notify.body.decode():
                return notify

    async def leave_message(self, number: str) -> None:
        """Somebody speaks three seconds into the voice mail box of that number."""
        await self.pbx.order(f"channel originate Local/9{number}@calls application Milliwatt")
        await pause(3)
        await self.pbx.order("channel request hangup all")

    async def test_mwi_unsolicited(self) -> None:
        """A message waits: the account is told, without having asked."""
        phone = await self.account("1041")
        await self.leave_message("1041")
        await self.notified(phone, "message-summary", "Messages-Waiting: yes")

    async def test_mwi_solicited(self) -> None:
        """An account subscribes, sees that nothing waits, then that something does, and ends the subscription."""
        phone = await self.account("1042")
        dialog = await self.subscribed(phone, "1042", "message-summary")
        await self.notified(phone, "message-summary", "Messages-Waiting: no")
        await self.leave_message("1042")
        await self.notified(phone, "message-summary", "Messages-Waiting: yes")
        await self.unsubscribe(dialog, "message-summary")

    async def unsubscribe(self, dialog: Dialog, event: str) -> None:
        """The end of a subscription, which Asterisk confirms."""
        phone = dialog.phone
        response = await dialog.ask("SUBSCRIBE", [("Event", event), ("Expires", "0")])
        self.assertEqual(200, response.status)
        last = await phone.request("NOTIFY")
        phone.reply(last, 200)
        self.assertIn("terminated", last.headers.get("Subscription-State") or "")

    async def test_lamps(self) -> None:
        """The lamp of 1002 goes on when that rings, and off again, by the state of its dialogs and by its presence."""
        watcher, watched = await self.account("1001"), await self.account("1002")
        for event, idle, ringing in (("dialog", ">terminated<", ">early<"), ("presence", ">Ready<", ">Ringing<")):
            dialog = await self.subscribed(watcher, "1002", event)
            await self.notified(watcher, event, idle)
            await self.pbx.order("channel originate PJSIP/1002 application Echo")
            invite = await watched.request("INVITE")
            watched.reply(invite, 180)
            await self.notified(watcher, event, ringing)
            watched.reply(invite, 486)
            await self.notified(watcher, event, idle)
            await self.unsubscribe(dialog, event)


class Text(AsteriskBrowserCase):
    """Two pages write to each other by way of Asterisk's dialplan."""

    async def test_both_ways(self) -> None:
        """What one page sends the other shows, and each learns that it has arrived."""
        alice, bob = await self.page("1001"), await self.page("1002", "sipjs")
        for one, other in ((alice, bob), (bob, alice)):
            await one.do("message", f"sip:{other.user}@{DOMAIN}", f"grüße, {other.user}")
            heard = await other.event("message")
            self.assertEqual(f"grüße, {other.user}", heard["body"])
            self.assertIn(f"sip:{one.user}@", heard["from"])
            self.assertIn((await one.event("messageSent"))["code"], (200, 202))
