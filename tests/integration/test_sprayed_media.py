"""A third party sprays RTP and RTCP at all ports of a session, with the real rtpengine, from before the answer to the
end: it hears nothing and is not heard (docs/access.rst: media; corners.rst 5: strict source)."""

from __future__ import annotations

from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from tests.integration.media import MediaCase
from tests.integration.sprayer import SprayerCase
from tests.support.real.part import pause, until
from tests.support.real.rtpengine import installed_version
from tests.support.real.sprayer import SSRC
from webrtcproxy.config import TrunkMedia as Settings
from webrtcproxy.media.profile import profiles_of
from webrtcproxy.media.version import vulnerabilities_of

NAT = "CVE-2025-53399"
"""By which a stranger takes the place of a trunk with `media-nat`."""


class SprayedCase(SprayerCase, MediaCase):
    """A browser and a trunk of these settings."""

    settings = Settings()

    async def setUp(self) -> None:
        await super().setUp()
        self.srtp = self.settings.srtp
        self.to_trunk, self.to_browser = profiles_of(self.settings)
        self.begin()

    async def calls(self, silent: float = 0.5, sprayed: bool = True) -> None:
        """The browser calls; the third party sprays before the answer, and while the trunk says nothing yet."""
        self.offered = await self.offer(self.web.offer(), self.to_trunk)
        if sprayed:
            await self.sprayed()
        self.web.take(await self.answer(self.trunk.answer(self.offered), self.to_browser))
        await pause(silent)
        self.trunk.talk(self.offered)


class Sprayed(SprayedCase):
    """A trunk whose section says nothing."""

    async def test_browser_calls(self) -> None:
        """From before the answer, and with a trunk that says nothing for four seconds."""
        await self.calls(silent=4)
        await self.both_hear()
        self.nobody_in()

    async def test_trunk_calls(self) -> None:
        """The same the other way round."""
        offered = await self.offer(self.trunk.sdp(), self.to_browser)
        await self.sprayed()
        answered = await self.answer(self.web.answer(offered), self.to_trunk)
        await pause(1)
        self.trunk.talk(answered)
        await self.both_hear()
        self.nobody_in()

    async def test_hold(self) -> None:
        """The browser holds and resumes: an offer and answer are no occasion to learn another address."""
        await self.calls()
        await self.both_hear()
        for browser, trunk in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
            self.offered = await self.offer(self.web.offer(browser), self.to_trunk)
            self.trunk.stop()
            self.web.take(await self.answer(self.trunk.answer(self.offered, trunk), self.to_browser))
            await pause(1)
        self.trunk.talk(self.offered)
        await self.both_hear()
        self.nobody_in()

    async def test_trunk_moves(self) -> None:
        """The trunk moves its media to another host, which waits until it hears something, while packets from the
        former one are still under way: the address in the SDP is taken (field.rst X7: Media that move)."""
        await self.calls()
        await self.both_hear()
        moved = self.end()
        answer = self.web.answer(await self.offer(moved.sdp(), self.to_browser, from_tag="B"))
        answered = await self.answer(answer, self.to_trunk, from_tag="B", to_tag="A")
        await pause(0.3)
        self.trunk.stop()
        await until(lambda: moved.heard[self.web.ssrc] > 20, "heard at the new address")
        moved.talk(answered)
        await self.both_hear(moved)
        self.nobody_in()

    async def test_early_media(self) -> None:
        """A 183 with SDP, a fork of the trunk with another To tag that answers, and no media of the first any more."""
        await self.calls(silent=1)
        await self.both_hear()
        winner = self.end()
        self.offered = await self.offer(self.web.offer(), self.to_trunk)
        self.web.take(await self.answer(winner.answer(self.offered), self.to_browser, to_tag="B2"))
        self.trunk.stop()
        await pause(1)
        winner.talk(self.offered)
        await self.both_hear(winner)
        self.nobody_in()

    async def test_next_target(self) -> None:
        """A first target gives early media, and refuses; the next one takes its time to answer."""
        await self.calls()
        await self.both_hear()
        self.trunk.stop()
        winner = self.end()
        self.offered = await self.offer(self.web.offer(), self.to_trunk, branch="b2")
        await self.sprayed()
        await pause(1)
        self.web.take(await self.answer(winner.answer(self.offered), self.to_browser, branch="b2", to_tag="B2"))
        winner.talk(self.offered)
        await self.both_hear(winner)
        self.nobody_in()


class Encrypted(Sprayed):
    """The same with keys in the SDP: whoever has none is not taken for the trunk either."""

    settings = Settings(srtp=True)


class BehindNat(SprayedCase):
    """`media-nat = yes`."""

    settings = Settings(nat=True)

    async def setUp(self) -> None:
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        await super().setUp()

    async def test_other_port(self) -> None:
        """A trunk is heard that sends from another port than its SDP says, and whoever comes later is not."""
        self.trunk = self.end(behind_nat=True)
        self.aiming.stop()
        await self.calls(sprayed=False)
        await self.both_hear()
        await pause(4)
        await self.aim()
        await self.both_hear()
        await pause(1)
        self.nobody_in()

    async def test_named_port(self) -> None:
        """A trunk that sends from the port in its SDP after all, within three seconds, is taken before a third party
        that came first. With a version of which the log warns, that one has the trunk's place though the trunk
        talks."""
        warned = await self.warned()
        await self.calls(silent=1)
        if warned:
            before = len(self.sprayer.got)
            await until(lambda: len(self.sprayer.got) > before + 30, "the third party hears the call")
            return
        await self.both_hear()
        await pause(4)
        before, noise = len(self.sprayer.got), self.web.heard[SSRC]
        await self.both_hear()
        self.assertEqual((before, noise), (len(self.sprayer.got), self.web.heard[SSRC]))

    async def test_named_port_too_late(self) -> None:
        """After three seconds no other is taken, whatever the version: a third party that was alone in this time hears
        the call, and the trunk does not."""
        await self.calls(silent=5)
        before = len(self.sprayer.got)
        await until(lambda: len(self.sprayer.got) > before + 100, "the third party hears the call")
        self.assertEqual(0, self.trunk.heard[self.web.ssrc])

    async def warned(self) -> bool:
        """Whether the log warns of the version, which is that of the program."""
        await until(lambda: any("version" in event for event in self.events), "the version of rtpengine")
        warned = {
            str(event["name"]) for event in self.events if event["log_level"] is LogLevel.warn and "name" in event
        }
        self.assertEqual({known.name for known in vulnerabilities_of(installed_version())}, warned)
        return NAT in warned


class NotBehindNat(SprayedCase):
    """Without it."""

    async def test_other_port(self) -> None:
        """A trunk that sends from another port than its SDP says is not heard."""
        self.aiming.stop()
        self.trunk = self.end(behind_nat=True)
        await self.calls(sprayed=False)
        await pause(2)
        self.assertEqual(0, self.web.heard[self.trunk.ssrc])
