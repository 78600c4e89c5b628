"""What each leg asks of rtpengine, to the letter."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import attributes, lines, sample
from webrtcproxy.media.bencode import from_bencode, to_bencode
from webrtcproxy.media.profile import BROWSER, BROWSER_ONLY, TRUNK

SRTP, PLAIN = sample("chromium-audio"), sample("trunk")

TO_BROWSER = {
    "transport protocol": "UDP/TLS/RTP/SAVPF",
    "ICE": "force",
    "DTLS": "passive",
    "SDES": ["off"],
    "rtcp-mux": ["offer", "require"],
    "bundle": ["accept"],
    "replace": ["origin", "session connection", "SDP version"],
}
TO_TRUNK = {
    "transport protocol": "RTP/AVP",
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ["off"],
    "rtcp-mux": ["demux"],
    "replace": ["origin", "session connection", "SDP version"],
}
FOR_BROWSER = ["generate mid", "no rtcp attribute", "trickle ICE"]


class GoldenTests(SynchronousTestCase):
    """The whole dictionary, so that no flag comes or goes unseen."""

    maxDiff = None

    def expect(self, fields: dict[str, Any], sdp: bytes, flags: list[str], **expected: object) -> None:
        self.assertEqual(fields, {**expected, "sdp": sdp, "flags": flags})
        to_bencode(fields)

    def test_offer_to_browser_from_trunk(self) -> None:
        """DTLS-SRTP and ICE of our own; the trunk's packets are taken from one source."""
        self.expect(
            BROWSER.fields("offer", PLAIN), PLAIN, [*FOR_BROWSER, "strict source"],
            **TO_BROWSER, **{"DTLS-reverse": "passive"},
        )  # fmt: skip

    def test_offer_to_browser_from_browser(self) -> None:
        """Browser to browser: SRTP on both sides, no check of sources (ICE may change them)."""
        self.expect(BROWSER.fields("offer", SRTP), SRTP, FOR_BROWSER, **TO_BROWSER, **{"DTLS-reverse": "passive"})

    def test_answer_to_browser_from_trunk(self) -> None:
        """An answer repeats the profile of its leg."""
        flags = [*FOR_BROWSER, "port latching", "strict source"]
        self.expect(BROWSER.fields("answer", PLAIN), PLAIN, flags, **TO_BROWSER)

    def test_answer_to_browser_from_browser(self) -> None:
        """The same without the check of sources."""
        self.expect(BROWSER.fields("answer", SRTP), SRTP, [*FOR_BROWSER, "port latching"], **TO_BROWSER)

    def test_offer_to_trunk_from_browser(self) -> None:
        """Plain RTP; the browser's DTLS waits for the answer."""
        self.expect(TRUNK.fields("offer", SRTP), SRTP, ["strip extmap"], **TO_TRUNK, **{"DTLS-reverse": "passive"})

    def test_offer_to_trunk_from_trunk(self) -> None:
        """Trunk to trunk."""
        flags = ["strip extmap", "strict source"]
        self.expect(TRUNK.fields("offer", PLAIN), PLAIN, flags, **TO_TRUNK, **{"DTLS-reverse": "passive"})

    def test_answer_to_trunk_from_browser(self) -> None:
        """The trunk sees the same ports from every branch that answers (port latching)."""
        self.expect(TRUNK.fields("answer", SRTP), SRTP, ["strip extmap", "port latching"], **TO_TRUNK)

    def test_answer_to_trunk_from_trunk(self) -> None:
        """Trunk to trunk."""
        flags = ["strip extmap", "port latching", "strict source"]
        self.expect(TRUNK.fields("answer", PLAIN), PLAIN, flags, **TO_TRUNK)

    def test_later_offers(self) -> None:
        """The ports of a leg stay, wherever the offerer is by then (an ICE restart)."""
        reverse = {"DTLS-reverse": "passive"}
        flags = ["strip extmap", "port latching"]
        self.expect(TRUNK.fields("offer", SRTP, later=True), SRTP, flags, **TO_TRUNK, **reverse)
        flags = [*FOR_BROWSER, "strict source", "port latching"]
        self.expect(BROWSER.fields("offer", PLAIN, later=True), PLAIN, flags, **TO_BROWSER, **reverse)

    def test_fields_are_the_callers(self) -> None:
        """What is made for one command can be changed without harm to the next."""
        fields: Any = TRUNK.fields("offer", PLAIN)
        fields["flags"].append("media handover")
        fields["ICE"] = "force"
        self.assertEqual(TRUNK.fields("offer", PLAIN)["flags"], ["strip extmap", "strict source"])
        self.assertEqual(TRUNK.fields("offer", PLAIN)["ICE"], "remove")
        with self.assertRaises(TypeError):
            TRUNK.offer["ICE"] = "force"  # type: ignore[index]


class ItemsTests(SynchronousTestCase):
    def test_as_fields(self) -> None:
        """What is sent is what `fields` says, for each profile, command and kind of SDP, the first time and later."""
        for profile in (BROWSER, TRUNK):
            for command in ("offer", "answer"):
                for sdp in (SRTP, PLAIN, b"", SRTP + b"a=x\r\n", PLAIN + b"a=x\r\n", b"s=\xff"):
                    read = from_bencode(b"d" + profile.items(command, sdp) + b"e")
                    self.assertEqual(read, from_bencode(to_bencode(profile.fields(command, sdp))))


class CleanTests(SynchronousTestCase):
    def test_trunk(self) -> None:
        """No line that only a browser understands reaches a trunk."""
        for name in ("chromium-audio", "chromium-video", "chromium-trickle", "firefox-audio"):
            sdp = sample(name)
            self.assertTrue(attributes(sdp) & {text.decode() for text in BROWSER_ONLY})
            left = TRUNK.clean(sdp)
            self.assertEqual(attributes(left) & {text.decode() for text in BROWSER_ONLY}, set())
            self.assertEqual(lines(left, "m="), lines(sdp, "m="))
            self.assertEqual(lines(left, "a=rtpmap"), lines(sdp, "a=rtpmap"))
            self.assertEqual(lines(left, "a=fmtp"), lines(sdp, "a=fmtp"))

    def test_all_else_stays(self) -> None:
        """What a trunk says to a trunk is not touched, whatever its line ends; nor are attributes of similar names."""
        self.assertEqual(TRUNK.clean(PLAIN), PLAIN)
        odd = b"v=0\na=midi:1\na=sendrecv\nb=AS:64\na=mid:0\na=x-mid:0\na=rtcp:5\na=rtcp-mux"
        self.assertEqual(TRUNK.clean(odd), b"v=0\na=midi:1\na=sendrecv\nb=AS:64\na=x-mid:0\na=rtcp:5\n")

    def test_browser(self) -> None:
        """A browser gets what rtpengine made for it."""
        self.assertIs(BROWSER.clean(SRTP), SRTP)
