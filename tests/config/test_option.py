"""Options as they are declared: what follows for reading, for etc/proxy.ini and for the reference."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.ini import Section
from webrtcproxy.config.ini_file import read
from webrtcproxy.config.kinds import choice, each, flag, number, one, password, text, whole, word
from webrtcproxy.config.option import Option, group, open_section, option, options_of, read_section
from webrtcproxy.config.reference import reference, rows, title
from webrtcproxy.config.sections import SECTIONS

SAMPLE = Path(__file__).parents[2] / "etc" / "proxy.ini"


@dataclass(frozen=True, slots=True)
class Lamp:
    """A part of a section."""

    bright: bool = option(choice({"dim": False, "bright": True}), "How bright.", default=False, key="lamp")
    colours: tuple[str, ...] = option(each(str, "write colours"), "Its *colours*.", default=(), absent="white")


@dataclass(frozen=True, slots=True)
class House:
    """A house.

    :ivar colour: of its walls.
    """

    name: str
    street: str = option(
        one(lambda value: tuple(value.split("/")), "write street/number"),
        "Where.",
        fills=("street", "at"),
        stand_in=("nowhere", "0"),
    )
    at: str = ""
    floor_count: int = option(whole(1, 9, "floors"), "How many floors.", default=2)
    height: float = option(number(0.5, 100, "metres"), "How high.", default=7.5)
    width: float = option(number(1, 50), "How wide.", default=5.0)
    heated: bool = option(flag(), "Whether it is heated.", default=True)
    lamp: Lamp = group(Lamp)
    roof: Literal["flat", "steep"] = option(word("flat", "steep"), "Its roof.", default="flat")
    owner: str | None = option(text("write *a_name*"), "Who owns it.", default=None)
    alarm: str = option(password("write a code"), "The code.", default="0000")


class DeclarationTests(SynchronousTestCase):
    """What follows from a declaration when a section is read."""

    def section(self, **raw: str) -> Section:
        return open_section(House, "house", {key.replace("_", "-"): value for key, value in raw.items()}, Path("/f"))

    def test_defaults(self) -> None:
        """What is absent has the default of its declaration, in groups too."""
        house = read_section(House, self.section(street="Elm/4"), name="a")
        self.assertEqual(house, House("a", "Elm", "4"))
        self.assertEqual((house.floor_count, house.height, house.heated, house.lamp), (2, 7.5, True, Lamp()))

    def test_values(self) -> None:
        """Each kind reads its value; a value of several parts fills several fields; a group has keys of the section."""
        raw = {"floor-count": "3", "height": "1.5", "heated": "no", "lamp": "BRIGHT", "colours": "red, blue"}
        house = read_section(House, self.section(street="Elm/4", roof="Steep", owner="me", alarm="1", **raw), name="a")
        self.assertEqual(
            house, House("a", "Elm", "4", 3, 1.5, 5.0, False, Lamp(True, ("red", "blue")), "steep", "me", "1")
        )

    def test_missing(self) -> None:
        """An option without a default must be there. Its stand-in takes its place."""
        section = self.section()
        house = read_section(House, section, name="a")
        self.assertEqual((house.street, house.at), ("nowhere", "0"))
        self.assertEqual(str(*section.mistakes), "[house] street: it is missing; write street/number")

    def test_mistake(self) -> None:
        """A mistake names section, key and value, and what to write; the default takes its place."""
        for key, value, told in (
            ("floor-count", "10", "[house] floor-count = 10: out of range; write a number from 1 to 9"),
            ("height", "x", "[house] height = x: this is no number; write a number from 0.5 to 100"),
            ("lamp", "off", "[house] lamp = off: not known here; write one of dim, bright"),
            ("roof", "none", "[house] roof = none: not known here; write one of flat, steep"),
        ):
            section = self.section(**{"street": "Elm/4", key: value})
            self.assertEqual(read_section(House, section, name="a"), House("a", "Elm", "4"))
            self.assertEqual(str(*section.mistakes), told)

    def test_all_mistakes(self) -> None:
        """All mistakes of a section are told at once, those of one value, too; what depends on one is none."""
        section = self.section(height="x", roof="none", cellar="yes", stret="Elm/4")
        read_section(House, section, name="a")
        self.assertEqual([error.key for error in section.mistakes], ["cellar", "stret", "height", "roof"])
        self.assertFalse(section.is_right("heated", "height"))
        self.assertTrue(section.is_right("heated", "alarm"))

    def test_keys(self) -> None:
        """Other keys than the declared ones are errors; fields that are no options are no keys."""
        keys = ["street", "floor-count", "height", "width", "heated", "lamp", "colours", "roof", "owner", "alarm"]
        self.assertEqual([item.key for item in options_of(House)], keys)
        self.assertIn("did you mean 'lamp'?", str(*self.section(lamb="x").mistakes))
        for key in ("name", "at"):
            self.assertEqual(len(list(self.section(**{key: "x"}).mistakes)), 1)

    def test_secret(self) -> None:
        """The value of a password is shown neither by an error nor by repr."""
        section = self.section(street="Elm/4", alarm="s3\n cret")
        read_section(House, section, name="a")
        self.assertNotIn("s3", str(*section.mistakes))
        section = self.section(street="Elm/4", alarm="s3cret")
        self.assertNotIn("s3cret", repr(read_section(House, section, name="a")))


class ReferenceTests(SynchronousTestCase):
    """The rows of the reference."""

    def test_rows(self) -> None:
        """Key, value with bounds and unit, default and explanation; markup in values is escaped."""
        found = {row.key: row[1:] for row in rows(House)}
        self.assertEqual(found["``street``"], ("street/number", "required", "Where."))
        self.assertEqual(found["``floor-count``"], ("a whole number from 1 to 9 (floors)", "``2``", "How many floors."))
        self.assertEqual(found["``height``"], ("a number from 0.5 to 100 (metres)", "``7.5``", "How high."))
        self.assertEqual(found["``width``"], ("a number from 1 to 50", "``5``", "How wide."))
        self.assertEqual(found["``heated``"], ("yes or no", "``yes``", "Whether it is heated."))
        self.assertEqual(found["``lamp``"], ("one of dim, bright", "``dim``", "How bright."))
        self.assertEqual(found["``colours``"], ("colours", "white", "Its *colours*."))
        self.assertEqual(found["``owner``"], (r"\*a\_name\*", "none", "Who owns it."))
        self.assertIn("no log", found["``alarm``"][2])

    def test_page(self) -> None:
        """Each section has its heading, and each of its options a row there."""
        page = list(reference())
        starts = [page.index(f"``{title(name)}``") for name in SECTIONS]
        self.assertIn("``[trunk NAME]``", page)
        self.assertEqual(starts, sorted(starts))
        for section_class, start, end in zip(SECTIONS.values(), starts, [*starts[1:], len(page)], strict=True):
            keys = [line.removeprefix("   * - ") for line in page[start:end] if line.startswith("   * - ")]
            self.assertEqual(keys, ["Option", *(f"``{item.key}``" for item in options_of(section_class))])

    def test_explained(self) -> None:
        """Each option is explained by whole sentences, and its remedy says what to write."""
        for name, section_class in SECTIONS.items():
            for item in options_of(section_class):
                self.assertRegex(item.explanation, r"^[A-Z`].*\.$", f"[{name}] {item.key}")
                self.assertTrue(item.kind.remedy.startswith("write "), f"[{name}] {item.key}")


class SampleTests(SynchronousTestCase):
    """etc/proxy.ini against the declarations."""

    def setUp(self) -> None:
        self.written = read(SAMPLE).sections
        path = Path(self.mktemp())
        path.write_text(re.sub(r"(?m)^;(?! )", "", SAMPLE.read_text()))
        self.whole = {name.partition(" ")[0]: keys for name, keys in read(path).sections.items()}

    def commented(self) -> Iterator[tuple[str, Option[Any]]]:
        """Section and option of each line that is commented out."""
        written = {name.partition(" ")[0]: keys for name, keys in self.written.items()}
        for name, section_class in SECTIONS.items():
            for item in options_of(section_class):
                if item.key not in written.get(name, {}):
                    yield name, item

    def test_every_option(self) -> None:
        """It has every option of every section, and no other."""
        declared = {name: {item.key for item in options_of(each)} for name, each in SECTIONS.items()}
        self.assertEqual({name: set(keys) for name, keys in self.whole.items()}, declared)

    def test_defaults(self) -> None:
        """What is commented out is the default, where there is one that can be written."""
        compared = 0
        for name, item in self.commented():
            if not item.required and (item.default_text or item.absent.startswith("``")):
                section = open_section(SECTIONS[name], name, self.whole[name], SAMPLE.parent)
                self.assertEqual(item.kind.read(section, item.key), item.default, f"[{name}] {item.key}")
                compared += 1
        self.assertGreater(compared, 25)

    def test_default_texts(self) -> None:
        """A default as the reference shows it reads as the default."""
        for name, section_class in SECTIONS.items():
            for item in options_of(section_class):
                shown = item.absent.strip("`") if item.absent.startswith("``") else item.default_text
                if shown and not item.required:
                    section = open_section(section_class, name, {item.key: shown}, SAMPLE.parent)
                    self.assertEqual(item.kind.read(section, item.key), item.default, f"[{name}] {item.key}")
