"""The configuration: ``load`` turns an INI file into a `Config`, or raises a `ConfigError` that says what to mend."""

from webrtcproxy.config.addresses import Destinations, HostPort, Network
from webrtcproxy.config.ini import ConfigError
from webrtcproxy.config.media import TrunkMedia
from webrtcproxy.config.reader import load
from webrtcproxy.config.values import (
    SPAWN,
    Access,
    Calls,
    Config,
    Demo,
    Logging,
    Proxy,
    Registrations,
    Rtpengine,
    Sip,
    Subscriptions,
    Trunk,
    Web,
    Wss,
)

__all__ = [
    "SPAWN",
    "Access",
    "Calls",
    "Config",
    "ConfigError",
    "Demo",
    "Destinations",
    "HostPort",
    "Logging",
    "Network",
    "Proxy",
    "Registrations",
    "Rtpengine",
    "Sip",
    "Subscriptions",
    "Trunk",
    "TrunkMedia",
    "Web",
    "Wss",
    "load",
]
