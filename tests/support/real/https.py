"""HTTPS as scripts speak it, without a browser."""

import json
import ssl
from base64 import b64encode
from http.client import HTTPSConnection
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.real.ports import LOOPBACK


class Response(NamedTuple):
    """An HTTP response; the names of its headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """What it says in JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def basic(username: str, password: str) -> dict[str, str]:
    """The header of a login with a password (RFC 7617)."""
    return {"Authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


def ask(port: int, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Deferred[Response]:
    """Send a request on a connection of its own, whatever the certificate.

    :returns: fires with the response.
    """

    def in_thread() -> Response:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(LOOPBACK, port, timeout=10, context=context)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            given = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, given, response.read())
        finally:
            connection.close()

    return deferToThread(in_thread)
