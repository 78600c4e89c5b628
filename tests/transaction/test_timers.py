"""Timers: the base values, and what follows from them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.transaction.timers import RFC3261, Timers


class Values(SynchronousTestCase):
    """RFC 3261 table 4."""

    def test_defaults(self) -> None:
        """T1 0.5 s, T2 4 s, T4 5 s; 64*T1; Timer E has grown to T2 after 3.5 s (RFC 4320 section 4.1)."""
        self.assertEqual((RFC3261.t1, RFC3261.t2, RFC3261.t4), (0.5, 4.0, 5.0))
        self.assertEqual((RFC3261.timeout_64t1, RFC3261.provisional_delay), (32.0, 3.5))

    def test_other(self) -> None:
        """All follow from the base values."""
        timers = Timers(t1=1.0)
        self.assertEqual((timers.timeout_64t1, timers.provisional_delay), (64.0, 3.0))
