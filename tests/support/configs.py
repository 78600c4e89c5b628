"""Configurations for tests, made of values instead of a file."""

from __future__ import annotations

from pathlib import Path

from webrtcproxy.config import (
    AccessConfig,
    CallsConfig,
    Config,
    Destinations,
    HostPort,
    LimitsConfig,
    LoggingConfig,
    RecordsConfig,
    RegistrationsConfig,
    RtpengineConfig,
    SipConfig,
    SubscriptionsConfig,
    Trunk,
    WebConfig,
    WssConfig,
)

PBX = Trunk("pbx", "pbx.example.com")
"""A trunk without credentials, reached at its host."""
CARRIER = Trunk(
    "carrier",
    "carrier.example.net",
    5080,
    (HostPort("192.0.2.7", 5090),),
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
    calls: CallsConfig | None = None,
    subscriptions: SubscriptionsConfig | None = None,
    limits: LimitsConfig | None = None,
    access: AccessConfig | None = None,
    records: RecordsConfig | None = None,
) -> Config:
    """A whole configuration with these trunks.

    :param destinations: the trunks where it is None.
    :param anyone: trunk credentials are for anyone.
    :param access: in place of both.
    """
    return Config(
        path=Path("/proxy.ini"),
        wss=WssConfig(("tcp:0",)),
        sip=SipConfig(("udp:0",)),
        rtpengine=RtpengineConfig((HostPort("127.0.0.1", 2223),)),
        registrations=RegistrationsConfig(multiple),
        calls=calls or CallsConfig(limit_unregistered=3),
        trunks=trunks,
        access=access or AccessConfig(destinations or Destinations(trunks=True), "anyone" if anyone else "registered"),
        web=WebConfig(),
        logging=LoggingConfig(),
        demo=None,
        subscriptions=subscriptions or SubscriptionsConfig(),
        limits=limits or LimitsConfig(),
        records=records or RecordsConfig(),
    )
