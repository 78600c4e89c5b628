"""User: what belongs to an account."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from webrtcproxy.users.user import IUser, TrunkAccount, User


class UserTests(SynchronousTestCase):
    """An account of a domain that is served here."""

    def test_aor(self) -> None:
        """Its address-of-record is its name at its domain, and it is an avatar for twisted.cred."""
        user = User("alice", "example.com")
        self.assertEqual(user.aor, "alice@example.com")
        self.assertTrue(verifyObject(IUser, user))

    def test_secret(self) -> None:
        """The password of an account at a trunk is in no text that may reach a log."""
        user = User("alice", "example.com", accounts={"pbx": TrunkAccount("4711@pbx.example", "4711", "topsecret")})
        self.assertNotIn("topsecret", repr(user))
        self.assertIn("4711", repr(user))
