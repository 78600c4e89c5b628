"""The phone page over HTTP: serves the built files of one folder, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from twisted.logger import Logger
from twisted.web.http import CACHED
from twisted.web.resource import IResource
from twisted.web.server import Request
from zope.interface import implementer

log = Logger()

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
TEXT = CONTENT_TYPES[".txt"]


class _HttpResponse(NamedTuple):
    code: int
    content_type: str
    body: bytes


@implementer(IResource)
class _Page:
    """The files of `folder` by name; ``/`` is index.html. Folders, links and unknown extensions get a 404."""

    isLeaf = True

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._settings = json.dumps(dict(settings)).encode()

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """Never called, since this is a leaf; the interface requires it."""
        resource: IResource = self
        return resource

    def putChild(self, path: bytes, child: IResource) -> None:
        """Not supported: the folder alone determines the content.

        :raises TypeError: always.
        """
        raise TypeError("the phone page takes no children")

    def render(self, request: Request) -> bytes:
        answer = self._answer(request)
        headers = request.responseHeaders
        for name, value in {**HEADERS, "Content-Type": answer.content_type}.items():
            headers.setRawHeaders(name, [value])
        if answer.code == 405:
            headers.setRawHeaders("Allow", ["GET, HEAD"])
        request.setResponseCode(answer.code)
        if answer.code == 200 and request.setETag(_etag(answer.body)) is CACHED:
            return b""
        headers.setRawHeaders("Content-Length", [str(len(answer.body))])
        return b"" if request.method == b"HEAD" else answer.body

    def _answer(self, request: Request) -> _HttpResponse:
        if request.method not in (b"GET", b"HEAD"):
            return _HttpResponse(405, TEXT, b"Only GET and HEAD work here.\n")
        name = b"/".join(request.postpath or []).decode("ascii", "replace") or "index.html"
        if name == "settings.json":
            return _HttpResponse(200, "application/json", self._settings)
        return self._file(name) or _HttpResponse(404, TEXT, b"There is nothing here.\n")

    def _file(self, name: str) -> _HttpResponse | None:
        path = self._folder / name
        content_type = CONTENT_TYPES.get(path.suffix)
        if content_type is None or not NAME.fullmatch(name):
            return None
        try:
            return None if path.is_symlink() else _HttpResponse(200, content_type, path.read_bytes())
        except OSError:
            return None


def _etag(body: bytes) -> bytes:
    return b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"'


def phone_resource(
    folder: Path,
    *,
    domain: str = "",
    password: str = "",
    websocket: str = "/",
    bootstrap: str = "",
    hint: str = "",
) -> IResource:
    """The phone page, with a strict Content-Security-Policy, and ``settings.json``, the defaults of the page.

    :param folder: the output of ``npm run build`` (``webrtcproxy/phone/dist``); it may appear later.
    :param domain: the SIP domain that the page proposes; empty for the host that the page came from.
    :param password: the password that the page fills in; only for a demo, since anyone can read it.
    :param websocket: the path of the WebSocket on the same host and port.
    :param bootstrap: the path of the bootstrap document for users of that domain; empty where there is none.
    :param hint: one line shown under the keypad while no call is up.
    """
    if not (folder / "index.html").is_file():
        log.warn(
            "The phone page is not built: once, in {folder}: npm ci && npm run build (Node.js 18 or newer)",
            folder=str(folder.parent),
        )
    settings = {"password": password, "websocket": websocket, "bootstrap": bootstrap, "hint": hint}
    if domain:
        settings["domain"] = domain
    return _Page(folder, settings)
