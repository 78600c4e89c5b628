"""webrtcproxy/phone: what a browser cannot tell a test about the page's sources."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import webrtcproxy

FOLDER = Path(webrtcproxy.__file__).parent / "phone"
SOURCES = FOLDER / "src"


class Page(HTMLParser):
    """The tags of index.html."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed((SOURCES / "index.html").read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]


class PageTest(SynchronousTestCase):
    def test_nothing_inline_nothing_foreign(self) -> None:
        """The Content-Security-Policy allows no inline script, style or handler; the page needs no foreign server."""
        for tag, attributes in Page().tags:
            self.assertNotIn(tag, ("style", "iframe", "object", "base"))
            self.assertFalse([name for name in attributes if name.startswith("on") or name == "style"], tag)
            if tag == "script":
                self.assertEqual(attributes.get("src"), "phone.js")
            for name in ("src", "href"):
                self.assertRegex(attributes.get(name) or "phone", r"^phone(\.\w+)?$")
        for source in SOURCES.glob("*.css"):
            self.assertNotIn("url(", source.read_text("utf-8"))

    def test_every_id_is_there_once(self) -> None:
        """The ids that the scripts and README.rst name stand in the page, and none twice."""
        ids = Page().ids
        self.assertEqual(len(ids), len(set(ids)))
        scripts = "".join(source.read_text("utf-8") for source in SOURCES.glob("*.js"))
        used = set(re.findall(r'(?:element|show|write|focusField)\("([\w-]+)"', scripts))
        self.assertGreater(len(used), 20)
        self.assertEqual(used - set(ids), set())
        table = (FOLDER / "README.rst").read_text("utf-8").partition("Elements by their id")[2].partition("=")[2]
        table = table.partition("Keys while")[0]
        named = set(re.findall(r"``([a-z][\w-]+)``", table))
        self.assertGreater(len(named), 20)
        self.assertEqual(named - set(ids), set())

    def test_every_field_and_button_has_a_name(self) -> None:
        """What can be focused says what it is: a label, a text or an aria-label."""
        page = Page()
        labelled = {attributes.get("for") for tag, attributes in page.tags if tag == "label"}
        for tag, attributes in page.tags:
            if tag == "input":
                self.assertIn(attributes["id"], labelled)
            if tag == "button":
                self.assertIn(attributes.get("type"), ("button", "submit"))
                self.assertIn("id", attributes)


class LockTest(SynchronousTestCase):
    def test_lock_file_names_no_registry(self) -> None:
        """`npm ci` must work with any mirror: an integrity but no address for each package."""
        lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
        packages = {name: package for name, package in lock["packages"].items() if name}
        self.assertGreater(len(packages), 5)
        for name, package in packages.items():
            self.assertNotIn("resolved", package, name)
            self.assertRegex(package["integrity"], "^sha512-")
        self.assertNotIn("http", (FOLDER / "package-lock.json").read_text("utf-8"))
        self.assertIn("omit-lockfile-registry-resolved=true", (FOLDER / ".npmrc").read_text("utf-8"))
