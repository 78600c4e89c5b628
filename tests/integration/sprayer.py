"""A browser's media, a trunk's, and a third party that sprays every port of them: what the tests with it share."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from tests.support.real.part import until
from tests.support.real.rtpengine import Rtpengine
from tests.support.real.sprayer import SSRC, Sprayer
from tests.support.real.trunk_media import TrunkMedia
from tests.support.real.webrtc import WebPhone

MOST = 4
"""Packets of the sprayer that may be heard in a call."""


class SprayerCase(TestCase):
    """A browser, a trunk, and somebody who sprays every port that rtpengine's sessions have, from the moment on when
    they are there.

    :cvar srtp: whether the trunk encrypts.
    """

    srtp = False
    rtpengine: Rtpengine

    def begin(self) -> None:
        """Open the sockets, and begin to spray."""
        self.web = WebPhone()
        self.addCleanup(self.web.close)
        self.ends: list[TrunkMedia] = []
        self.trunk = self.end()
        self.sprayer = Sprayer()
        self.addCleanup(self.sprayer.close)
        self.aiming = LoopingCall(self.aim)
        self.aiming.start(0.05, now=False)
        self.addCleanup(lambda: self.aiming.running and self.aiming.stop())

    def end(self, **options: bool) -> TrunkMedia:
        """A host of the trunk's."""
        media = TrunkMedia(srtp=self.srtp, **options)
        self.addCleanup(media.close)
        self.ends.append(media)
        return media

    async def aim(self) -> None:
        """Find ports to spray."""
        for call_id in await self.rtpengine.sessions():
            try:
                known: Any = await self.rtpengine.query(call_id)
            except AssertionError:  # it has ended meanwhile
                continue
            for tag in known[b"tags"].values():
                for media in tag[b"medias"]:
                    self.sprayer.at(each[b"local port"] for each in media[b"streams"] if each.get(b"local port"))

    async def sprayed(self) -> None:
        """Wait until the ports have been sprayed for a while."""
        before = self.sprayer.sent
        await until(lambda: self.sprayer.sent > before + 40, "sprayed")

    async def both_hear(self, trunk: TrunkMedia | None = None, seconds: float = 5) -> None:
        """Each hears the other, from now on."""
        trunk = trunk or self.trunk
        self.web.heard[trunk.ssrc] = trunk.heard[self.web.ssrc] = 0
        await until(
            lambda: min(self.web.heard[trunk.ssrc], trunk.heard[self.web.ssrc]) > 50, "both hear each other", seconds
        )

    def nobody_in(self) -> None:
        """The sprayer has worked all the time, got nothing, and was heard by nobody."""
        self.assertGreater(self.sprayer.sent, 100)
        self.assertEqual([], self.sprayer.got)
        heard = [self.web.heard[SSRC], *(end.heard[SSRC] + end.reports[SSRC] for end in self.ends)]
        self.assertLessEqual(max(heard), MOST, heard)
