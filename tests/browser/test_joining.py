"""JsSIP pages that register while their user is called (design.rst: a fork that grows)."""

from tests.browser.case import BrowserCase


class Joining(BrowserCase):
    """SIPp calls by way of Kamailio. A page that is opened again takes its time."""

    changes = (("grace = 1\n", "grace = 10\n"),)

    async def test_second_tab(self) -> None:
        """A second tab that registers rings, and takes the call, with audio both ways; the first one stops ringing."""
        first = await self.registered_phone("jssip")
        sipp = await self.caller("uac_waits")
        await first.event("incoming")
        second = await self.registered_phone("jssip")
        await second.event("incoming")
        await second.do("answer")
        await second.event("confirmed")
        await first.event("failed")
        await second.assert_audio()
        await second.do("hangup")
        await second.event("ended")
        await sipp.passed()

    async def test_page_is_reloaded(self) -> None:
        """The page is closed while it rings, and opened again, another instance: it rings again, and takes the call."""
        first = await self.registered_phone("jssip")
        sipp = await self.caller("uac_waits")
        await first.event("incoming")
        await first.tab.close()
        again = await self.registered_phone("jssip")
        await again.event("incoming")
        await again.do("answer")
        await again.event("confirmed")
        await again.assert_audio()
        await again.do("hangup")
        await again.event("ended")
        await sipp.passed()
