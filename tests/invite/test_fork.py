"""The best final response of several (RFC 3261 section 16.7), rule by rule."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, Browser
from tests.support.configs import PBX
from webrtcproxy.sip.message import Request, Response


class Best(CallCase):
    """`multiple = yes`: three browsers of one user ring, and say no in turn."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(multiple=True)

    def ring(self) -> None:
        """Call three browsers."""
        self.trunk = self.world.trunk()
        self.trunk.forget()
        self.browsers: list[Browser] = [self.world.browser() for _ in range(3)]
        self.world.location.unbind(self.browsers[0].aor)
        for browser in self.browsers:
            browser.bind()
        self.invite = self.trunk.call(self.browsers[0])
        self.legs: list[Request] = [browser.request("INVITE") for browser in self.browsers]

    def refused(self, *statuses: int) -> Response:
        """What the caller learns when the browsers answer this."""
        for browser, leg, status in zip(self.browsers, self.legs, statuses, strict=True):
            self.trunk.silent()
            browser.answer(leg, status)
            browser.heard("ACK")
        response = self.trunk.next()
        assert isinstance(response, Response)
        self.assert_over(self.trunk, *self.browsers)
        return response

    def best(self, *statuses: int) -> int:
        """The status of it, whatever the order in which they come."""
        self.ring()
        first = self.refused(*statuses).status
        self.ring()
        self.assertEqual(self.refused(*reversed(statuses)).status, first)
        return first

    def test_waits_for_all(self) -> None:
        """Step 5: no final response is passed on while one may still be a better one."""
        self.ring()
        self.assertEqual(self.refused(486, 404, 486).status, 486)

    def test_lowest_class(self) -> None:
        """Step 6: the lowest class wins."""
        for statuses, best in (((500, 404, 502), 404), ((302, 404, 500), 302), ((504, 500, 486), 486)):
            self.assertEqual(self.best(*statuses), best)

    def test_what_the_caller_can_mend(self) -> None:
        """Step 6: within 4xx, what affects how the request is sent again comes first: 415, 420, 484 (and 401, 407)."""
        for status in (415, 420, 484):
            self.assertEqual(self.best(486, status, 404), status)

    def test_a_refusal_says_more_than_silence(self) -> None:
        """A browser that refuses says more than one that is gone, that nobody answers, or that was cancelled."""
        for status in (480, 408, 487):
            self.assertEqual(self.best(status, 486, status), 486)

    def test_global_failure(self) -> None:
        """Steps 5 and 6: 6xx is for all: the others are cancelled, and it wins over a lower class."""
        self.ring()
        desk, sofa, bed = self.browsers
        desk.answer(self.legs[0], 486)
        desk.heard("ACK")
        bed.answer(self.legs[2], 180)
        self.trunk.heard(180)
        sofa.answer(self.legs[1], 603)
        sofa.heard("ACK")
        bed.answer(bed.request("CANCEL"), 200)
        self.trunk.silent()
        bed.answer(self.legs[2], 487)
        bed.heard("ACK")
        self.trunk.heard(603)
        self.assert_over(self.trunk, desk, sofa, bed)

    def test_service_unavailable(self) -> None:
        """Step 6: a 503 of somebody behind us is not ours, alone or beside another 5xx (corners.rst 1: 503 from
        upstream)."""
        self.assertEqual(self.best(503, 503, 503), 500)
        self.assertEqual(self.best(503, 502, 503), 502)

    def test_redirects(self) -> None:
        """Of several redirects the caller gets every Contact, so that it may try all (corners.rst 1: 3xx); one that
        nobody but us reaches is left out."""
        self.ring()
        contacts = ("<sip:a@pbx.example.com>;q=0.5", "<sip:b@pbx.example.com>", "<sip:me@x7.invalid;transport=ws>")
        for browser, leg, contact in zip(self.browsers, self.legs, contacts, strict=True):
            browser.answer(leg, 302, headers=[("Contact", contact)])
            browser.heard("ACK")
        self.assertEqual(self.trunk.response(302).headers.lines("Contact"), list(contacts[:2]))

    def test_redirected_to_nowhere(self) -> None:
        """A browser that sends its caller to a WebSocket of its own: 480, since nobody could go there."""
        self.ring()
        for browser, leg in zip(self.browsers, self.legs, strict=True):
            browser.answer(leg, 302, headers=[("Contact", "<sip:me@X7.INVALID.;transport=ws>")])
            browser.heard("ACK")
        self.assertNotIn("Contact", self.trunk.response(480).headers)

    def test_unreadable_redirect(self) -> None:
        """A Contact that can't be read: 400 or above, and all is freed."""
        self.ring()
        for browser, leg in zip(self.browsers, self.legs, strict=True):
            browser.answer(leg, 302, headers=[("Contact", "<<nowhere")])
            browser.heard("ACK")
        response = self.trunk.next()
        assert isinstance(response, Response)
        self.assertGreaterEqual(response.status, 400)
        self.assert_over(self.trunk)

    def test_first_answer_wins(self) -> None:
        """Step 5: a 2xx is passed on at once, whatever was refused before."""
        self.ring()
        desk, sofa, _ = self.browsers
        desk.answer(self.legs[0], 486)
        sofa.answer(self.legs[1], 200, OFFER)
        self.trunk.heard(200)
