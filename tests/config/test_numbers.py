"""The numbers of a trunk: whom they ring, as the file says it."""

from __future__ import annotations

from tests.config.case import Case

HOST = "host = voip.example\n"


class NumbersTests(Case):
    """`[trunk] numbers`, `called-number`, `caller-id` and `number`."""

    def test_order(self) -> None:
        """A whole number is preferred to a beginning, a longer beginning to a shorter one; separators don't count."""
        text = (
            "numbers = +49* = all@example.com\n +4930 123-4* = a@example.com b@example.com\n (030) 12 = c@EXAMPLE.com"
        )
        (trunk,) = self.load(trunk_a=HOST + text).trunks
        for number, aors in (
            ("+49301234", ("a@example.com", "b@example.com")),
            ("+493012345", ("a@example.com", "b@example.com")),
            ("+4930", ("all@example.com",)),
            ("03012", ("c@example.com",)),
            ("030123", ()),
            ("4930", ()),
        ):
            self.assertEqual(trunk.numbers.find(number), aors)

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
            ("+4930 = a@x.example\n +49-30 = b@x.example", "twice"),
        ):
            self.refused("trunk a", "numbers", told, trunk_a=f"{HOST}numbers = {text}")

    def test_others(self) -> None:
        """The other options about numbers, and their defaults."""
        (trunk,) = self.load(trunk_a=HOST).trunks
        self.assertEqual((trunk.called_number, trunk.caller_id, trunk.main_number), ("request-uri", "from", None))
        text = "called-number = P-Called-Party-ID\ncaller-id = both\nnumber = +49 (30) 12-0"
        (trunk,) = self.load(trunk_a=HOST + text).trunks
        self.assertEqual((trunk.called_number, trunk.caller_id), ("p-called-party-id", "both"))
        self.assertEqual(trunk.main_number, "+4930120")
        self.refused("trunk a", "number", "no telephone number", trunk_a=HOST + "number = alice")
