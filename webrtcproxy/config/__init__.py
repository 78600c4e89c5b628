"""The configuration: ``load`` turns an INI file into a `Config`, or raises a `ConfigError` that says what to mend."""

from webrtcproxy.config.addresses import Destinations, HostPort, Network
from webrtcproxy.config.ini import ConfigError
from webrtcproxy.config.media import TrunkMedia
from webrtcproxy.config.reader import load
from webrtcproxy.config.values import (
    SPAWN,
    AccessConfig,
    CallLimits,
    ClientTls,
    Config,
    DemoConfig,
    LoggingConfig,
    ProxyConfig,
    RegistrationsConfig,
    RtpengineConfig,
    SipConfig,
    SubscriptionLimits,
    Trunk,
    WebConfig,
    WssConfig,
)

__all__ = [
    "SPAWN",
    "AccessConfig",
    "CallLimits",
    "ClientTls",
    "Config",
    "ConfigError",
    "DemoConfig",
    "Destinations",
    "HostPort",
    "LoggingConfig",
    "Network",
    "ProxyConfig",
    "RegistrationsConfig",
    "RtpengineConfig",
    "SipConfig",
    "SubscriptionLimits",
    "Trunk",
    "TrunkMedia",
    "WebConfig",
    "WssConfig",
    "load",
]
