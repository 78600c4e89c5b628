"""What is presented to trunks over TLS, and whom they have to be certified by: files that are read again."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.authority import Authority
from webrtcproxy.config import ClientTls, Trunk
from webrtcproxy.transport.sip.trunk_tls import TrunkTls

GONE = "No such file or directory"


class FilesTests(SynchronousTestCase):
    """A trunk with authorities and a certificate of ours."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        authority, other = Authority(folder), Authority(folder, "other")
        self.key, self.certificate = authority.issue("proxy.test")
        self.others_key = other.issue("other.test")[0]
        self.ca = authority.file
        settings = ClientTls(ca=self.ca, certificate=self.certificate, key=self.key)
        plain = Trunk("y", "plain.test", transport="tls")
        self.tls = TrunkTls([Trunk("x", "pbx.test", transport="tls", tls=settings), plain])

    def errors(self, work) -> list[str]:
        """What is logged as an error by `work`."""
        with capturedLogs() as events:
            work()
        return [formatEvent(event) for event in events if event["log_level"] is LogLevel.error]

    def test_gone(self) -> None:
        """What was read before stays; one line says so, whatever the number of connections."""
        before = self.tls.creator("pbx.test")
        self.ca.unlink()
        (line,) = self.errors(lambda: self.assertIs(self.tls.creator("pbx.test"), before))
        self.assertIn("pbx.test", line)
        self.assertIn(f"{self.ca}, {self.certificate}, {self.key} can't be used: {GONE}", line)
        self.assertEqual(self.errors(lambda: self.tls.creator("pbx.test")), [])

    def test_back(self) -> None:
        """A file that comes back is read at the next connection."""
        before, text = self.tls.creator("pbx.test"), self.ca.read_bytes()
        self.ca.unlink()
        self.errors(lambda: self.tls.creator("pbx.test"))
        self.ca.write_bytes(text)
        self.assertIsNot(self.tls.creator("pbx.test"), before)

    def test_never_read(self) -> None:
        """Without anything that was read before there is no connection."""
        self.ca.unlink()
        self.assertRaises(OSError, self.tls.creator, "pbx.test")

    def test_reload(self) -> None:
        """All is read again, changed or not; the authorities of the system before the next connection."""
        before = [self.tls.creator(domain) for domain in ("pbx.test", "plain.test", "elsewhere.test")]
        self.assertEqual(self.errors(self.tls.reload), [])
        now = [self.tls.creator(domain) for domain in ("pbx.test", "plain.test", "elsewhere.test")]
        self.assertEqual([one is other for one, other in zip(before, now, strict=True)], [False] * 3)

    def test_reload_broken(self) -> None:
        """Files that are no pair are told with their names, also before the first connection; what was read stays."""
        before = self.tls.creator("pbx.test")
        self.key.write_bytes(self.others_key.read_bytes())
        for _ in range(2):
            (line,) = self.errors(self.tls.reload)
            self.assertIn(str(self.key), line)
        self.errors(lambda: self.assertIs(self.tls.creator("pbx.test"), before))
