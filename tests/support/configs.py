"""Configurations for tests, made of values instead of a file."""

from __future__ import annotations

from pathlib import Path

from webrtcproxy.config import (
    Access,
    Calls,
    Config,
    Destinations,
    HostPort,
    Logging,
    Registrations,
    Rtpengine,
    Sip,
    Subscriptions,
    Trunk,
    Web,
    Wss,
)

PBX = Trunk("pbx", "pbx.example.com")
"""A trunk without credentials, reached at its host."""
CARRIER = Trunk(
    "carrier",
    "carrier.example.net",
    5080,
    HostPort("192.0.2.7", 5090),
    username="us",
    password="secret",
    realm="carrier",
)
"""A trunk whose challenges the proxy answers, reached at a proxy."""


def config(
    *trunks: Trunk,
    destinations: Destinations | None = None,
    anyone: bool = False,
    multiple: bool = False,
    calls: Calls | None = None,
    subscriptions: Subscriptions | None = None,
) -> Config:
    """A whole configuration with these trunks.

    :param destinations: the trunks where it is None.
    :param anyone: trunk credentials are for anyone.
    """
    return Config(
        path=Path("/proxy.ini"),
        wss=Wss(("tcp:0",)),
        sip=Sip(("udp:0",)),
        rtpengine=Rtpengine((HostPort("127.0.0.1", 2223),)),
        registrations=Registrations(multiple),
        calls=calls or Calls(),
        trunks=trunks,
        access=Access(destinations or Destinations(trunks=True), "anyone" if anyone else "registered"),
        web=Web(),
        logging=Logging(),
        demo=None,
        subscriptions=subscriptions or Subscriptions(),
    )
