"""The users of tokens."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.logins import domain_with
from webrtcproxy.users.attributes import AttributeRefused
from webrtcproxy.users.token_users import user_factory
from webrtcproxy.users.user import TrunkAccount


class UsersTests(SynchronousTestCase):
    """What a token says together with what is known here."""

    def setUp(self) -> None:
        line = 'carol@example.com name="Carol" numbers=+49301,+49302 groups=sales'
        domains, _ = domain_with(self.mktemp(), line, trunks=("carrier",))
        self.make = user_factory(domains)

    def test_stranger(self) -> None:
        """Who stands in no users file has what the token says, and the trunks of the domain."""
        user = self.make("dora", "example.com", {"name": "Dora", "numbers": ["+49303"]})
        self.assertEqual((user.aor, user.display_name, user.numbers), ("dora@example.com", "Dora", ("+49303",)))
        self.assertEqual(user.trunks, {"carrier"})

    def test_known(self) -> None:
        """Who stands in the users file has what stands there, but for what the token says."""
        user = self.make("carol", "EXAMPLE.com", {"name": "Carol C."})
        self.assertEqual((user.display_name, user.numbers), ("Carol C.", ("+49301", "+49302")))
        self.assertEqual((user.groups, user.trunks), ({"sales"}, {"carrier"}))

    def test_changed(self) -> None:
        """When the line of the user changes, what the token has said stays: an account that it has taken away, too."""
        known = self.make("carol", "example.com", {})
        account = TrunkAccount("1001@carrier.example.net", "1001", "secret")
        line = replace(known, display_name="C.", numbers=("+49309",), account=("1001",), accounts={"carrier": account})
        self.assertEqual(known.changed_to(line), line)
        user = self.make("carol", "example.com", {"numbers": ["+49302"], "account": []}).changed_to(line)
        self.assertEqual((user.display_name, user.numbers), ("C.", ("+49302",)))
        self.assertEqual((user.account, user.accounts), ((), {}))

    def test_elsewhere(self) -> None:
        """A token of another domain logs nobody in, and neither does one that says what can't be."""
        self.assertRaises(AttributeRefused, self.make, "carol", "example.org", {})
        self.assertRaises(AttributeRefused, self.make, "carol", "example.com", {"shoes": "42"})
