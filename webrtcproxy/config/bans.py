"""``[bans]``: how failed logins and scanners are slowed down and banned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webrtcproxy.config.addresses import Network, network
from webrtcproxy.config.kinds import each, number, whole
from webrtcproxy.config.option import option

SCANNERS: Final = (
    "friendly-request", "friendly-scanner", "gulp", "iwar", "pplsip", "sip-scan", "siparmyknife", "sipcli", "sipsak",
    "sipscan", "sipv", "sipvicious", "sipviscious", "sivus", "smap", "sundayddr", "vaxipuseragent", "vaxsipuseragent",
)  # fmt: skip
"""Programs that look for accounts, by the beginning of their User-Agent."""


@dataclass(frozen=True, slots=True)
class BansConfig:
    """Who is kept out for a while: addresses with too many failed logins, and scanners.

    :ivar after: 0 for never.
    :ivar seconds: of the first ban.
    """

    after: int = option(
        whole(0, 10_000),
        "Failed logins of one address (of IPv6: of one /64) after which it is banned, 0 for never. A user's own are"
        " taken back when he logs in from there, and one is forgiven every five minutes.",
        default=10,
    )
    seconds: float = option(
        number(1, 31_536_000, "seconds"),
        "How long an address is banned; each time within a day of the last, twice as long.",
        key="for",
        default=600.0,
    )
    longest: float = option(number(1, 31_536_000, "seconds"), "The longest ban.", default=86_400.0)
    trusted: tuple[Network, ...] = option(
        each(network, "write addresses or networks"),
        "Networks that are never banned. Those of trunks and of ``trusted-proxies`` never are.",
        default=(),
    )
    user_agents: tuple[str, ...] = option(
        each(str.lower, "write beginnings of User-Agent headers"),
        "Scanners, by the beginning of their User-Agent in any case: they get no response. If their address is certain"
        " (over WebSocket, TCP and TLS), it is banned.",
        default=SCANNERS,
    )
