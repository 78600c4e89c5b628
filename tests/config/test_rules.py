"""The words of `allow` and `deny`."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.addresses import Destinations, HostPort
from webrtcproxy.config.ranges import RANGES
from webrtcproxy.config.rules import RuleWords, country_code, dial_prefix, number_rules, rule, rules


class Words(SynchronousTestCase):
    """What each word is (docs/access.rst: Rules)."""

    def test_numbers(self) -> None:
        """Whole numbers and prefixes, with separators; codes of services."""
        for word, prefixes, numbers in (
            ("+49*", ["+49"], []), ("+49-900*", ["+49900"], []), ("0900*", ["0900"], []), ("112", [], ["112"]),
            ("+49(30)1234", [], ["+49301234"]), ("+*", ["+"], []), ("*97", [], ["*97"]), ("*31#*", ["*31#"], []),
            ("49/30*", ["4930"], []), ("030/12-3", [], ["030123"]), ("+49/30/*", ["+4930"], []),
            ("+49 30 1234", [], ["+49301234"]),
        ):  # fmt: skip
            found = rule(word)
            self.assertEqual([prefix for prefix, _ in found.prefixes], prefixes, word)
            self.assertEqual([number for number, _ in found.numbers], numbers, word)
            self.assertFalse(found.has_places, word)

    def test_places(self) -> None:
        """Hosts, addresses and networks are those of `destinations`."""
        for word, places in (
            ("192.0.2.1", Destinations(hosts=frozenset({HostPort("192.0.2.1", None)}))),
            ("192.0.2.0/24", Destinations(networks=(ip_network("192.0.2.0/24"),))),
            ("10.example.com", Destinations(hosts=frozenset({HostPort("10.example.com", None)}))),
            ("*.example.com", Destinations(domains=(".example.com",))),
            ("trunks", Destinations(trunks=True)),
        ):
            found = rule(word)
            self.assertEqual(found.places, places, word)
            self.assertFalse(found.has_numbers, word)

    def test_ranges(self) -> None:
        """The ranges stand for their prefixes, none of which begins with another of the same range."""
        for word, prefixes in RANGES.items():
            self.assertEqual(rule(word).prefixes, tuple((prefix, word) for prefix in prefixes))
            for prefix in prefixes:
                self.assertRegex(prefix, r"^(\+|0)[1-9][0-9]{1,5}$")
                self.assertEqual([one for one in prefixes if prefix.startswith(one)], [prefix])

    def test_lists(self) -> None:
        """The words of a list together; `none` is no word at all, `*` everything."""
        self.assertEqual(rules(["none"]), RuleWords(("none",)))
        self.assertTrue(rules(["112", "*"]).everything)
        self.assertEqual(rules(["112", "+49*"]).words, ("112", "+49*"))

    def test_wrong(self) -> None:
        """What is neither a number nor a host is named."""
        for word in ("+", "+49x*", "49x*", "+49*1", "a b", "0" * 33, "http://x", "192.0.2.1/8", "1.2.3.4.5*x"):
            self.assertRaises(ValueError, rule, word)
        self.assertRaises(ValueError, number_rules, ["112", "example.com"])

    def test_prefixes(self) -> None:
        """A country code, and what is dialled before a number."""
        self.assertEqual((country_code("+49"), country_code("1"), dial_prefix("011")), ("49", "1", "011"))
        for text in ("", "+", "0049", "1234", "x"):
            self.assertRaises(ValueError, country_code, text)
        self.assertRaises(ValueError, dial_prefix, "+")
