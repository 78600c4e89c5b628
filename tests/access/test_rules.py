"""Rules for numbers and hosts: the longest match decides (docs/access.rst: Rules)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX
from webrtcproxy.access.numbers import DialPlan
from webrtcproxy.access.rules import Rules
from webrtcproxy.config.rules import rules
from webrtcproxy.sip.uri import Uri

DENIED = "premium satellite"


class RulesCase(SynchronousTestCase):
    """Checks URIs."""

    plan = DialPlan()

    def denials(self, allow: str, deny: str, *uris: str) -> list[str]:
        """The URIs that are denied; without a scheme, users at the trunk."""
        checked = Rules(self.plan, (PBX, CARRIER), rules(allow.split()), rules(deny.split()))
        denied = []
        for text in uris:
            uri = Uri.parse(text if text.startswith(("sip", "tel:")) else f"sip:{text}@{PBX.host}")
            readings = self.plan.readings(uri)
            if checked.denial([readings] if readings else [], *uri.hostport, at_trunk=uri.host == PBX.host):
                denied.append(text)
        return denied

    def assert_denied(self, allow: str, deny: str, *uris: str) -> None:
        self.assertEqual(self.denials(allow, deny, *uris), list(uris))

    def assert_permitted(self, allow: str, deny: str, *uris: str) -> None:
        self.assertEqual(self.denials(allow, deny, *uris), [])


class Numbers(RulesCase):
    """Prefixes and whole numbers."""

    def test_deny(self) -> None:
        """What is denied is denied in each spelling, and nothing else is."""
        self.assert_denied(
            "", DENIED,
            "+88212345678", "0088212345678", "01188212345678", "88212345678", "tel:+882-1234-5678", "+1900-555-1212",
            "19005551212", "0900123456", "%30900123456", "0900-123456;x=1", "*31%230900123456",
            "+493012;rn=+8821234567", f"sip:+88212345678@{PBX.host};user=phone", "+8701234567", "+979123456789",
        )  # fmt: skip
        self.assert_permitted(
            "", DENIED, "+493012345", "030123", "881", "8701234", "bob", "+8801712345678", "008801712345678",
            "+86123456789",
        )  # fmt: skip

    def test_longest_match(self) -> None:
        """The longest of the words that match decides, whichever list it is in; of equal ones that of `deny`."""
        self.assert_permitted("*", "+49900* +49900123*", "+49301234")
        self.assert_denied("*", "+49900*", "+4990012345")
        self.assert_permitted("+49900123*", "+49900*", "+4990012345")
        self.assert_denied("+49900123*", "+49900* +4990012345*", "+4990012345")
        self.assert_permitted("+4990012345", "+4990012345*", "+4990012345")
        self.assert_denied("+4990012345*", "+4990012345", "+4990012345")
        self.assert_denied("+49900*", "+49900*", "+4990012345")
        self.assert_permitted("112 +49*", "1*", "112")

    def test_only_allowed(self) -> None:
        """Where numbers are allowed, no others are."""
        self.assert_permitted("+49* 112", DENIED, "+49301234", "0049301234", "112", "49301234567")
        self.assert_denied(
            "+49* 112", DENIED, "+33123456", "0033123456", "33123456789", "1123", "030123", "*97", "+49900123"
        )
        self.assert_permitted("* +49*", DENIED, "+33123456")
        self.assert_permitted("+49* *97 *1*", DENIED, "*31%2349301234567", "*97", "*100", "*31%23+4930123")
        self.assert_denied("+49*", DENIED, "*31%23+33123456", "*97")

    def test_every_reading_is_allowed(self) -> None:
        """A provider that takes numbers without ``+`` rings France where a national number may be meant: whatever may
        be dialled has to be allowed."""
        self.plan = DialPlan("49")
        self.assert_permitted(
            "+49* 112 0900123", "none",
            "030123456", "+4930123456", "0049-30-123456", "4930123456", "+49(0)30123456", "+49030123456", "112",
            "112%23", "030123456%23", "+4930123456,,1", "+4930123456p1", "*31%23030123456", "+4930123456;ext=7",
            "tel:030-123456;phone-context=+49", "tel:+4930123456",
        )  # fmt: skip
        self.assert_denied(
            "+49* 112", "none",
            "33123456789", "+49+33123456", "112+33123456", "1010288+33123", "112%2333123", "112,33123", "112,33123456",
            "112*33123456", "112p33123456", "112;+33123456", "+4930123456;rn=+33123", "*31%2333123456789",
            "3312345678,1", "030123456+33", "112%253B33123456", "112:33123456", "00+33123456",
        )  # fmt: skip
        self.assert_permitted("+33* 0900*", "", "0033123456", "0900123456")
        self.assert_denied("+33*", "", "01133123456")
        self.assert_permitted("+4930*", "", "030123456", "+49030123456", "+49(0)30123456")
        self.assert_denied("+4930*", "", "4930123456", "+49040123456")

    def test_every_reading_of_an_outside_line(self) -> None:
        """So has what follows a prefix that the provider takes off."""
        self.plan = DialPlan("49", dial_prefixes=("01033",))
        self.assert_permitted("+49*", "", "010330049301234", "01033030123456", "030123456")
        self.assert_denied("+49*", "", "010330033123456", "0103333123456789")

    def test_whole_number_as_dialled(self) -> None:
        """Who allows a whole number as it is dialled knows which one it is."""
        self.plan = DialPlan("1")
        self.assert_permitted("+1* 2125551212", "", "2125551212", "12125551213", "+12125551213")
        self.assert_denied("+1* 2125551212", "", "2125551213")

    def test_names_at_a_trunk(self) -> None:
        """Where numbers are allowed, a trunk gets nothing that it may take for another one; names where a word allows
        its host."""
        letters = (
            "+33123abc", "abc+33123", "+33123_a", "tel%3A+33123", "sip:sip:+33123456@pbx.example.com", "+33123%40x",
            "%252B33123", "sip:d+33123@pbx.example.com;user=dialstring", "T+88112345", "O088112345", "+l881", "x33123",
            "+4930123abc", "room-101",
        )  # fmt: skip
        self.assert_denied("+49* 112", DENIED, "bob", "alice2", *letters)
        self.assert_denied("+49* 112 trunks", DENIED, *letters)
        self.assert_permitted("+49* 112 trunks", DENIED, "bob", "alice2", "+49301234", "112")
        self.assert_permitted("+49* 112", DENIED, "sip:bob@other.example.org")
        self.assert_permitted("", DENIED, "bob", "alice2", "room-101", "echo-5060", "alice_881", "a.smith.1979")
        self.assert_denied(
            "", DENIED, "+88112345abc", "T+881", "O088112345", "+l881", "abc+88112345", "+88112345_a", "%252B881123",
            "tel%3A+881123", "sip:sip:+881123@pbx.example.com", "88112345678x", "+88112345%40x",
        )  # fmt: skip

    def test_all_denied(self) -> None:
        """``deny = *`` leaves what is allowed; names, too, only where their host is."""
        self.assert_permitted("+49*", "*", "+49301234", "0049301234")
        self.assert_denied("+49*", "*", "+33123456", "bob")
        self.assert_permitted("+49* trunks", "*", "bob", "+49301234")
        self.assert_denied("*", "*", "bob", "+49301234")

    def test_national(self) -> None:
        """With a country, national and international spellings are the same, in rules, too."""
        self.plan = DialPlan("49")
        self.assert_denied("", "0900*", "0900123456", "+49900123456", "0049900123456", "+49(0)900123456", "49900123456")
        self.assert_permitted("+49*", "0900*", "030123456", "+4930123456", "0049-30-123456")
        self.assert_permitted("+49* 112 9*", DENIED, "112", "900", "9001", "9118")
        self.assert_denied("+49*", "", "112")
        self.assert_denied("0*", "", "+33123456", "0033123456")
        self.assert_denied("", "+*", "+33123456")
        self.assert_permitted("+49* 112", "+*", "030123456", "112", "+4930123")

    def test_digits_of_a_word(self) -> None:
        """A word of `deny` that is digits alone denies the number in each spelling: it may be meant as an international
        number, as trunks without ``+`` have them, or as a national one. A single digit is only what is dialled, and so
        is a word of `allow`."""
        german = "0900123456", "+49900123456", "0049-900-123456", "49900123456", "+49(0)900123456", "01149900123456"
        spanish = "803123456", "+34803123456", "0034803123456", "34803123456"
        american = "9005551234", "19005551234", "+19005551234", "0019005551234", "01119005551234"
        for country, words, uris in (
            ("49", "49900* 900* 49900123456 900123456 0900123456 004990012* 0049900123456 +49-900* 0900/12*", german),
            ("34", "34803* 803* 803123456 34803123456 +34803* 0034803123456", spanish),
            ("1", "900* 1900* 9005551234 19005551234 +1900* 0111900*", american),
            ("", "1900* +1900* 0111900* 19005551234 0019005551234", american[1:]),
        ):  # fmt: skip
            self.plan = DialPlan(country)
            for word in words.split():
                self.assert_denied("", word, *uris)
        self.plan = DialPlan("49")
        self.assert_permitted(
            "", "9* 11* 15*", "+911234567890", "0091123456789", "015112345678", "030123456", "01101234"
        )
        self.assert_permitted("", "49900*", "+49301234567", "0301234567", "+33900123456")
        self.assert_denied("49900* 900*", "+49*", "+49900123456", "0900123456")

    def test_of_a_trunk_abroad(self) -> None:
        """The words in a trunk's section may be meant as numbers are dialled in its country."""
        checked = Rules(DialPlan("49"), (), rules([]), rules(["0900*"]), DialPlan("43"))
        for dialled in ("+43900123", "0043900123", "+49900123", "0900123456"):
            readings = DialPlan("49").readings(Uri.parse(f"sip:{dialled}@h"))
            self.assertTrue(checked.denial([readings], "h", None), dialled)
        readings = DialPlan("49").readings(Uri.parse("sip:+43800123@h"))
        self.assertFalse(checked.denial([readings], "h", None))

    def test_several_dial_prefixes(self) -> None:
        """Prefixes stand one after the other, and before the code of a service."""
        self.plan = DialPlan("49", dial_prefixes=("0", "01033"))
        self.assert_denied(
            "", "0900* +882*",
            "00900123456", "010330900123456", "0010330900123456", "0-01033-0900123456", "0*31%230900123456",
            "0%2331%230900123456", "0010330088212345678", "0%20*31%23%200088212345678", "*31%230010330900123456",
            "000900123456",
        )  # fmt: skip
        self.assert_permitted("", "0900* +882*", "0030123456", "0*31%23030123456", "0", "00", "0*97", "001033030123456")

    def test_nested_international_prefixes(self) -> None:
        """Of two prefixes for ``+``, one may begin the other: a provider takes either."""
        self.plan = DialPlan("61", ("00", "0011"))
        for word in ("+882*", "0011882*", "00882*", "+88212345678", "001188212345678"):
            self.assert_denied("", word, "001188212345678", "0088212345678", "+88212345678", "88212345678")
        self.assert_permitted("", "+882*", "+61212345678", "001161212345678", "0212345678")

    def test_all_international(self) -> None:
        """``+*`` and ``00*`` are all international numbers."""
        for word in ("+*", "00*", "011*"):
            self.assert_denied("", word, "+33123456", "0033123456", "01133123456")
            self.assert_permitted("", word, "030123", "112")

    def test_several_numbers(self) -> None:
        """A target is denied if one of the URIs that name it is."""
        checked = Rules(self.plan, (), rules([]), rules(["0900*"]))
        self.assertTrue(checked.denial([("030123",), ("0900123",)], "", None))

    def test_named(self) -> None:
        """The log names the word."""
        checked = Rules(self.plan, (), rules([]), rules(["premium", "+49-137*"]))
        self.assertEqual(checked.denial([("+49137123",)], "", None), "deny = +49-137*")
        self.assertEqual(checked.denial([("+1900123",)], "", None), "deny = premium")


