"""Places to listen: what can't work is told before anything is started."""

from __future__ import annotations

import socket
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import config
from webrtcproxy.config import (
    SPAWN,
    Config,
    DemoConfig,
    ProxyConfig,
    RtpengineConfig,
    SipConfig,
    WebConfig,
    WssConfig,
)
from webrtcproxy.config.listen_check import listen_mistakes

FOREIGN = "192.0.2.99"


class Places(SynchronousTestCase):
    """Each is bound for a moment."""

    def mistake(self, tried: Config, **options: bool) -> str:
        (mistake,) = listen_mistakes(tried, **options)
        return str(mistake)

    def is_free(self, tried: Config, **options: bool) -> None:
        self.assertEqual(list(listen_mistakes(tried, **options)), [])

    def taken(self, kind: int) -> int:
        """A port that somebody else has."""
        other = socket.socket(socket.AF_INET, kind)
        self.addCleanup(other.close)
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port: int = other.getsockname()[1]
        return port

    def test_free(self) -> None:
        """Free ports, and endpoints that nothing is known of, are no mistake; they are free again afterwards."""
        tried = replace(
            config(), sip=SipConfig(("udp:0:interface=127.0.0.1",)), wss=WssConfig(("unix:/nowhere", "ssl:0"))
        )
        self.is_free(tried)
        self.is_free(tried)

    def test_taken(self) -> None:
        """Section, key, value and remedy for each listen line whose port is taken."""
        udp, tcp = self.taken(socket.SOCK_DGRAM), self.taken(socket.SOCK_STREAM)
        datagrams, stream = f"udp:{udp}:interface=127.0.0.1", f"tcp:{tcp}:interface=127.0.0.1"
        for section, tried in (
            ("sip", replace(config(), sip=SipConfig((datagrams,)))),
            ("sip", replace(config(), sip=SipConfig((stream,)))),
            ("sip", replace(config(), sip=SipConfig((stream.replace("tcp", "tls") + ":privateKey=k:certKey=c",)))),
            ("wss", replace(config(), wss=WssConfig((f"ssl:{tcp}:privateKey=k:interface=127.0.0.1",)))),
            ("web", replace(config(), web=WebConfig((stream,)))),
            ("demo", replace(config(), demo=DemoConfig(datagrams, "x"))),
        ):
            told = self.mistake(tried)
            self.assertIn(f"[{section}] listen = ", told)
            self.assertIn("the port is taken; end what uses it, or change the port", told)

    def test_taken_from_a_worker(self) -> None:
        """With several workers the ports after the one of the line are tried, too."""
        other = self.taken(socket.SOCK_DGRAM)
        line = f"udp:{other - 2}:interface=127.0.0.1"
        tried = replace(config(), sip=SipConfig((line,)))
        self.is_free(tried)
        told = self.mistake(replace(tried, proxy=ProxyConfig(2)))
        self.assertIn(f"[sip] listen = {line}: port {other}, of a worker, is taken", told)

    def test_foreign_address(self) -> None:
        """An address of another machine is a mistake also for --check, which does not mind a taken port."""
        tried = replace(config(), sip=SipConfig((f"udp:5060:interface={FOREIGN}",)))
        self.assertIn(
            f"[sip] listen = udp:5060:interface={FOREIGN}: this machine has no such address; write", self.mistake(tried)
        )
        self.mistake(tried, only_addresses=True)
        port = self.taken(socket.SOCK_DGRAM)
        self.is_free(replace(config(), sip=SipConfig((f"udp:{port}:interface=127.0.0.1",))), only_addresses=True)

    def test_interface_of_rtpengine(self) -> None:
        """A spawned rtpengine needs an address of this machine; a device's name is its own business."""
        spawned = RtpengineConfig(SPAWN, interface=f"pub/{FOREIGN}!203.0.113.7")
        self.assertIn("[rtpengine] interface", self.mistake(replace(config(), rtpengine=spawned)))
        self.is_free(replace(config(), rtpengine=RtpengineConfig(SPAWN, interface="eth0")))
