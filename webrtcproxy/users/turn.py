"""The ICE servers of a user, with credentials for TURN that expire: the shared-secret way of coturn.

This is draft-uberti-behave-turn-rest-00, which coturn calls the TURN REST API: the user name is the time of expiry and
a name, the password an HMAC over it. The TURN server needs no list of users.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from hmac import digest
from typing import Final, TypedDict
from urllib.parse import quote

from webrtcproxy.config import TurnConfig

MAX_NAME: Final = 400
"""The longest name within a user name, in octets: STUN has 513 for the whole (RFC 8489 section 14.3)."""


class IceServer(TypedDict, total=False):
    """An RTCIceServer, as RTCPeerConnection takes it (WebRTC section 4.2.4)."""

    urls: list[str]
    username: str
    credential: str


class IceServers:
    """Makes the list of ICE servers of each user.

    :param config: the servers, their secret, and how long credentials are valid.
    :param now: returns the time of day, in seconds since 1970, as the TURN servers have it.
    """

    def __init__(self, config: TurnConfig, now: Callable[[], float]) -> None:
        self._config = config
        self._now = now
        self._stun = [uri for uri in config.servers if uri.startswith("stun")]
        self._turn = [uri for uri in config.servers if uri.startswith("turn")]

    def of(self, aor: str, seconds: float) -> tuple[list[IceServer], float]:
        """The servers for one user, with credentials that nobody else gets.

        :param aor: the address-of-record, without ``sip:``. The TURN server sees it, and may limit what it has.
        :param seconds: how long the user's login is still valid: its credentials end with it.
        :returns: the servers, and for how many seconds they and the login are valid.
        """
        servers: list[IceServer] = []
        if self._stun:
            servers.append({"urls": list(self._stun)})
        if self._turn:
            seconds = min(self._config.lifetime, seconds)
            username = f"{int(self._now() + seconds)}:{_name(aor)}"
            servers.append({"urls": list(self._turn), "username": username, "credential": self._credential(username)})
        return servers, seconds

    def _credential(self, username: str) -> str:
        assert self._config.secret is not None  # check_turn
        return b64encode(digest(self._config.secret.encode(), username.encode(), sha1)).decode()


def _name(aor: str) -> str:
    """`aor` in ASCII without a colon, which ends the time, and short enough."""
    return quote(aor, safe="@+")[:MAX_NAME]