class Places(RulesCase):
    """Hosts, domains and networks."""

    def test_deny(self) -> None:
        """The longest match of a host: with its port, without, its network or domain, all trunks."""
        for uri, denied in (
            ("sip:bob@evil.example", True), ("sip:bob@a.evil.example", True), ("sip:bob@good.evil.example", False),
            ("sip:bob@192.0.2.7", True), ("sip:bob@192.0.2.8", False), ("sip:bob@192.0.3.1", False),
            ("sip:bob@pbx.example.com", False), ("sip:bob@GOOD.evil.example.:5062", True),
            ("sip:bob@[2001:db8::7]", True),
        ):  # fmt: skip
            deny = "evil.example *.evil.example 192.0.2.0/24 good.evil.example:5062 2001:db8::/32"
            found = self.denials("* good.evil.example 192.0.2.8", deny, uri)
            self.assertEqual(found, [uri] if denied else [])

    def test_only_allowed(self) -> None:
        """Where hosts are allowed, no others are; a number at a host meets both kinds of rules."""
        self.assert_permitted("trunks", "", "bob", "+493012345")
        self.assert_denied("trunks", "", "sip:bob@example.net", "sip:+493012345@example.net")
        self.assert_denied("trunks", "0900*", "0900123")
        self.assert_permitted("trunks", "", "tel:+493012345")
