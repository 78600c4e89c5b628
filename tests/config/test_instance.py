"""The name of a proxy at rtpengine."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.instance import own_instance

LISTEN = ("udp:5060", "tcp:5060:interface=192.0.2.1")


class Instance(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.boot, self.network = folder / "boot_id", folder / "net"
        self.boot.write_text("one\n")
        self.network.symlink_to("net:[1]")

    def made(self, *listen: str) -> str:
        return own_instance(None, listen or LISTEN, self.boot, self.network)

    def test_same(self) -> None:
        """It is the same after a restart, whatever the order of the sockets."""
        self.assertRegex(self.made(), r"\A[0-9a-f]{12}\Z")
        self.assertEqual(self.made(), self.made(*LISTEN[::-1]))
        self.assertEqual(own_instance(None, LISTEN), own_instance(None, LISTEN))

    def test_another(self) -> None:
        """With other sockets, in another network namespace, or on another machine it is another one."""
        names = {self.made(), self.made("udp:5061")}
        self.network.unlink()
        self.network.symlink_to("net:[2]")
        names.add(self.made())
        self.boot.write_text("two\n")
        names.add(self.made())
        self.assertEqual(4, len(names))

    def test_none(self) -> None:
        """Without a port of its own, or without what tells machines apart, there is none."""
        self.assertEqual("", self.made("udp:0", "tcp:00"))
        self.boot.unlink()
        self.assertEqual("", self.made())

    def test_named(self) -> None:
        """That of the configuration counts."""
        self.assertEqual("edge", own_instance("edge", ("udp:0",), self.boot, self.network))
