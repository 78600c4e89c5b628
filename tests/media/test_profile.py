"""What each leg asks of rtpengine, to the letter."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import sample
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.bencode import from_bencode, to_bencode
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, profiles_of

MEDIA = Path(__file__).parents[2] / "webrtcproxy" / "media"

SRTP, PLAIN = sample("chromium-audio"), sample("trunk")

TO_BROWSER = {
    "transport protocol": "UDP/TLS/RTP/SAVPF",
    "ICE": "force",
    "DTLS": "passive",
    "SDES": ["off"],
    "rtcp-mux": ["offer", "require"],
}
TO_TRUNK = {
    "transport protocol": "RTP/AVP",
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ["off"],
    "rtcp-mux": ["demux"],
}
NOT_LEARNED = {"endpoint-learning": ["off"]}
TRUNK_OF_TRUNK = TRUNK.of("signalled")
FOR_BROWSER = ["generate mid", "no rtcp attribute", "trickle ICE"]


class GoldenTests(SynchronousTestCase):
    """The whole dictionary, so that no flag comes or goes unseen."""

    maxDiff = None

    def expect(self, fields: dict[str, Any], sdp: bytes, flags: list[str], **expected: object) -> None:
        self.assertEqual(fields, {**NOT_LEARNED, **expected, "sdp": sdp, "flags": flags})
        to_bencode(fields)

    def test_offer_to_browser_from_trunk(self) -> None:
        """DTLS-SRTP and ICE of our own; the trunk's packets are taken from the address in its SDP (field.rst X7:
        Media that move)."""
        self.expect(
            BROWSER_OF_TRUNK.fields("offer", PLAIN, False), PLAIN, [*FOR_BROWSER, "strict source"],
            **TO_BROWSER, **{"DTLS-reverse": "passive"},
        )  # fmt: skip

    def test_offer_to_browser_from_browser(self) -> None:
        """Browser to browser: SRTP on both sides, no check of sources (ICE may change them)."""
        self.expect(BROWSER.fields("offer", SRTP, True), SRTP, FOR_BROWSER, **TO_BROWSER, **{"DTLS-reverse": "passive"})

    def test_answer_to_browser_from_trunk(self) -> None:
        """An answer repeats the profile of its leg."""
        flags = [*FOR_BROWSER, "port latching", "strict source"]
        self.expect(BROWSER_OF_TRUNK.fields("answer", PLAIN, False), PLAIN, flags, **TO_BROWSER)

    def test_answer_to_browser_from_browser(self) -> None:
        """The same without the check of sources."""
        self.expect(BROWSER.fields("answer", SRTP, True), SRTP, [*FOR_BROWSER, "port latching"], **TO_BROWSER)

    def test_offer_to_trunk_from_browser(self) -> None:
        """Plain RTP; the browser's DTLS waits for the answer."""
        self.expect(
            TRUNK.fields("offer", SRTP, True), SRTP, ["strip extmap"], **TO_TRUNK, **{"DTLS-reverse": "passive"}
        )

    def test_offer_to_trunk_from_trunk(self) -> None:
        """Trunk to trunk."""
        flags = ["strip extmap", "strict source"]
        self.expect(
            TRUNK_OF_TRUNK.fields("offer", PLAIN, False), PLAIN, flags, **TO_TRUNK, **{"DTLS-reverse": "passive"}
        )

    def test_answer_to_trunk_from_browser(self) -> None:
        """The trunk sees the same ports from every branch that answers (port latching)."""
        self.expect(TRUNK.fields("answer", SRTP, True), SRTP, ["strip extmap", "port latching"], **TO_TRUNK)

    def test_answer_to_trunk_from_trunk(self) -> None:
        """Trunk to trunk."""
        flags = ["strip extmap", "port latching", "strict source"]
        self.expect(TRUNK_OF_TRUNK.fields("answer", PLAIN, False), PLAIN, flags, **TO_TRUNK)

    def test_later_offers(self) -> None:
        """The ports of a leg stay, wherever the offerer is by then (an ICE restart)."""
        reverse = {"DTLS-reverse": "passive"}
        flags = ["strip extmap", "port latching"]
        self.expect(TRUNK.fields("offer", SRTP, True, later=True), SRTP, flags, **TO_TRUNK, **reverse)
        flags = [*FOR_BROWSER, "strict source", "port latching"]
        self.expect(BROWSER_OF_TRUNK.fields("offer", PLAIN, False, later=True), PLAIN, flags, **TO_BROWSER, **reverse)

    def test_plain_media_of_a_browser(self) -> None:
        """A browser that does not encrypt is taken from one source, too: nothing else tells its packets."""
        self.expect(TRUNK.fields("offer", PLAIN, False), PLAIN, ["strip extmap", "strict source"], **TO_TRUNK,
                    **{"DTLS-reverse": "passive"})  # fmt: skip

    def test_fields_are_the_callers(self) -> None:
        """What is made for one command can be changed without harm to the next."""
        fields: Any = TRUNK.fields("offer", PLAIN, False)
        fields["flags"].append("media handover")
        fields["ICE"] = "force"
        self.assertEqual(TRUNK.fields("offer", PLAIN, False)["flags"], ["strip extmap", "strict source"])
        self.assertEqual(TRUNK.fields("offer", PLAIN, False)["ICE"], "remove")
        with self.assertRaises(TypeError):
            TRUNK.offer["ICE"] = "force"  # type: ignore[index]


