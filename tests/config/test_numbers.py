"""The numbers of a trunk: whom they ring, as the file says it."""

from __future__ import annotations

from tests.config.case import Case

HOST = "host = voip.example\n"


class NumbersTests(Case):
    """`[trunk] numbers`, `called-number`, `caller-id` and `number`."""

    def test_order(self) -> None:
        """A whole number is preferred to a beginning, a longer beginning to a shorter one; separators don't count."""
        text = (
            "numbers = +49* = all@example.com\n +4930 123-4* = a@example.com b@x.example\n (030) 12 = sip:c@EXAMPLE.com"
        )
        (trunk,) = self.load(trunk_a=HOST + text).trunks
        for number, aors in (
            ("+49301234", ("a@example.com", "b@x.example")),
            ("+493012345", ("a@example.com", "b@x.example")),
            ("+4930", ("all@example.com",)),
            ("03012", ("c@example.com",)),
            ("030123", ()),
            ("4930", ()),
        ):
            self.assertEqual(trunk.numbers.find(number), aors)

    def test_order_of_forms(self) -> None:
        """Of beginnings in several forms of one number, the one decides that leaves the fewest digits, as each is
        written; of two that leave as many, that of the preferred form."""
        text = "+49* = all@x.example\n +4930* = a@x.example\n 03012* = b@x.example\n 49301299* = c@x.example"
        text += "\n 030129* = d@x.example\n +4930129* = e@x.example\n * = rest@x.example"
        (trunk,) = self.load(trunk_a=HOST + "numbers = " + text).trunks
        for tail, user in (
            ("3", "a"),
            ("12", "b"),
            ("123", "b"),
            ("129", "e"),
            ("1298", "e"),
            ("1299", "c"),
            ("", "a"),
        ):
            found = trunk.numbers.find(f"+4930{tail}", f"4930{tail}", f"030{tail}")
            self.assertEqual(found, (f"{user}@x.example",), tail)
        self.assertEqual(trunk.numbers.find("+4940", "040"), ("all@x.example",))
        self.assertEqual(trunk.numbers.find("+43", "0043"), ("rest@x.example",))

    def test_any(self) -> None:
        """A lone `*` is every number, and `registered` the only user there is."""
        (trunk,) = self.load(trunk_a=HOST + "numbers = * = registered").trunks
        self.assertEqual(trunk.numbers.find("4711"), ("registered",))

    def test_mistakes(self) -> None:
        """A line that can't be meant is named, with what to write."""
        for text, told in (
            ("+4930", "NUMBER = USER@DOMAIN"),
            ("+4930 = ", "NUMBER = USER@DOMAIN"),
            ("alice = a@example.com", "'alice' is no number"),
            ("+49*30 = a@example.com", "is no number"),
            ("+4930 = alice", "'alice' is no USER@DOMAIN"),
            ("+4930 = a@[x", "'a@[x' is no USER@DOMAIN"),
            ("+4930 = a@b@c", "'a@b@c' is no USER@DOMAIN"),
            ("+4930 = a:secret@b", "'a:secret@b' is no USER@DOMAIN"),
            (f"{'1' * 33} = a@x.example", "at most 32 digits"),
            ("+4930 = a@x.example\n +49-30 = b@x.example", "twice"),
        ):
            self.refused("trunk a", "numbers", told, trunk_a=f"{HOST}numbers = {text}")

    def test_file(self) -> None:
        """The file is named relative to the configuration, and has to be there."""
        (self.folder / "numbers").write_text("")
        (trunk,) = self.load(trunk_a=HOST + "numbers-file = numbers").trunks
        self.assertEqual(trunk.numbers_file, self.folder / "numbers")
        self.refused("trunk a", "numbers-file", "No such file", trunk_a=HOST + "numbers-file = none")

    def test_others(self) -> None:
        """The other options about numbers, and their defaults."""
        (trunk,) = self.load(trunk_a=HOST).trunks
        self.assertEqual((trunk.called_number, trunk.caller_id, trunk.main_number), ("request-uri", "from", None))
        text = "called-number = P-Called-Party-ID\ncaller-id = both\nnumber = +49 (30) 12-0"
        (trunk,) = self.load(trunk_a=HOST + text).trunks
        self.assertEqual((trunk.called_number, trunk.caller_id), ("p-called-party-id", "both"))
        self.assertEqual(trunk.main_number, "+4930120")
        self.refused("trunk a", "number", "no telephone number", trunk_a=HOST + "number = alice")
