"""The scenarios of pages in Firefox, and calls between it and Chromium. What is tried is written with Chromium; here
are the few differences.

Not here: H.264, which Firefox has as a plug-in that it loads from the network; and what a browser has no part in.
"""

from __future__ import annotations

from typing import ClassVar

from tests.browser import (
    test_baresip,
    test_connected_line,
    test_inbound,
    test_joining,
    test_media,
    test_offer_answer,
    test_offers,
    test_outbound,
    test_session_timer,
    test_subscription,
    test_transfer,
    test_users,
    test_video,
)
from tests.browser.case import BrowserCase, MixedCase, Phone


class InFirefox:
    """What is common to the classes below."""

    browser_name = "firefox"


class JsSipOutbound(InFirefox, test_outbound.OutboundWithJsSip, BrowserCase):
    """Calls that a page makes, with JsSIP."""

    library = "jssip"


class SipJsOutbound(InFirefox, test_outbound.SipJsOutbound):
    """With SIP.js."""


class JsSipInbound(InFirefox, test_inbound.JsSipInbound):
    """Calls to a page, with JsSIP."""


class SipJsInbound(InFirefox, test_inbound.SipJsInbound):
    """With SIP.js."""


class TabToTab(InFirefox, test_inbound.TabToTab):
    """Calls from page to page."""


class JsSipChanges(InFirefox, test_offer_answer.JsSipChanges):
    """Hold and ICE restarts, with JsSIP. Firefox puts the codecs that are agreed first in a later offer: that is no
    news to the trunk."""


class SipJsChanges(InFirefox, test_offer_answer.SipJsChanges):
    """With SIP.js."""


class JsSipLate(InFirefox, test_offers.JsSipLate):
    """INVITE without an offer, with JsSIP."""


class SipJsLate(InFirefox, test_offers.SipJsLate):
    """With SIP.js; and 100rel."""


class JsSipTranscoded(InFirefox, test_media.JsSipTranscoded):
    """A trunk with a codec that no browser has, with JsSIP. Firefox has events of 8000 Hz only."""


class SipJsTranscoded(InFirefox, test_media.SipJsTranscoded):
    """With SIP.js."""


class Passed(InFirefox):
    """A trunk whose codecs a browser has. In PCMU, the hum of Firefox's microphone repeats itself. Its events are
    101, of 8000 Hz only."""

    variety = 2
    other = "96"
    rate = 8000


class JsSipPassed(Passed, test_media.JsSipPassed):
    """With JsSIP."""


class SipJsPassed(Passed, test_media.SipJsPassed):
    """With SIP.js."""


class Encrypted(InFirefox, test_media.Encrypted):
    """A trunk with SRTP by SDES."""


class WithBaresip(InFirefox, test_baresip.WithBaresip):
    """Calls with baresip."""


class ConnectedLine(InFirefox, test_connected_line.ConnectedLine):
    """Whom a page is connected with."""


class JsSipTransfers(InFirefox, test_transfer.JsSipTransfers):
    """REFER both ways, with JsSIP."""


class SipJsTransfers(InFirefox, test_transfer.SipJsTransfers):
    """With SIP.js."""


class LocalTransfer(InFirefox, test_transfer.LocalTransfer):
    """A transfer by the proxy."""


class Joining(InFirefox, test_joining.Joining):
    """A second tab, and a page that is reloaded."""


class Timers(InFirefox, test_session_timer.Timers):
    """Session timers."""


class Chat(InFirefox, test_subscription.Chat):
    """MESSAGE."""


class Subscribes(InFirefox, test_subscription.Subscribes):
    """SUBSCRIBE and NOTIFY."""


class JsSipInHouse(InFirefox, test_users.JsSipInHouse):
    """A domain that is served by the proxy, with JsSIP."""


class SipJsInHouse(InFirefox, test_users.SipJsInHouse):
    """With SIP.js."""


class Video(InFirefox, test_video.Video):
    """Cameras."""


class NoVideo(InFirefox, test_video.NoVideo):
    """A trunk without video."""


class Mixed(MixedCase):
    """Calls between the two."""

    libraries: ClassVar = (("jssip", "sipjs"), ("sipjs", "jssip"))

    async def _call(self, caller: Phone, callee: Phone) -> None:
        await self.talk(caller, callee, "pbx.test")
        await caller.tab.close()
        await callee.tab.close()

    async def test_firefox_calls(self) -> None:
        """Both hear each other, with either library at either end."""
        for here, there in self.libraries:
            await self._call(await self.registered_phone(here), await self.chromium_phone(there, "bob"))

    async def test_chromium_calls(self) -> None:
        """The other way round."""
        for here, there in self.libraries:
            callee = await self.registered_phone(here, "bob")
            await self._call(await self.chromium_phone(there, "alice"), callee)