class TrunkTests(SynchronousTestCase):
    """What a trunk's section changes, to the letter; the rest stays as it is."""

    maxDiff = None

    def changed(self, media: TrunkMedia) -> list[dict[str, Any]]:
        """What is different: in an offer and an answer to the trunk, and in an offer and an answer to a browser."""
        trunk, browser = profiles_of(media)
        other = PLAIN.replace(b"RTP/AVP", b"RTP/SAVP") if media.srtp else PLAIN
        return [
            _difference(trunk.fields("offer", SRTP, True), TRUNK.fields("offer", SRTP, True)),
            _difference(trunk.fields("answer", SRTP, True), TRUNK.fields("answer", SRTP, True)),
            _difference(browser.fields("offer", other, False), BROWSER_OF_TRUNK.fields("offer", other, False)),
            _difference(browser.fields("answer", other, False), BROWSER_OF_TRUNK.fields("answer", other, False)),
        ]

    def test_nothing(self) -> None:
        """A section that says nothing: what everybody has, and no work of its own."""
        self.assertEqual(profiles_of(TrunkMedia()), (TRUNK, BROWSER_OF_TRUNK))
        self.assertIs(profiles_of(TrunkMedia())[0], TRUNK)

    def test_codecs(self) -> None:
        """A browser's codecs are masked, so that they can be transcoded from, and those that are named stand in their
        place. Of a trunk's, only those that are named count; the browser may have opus instead of them. An answer has
        what the offer gave (corners.rst 5: codec)."""
        self.assertEqual(
            self.changed(TrunkMedia(("PCMU", "telephone-event", "VP8"))),
            [
                {"codec": {"mask": ["all"], "transcode": ["PCMU", "telephone-event", "VP8"]}},
                {},
                {
                    "codec": {
                        "strip": ["all"],
                        "ignore": ["all"],
                        "except": ["PCMU", "telephone-event", "VP8"],
                        "transcode": ["opus"],
                    }
                },
                {},
            ],
        )

    def test_srtp(self) -> None:
        """SDES towards the trunk, in suites that encrypt; never to a browser (corners.rst 3: SDES)."""
        to_trunk, answer, *to_browser = self.changed(TrunkMedia(srtp=True))
        self.assertEqual(to_trunk.pop("transport protocol"), "RTP/SAVP")
        (suites,) = to_trunk.values()
        self.assertEqual({suite[:3] for suite in suites}, {"pad", "no-"})
        self.assertTrue({"no-NULL_HMAC_SHA1_80", "no-NULL_HMAC_SHA1_32"} < set(suites))
        self.assertEqual(answer, {"transport protocol": "RTP/SAVP", "SDES": suites})
        self.assertEqual(to_browser, [{}, {}])
        self.assertEqual(BROWSER.offer["SDES"], ["off"])

    def test_family(self) -> None:
        """A key of the dictionary, towards the trunk only (corners.rst 5: address family)."""
        for family, name in (("ipv4", "IP4"), ("ipv6", "IP6")):
            there = {"address family": name}
            self.assertEqual(self.changed(TrunkMedia(family=family)), [there, there, {}, {}])  # type: ignore[arg-type]

    def test_interfaces(self) -> None:
        """Offers name two: that of their sender, and that of the one that gets them (corners.rst 5: direction /
        interfaces)."""
        changed = self.changed(TrunkMedia(interfaces=("web", "far")))
        self.assertEqual(changed, [{"direction": ["web", "far"]}, {}, {"direction": ["far", "web"]}, {}])

    def test_dtmf(self) -> None:
        """The flag stands in offers and answers, whichever side began (corners.rst 5: DTMF)."""
        self.assertEqual(self.changed(TrunkMedia(dtmf="rfc4733")), [{"flags": ["inject DTMF"]}] * 4)

    def test_nat(self) -> None:
        """A trunk behind NAT, and no other party, is sought where its packets come from; the best match for its SDP
        wins, and from then on it alone is heard (docs/access.rst: media)."""
        learned = {"endpoint-learning": ["heuristic"]}
        self.assertEqual(self.changed(TrunkMedia(nat=True)), [{}, {}, learned, learned])
        _, browser = profiles_of(TrunkMedia(nat=True, srtp=True))
        for profile in (browser, TRUNK.of("learned")):
            for sdp in (PLAIN, PLAIN.replace(b"RTP/AVP", b"RTP/SAVP")):
                self.assertIn("strict source", profile.fields("answer", sdp, sdp != PLAIN)["flags"])  # type: ignore[arg-type]
        self.assertIs(TRUNK.of("learned"), TRUNK.of("learned"))
        self.assertIs(TRUNK.of("browser"), TRUNK)


