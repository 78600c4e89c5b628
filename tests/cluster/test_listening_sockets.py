"""Places: the sockets of all workers."""

from __future__ import annotations

import socket
from contextlib import closing

from twisted.trial.unittest import SynchronousTestCase

from tests.support.real.ports import free_ports
from webrtcproxy.cluster.listening_sockets import ListeningSockets
from webrtcproxy.config import ConfigError

AT = "interface=127.0.0.1"


class PlacesTests(SynchronousTestCase):
    """Real sockets of loopback."""

    def places(self, wss: tuple[str, ...] = (), sip: tuple[str, ...] = (), workers: int = 2) -> ListeningSockets:
        places = ListeningSockets(wss, sip, workers)
        self.addCleanup(places.close)
        return places

    def port(self, of: socket.socket) -> int:
        port: int = of.getsockname()[1]
        return port

    def test_udp(self) -> None:
        """One socket for all at the port of the line, and one for each worker at the ports after it."""
        port = free_ports(4)[0]
        places = self.places(sip=(f"udp:{port}:{AT}",))
        places.open()
        self.assertEqual(self.port(places.shared[0]), port)
        self.assertEqual([self.port(own.sip[0]) for own in places.own], [port + 1, port + 2])
        places.open()
        self.assertEqual(len(places.own), 2)

    def test_any_ports(self) -> None:
        """Port 0: any free ones, all different, for UDP; one for all for TCP."""
        places = self.places((f"ssl:0:{AT}:privateKey=k",), (f"udp:0:{AT}", f"tcp:0:{AT}"))
        places.open()
        one, two = places.own
        self.assertEqual(len({self.port(each) for each in (places.shared[0], one.sip[0], two.sip[0])}), 3)
        self.assertEqual(self.port(one.sip[1]), self.port(two.sip[1]))
        self.assertEqual(self.port(one.wss[0]), self.port(two.wss[0]))

    def test_connections_are_shared_out(self) -> None:
        """The kernel gives connections to all workers, and they wait there until somebody takes them."""
        places = self.places((f"tcp:0:{AT}",))
        places.open()
        address = places.own[0].wss[0].getsockname()
        connections = [socket.create_connection(address) for _ in range(40)]
        for connection in connections:
            self.addCleanup(connection.close)
        taken = []
        for own in places.own:
            count = 0
            try:
                while True:
                    accepted, _ = own.wss[0].accept()
                    accepted.close()
                    count += 1
            except BlockingIOError:
                taken.append(count)
        self.assertEqual(sum(taken), 40)
        self.assertTrue(all(taken), taken)

    def test_taken(self) -> None:
        """A port that somebody has is told with section and line, and nothing stays open."""
        port = free_ports(4)[0]
        line = f"udp:{port}:{AT}"
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
            other.bind(("127.0.0.1", port + 2))
            places = self.places(sip=(line,))
            error = self.assertRaises(ConfigError, places.open)
        self.assertEqual((error.section, error.key, error.value), ("sip", "listen", line))
        self.assertEqual((places.own, places.shared), ([], {}))
        places.open()

    def test_wss_taken(self) -> None:
        """The same for the port of the browsers, though its sockets may be shared: not with strangers."""
        with closing(socket.socket()) as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            places = self.places((f"ssl:{other.getsockname()[1]}:{AT}:privateKey=k",))
            self.assertEqual(self.assertRaises(ConfigError, places.open).section, "wss")

    def test_ipv6(self) -> None:
        """An IPv6 address has its colons escaped."""
        places = self.places(("ssl:port=0:interface=\\:\\:1:privateKey=k",), ("udp:0:interface=\\:\\:1",))
        places.open()
        for each in (places.shared[0], places.own[1].sip[0], places.own[1].wss[0]):
            self.assertEqual(each.family, socket.AF_INET6)
