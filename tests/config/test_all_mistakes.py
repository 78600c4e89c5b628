"""All mistakes of a file are told at once, each with its line; what only follows from another one is none."""

from __future__ import annotations

from tests.config.case import Case
from webrtcproxy.config import ConfigErrors, load

MANY = """\
[wss]
listen = tcp:8443
    tcp:x
    ; between
    ssl:443:certKey=none.pem
origins = phone.example, https://a.example https://b.example/
pth = /sip
ping = soon
[sip]
listen = udp:5060
[rtpengine]
nodes = 127.0.0.1
nodes = 127.0.0.2
[trunk a]
host = sip:voip.example
username = me
transport = tls
ping = 0.5
[trunk b]
proxy = b.example
realm = b
[domain example.com]
users = users
trunk = c
min-expires = 10000
[tokens]
algorithms = none
domain = other.example
keys = jwks.json
[turn]
servers = turn:a.example
[acess]
deny = +49x
[calls]
ring = 0
"""


class AllMistakesTests(Case):
    """A file with many mistakes, and files with one from which others would follow."""

    def mistakes(self, text: str) -> list[tuple[int | None, str, str]]:
        """Line, section and key of each."""
        path = self.folder / "proxy.ini"
        path.write_text(text)
        try:
            load(path)
        except ConfigErrors as errors:
            for error in errors.mistakes:
                self.assertTrue(error.remedy)
                self.assertTrue(str(error).startswith(f"{path}:{error.line}: " if error.line else f"{path}: "))
            return [(error.line, error.section, error.key) for error in errors.mistakes]
        return []

    def test_many(self) -> None:
        """Each of them, of all sections, in the order of the file."""
        self.assertEqual(
            self.mistakes(MANY),
            [
                (3, "wss", "listen"),
                (5, "wss", "listen"),
                (5, "wss", "listen"),
                (6, "wss", "origins"),
                (6, "wss", "origins"),
                (7, "wss", "pth"),
                (8, "wss", "ping"),
                (13, "rtpengine", "nodes"),
                (14, "trunk a", "password"),
                (15, "trunk a", "host"),
                (17, "trunk a", "transport"),
                (18, "trunk a", "ping"),
                (19, "trunk b", "host"),
                (21, "trunk b", "realm"),
                (23, "domain example.com", "users"),
                (24, "domain example.com", "trunk"),
                (25, "domain example.com", "min-expires"),
                (26, "tokens", "audience"),
                (27, "tokens", "algorithms"),
                (28, "tokens", "domain"),
                (29, "tokens", "keys"),
                (30, "turn", "secret"),
                (32, "acess", ""),
                (33, "acess", "deny"),
                (35, "calls", "ring"),
            ],
        )

    def test_of_one_option(self) -> None:
        """All that is wrong with one option: each line, each that is there twice, each part of an endpoint."""
        numbers = "+4930 = a@x.example\n alice = b\n +49-30 = c@x.example\n +4931\n +4930 = d@x.example, e f@x.example"
        tokens = "audience = *\nkeys = https://a.example/\nclaims ="
        for section, key, text, lines in (
            ("trunk a", "numbers", f"host = a\nnumbers =\n {numbers}", (9, 9, 10, 11, 12)),
            ("trunk a", "set", "host = a\nset =\n X-A: 1\n x-a: 2\n Via: 1\n X-A: 3", (9, 10, 11)),
            ("trunk a", "codecs", "host = a\ncodecs = PCMA * PCMUU G722 G799", (7, 7, 7)),
            ("wss", "listen", "listen = ssl:x:privateKey=no.pem:certKey=no.pem:dhParameters=no.pem", (2,) * 4),
            ("sip", "listen", "listen = tls:x:backlog=5:privateKey=no.pem:certKey=no.pem:interface=y", (8,) * 5),
            ("sip", "listen", "listen =\n udp:x:interface=y\n tcp:5060:backlog=5", (9, 9, 10)),
            ("tokens", "claims", f"{tokens}\n name\n groups=a\n groups=b\n numbers=", (11, 13, 14)),
        ):
            error: ConfigErrors = self.assertRaises(ConfigErrors, self.load, **{section: text})
            told = [(mistake.line, mistake.key) for mistake in error.mistakes if mistake.key == key]
            self.assertEqual(told, [(line, key) for line in lines], str(error))

    def alone(self, line: int, section: str, key: str, **sections: str | None) -> None:
        """See that a mistake is the only one."""
        error: ConfigErrors = self.assertRaises(ConfigErrors, self.load, **sections)
        told = [(mistake.line, mistake.section, mistake.key) for mistake in error.mistakes]
        self.assertEqual(told, [(line, section, key)], str(error))

    def test_misspelt(self) -> None:
        """What is misspelt is not missing besides; a misspelt section is read as the one that was meant."""
        self.alone(2, "wss", "lisen", wss="lisen = tcp:8443")
        self.alone(2, "wss", "listen", wss="listen tcp:8443")
        self.alone(5, "trnk a", "", trunk_a=None, trnk_a="host = a.example")
        domain = {"domian_example.com": "", "tokens": "audience = *\nkeys = https://a.example/"}
        self.alone(7, "domian example.com", "", **domain)

    def test_meant_and_there(self) -> None:
        """A section that is misspelt beside the right one takes nothing from that."""
        self.alone(7, "ws", "", ws="listen = tcp:x")

    def test_unreadable(self) -> None:
        """What can't be read is no reason for others: its stand-in is not looked at."""
        self.alone(6, "trunk a", "host", trunk_a="host = a b\ntransport = udp")
        self.alone(9, "sip", "listen", trunk_a="host = a\ntransport = tls", sip="listen = udp:x")
        self.alone(7, "trunk a", "username", trunk_a="host = a\nusername =\npassword = p\nrealm = r")
        self.alone(9, "domain a.example", "max-expires", **{"domain a.example": "min-expires = 7000\nmax-expires = x"})
        self.alone(8, "turn", "servers", turn="servers = turn\nsecret = 0123456789abcdef")
        secret = {"domain a.example": "", "tokens": "audience = *\nalgorithms = HS256\nsecret-file = none"}
        self.alone(12, "tokens", "secret-file", **secret)

    def test_nothing(self) -> None:
        """An empty file: what is missing, without a line."""
        self.assertEqual(
            self.mistakes(""), [(None, "wss", "listen"), (None, "rtpengine", "nodes"), (None, "access", "destinations")]
        )
