"""[turn]: the servers that browsers are told of, and the secret."""

from tests.config.case import Case

SECRET = "0123456789abcdef"
SERVERS = "turn:turn.example.com:3478?transport=udp"


class TurnTests(Case):
    """The section as it is read."""

    def test_absent(self) -> None:
        """Without the section browsers are told of no server."""
        turn = self.load().turn
        self.assertEqual((turn.servers, turn.secret, turn.lifetime), ((), None, 3600))

    def test_servers(self) -> None:
        """URIs of STUN (RFC 7064) and TURN (RFC 7065), with and without port, IPv6 too, in lower case."""
        uris = "stun:a.example TURN:[2001:db8::1]:3478?transport=TCP turns:192.0.2.1 stuns:a:5349 turn:b?transport=udp"
        turn = self.load(turn=f"servers = {uris}\nsecret = {SECRET}\nlifetime = 600").turn
        self.assertEqual(turn.servers, tuple(uris.lower().split()))
        self.assertEqual((turn.secret, turn.lifetime), (SECRET, 600))

    def test_stun_alone(self) -> None:
        """STUN needs no secret."""
        self.assertEqual(self.load(turn="servers = stun:stun.example.com").turn.servers, ("stun:stun.example.com",))

    def test_no_uri(self) -> None:
        """What is no such URI is refused, with what to write."""
        for uri, told in (
            ("turn.example.com", "this is no stun:, stuns:, turn: or turns: URI"),
            ("turn://turn.example.com", "no // stands after the colon"),
            ("turn:turn.example.com:0", "the port is no number"),
            ("turn:turn.example.com:3478?transport=sctp", "this is no stun:"),
            ("turn:", "this is no host name"),
            ("turn:alice@example.com", "this is no host name"),
            ("stun:stun.example.com?transport=udp", "STUN has no transport parameter"),
            ("http://turn.example.com", "this is no stun:"),
        ):
            self.refused("turn", "servers", told, turn=f"servers = {uri}\nsecret = {SECRET}")

    def test_secret_missing(self) -> None:
        """A TURN server without a secret is of no use to anybody."""
        self.refused("turn", "secret", "it is missing", turn=f"servers = {SERVERS}")

    def test_secret_alone(self) -> None:
        """A secret without a TURN server is a mistake, and is not shown."""
        for servers in ("", "servers = stun:stun.example.com\n"):
            line = self.refused("turn", "servers", "no TURN server", turn=f"{servers}secret = {SECRET}")
            self.assertNotIn(SECRET, line)

    def test_short_secret(self) -> None:
        """Each user has what was made with the secret, and may try all short ones; it is not shown."""
        line = self.refused("turn", "secret", "guess", turn=f"servers = {SERVERS}\nsecret = s3cret")
        self.assertNotIn("s3cret", line)

    def test_secret_in_no_text(self) -> None:
        """The secret is in no text of the configuration."""
        self.assertNotIn(SECRET, repr(self.load(turn=f"servers = {SERVERS}\nsecret = {SECRET}")))

    def test_lifetime(self) -> None:
        """A minute to a day: what is valid for ever is nobody's any more."""
        for lifetime in ("59", "86401", "1.5"):
            self.refused("turn", "lifetime", turn=f"servers = {SERVERS}\nsecret = {SECRET}\nlifetime = {lifetime}")
