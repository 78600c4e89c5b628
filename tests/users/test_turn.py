"""The ICE servers of a user: the shared-secret way of coturn (draft-uberti-behave-turn-rest-00)."""

import base64
import hashlib
import hmac

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import TurnConfig
from webrtcproxy.config.ini import Secret
from webrtcproxy.users.turn import IceServers

SECRET = "0123456789abcdef"
TURN = ("turn:turn.example.com:3478?transport=udp", "turns:turn.example.com:5349?transport=tcp")
STUN = "stun:turn.example.com:3478"


class IceServersTests(SynchronousTestCase):
    """What a user is told."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000.7)

    def servers(self, *uris: str) -> IceServers:
        return IceServers(TurnConfig(uris, Secret(SECRET), 600), self.clock.seconds)

    def test_credentials(self) -> None:
        """User name: time of expiry, colon, user; password: base64 of HMAC-SHA1 over it (section 2.2)."""
        (server,), valid = self.servers(*TURN).of("alice@example.com", 3600)
        self.assertEqual(valid, 600)
        self.assertEqual(server["urls"], list(TURN))
        self.assertEqual(server["username"], "1800000600:alice@example.com")
        expected = hmac.new(SECRET.encode(), server["username"].encode(), hashlib.sha1).digest()
        self.assertEqual(base64.b64decode(server["credential"]), expected)

    def test_expires(self) -> None:
        """Credentials that are asked for later are valid for longer."""
        servers = self.servers(*TURN)
        (first,), _ = servers.of("alice@example.com", 3600)
        self.clock.advance(5)
        (second,), _ = servers.of("alice@example.com", 3600)
        self.assertEqual(int(second["username"].split(":")[0]) - int(first["username"].split(":")[0]), 5)
        self.assertNotEqual(first["credential"], second["credential"])

    def test_end_with_the_login(self) -> None:
        """A login that ends sooner takes the credentials with it; one that lasts longer does not extend them."""
        servers = self.servers(*TURN)
        for seconds, expiry in ((60, 1800000060), (0, 1800000000), (86400, 1800000600)):
            (server,), valid = servers.of("alice@example.com", seconds)
            self.assertEqual(valid, expiry - 1800000000)
            self.assertEqual(server["username"], f"{expiry}:alice@example.com")

    def test_stun(self) -> None:
        """STUN wants no credentials, and gets none."""
        (stun, turn), _ = self.servers(*TURN, STUN).of("alice@example.com", 3600)
        self.assertEqual(stun, {"urls": [STUN]})
        self.assertEqual(turn["urls"], list(TURN))
        alone = IceServers(TurnConfig((STUN,)), self.clock.seconds)
        self.assertEqual(alone.of("a@b", 3600), ([{"urls": [STUN]}], 3600))

    def test_none(self) -> None:
        """Without servers the list is empty, as RTCPeerConnection takes it."""
        self.assertEqual(IceServers(TurnConfig(), self.clock.seconds).of("a@b", 3600), ([], 3600))

    def test_odd_names(self) -> None:
        """Whatever a user is called: ASCII with one colon, no longer than STUN takes it (RFC 8489 section 14.3)."""
        for aor in (
            "a:b@example.com",
            "jürgen@example.com",
            "x" * 900 + "@example.com",
            "a\r\nb@example.com",
            "1:2@[::1]",
        ):
            (server,), _ = self.servers(*TURN).of(aor, 3600)
            self.assertRegex(server["username"], r"^1800000600:[!-9;-~]+$")
            self.assertLessEqual(len(server["username"]), 513)
