"""The address by which this machine reaches others."""

import socket
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime import own_address as module
from webrtcproxy.runtime.own_address import own_address


class OwnAddressTests(SynchronousTestCase):
    """`own_address`."""

    def test_own(self) -> None:
        """It is one that a socket can be bound to, of either family."""
        for family in (socket.AF_INET, socket.AF_INET6):
            address = own_address(family)
            self.assertFalse(ip_address(address).is_unspecified)

    def test_no_route(self) -> None:
        """Where the machine reaches nothing it is that of the loopback."""
        unreachable = ((socket.AF_INET, "not an address", "127.0.0.1"), (socket.AF_INET6, "neither", "::1"))
        self.patch(module, "_ELSEWHERE", unreachable)
        self.assertEqual(own_address(), "127.0.0.1")
        self.assertEqual(own_address(socket.AF_INET6), "::1")
