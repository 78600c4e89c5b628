"""Older releases of JsSIP and SIP.js, and SimpleUser of SIP.js, in a short list of scenarios (docs/versions.rst)."""

from __future__ import annotations

from typing import ClassVar

from tests.browser.case import BrowserCase, MixedCase, Phone
from tests.support.real.part import pause


class Scenarios:
    """What holds with each; the classes below name it. The other end is a page with the newest JsSIP in Chromium."""

    library: ClassVar[str]

    async def other(self) -> Phone:
        """The other end, registered."""
        return await self.registered_phone("jssip", "bob")

    async def test_calls(self) -> None:
        """It registers and calls; both are heard, also after it has held and resumed. It sends a digit, hangs up."""
        bob, phone = await self.other(), await self.registered_phone(self.library)
        await phone.do("call", "sip:bob@pbx.test")
        await bob.event("incoming")
        await bob.do("answer")
        for end in (phone, bob):
            await end.event("confirmed")
        for end in (phone, bob):
            await end.assert_audio()
        for method in ("hold", "unhold"):
            await phone.do("change", method)
            await phone.event("changed")
            self.assertEqual("remote", (await bob.event(method))["by"])
        for end in (phone, bob):
            await end.assert_audio()
        await phone.do("digits", "5")
        self.assertEqual("5", (await bob.event("digit"))["tone"])
        await phone.do("hangup")
        self.assertEqual("remote", (await bob.event("ended"))["by"])

    async def test_is_called(self) -> None:
        """It is called, held and resumed; the caller hangs up."""
        bob, phone = await self.other(), await self.registered_phone(self.library)
        await bob.do("call", "sip:alice@pbx.test")
        await phone.event("incoming")
        await phone.do("answer")
        for end in (phone, bob):
            await end.event("confirmed")
        for method in ("hold", "unhold"):
            await bob.do("change", method)
            await bob.event("changed")
        for end in (phone, bob):
            await end.assert_audio()
        await bob.do("hangup")
        await phone.event("ended")


class JsSip33(Scenarios, BrowserCase):
    """JsSIP 3.3.11."""

    library = "jssip-3.3"


class JsSip39(Scenarios, BrowserCase):
    """JsSIP 3.9.4."""

    library = "jssip-3.9"


class JsSip310(Scenarios, BrowserCase):
    """JsSIP 3.10.9."""

    library = "jssip-3.10"

    async def test_changes_where_it_was_called(self) -> None:
        """Its ACK to a re-INVITE of its own has another CSeq where it was called: the call is up when the 200 would
        have been repeated for the last time, and both are heard (field.rst X5: ACK with another number)."""
        bob, phone = await self.other(), await self.registered_phone(self.library)
        await bob.do("call", "sip:alice@pbx.test")
        await phone.event("incoming")
        await phone.do("answer")
        for end in (phone, bob):
            await end.event("confirmed")
        for method in ("hold", "unhold"):
            await phone.do("change", method)
            await phone.event("changed")
            self.assertEqual("remote", (await bob.event(method))["by"])
        await pause(35)
        for end in (phone, bob):
            await end.assert_audio()
        await phone.do("hangup")
        self.assertEqual("remote", (await bob.event("ended"))["by"])


class SipJs015(Scenarios, BrowserCase):
    """SIP.js 0.15.11."""

    library = "sipjs-0.15"


class SipJs020(Scenarios, BrowserCase):
    """SIP.js 0.20.1."""

    library = "sip.js-0.20"


class SimpleUser(Scenarios, BrowserCase):
    """SimpleUser of the newest SIP.js."""

    library = "simpleuser"


class SimpleUserInFirefox(Scenarios, MixedCase):
    """The same in Firefox."""

    library = "simpleuser"

    async def other(self) -> Phone:
        """It is in Chromium."""
        return await self.chromium_phone("jssip", "bob")
