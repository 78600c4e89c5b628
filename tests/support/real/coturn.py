"""Debian's coturn as the TURN server of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, free_ports, listens_tcp, listens_udp
from tests.support.real.proxy import make_certificate

SECRET = "4f6c1b3a9de84b7c-shared-with-the-proxy"

CONF = """\
listening-ip={address}
listening-port={port}
tls-listening-port={tls_port}
relay-ip={address}
min-port={first}
max-port={last}
use-auth-secret
static-auth-secret={secret}
realm=turn.test
cert=cert.pem
pkey=key.pem
# rtpengine is on loopback here; without this, coturn relays to no such peer
allow-loopback-peers
no-multicast-peers
no-cli
no-software-attribute
userdb=turndb
pidfile=turnserver.pid
log-file=stdout
simple-log
verbose
"""


class Coturn(Part):
    """coturn on loopback, over UDP, TCP and TLS, with the secret `SECRET`.

    :param secret: the secret.
    """

    name: ClassVar[str] = "turnserver"

    def __init__(self, secret: str = SECRET) -> None:
        super().__init__()
        self.port, self.tls_port = free_ports(2)[0], free_port()
        relayed = free_ports(200)
        make_certificate(self.folder)
        (self.folder / "turnserver.conf").write_text(
            CONF.format(
                address=LOOPBACK, port=self.port, tls_port=self.tls_port, first=relayed[0], last=relayed[-1],
                secret=secret,
            )
        )  # fmt: skip

    def uri(self, transport: str = "udp") -> str:
        """Its URI over `udp`, `tcp` or `tls`."""
        if transport == "tls":
            return f"turns:{LOOPBACK}:{self.tls_port}?transport=tcp"
        return f"turn:{LOOPBACK}:{self.port}?transport={transport}"

    def command(self) -> Sequence[str]:
        """With the configuration file of its folder."""
        return ("turnserver", "-c", "turnserver.conf")

    def is_ready(self) -> bool:
        """Whether it listens."""
        return listens_udp(self.port) and listens_tcp(self.port) and listens_tcp(self.tls_port)
