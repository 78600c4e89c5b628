"""Attributes of users: what a users file, a token and a portal may say about a user."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import PartyLimits
from webrtcproxy.users.attributes import ATTRIBUTES, MAX_TEXT, MAX_WORDS, AttributeRefused, user_from


class AttributesTests(SynchronousTestCase):
    """`user_from`; docs/users.rst, "Attributes"."""

    def refused(self, attributes: dict[str, object], name: str = "alice", domain: str = "example.com") -> str:
        return str(self.assertRaises(AttributeRefused, user_from, name, domain, attributes))

    def test_texts(self) -> None:
        """What a users file says: lists have commas, numbers lose their visual separators (RFC 3966 section 5.1.1)."""
        user = user_from(
            "alice",
            "Example.COM",
            {"name": "Alice Liddell", "numbers": "+49 (30) 12-3,101", "groups": "Sales, night", "trunks": "carrier"},
        )
        self.assertEqual(user.aor, "alice@example.com")
        self.assertEqual(user.display_name, "Alice Liddell")
        self.assertEqual(user.numbers, ("+4930123", "101"))
        self.assertEqual(user.groups, {"sales", "night"})
        self.assertEqual(user.trunks, {"carrier"})

    def test_access(self) -> None:
        """Which numbers the user may call, and its limits; what it has none of is that of every user."""
        attributes = {"allow": "+49*, 112", "deny": ["premium"], "calls": "2", "calls-per-minute": 5}
        user = user_from("alice", "example.com", attributes)
        self.assertEqual((user.allow.words, user.deny.words), (("+49*", "112"), ("premium",)))
        limits = PartyLimits(calls=10, calls_per_minute=60, messages_per_minute=7, minutes_per_day=3)
        own = PartyLimits(calls=2, calls_per_minute=5, messages_per_minute=7, minutes_per_day=3)
        self.assertEqual(user.limits_over(limits), own)
        other = user_from("alice", "example.com", {"minutes-per-day": 0})
        self.assertEqual(other.limits_over(limits).minutes_per_day, 0)
        self.assertIs(user_from("bob", "example.com", {}).limits_over(limits), limits)
        for name, value in (
            ("calls", "two"), ("calls", -1), ("calls", True), ("calls", 2.5), ("calls", "1" * 9), ("allow", "+49x*"),
            ("deny", 7), ("minutes-per-day", None),
        ):  # fmt: skip
            self.assertTrue(self.refused({name: value}).startswith(f"{name}: "), name)

    def test_json(self) -> None:
        """What a token says: lists are lists, and a number may be one."""
        user = user_from("alice", "example.com", {"numbers": 101, "groups": ["sales"], "trunks": []})
        self.assertEqual((user.numbers, user.groups, user.trunks), (("101",), {"sales"}, frozenset()))

    def test_none(self) -> None:
        """No attribute is needed."""
        user = user_from("alice", "example.com", {})
        self.assertEqual((user.display_name, user.numbers, user.trunks), ("", (), frozenset()))

    def test_unknown(self) -> None:
        """An unknown attribute is named, with those that there are: a typing error takes no right away in silence."""
        why = self.refused({"nubmers": "1"})
        self.assertIn("nubmers: there is no such attribute", why)
        self.assertTrue(all(name in why for name in ATTRIBUTES), why)

    def test_wrong(self) -> None:
        """A value of the wrong kind is refused, with attribute and remedy."""
        for name, value in (
            ("name", 7),
            ("name", "a\r\nFrom: b"),
            ("name", "x" * (MAX_TEXT + 1)),
            ("numbers", "alice"),
            ("numbers", True),
            ("numbers", [1]),
            ("numbers", {"a": 1}),
            ("numbers", ["1"] * (MAX_WORDS + 1)),
            ("groups", "a b"),
            ("groups", None),
            ("trunks", "x" * 200),
            ("trunks", "-"),
        ):
            why = self.refused({name: value})
            self.assertTrue(why.startswith(f"{name}: "), why)
            self.assertIn("; write ", why)

    def test_names(self) -> None:
        """The user part has its normal form, the same for all spellings (RFC 3261 section 10.3 step 5)."""
        self.assertEqual(user_from("müller", "example.com", {}).aor, "m%C3%BCller@example.com")
        self.assertEqual(user_from("%61lice", "example.com", {}).aor, "alice@example.com")
        self.assertEqual(user_from("alice", "::1", {}).aor, "alice@[::1]")

    def test_no_names(self) -> None:
        """What can't be a user of a domain is refused."""
        for name in ("", "a b", "a@b", "a:b", "a;b", "a<b", "a\nb", "a\x00b", "\udc80", "x" * (MAX_TEXT + 1)):
            self.assertIn("name of a user", self.refused({}, name), repr(name))
        for domain in ("", "exa mple", "a/b", "a..b", "exämple.com"):
            self.assertIn("domain", self.refused({}, "alice", domain))
