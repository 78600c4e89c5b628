"""UserChanges: ends what a user has begun who is gone, or has another password or other accounts.

The bindings of its address-of-record go, and those of its accounts at trunks, where no other user on that connection
has the account. Where no browser is left, the trunk's registrar is told, as far as the account is still known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.caller import STRANGER, Caller
from webrtcproxy.access.identity import holder
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.registration.request import own_contact
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.policy import Policy, Route
from webrtcproxy.routing.sequence import RequestSequence
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.message import Headers, Request
from webrtcproxy.users.user import User

log = Logger()

AT_ONCE = 8
"""Most REGISTERs under way that nobody has asked for; others wait."""


class UserChanges:
    """The changes of the users files.

    :param relay: of the REGISTERs to trunks.
    :param policy: knows the routes to them.
    """

    def __init__(self, relay: RegistrationRelay, policy: Policy) -> None:
        self._relay = relay
        self._policy = policy
        self._underway = DeferredSemaphore(AT_ONCE)

    def changed(self, before: User, now: User | None) -> None:
        """A user has changed (`webrtcproxy.users.domains.UserChanged`)."""
        changes = [(before, now), *self._relay.location.proofs.replace_user(before.aor, now)]
        if now is None:
            self._relay.directory.unbind(before.aor).addErrback(_failed, before.aor)
        self._end_lost(changes)

    def accounts_changed(self, renewed: Callable[[User], User]) -> None:
        """Accounts at trunks have changed.

        :param renewed: returns a user with its accounts as they are now.
        """
        self._end_lost(self._relay.location.proofs.renew_users(renewed))

    def _end_lost(self, changes: Iterable[tuple[User, User | None]]) -> None:
        """End the bindings of the accounts that users no longer have."""
        lost = {
            account.aor: (trunk, old)
            for old, new in changes
            for trunk, account in old.accounts.items()
            if new is None or account.aor not in new.account_aors
        }
        for aor, (trunk, old) in lost.items():
            Deferred.fromCoroutine(self._end(aor, trunk, old)).addErrback(_failed, aor)

    async def _end(self, aor: str, trunk: str, user: User) -> None:
        """End the bindings of an account that a user no longer has, on the connections of this process."""
        relay = self._relay
        location, directory = relay.location, relay.directory
        there = await directory.find(aor)
        keys = [
            binding.key
            for binding in there.bindings
            if location.is_own(binding.flow) and holder(location.proofs, binding.flow, aor) is STRANGER
        ]
        if keys and not (await directory.unbind(aor, keys)).bindings:
            route = self._policy.route_to(trunk, Caller(user.aor, user=user))
            await self._underway.run(self._unregister, aor, route)

    def _unregister(self, aor: str, route: Route) -> Deferred[None]:
        return Deferred.fromCoroutine(self._tell_registrar(aor, route))

    async def _tell_registrar(self, aor: str, route: Route) -> None:
        """Have the registrar of a trunk remove the proxy's Contact for an address-of-record."""
        relay, trunk = self._relay, route.trunk
        assert trunk is not None
        try:
            hops = await relay.upstream.next_hops(route)
            contact, sequence = own_contact(aor, hops.flow, relay.contact_hostport(hops.flow)), RequestSequence()
            sent = ClientRequest(
                relay.transactions,
                _unregister_request(aor, route, contact, sequence),
                sequence,
                hops,
                authentication=Authentication(trunk, True, route.account),
                contact_hostport=relay.contact_hostport,
            )
            response = await sent.final
        except (FlowLost, TimedOut, Refusal) as why:
            log.info("{aor} stays registered at trunk {trunk} for a while: {why!r}", aor=aor, trunk=trunk.name, why=why)
            return
        if response.status < 300:
            log.info("{aor} is no longer registered at trunk {trunk}", aor=aor, trunk=trunk.name)
            relay.directory.registered(aor, sent.flow.peer.host, 0)
        else:
            log.info("{aor} stays registered at trunk {trunk}: {why}", aor=aor, trunk=trunk.name, why=response)


def _unregister_request(aor: str, route: Route, contact: str, sequence: RequestSequence) -> Request:
    """The REGISTER without Via."""
    fields = {
        "Max-Forwards": "70",
        "From": f"<sip:{aor}>;tag={sequence.from_tag}",
        "To": f"<sip:{aor}>",
        "Call-ID": sequence.call_id,
        "CSeq": f"{sequence.next_cseq()} REGISTER",
        "Contact": f"<{contact}>;expires=0",
        "Expires": "0",
    }
    headers = Headers.of(list(fields), list(fields.values()))
    for name, value in route.profile.headers.sets:
        headers.set(name, value)
    return Request("REGISTER", f"sip:{aor.partition('@')[2]}", headers)


def _failed(failure: Failure, aor: str) -> None:
    log.failure("The bindings of {aor} can't be removed", failure, aor=aor)
