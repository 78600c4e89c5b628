"""What ends with a user of a users file: its bindings at trunks, too (docs/users.rst)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from tests.call.test_trunk_account import CHALLENGE, HOST, AccountCase
from tests.support.calls.local import DOMAIN
from tests.support.calls.world import Browser
from tests.support.configs import CARRIER
from webrtcproxy.access.token_logins import CHECK_USER
from webrtcproxy.registration import user_changes
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Request
from webrtcproxy.users.token import TokenLogin
from webrtcproxy.users.user import User

ACCOUNT = f"1001@{HOST}"


class ChangesCase(AccountCase):
    """Alice has registered here, and her account 1001 at the carrier."""

    carrier = replace(CARRIER, set=(("X-Tenant", "7"),))
    multiple = True

    def setUp(self) -> None:
        self.patch(user_changes, "AT_ONCE", 1)
        super().setUp()
        self.alice = self.registered()
        self.register_account(self.alice)

    def register_account(self, browser: Browser, username: str = "alice-auth", user: str = "1001") -> None:
        self.register_there(browser, user)
        self.accept(username)
        browser.response(200)

    def write(self, change: Callable[[list[str]], list[str]]) -> None:
        """Change the lines of the users file."""
        self.path.write_text("\n".join(change(self.path.read_text().splitlines())))
        self.world.context.domains.refresh()
        self.world.turn()

    def remove_alice(self) -> None:
        self.write(lambda lines: [line for line in lines if not line.startswith("alice@")])

    def bound(self, aor: str = ACCOUNT) -> list[object]:
        return [binding.flow for binding in self.world.location.live(aor)]

    def unregistered(self, username: str = "alice-auth") -> Request:
        """The REGISTER by which the carrier is told, with the credentials of the account."""
        register = self.carrier.request("REGISTER")
        self.carrier.answer(register, 401, headers=CHALLENGE)
        again = self.carrier.request("REGISTER")
        self.assertIn(f'username="{username}"', again.headers.get("Authorization") or "")
        self.assertEqual(again.cseq.number, register.cseq.number + 1)
        self.assertEqual(again.call_id, register.call_id)
        return again


class RemovedTests(ChangesCase):
    """Alice's line is taken out."""

    def test_bindings(self) -> None:
        """Here and at the carrier she is called no more, and the carrier is told: our Contact there ends."""
        self.remove_alice()
        self.assertEqual((self.bound(f"alice@{DOMAIN}"), self.bound()), ([], []))
        register = self.unregistered()
        contact = f"<sip:{contact_user_of(ACCOUNT)}@192.0.2.1:5060>;expires=0"
        for name, value in (
            ("Contact", contact), ("Expires", "0"), ("To", f"<sip:{ACCOUNT}>"), ("X-Tenant", "7"),
        ):  # fmt: skip
            self.assertEqual(register.headers.lines(name), [value])
        self.assertEqual(register.uri, f"sip:{HOST}")
        self.carrier.answer(register, 200)
        self.carrier.silent()
        self.world.turn(40)
        self.assertFalse(self.world.location.find(ACCOUNT).known)

    def test_not_proven_any_more(self) -> None:
        """The same where nothing of her login is left but the binding at the carrier."""
        self.world.context.proofs.remove(self.alice.flow, self.alice.aor)
        self.remove_alice()
        self.assertEqual(self.bound(), [])
        self.unregistered()

    def test_new_password(self) -> None:
        """A new password ends them as well: she has to log in again."""
        self.write(lambda lines: [line.replace("md5=", "md5=0") if "alice@" in line else line for line in lines])
        self.assertEqual(self.bound(), [])
        self.unregistered()

    def test_account_of_a_token(self) -> None:
        """So do those of an account that only her token has named."""
        proofs = self.world.context.proofs
        user = proofs.caller(self.alice.flow).user
        assert user is not None
        proofs.add(self.alice.flow, user.aor, ("domain", DOMAIN), 600, replace(user, of_token=frozenset({"accounts"})))
        self.write(lambda lines: [line.replace(" account=1001", "") for line in lines])
        self.assertEqual(self.bound(), [self.alice.flow], "her token still says that it is hers")
        self.remove_alice()
        self.assertEqual(self.bound(), [])
        self.unregistered()

    def test_gone_from_a_portal(self) -> None:
        """The same where a portal no longer knows who has logged in with a token."""
        user = self.world.context.proofs.caller(self.alice.flow).user
        assert user is not None
        self.world.token_logins.logged_in(self.alice.flow, TokenLogin(user, 4e9, is_valid=lambda: False))
        self.world.turn(CHECK_USER)
        self.assertFalse(self.world.context.proofs.any(self.alice.flow))
        self.assertEqual((self.bound(user.aor), self.bound()), ([], []))
        self.unregistered()

    def test_shared_account(self) -> None:
        """Where another user has the same account, that one's browser stays, and the carrier is not told."""
        self.write(lambda lines: [f"{line} account=1001" if line.startswith("bob@") else line for line in lines])
        bob = self.registered("bob")
        self.register_account(bob)
        self.remove_alice()
        self.assertEqual(self.bound(), [bob.flow])
        self.carrier.silent()

    def test_elsewhere(self) -> None:
        """A binding on a connection of another process is that one's to end."""
        self.world.runtime.others.add(self.alice.flow)
        self.remove_alice()
        self.assertEqual(self.bound(), [self.alice.flow])

    def test_many(self) -> None:
        """No more than a few REGISTERs are under way, however many users are gone."""
        carol = self.registered_as("carol")
        self.register_account(carol, "carol-auth", "1002")
        self.carrier.forget()
        self.write(lambda lines: [line for line in lines if line.startswith("bob@")])
        for username in ("carol-auth", "alice-auth"):
            register = self.unregistered(username)
            self.carrier.silent()
            self.carrier.answer(register, 200)

    def registered_as(self, user: str) -> Browser:
        """A browser that has logged in as a user without a password."""
        browser, served = self.browser(user), self.world.context.domains.named(DOMAIN)
        assert served is not None
        known = served.user(browser.aor)
        self.world.context.proofs.add(browser.flow, browser.aor, served.authority, 600, known)
        return browser

    def told(self) -> list[str]:
        """What the log says when alice is removed and the carrier does not take her back."""
        with capturedLogs() as logs:
            self.remove_alice()
            if self.carrier.pending():
                self.carrier.answer(self.unregistered(), 403)
        return [text for text in map(formatEvent, logs) if text and ACCOUNT in text]

    def test_refused(self) -> None:
        """Where the carrier refuses, the log says that it goes on for a while."""
        self.assertIn("1001@carrier.example.net:5080 stays registered at trunk carrier: ", self.told()[-1])

    def test_unreachable(self) -> None:
        """So it does where the carrier can't be reached."""
        self.world.unreachable = True
        self.assertIn("stays registered at trunk carrier for a while: FlowLost('no route')", self.told()[-1])

    def test_directory_fails(self) -> None:
        """Where the bindings can't be looked up, that is logged."""
        del self.carrier  # from here on the trunk of the configuration again
        self.world = self.make_world(slow=True)
        self.write(lambda lines: [f"{line} account=1001" if line.startswith("alice@") else line for line in lines])
        Browser(self.world, self.browser().flow, "1001", HOST).bind(authenticated=False)
        self.remove_alice()
        self.world.slow.fail()
        self.assertEqual(len(self.flushLoggedErrors(ConnectionError)), 2)

    def test_register_underway(self) -> None:
        """A REGISTER that was under way binds nobody."""
        bob = self.registered_as("carol")
        self.register_there(bob, "1002")
        self.carrier.answer(self.carrier.request("REGISTER"), 401, headers=CHALLENGE)
        register = self.carrier.request("REGISTER")
        self.write(lambda lines: [line for line in lines if not line.startswith("carol@")])
        self.carrier.answer(register, 200, headers=[("Contact", f"{register.headers.get('Contact')};expires=600")])
        self.assertEqual(bob.response(403).reason, "Address Of Another User")
        self.assertEqual(self.bound(f"1002@{HOST}"), [])


