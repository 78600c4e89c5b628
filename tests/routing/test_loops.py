"""Loops: how far a request may go, and whether it has come back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.routing.test_policy import invite
from webrtcproxy.routing.loops import remaining_hops
from webrtcproxy.runtime.errors import Refusal


class Hops(SynchronousTestCase):
    """Max-Forwards (RFC 3261 section 16.3, RFC 7332)."""

    def test_missing_is_seventy(self) -> None:
        """An absent header counts as 70."""
        self.assertEqual(remaining_hops(invite("sip:a@b")), 70)

    def test_zero(self) -> None:
        """Nothing left: 483."""
        error = self.assertRaises(Refusal, remaining_hops, invite("sip:a@b", Max_Forwards="0"))
        self.assertEqual(error.status, 483)