def _difference(fields: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The keys that are not the same; of flags, those that came."""
    assert set(other["flags"]) <= set(fields["flags"])
    flags = [flag for flag in fields["flags"] if flag not in other["flags"]]
    keys = {key: value for key, value in fields.items() if key != "flags" and other.get(key) != value}
    return {**keys, "flags": flags} if flags else keys


class ItemsTests(SynchronousTestCase):
    def test_as_fields(self) -> None:
        """What is sent is what `fields` says, for each profile, command and kind of SDP, the first time and later."""
        for profile in (BROWSER, TRUNK, profiles_of(TrunkMedia(("PCMU",), True, "ipv6", ("a", "b"), "rfc4733"))[0]):
            for command in ("offer", "answer"):
                for sdp, encrypted in ((SRTP, True), (PLAIN, False), (b"", True), (b"s=\xff", False), (SRTP, False)):
                    read = from_bencode(b"d" + profile.items(command, sdp, encrypted) + b"e")
                    self.assertEqual(read, from_bencode(to_bencode(profile.fields(command, sdp, encrypted))))


class KeysTests(SynchronousTestCase):
    """Who says what to rtpengine."""

    def test_in_one_module(self) -> None:
        """No other module of media/ writes a dictionary with a key of ng. (``command`` itself is written by ng.py.)"""
        found = []
        for path in sorted(MEDIA.glob("*.py")):
            if path.name in ("profile.py", "bencode.py", "ng.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Dict) and any(
                    isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys
                ):
                    found.append(f"{path.name}:{node.lineno}")
        self.assertEqual(found, [])
