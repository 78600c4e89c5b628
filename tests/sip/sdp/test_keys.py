"""Which keys of a description are used (RFC 4568; corners.rst 3: Transport protocol)."""

from __future__ import annotations

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.sdp.description import Media
from webrtcproxy.sip.sdp.keys import keep_answered_key, keep_one_of_each_tag, keep_usable_keys
from webrtcproxy.sip.sdp.reading import read

SUITE = "AES_CM_128_HMAC_SHA1_80"
LENGTHS = {
    SUITE: 30, "AES_CM_128_HMAC_SHA1_32": 30, "F8_128_HMAC_SHA1_80": 30, "AES_192_CM_HMAC_SHA1_80": 38,
    "AES_192_CM_HMAC_SHA1_32": 38, "AES_256_CM_HMAC_SHA1_80": 46, "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44,
}  # fmt: skip


def key(tag: int | str = 1, suite: str = SUITE, octets: int = 0, rest: str = "") -> str:
    """The value of an a=crypto line."""
    return f"{tag} {suite} inline:{b64encode(bytes(octets or LENGTHS[suite])).decode()}{rest}"


def medium(*keys: str) -> Media:
    """An encrypted medium with these."""
    lines = "".join(f"a=crypto:{each}\r\n" for each in keys)
    return read(f"m=audio 9 RTP/SAVP 0\r\n{lines}a=ptime:20\r\n".encode()).media[0]


def keys_of(media: Media) -> list[str]:
    return [value for name, value in media.attributes if name == "crypto"]


class Usable(SynchronousTestCase):
    """What is left of the keys of a peer."""

    def left(self, *keys: str) -> list[str]:
        media = medium(*keys)
        keep_usable_keys(media)
        self.assertTrue(media.has("ptime"))
        return keys_of(media)

    def used(self, *keys: str) -> None:
        for each in keys:
            self.assertEqual([each], self.left(each))

    def dropped(self, *keys: str) -> None:
        """Each is dropped, and another one beside it is taken, in any order."""
        good = key(9)
        for each in keys:
            self.assertEqual([], self.left(each), each)
            self.assertEqual([good], self.left(each, good), each)
            self.assertEqual([good], self.left(good, each), each)

    def test_suites(self) -> None:
        """Those that encrypt, with or without padding, in any case (RFC 4568 section 6.2, RFC 6188, RFC 7714)."""
        for suite in LENGTHS:
            self.used(key(1, suite), key(12, suite).rstrip("="), key(123, suite, rest="|2^20"))
        self.used(key().replace("inline", "INLINE"), key().replace(SUITE, SUITE.lower()))

    def test_unknown_suite(self) -> None:
        """Nobody has its cipher; NULL does not encrypt (RFC 4568 section 6.2)."""
        self.dropped(*(
            key(1, suite, 30)
            for suite in ("NULL_HMAC_SHA1_80", "NULL_HMAC_SHA1_32", "AES_CM_128_NULL_AUTH", "X", "AES_CM_128_HMAC")
        ))  # fmt: skip

    def test_length(self) -> None:
        """The octets of key and salt are those of the suite (RFC 4568 section 6.1)."""
        for suite, octets in LENGTHS.items():
            for wrong in {*range(octets - 3, octets + 4), *LENGTHS.values(), 16, 14, 1} - {octets}:
                self.dropped(key(1, suite, wrong))

    def test_base64(self) -> None:
        """It can be decoded (RFC 4568 section 9.1)."""
        good = key()
        for odd in ("!", "-", "_", "%", "=", ".", "*"):
            self.dropped(good[:-3] + odd + good[-2:], good[:-1] + odd)
        wide = key(1, "AES_256_CM_HMAC_SHA1_80")
        self.assertTrue(wide.endswith("=="))
        self.dropped(good + "=", good + "==", wide[:-1], wide + "=", "1 " + SUITE + " inline:|2^20", good[:-1])
        self.dropped(good.replace("inline", "uri"), good.replace("inline", "outline"))

    def test_lifetime_and_identifier(self) -> None:
        """RFC 4568 section 6.1. Of several keys of one line only the first would be known."""
        self.used(*(
            key(rest=rest)
            for rest in ("|2^20", "|2^48", "|1048576", "|2^20|1:4", "|1:1", "|1066:4", "|255:1", "|2^31|0:128")
        ))  # fmt: skip
        self.dropped(*(
            key(rest=rest)
            for rest in (
                "|", "||", "|2^0", "|2^49", "|0", "|-1", "|2^x", "|1:0", "|1:129", "|256:1", "|1:4|2^20", "|2^20|",
                "|1:", "|999999999999999", "|4294967296:8", ";inline:" + "A" * 40,
                "|2^20|1:4;inline:" + "A" * 40 + "|2^20|2:4",
            )
        ))  # fmt: skip

    def test_parameters(self) -> None:
        """Those that are not known make a key useless unless they are optional; those that turn encryption or
        authentication off are not agreed to (RFC 4568 section 6.3)."""
        for rest in (" WSH=64", " -FOO", " -X=y WSH=128", " KDR=0", " FEC_ORDER=FEC_SRTP", "|2^20 WSH=64"):
            self.used(key(rest=rest))
        off = ("UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP")
        for rest in (
            *off,
            off[0].lower(),
            "FOO",
            "X=y",
            "KDR=1",
            "KDR=24",
            "FEC_ORDER=SRTP_FEC",
            "FEC_KEY=inline:x",
            "WSH",
        ):
            self.dropped(key(rest=f" {rest}"), key(rest=f"|2^20|1:4 {rest}"), key(rest=f" WSH=64 {rest}"))
            self.dropped(key(rest=f" {rest} -X"))

    def test_same_tag_and_suite(self) -> None:
        """An answer with a tag and a suite that two have would name neither (RFC 4568 section 9.1); the same line twice
        is one."""
        for other in (key(1, rest="|2^20"), key("01"), key().replace(SUITE, SUITE.lower())):
            self.assertEqual([], self.left(key(), other))
            self.assertEqual([key(2)], self.left(other, key(2), key()))
        self.assertEqual([key()], self.left(key(), key()))

    def test_same_tag(self) -> None:
        """Of an offer the first with each tag that can be used counts: an answer has its tag and its suite (field.rst
        X18: Keys that share a tag)."""
        short, unknown = key("01", "AES_CM_128_HMAC_SHA1_32"), key(1, "X", 30)
        for keys, offered in (
            ((key(), short), [key()]), ((short, key()), [short]), ((unknown, key()), [key()]),
            ((short, key(2), key(), key(2, "AEAD_AES_128_GCM")), [short, key(2)]), ((key(), key(2)), [key(), key(2)]),
        ):  # fmt: skip
            media = medium(*keys)
            keep_usable_keys(media)
            self.assertEqual([each for each in keys if each != unknown], keys_of(media))
            keep_one_of_each_tag(media)
            self.assertEqual(offered, keys_of(media))
            self.assertTrue(media.has("ptime"))

    def test_several(self) -> None:
        """All that can be used stay, in their order."""
        several = [key(3), key(1, "AEAD_AES_256_GCM"), key(2)]
        self.assertEqual(several, self.left(several[0], key(4, "X", 30), *several[1:]))


