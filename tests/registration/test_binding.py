"""Binding: what names a browser of an address-of-record, and the name that upstream sees."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.registration.binding import Binding, contact_user_of, key_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr

ALICE = "alice@pbx.example.com"


class KeyTests(SynchronousTestCase):
    """What names a binding."""

    def key(self, contact: str) -> tuple[str, int]:
        return key_of(NameAddr.parse(contact))

    def test_jssip(self) -> None:
        """+sip.instance and reg-id name a browser, not its random Contact (RFC 5626 section 6)."""
        one = '<sip:8h2kq0aa@qb1x2c3d4e5f.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:AB-C>"'
        other = '<sip:otheruser@other.invalid;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:ab-c>"'
        self.assertEqual(self.key(one), ("urn:uuid:ab-c", 1))
        self.assertEqual(self.key(one), self.key(other))

    def test_reg_ids(self) -> None:
        """Two flows of one instance are two bindings; a reg-id that is no number is none (RFC 5626 section 4.2.1)."""
        form = '<sip:a@x.invalid>;+sip.instance="<urn:uuid:1>";reg-id={}'
        self.assertEqual([self.key(form.format(text))[1] for text in ("1", "2", "x", "99999999999")], [1, 2, 0, 0])

    def test_without_instance(self) -> None:
        """Without an instance the Contact URI names it, whatever its spelling (RFC 3261 section 19.1.4); transport=wss,
        which many write, is ws (RFC 7118 section 5.2.3). A reg-id alone means nothing."""
        keys = {
            self.key("<sip:%61lice@X.invalid;transport=ws>"),
            self.key("<sip:alice@x.invalid;transport=WSS>;reg-id=4"),
            self.key("<sip:alice@x.invalid;Transport=ws>"),
        }
        self.assertEqual(keys, {("sip:alice@x.invalid;transport=ws", 0)})
        self.assertNotEqual(self.key("<sip:alice@x.invalid>"), self.key("<sips:alice@x.invalid>"))
        self.assertNotEqual(self.key("<sip:alice@x.invalid;line=1>"), self.key("<sip:alice@x.invalid;line=2>"))

    def test_not_to_be_called(self) -> None:
        """A Contact must do as a Request-URI: sip or sips, and no headers in it (RFC 3261 section 19.1.1)."""
        for contact in ("<tel:+4930>", "<mailto:a@b.example>", "<sip:a@x.invalid?Replaces=1>"):
            with self.assertRaises(BadMessage) as caught:
                self.key(contact)
            self.assertEqual((caught.exception.status, caught.exception.why), (400, "Bad Contact"))


class TokenTests(SynchronousTestCase):
    """The user part of our Contact towards upstream."""

    def test_same_always(self) -> None:
        """It follows from the AOR alone, so a restarted proxy has the same Contact; it needs no escape in a URI."""
        self.assertEqual(contact_user_of(ALICE), contact_user_of(ALICE))
        self.assertRegex(contact_user_of(ALICE), r"\A[a-z2-7]{16}\Z")
        self.assertEqual(len({contact_user_of(f"{user}@pbx.example.com") for user in range(1000)}), 1000)


class BindingTests(SynchronousTestCase):
    """The record."""

    def test_peer(self) -> None:
        """The address in the log, an IPv6 address in brackets."""
        for host, peer in (("2001:db8::1", "[2001:db8::1]:4321"), ("192.0.2.3", "192.0.2.3:4321")):
            value = NameAddr.parse("<sip:a@x.invalid>")
            binding = Binding(ALICE, "one", 1, value.uri, value, FakeFlow.wss(host, 4321), 60)
            self.assertEqual((binding.peer, binding.key), (peer, ("one", 1)))