class ChangedTests(ChangesCase):
    """Alice's line says something else."""

    def test_another_account(self) -> None:
        """The binding of an account that is no longer hers goes, and the other ones stay."""
        self.write(lambda lines: [line.replace("account=1001", "account=1002") for line in lines])
        self.assertEqual((self.bound(f"alice@{DOMAIN}"), self.bound()), ([self.alice.flow], []))
        self.unregistered()

    def test_another_name(self) -> None:
        """Where the account stays, so do its bindings, whether or not the login has ended."""
        for name in ("A", "B"):
            text = f"{DOMAIN} name={name}"
            self.write(lambda lines: [line.replace(f"alice@{DOMAIN}", f"alice@{text}") for line in lines])  # noqa: B023
            self.write(lambda lines: [line.replace(" name=A", "") for line in lines])
            self.assertEqual(self.bound(), [self.alice.flow])
            self.world.context.proofs.remove(self.alice.flow, self.alice.aor)
        self.carrier.silent()


class AccountsFileTests(ChangesCase):
    """The trunk's file with the accounts changes, and nobody logs in again."""

    def write_accounts(self, text: str) -> None:
        self.accounts.write_text(text)
        self.world.context.domains.refresh()
        self.world.turn()

    def complete(self, user: User) -> User:
        """A user who logs in."""
        domain = self.world.context.domains.named(DOMAIN)
        assert domain is not None
        return domain.complete(user) or user

    def test_removed(self) -> None:
        """The bindings of an account that is gone end, at the carrier, too; nothing else does, and it is back when its
        line is."""
        self.write_accounts("1002 carol-auth second\n")
        self.assertEqual((self.bound(f"alice@{DOMAIN}"), self.bound()), ([self.alice.flow], []))
        self.carrier.answer(self.unregistered(), 200)
        self.write_accounts("1002 carol-auth second\n1001 alice-auth first\n")
        self.register_account(self.alice)
        self.assertEqual(self.bound(), [self.alice.flow])

    def test_new_credentials(self) -> None:
        """Bindings stay where an account has other credentials, and the next challenge is answered with those."""
        self.write_accounts("1001 other-auth third\n1002 carol-auth second\n")
        self.carrier.silent()
        self.assertEqual(self.bound(), [self.alice.flow])
        self.register_account(self.alice, "other-auth")

    def test_seen_by_a_login(self) -> None:
        """A login of somebody else that reads the file first is as good."""
        self.accounts.write_text("1002 carol-auth second\n")
        self.complete(User("carol", DOMAIN, account=("1002",)))
        self.world.turn()
        self.assertEqual(self.bound(), [])
        self.unregistered()

    def test_of_a_token(self) -> None:
        """So it is for a user whose account a token names; and the token ends the account that it has now."""
        carol = self.browser()
        user = self.complete(User("carol", DOMAIN, account=("1003",), of_token=frozenset({"account"})))
        self.world.token_logins.logged_in(carol.flow, TokenLogin(user, time.time() + 60, blind=True))
        self.write_accounts("1001 alice-auth first\n1003 carol-auth second\n")
        self.register_account(carol, "carol-auth", "1003")
        self.assertEqual(self.bound(f"1003@{HOST}"), [carol.flow])
        self.world.turn(61)
        self.assertEqual(self.bound(f"1003@{HOST}"), [])

    def test_untouched(self) -> None:
        """A file that is written again as it was, or can't be read, ends nothing."""
        text = self.accounts.read_text()
        self.write_accounts("; the same\n" + text)
        self.accounts.unlink()
        self.world.context.domains.refresh()
        self.world.turn()
        self.carrier.silent()
        self.assertEqual(self.bound(), [self.alice.flow])