class Answered(SynchronousTestCase):
    """Which key of an answer counts (RFC 4568 section 5.1.3)."""

    OFFER = (key(2, "AES_256_CM_HMAC_SHA1_80"), key(4), key(7, "AEAD_AES_128_GCM"))

    def left(self, *keys: str, misnamed: str = "") -> list[str]:
        answer = medium(*keys)
        keep_answered_key(answer, medium(*self.OFFER))
        self.assertTrue(answer.has("ptime"))
        self.assertEqual(misnamed, answer.misnamed_key)
        return keys_of(answer)

    def test_offered(self) -> None:
        """One that has tag and suite of an offered one, however they are written."""
        for each in (*self.OFFER, key("04"), key(4).replace(SUITE, SUITE.lower()), key(4, rest="|2^20|1:4")):
            self.assertEqual([each], self.left(each))

    def test_not_offered(self) -> None:
        """A suite that was not offered, whatever its tag."""
        for tag in (1, 2, 4, 7, 40):
            self.assertEqual([], self.left(key(tag, "AES_CM_128_HMAC_SHA1_32")))
        self.assertEqual([], self.left())

    def test_another_tag(self) -> None:
        """A suite that was offered, with a tag of another one or of none: it is the one that was offered (field.rst U:
        Key by another tag)."""
        for tag in ("1", "2", "7", "40", "01"):
            self.assertEqual([key(4, rest="|2^20")], self.left(key(tag, rest="|2^20"), misnamed=f"{int(tag)} {SUITE}"))
        self.assertEqual([key(7, "AEAD_AES_128_GCM")],
                         self.left(key(4, "AEAD_AES_128_GCM"), misnamed="4 AEAD_AES_128_GCM"))  # fmt: skip
        lower = key(1).replace(SUITE, SUITE.lower())
        self.assertEqual([f"4{lower[1:]}"], self.left(lower, misnamed=f"1 {SUITE}"))
        unknown = key(1, "AES_CM_128_HMAC_SHA1_32")
        self.assertEqual([key(4)], self.left(unknown, key(2), misnamed=f"2 {SUITE}"))

    def test_several_tags(self) -> None:
        """A suite that was offered more than once, with other keys: nobody knows which one is meant."""
        answer = medium(key(3))
        keep_answered_key(answer, medium(key(1), key(2, rest="|2^20")))
        self.assertEqual([], keys_of(answer))

    def test_several(self) -> None:
        """An answer has one: the first that was offered, also after one with another tag, or beside one with its own
        (field.rst X18: Keys that share a tag)."""
        self.assertEqual([key(4)], self.left(key(1), key(4), key(7, "AEAD_AES_128_GCM")))
        self.assertEqual([key(4)], self.left(key(2, "AEAD_AES_128_GCM"), key(4)))
        self.assertEqual([key(4)], self.left(key(4, "AEAD_AES_128_GCM"), key(4)))
