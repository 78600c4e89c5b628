"""The Python packages that webrtcproxy needs: what to say where one is missing, as after an update without its new
packages."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Final

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "bencodepy": "bencode.py",
    "jwt": "pyjwt",
    "OpenSSL": "pyopenssl",
    "prometheus_client": "prometheus-client",
    "service_identity": "service-identity",
    "zope": "zope.interface",
}
"""The names under which packages are installed, where they are imported by another."""


def refusal(error: ImportError) -> BaseException:
    """What to raise where a module can't be imported: SystemExit with one line that names its package and the remedy,
    which Python prints before it exits with 1; `error` itself where the module is one of webrtcproxy.
    """
    top = (error.name or "").partition(".")[0]
    if top in ("", "webrtcproxy"):
        return error
    package = DISTRIBUTIONS.get(top, top)
    why = " ".join(str(error).split())
    return SystemExit(
        f"webrtcproxy: the Python package {package} is missing or too old: {why}; install it as the others,"
        f" such as with: {shlex.quote(sys.executable)} -m pip install --upgrade {package}"
    )
