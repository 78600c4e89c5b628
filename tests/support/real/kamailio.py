"""Kamailio as registrar and trunk of the tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, listens_udp

TEMPLATE = Path(__file__).parents[2] / "integration" / "kamailio.cfg"
PASSWORDS = {"alice": "wonderland", "bob": "builder"}
REALM = "pbx.test"


class Kamailio(Part):
    """A registrar with the two users of PASSWORDS; what it does with an INVITE is on top of kamailio.cfg.

    :param algorithm: of its digest challenges, `MD5` (all that browsers know) or `SHA-256`.
    """

    name: ClassVar[str] = "kamailio"

    def __init__(self, algorithm: str = "MD5", port: int = 0) -> None:
        super().__init__()
        self.port = port or free_port()
        text = TEMPLATE.read_text()
        words = {"PORT": self.port, "ALGORITHM": algorithm, "ALICE": PASSWORDS["alice"], "BOB": PASSWORDS["bob"]}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        (self.folder / "kamailio.cfg").write_text(text)

    @property
    def host(self) -> str:
        """host:port for Request-URIs and addresses-of-record."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """In the foreground, its log to stderr, little memory."""
        return (
            "kamailio", "-f", str(self.folder / "kamailio.cfg"), "-DD", "-E", "-Y", str(self.folder),
            "-m", "64", "-M", "8", "-P", str(self.folder / "pid"),
        )  # fmt: skip

    def is_ready(self) -> bool:
        """Whether its UDP port is bound."""
        return listens_udp(self.port)
