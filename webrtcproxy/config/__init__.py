"""The configuration: ``load`` turns an INI file into a `Config`, or raises `ConfigErrors` with all that is to be
corrected."""

from webrtcproxy.config.access import AccessConfig
from webrtcproxy.config.addresses import Destinations, HostPort, Network
from webrtcproxy.config.bans import BansConfig
from webrtcproxy.config.domain import Domain
from webrtcproxy.config.limits import LimitsConfig, PartyLimits, TrunkLimits
from webrtcproxy.config.media import TrunkMedia
from webrtcproxy.config.mistakes import ConfigError, ConfigErrors
from webrtcproxy.config.reader import load
from webrtcproxy.config.records import RecordsConfig
from webrtcproxy.config.sections import (
    AUTO,
    SPAWN,
    CallsConfig,
    Config,
    DemoConfig,
    LoggingConfig,
    ProxyConfig,
    RegistrationsConfig,
    RtpengineConfig,
    SipConfig,
    SubscriptionsConfig,
    WebConfig,
)
from webrtcproxy.config.tokens import TokensConfig
from webrtcproxy.config.trunk import Trunk
from webrtcproxy.config.trunk_transport import ClientTls
from webrtcproxy.config.turn import TurnConfig
from webrtcproxy.config.wss import WssConfig

__all__ = [
    "AUTO",
    "SPAWN",
    "AccessConfig",
    "BansConfig",
    "CallsConfig",
    "ClientTls",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "DemoConfig",
    "Destinations",
    "Domain",
    "HostPort",
    "LimitsConfig",
    "LoggingConfig",
    "Network",
    "PartyLimits",
    "ProxyConfig",
    "RecordsConfig",
    "RegistrationsConfig",
    "RtpengineConfig",
    "SipConfig",
    "SubscriptionsConfig",
    "TokensConfig",
    "Trunk",
    "TrunkLimits",
    "TrunkMedia",
    "TurnConfig",
    "WebConfig",
    "WssConfig",
    "load",
]
