"""A configuration file made of sections, and what is wrong with it."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import Config, ConfigErrors, load

SMALLEST = {
    "wss": "listen = tcp:8443",
    "rtpengine": "nodes = 127.0.0.1",
    "trunk a": "host = voip.example",
}
"""The least that a configuration has, by section."""


class Case(SynchronousTestCase):
    """Loads files made of sections."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def load(self, **sections: str | None) -> Config:
        """Load the smallest file, with sections replaced, added, or taken out (None); '_' in names is a blank."""
        written = SMALLEST | {name.replace("_", " "): text for name, text in sections.items()}
        path = self.folder / "proxy.ini"
        path.write_text("".join(f"[{name}]\n{text}\n" for name, text in written.items() if text is not None))
        return load(path)

    def refused(self, section: str, key: str, *told: str, **sections: str | None) -> str:
        """Load what has a single mistake, in `section` and `key`, and see that its one line tells all of `told`."""
        (error,) = self.assertRaises(ConfigErrors, self.load, **sections).mistakes
        self.assertEqual((error.section, error.key), (section, key))
        line = str(error)
        self.assertNotIn("\n", line)
        for part in (
            str(self.folder / "proxy.ini"),
            f"[{' '.join(section.split())}]",
            key,
            error.value or "",
            error.remedy,
            *told,
        ):
            self.assertIn(part, line)
        self.assertTrue(error.remedy)
        return line
