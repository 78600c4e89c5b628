"""The ports with TLS of a real proxy, for browsers and for trunks, as openssl s_client meets them (RFC 9325)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.authority import Authority
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.proxy import Proxy

UPGRADE = (
    "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)
STRONG = re.compile(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)")
"""The suites of TLS 1.2 that have forward secrecy and authenticated encryption, and are offered."""


def openssl(*arguments: str, given: bytes = b"", seconds: float = 10) -> str:
    """What the openssl command writes until it ends, or until these seconds are over; it gets `given` as its input."""
    try:
        run = subprocess.run(("openssl", *arguments), input=given, capture_output=True, timeout=seconds, check=False)
        written = run.stdout + run.stderr
    except subprocess.TimeoutExpired as expired:
        written = (expired.stdout or b"") + (expired.stderr or b"")
    return written.decode("utf-8", "replace")


class TlsServerCase(TestCase):
    """A proxy with certificates of both kinds, ECDSA and RSA, on ports for browsers and for trunks."""

    timeout = 120
    options = ("", "")

    async def setUp(self) -> None:
        self.ports = {name: free_port() for name in ("wss-ecdsa", "wss-rsa", "sip-ecdsa", "sip-rsa")}
        ecdsa, rsa = ":privateKey=key.pem:certKey=cert.pem", ":privateKey=rsa.key.pem:certKey=rsa.pem"
        here = f":interface={LOOPBACK}"
        wss, sip = self.options
        self.proxy = Proxy(
            f"[wss]\nlisten = ssl:{{wss}}{here}{ecdsa}\n  ssl:{self.ports['wss-ecdsa']}{here}{ecdsa}\n"
            f"  ssl:{self.ports['wss-rsa']}{here}{rsa}\n{wss}\n"
            f"[sip]\nlisten = udp:{{sip}}{here}\n  tls:{self.ports['sip-ecdsa']}{here}{ecdsa}\n"
            f"  tls:{self.ports['sip-rsa']}{here}{rsa}\n{sip}\n"
            f"[rtpengine]\nnodes = {LOOPBACK}:9\n[trunk a]\nhost = {LOOPBACK}:9\n"
            f"[web]\nlisten = tcp:{{web}}{here}\n"
        )
        self.addCleanup(self.proxy.stop)
        self.prepare(self.proxy.folder)
        await self.proxy.start()

    def prepare(self, folder: Path) -> None:
        """Make the files that the configuration names."""
        subject = ("-subj", "/CN=localhost", "-keyout", str(folder / "rsa.key.pem"), "-out", str(folder / "rsa.pem"))
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)

    async def clients(self, *clients: Sequence[str], given: bytes = b"Q\n", seconds: float = 10) -> list[str]:
        """What s_client says of each of these: the name of a port, and options. It is ended after so many seconds."""

        def ask(client: Sequence[str]) -> Deferred[str]:
            name, *options = client
            where = ("-connect", f"{LOOPBACK}:{self.ports[name]}")
            return deferToThread(openssl, "s_client", *where, *options, given=given, seconds=seconds)

        return await gatherResults([ask(client) for client in clients], consumeErrors=True)


def agreed(output: str) -> str:
    """The suite that s_client has agreed on; empty where it has not."""
    found = re.search(r"Cipher is (\S+)", output)
    return "" if found is None or found[1] == "(NONE)" else found[1]


class StrengthTests(TlsServerCase):
    """What is agreed on."""

    async def test_suites(self) -> None:
        """Of all suites that OpenSSL has for TLS 1.2, those with ECDHE and authenticated encryption are taken, and no
        other: no CBC, no RSA key exchange, no DHE, no CCM, no anonymous ones."""
        every = openssl("ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").strip().split(":")
        suites = [suite for suite in every if not suite.startswith("TLS_")]
        weak = ":".join(suite for suite in suites if not STRONG.fullmatch(suite))
        self.assertGreater(weak.count(":"), 40)
        for name in self.ports:
            strong = [suite for suite in suites if STRONG.fullmatch(suite) and name.partition("-")[2].upper() in suite]
            self.assertEqual(len(strong), 3)
            asked = [(name, "-tls1_2", "-cipher", f"{suites}:@SECLEVEL=0") for suites in (weak, *strong)]
            self.assertEqual([agreed(output) for output in await self.clients(*asked)], ["", *strong], name)

    async def test_versions(self) -> None:
        """TLS 1.2 and 1.3, nothing older."""
        for name in self.ports:
            old = [(name, version, "-cipher", "ALL:@SECLEVEL=0") for version in ("-tls1", "-tls1_1")]
            outputs = await self.clients(*old, (name, "-tls1_2"), (name, "-tls1_3"))
            self.assertEqual([bool(agreed(output)) for output in outputs], [False, False, True, True], name)

    async def test_groups(self) -> None:
        """Keys are agreed on over elliptic curves; the finite-field groups of TLS 1.3, which cost the server much more
        than the client, are not."""
        for name in self.ports:
            fields = [(name, "-tls1_3", "-groups", group) for group in ("ffdhe2048", "ffdhe8192")]
            curves = [(name, "-tls1_3", "-groups", group) for group in ("X25519", "P-256", "P-384")]
            outputs = await self.clients(*fields, *curves)
            self.assertEqual([bool(agreed(output)) for output in outputs], [False, False, True, True, True], name)

    async def test_no_renegotiation(self) -> None:
        """A client can't have the server begin again; nothing is compressed."""
        for output in await self.clients(*((name, "-tls1_2") for name in self.ports), given=b"R\n"):
            self.assertIn("RENEGOTIATING", output)
            self.assertRegex(output, "no renegotiation|unexpected|handshake failure")
            self.assertIn("Compression: NONE", output)

    async def test_http(self) -> None:
        """Whatever the port serves over TLS has HSTS, and tells no path and no version."""
        requests = ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", UPGRADE.replace("GET /", "GET /none"))
        requests += tuple(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" for line in ("GET /none", "PUT /"))
        for request in requests:
            (output,) = await self.clients(("wss-ecdsa", "-quiet"), given=request.format(host="x").encode())
            response = output[output.index("HTTP/1.1 ") :]
            self.assertIn("strict-transport-security: max-age=31536000", response.lower(), request)
            for told in (str(self.proxy.folder), "webrtcproxy/", "Twisted", "Python", "Traceback"):
                self.assertNotIn(told, response, request)
        self.proxy.assert_clean()


class ClientCertificatesTests(TlsServerCase):
    """Mutual TLS: `[wss] client-ca` and `[sip] client-ca`."""

    options = ("client-ca = ours.pem", "client-ca = ours.pem")

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        ours, other = Authority(folder, "ours"), Authority(folder, "other")
        self.right = self.shown(ours.issue("phone.example"))
        self.wrong = [[], self.shown(other.issue("phone.test")), self.shown(ours.issue("old.example", expired=True))]

    @staticmethod
    def shown(pair: tuple[Path, Path]) -> list[str]:
        """The options by which s_client presents a certificate."""
        return ["-key", str(pair[0]), "-cert", str(pair[1])]

    def each(self, name: str) -> list[tuple[str, ...]]:
        """Each certificate, over either version of TLS, to the port of that name."""
        return [
            (name, "-quiet", version, *options)
            for version in ("-tls1_2", "-tls1_3")
            for options in (self.right, *self.wrong)
        ]

    async def test_browsers(self) -> None:
        """Who has the right certificate gets a WebSocket; who has none, another authority's or an expired one gets
        nothing, over either version of TLS."""
        outputs = await self.clients(*self.each("wss-ecdsa"), given=UPGRADE.format(host="x").encode(), seconds=4)
        self.assertEqual(["HTTP/1.1 101 " in output for output in outputs], [True, False, False, False] * 2)
        self.assertEqual(["HTTP/1.1" in output for output in outputs], [True, False, False, False] * 2)
        samples = await self.proxy.samples()
        self.assertEqual(samples['refused_total{reason="handshake"}'], 6)
        self.assertEqual(self.proxy.log().count("[webrtcproxy.transport.wss.site#info] No TLS with 127.0.0.1: "), 6)
        self.proxy.assert_clean()

    async def test_trunks(self) -> None:
        """The same at the port for trunks: who has the right certificate has its ping answered (RFC 5626 section
        4.4.1)."""
        outputs = await self.clients(*self.each("sip-ecdsa"), given=b"\r\n\r\n", seconds=4)
        self.assertEqual([output.startswith("\r\n") for output in outputs], [True, False, False, False] * 2, outputs)
        self.proxy.assert_clean()
