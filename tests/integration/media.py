"""What the tests of the media layer with the real rtpengine have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.support.real.lab import LAB
from tests.support.real.part import until
from tests.support.real.rtpengine import Rtpengine
from tests.support.sdp import SAMPLES, lines, port, sample
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.profile import Profile
from webrtcproxy.sip.sdp.attributes import TO_BROWSER, TO_TRUNK

BROWSERS = [name for name in SAMPLES if name != "trunk"]
CHROME, TRUNK_SDP = sample("chromium-audio"), sample("trunk")
UNWANTED = TO_BROWSER - TO_TRUNK


def browser_answer(ufrag: str, at: int, *, mid: str = "0") -> bytes:
    """A browser's answer; it takes the client's part in DTLS, as browsers do."""
    sdp = CHROME.replace(b"actpass", b"active").replace(b"a=mid:0", b"a=mid:%s" % mid.encode())
    sdp = sdp.replace(lines(CHROME, "a=ice-ufrag")[0].encode(), b"a=ice-ufrag:" + ufrag.encode())
    return sdp.replace(b"m=audio %d" % port(CHROME), b"m=audio %d" % at)


def trunk_sdp(at: int) -> bytes:
    return TRUNK_SDP.replace(b"40000", b"%d" % at)


def identity(sdp: bytes) -> list[str]:
    """What a peer must not see change within one dialog: port, ICE credentials, certificate."""
    wanted = ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=candidate")
    return [str(port(sdp)), *(line for start in wanted for line in lines(sdp, start))]


class MediaCase(TestCase):
    """A `Nodes` with the one rtpengine; after each test that holds no session."""

    timeout = 30
    options: ClassVar[dict[str, Any]] = {}

    rtpengine: Rtpengine

    async def setUp(self) -> None:
        self.rtpengine = await self.part()
        self.addCleanup(self.rtpengine.assert_empty)  # the last of the clean-ups, which go backwards
        host, _, number = self.rtpengine.address.partition(":")
        self.address = (host, int(number))
        self.nodes = self.make(**self.options)
        self.session = self.nodes.session("call")
        self.addCleanup(lambda: self.session.delete())

    async def part(self) -> Rtpengine:
        """The rtpengine that is used."""
        return await LAB.rtpengine()

    def make(self, **options: Any) -> Nodes:
        nodes = Nodes(reactor, [self.address], **options)  # type: ignore[arg-type]
        nodes.startService()
        self.addCleanup(nodes.stopService)
        return nodes

    async def offer(self, sdp: bytes, to: Profile, branch: str = "b1", from_tag: str = "A") -> bytes:
        return await self.session.offer(sdp, from_tag=from_tag, branch=branch, to=to)

    async def answer(
        self, sdp: bytes, to: Profile, branch: str = "b1", to_tag: str = "B", from_tag: str = "A"
    ) -> bytes:
        return await self.session.answer(sdp, from_tag=from_tag, to_tag=to_tag, branch=branch, to=to)

    async def local_ports(self) -> set[int]:
        """The ports that the session holds."""
        known: Any = await self.rtpengine.query(self.session.call_id)
        streams = (
            stream for tag in known[b"tags"].values() for media in tag[b"medias"] for stream in media[b"streams"]
        )
        return {stream[b"local port"] for stream in streams if stream.get(b"local port")}

    async def hears(self, tag: bytes) -> list[bytes]:
        """Whom the party of that tag hears."""
        known: Any = await self.rtpengine.query(self.session.call_id)
        return [party[b"tag"] for party in known[b"tags"][tag].get(b"subscriptions", [])]

    def drop(self, branch: str) -> Deferred[object]:
        """Drop a branch; fires when that is done."""
        self.session.drop(branch)
        return until(lambda: not self.session._operations.working, "branch dropped")  # type: ignore[return-value]
