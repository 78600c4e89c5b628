"""webrtcproxy/admin/page.py: the phone page is served safely, and the log says how to build it where it is missing."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from webrtcproxy.admin.page import phone_resource


class Answer:
    """An HTTP response, cut into its parts."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("ascii").split("\r\n")
        self.code = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}


class PhonePageTest(SynchronousTestCase):
    def setUp(self) -> None:
        root = Path(self.mktemp())
        self.folder = root / "dist"
        self.folder.mkdir(parents=True)
        (root / "secret.txt").write_text("secret")
        for name in ("index.html", "phone.js", "phone.css", "phone.svg", "LICENSES.txt", "notes.bak"):
            (self.folder / name).write_text(f"this is {name}")
        (self.folder / "sub").mkdir()
        (self.folder / "sub" / "inner.js").write_text("inner")

    def fetch(self, path: str, method: str = "GET", **headers: str) -> Answer:
        site = Site(
            phone_resource(self.folder, domain="demo.test", password="demo", websocket="/sip", hint="Dial echo")
        )
        protocol = site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        protocol.dataReceived("\r\n".join([*lines, "", ""]).encode())
        return Answer(transport.value())

    def test_root_is_the_page(self) -> None:
        """``/`` and ``/index.html`` are the page, as HTML in UTF-8."""
        for path in ("/", "/index.html", "/?from=mail"):
            answer = self.fetch(path)
            self.assertEqual((answer.code, answer.body), (200, b"this is index.html"), path)
            self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")

    def test_content_types(self) -> None:
        """With nosniff a wrong type is a dead page: each built file has its own."""
        expected = {"phone.js": "text/javascript", "phone.css": "text/css", "phone.svg": "image/svg+xml"}
        for name, content_type in expected.items():
            answer = self.fetch("/" + name)
            self.assertEqual(answer.code, 200)
            self.assertEqual(answer.headers["content-type"].split(";")[0], content_type)

    def test_security_headers_everywhere(self) -> None:
        """Files, settings and 404 alike carry the strict policy: no inline script, no frame, no sniffing."""
        for path in ("/", "/phone.js", "/settings.json", "/none"):
            headers = self.fetch(path).headers
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            self.assertIn("frame-ancestors 'none'", headers["content-security-policy"])
            self.assertNotIn("unsafe", headers["content-security-policy"])
            self.assertIn("microphone=(self)", headers["permissions-policy"])

    def test_settings(self) -> None:
        """The page learns its defaults from settings.json."""
        answer = self.fetch("/settings.json")
        self.assertEqual(answer.headers["content-type"], "application/json")
        expected = {
            "domain": "demo.test",
            "password": "demo",
            "websocket": "/sip",
            "bootstrap": "",
            "hint": "Dial echo",
        }
        self.assertEqual(json.loads(answer.body), expected)

    def test_no_domain_leaves_it_to_the_page(self) -> None:
        """Without a domain the page takes the host that it came from."""
        site = Site(phone_resource(self.folder))
        transport = StringTransport()
        protocol = site.buildProtocol(None)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /settings.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertNotIn("domain", json.loads(Answer(transport.value()).body))

    def test_nothing_else_exists(self) -> None:
        """No listing, no other folder, no way up, no unknown ending, no link, however it is spelled."""
        (self.folder / "link.txt").symlink_to(self.folder.parent.resolve() / "secret.txt")
        paths = ["/sub", "/sub/", "/sub/inner.js", "/sub%2Finner.js", "/../secret.txt", "/%2e%2e/secret.txt"]
        paths += [
            "/..%2fsecret.txt",
            "/notes.bak",
            "/link.txt",
            "/phone.js/",
            "//phone.js",
            "/%00.js",
            "/%ff.js",
            "/.txt",
        ]
        paths += ["/" + "a" * 300 + ".js"]
        for path in paths:
            answer = self.fetch(path)
            self.assertEqual(answer.code, 404, path)
            self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
            self.assertNotIn(b"secret", answer.body)

    def test_not_built(self) -> None:
        """A page that is not built is a 404 as any other, which tells nobody where the program is installed; the log
        has the commands that build it."""
        (self.folder / "index.html").unlink()
        with capturedLogs() as events:
            answer = self.fetch("/")
        self.assertEqual((answer.code, answer.body), (404, self.fetch("/none").body))
        self.assertNotIn(str(self.folder.parent).encode(), answer.body)
        (line,) = [formatEvent(event) for event in events]
        for part in ("npm ci", "npm run build", str(self.folder.parent)):
            self.assertIn(part, line)

    def test_head_and_other_methods(self) -> None:
        """HEAD has the length without the body; anything that writes is 405 with Allow."""
        head = self.fetch("/phone.js", "HEAD")
        self.assertEqual((head.code, head.body, head.headers["content-length"]), (200, b"", "16"))
        post = self.fetch("/", "POST", Content_Length="0")
        self.assertEqual((post.code, post.headers["allow"]), (405, "GET, HEAD"))

    def test_unchanged_file_is_not_sent_again(self) -> None:
        """A browser that has the file gets 304 (RFC 9110 section 13.1.2); a rebuilt file is sent."""
        tag = self.fetch("/phone.js").headers["etag"]
        self.assertEqual(self.fetch("/phone.js", If_None_Match=tag).code, 304)
        (self.folder / "phone.js").write_text("rebuilt")
        self.assertEqual(self.fetch("/phone.js", If_None_Match=tag).body, b"rebuilt")
