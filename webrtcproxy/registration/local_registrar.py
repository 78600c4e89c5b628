"""LocalRegistrar: the registrar of the domains that are served here (RFC 3261 section 10.3).

Nothing leaves the proxy: the users are those of the domain, and the directory keeps their bindings. No upstream
registrar has them, so no `registered` is told to the directory. Outbound (RFC 5626) and GRUU are not offered; a binding
is one browser whichever socket it has, and only its own connection leads to it.
"""

from __future__ import annotations

from email.utils import formatdate

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.login import Logins
from webrtcproxy.config import Domain
from webrtcproxy.registration.binding import Found
from webrtcproxy.registration.directory import IDirectory
from webrtcproxy.registration.location import ILocation
from webrtcproxy.registration.refusal import refuse_register
from webrtcproxy.registration.request import RegisterRequest, bindings_for, check_domain, contact_headers
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.domains import ServedDomain
from webrtcproxy.users.user import User

log = Logger()


class LocalRegistrar:
    """Registers the users of domains.

    :param logins: says who a browser's user is.
    :param directory: keeps the bindings of all browsers.
    :param location: the browsers of this process.
    :param clock: for the time.
    :param metrics: counts the answers.
    """

    def __init__(
        self, logins: Logins, directory: IDirectory, location: ILocation, clock: IReactorTime, metrics: Metrics
    ) -> None:
        self._logins = logins
        self._directory = directory
        self._location = location
        self._clock = clock
        self._metrics = metrics

    def register(self, transaction: ServerTransaction, domain: ServedDomain) -> None:
        """Carry out the REGISTER of `transaction`, and answer it in every case.

        :param domain: that of its Request-URI.
        """
        done = Deferred.fromCoroutine(self._register(transaction, domain))
        done.addErrback(self._failed, transaction)

    async def _register(self, transaction: ServerTransaction, domain: ServedDomain) -> None:
        request, flow = transaction.request, transaction.flow
        check_domain(request)
        user = await self._user(domain, request, flow)
        wanted = RegisterRequest.of(request)
        if wanted.aor != user.aor:
            raise Refusal(403, "Address Of Another User")
        found = await self._bind(wanted, domain, user, transaction)
        self._metrics.registered("accepted")
        headers = contact_headers(found.bindings, wanted, self._clock.seconds())
        transaction.reply(200, "", [*headers, ("Date", formatdate(usegmt=True))])

    async def _user(self, domain: ServedDomain, request: Request, flow: Flow) -> User:
        """The user that registers: the one that has logged in for the whole connection, else by each REGISTER.

        :raises Refusal: 401, 503.
        """
        return self._logins.lasting(domain, request, flow) or await self._logins.login(domain, request, flow)

    async def _bind(
        self, wanted: RegisterRequest, domain: ServedDomain, user: User, transaction: ServerTransaction
    ) -> Found:
        """Do what the REGISTER asks for.

        :returns: the new entry of the address-of-record.
        :raises Refusal: 403, 423, 503.
        """
        flow, directory, proofs = transaction.flow, self._directory, self._location.proofs
        if wanted.adds:
            seconds = granted(wanted, domain.config)
            self._location.check(wanted.aor, wanted.keys, flow)
            call_id, now = transaction.request.call_id, self._clock.seconds()
            # Before the bindings: a user who is removed while those are made loses both.
            if proofs.lasting(flow, wanted.aor, domain.authority) is None:
                proofs.add(flow, wanted.aor, domain.authority, seconds, user)
            found = await directory.bind(bindings_for(wanted, flow, call_id, now, seconds), 0)
        if wanted.leaves or wanted.removes:
            there = await directory.find(wanted.aor)
            keys = None if wanted.everything else wanted.ended(there.bindings, flow)
            found = await directory.unbind(wanted.aor, keys)
            if all(binding.flow is not flow for binding in found.bindings):
                proofs.remove(flow, wanted.aor)
        elif not wanted.adds:
            found = await directory.find(wanted.aor)
        return found

    def _failed(self, failure: Failure, transaction: ServerTransaction) -> None:
        refuse_register(transaction, failure, self._metrics)


def granted(wanted: RegisterRequest, domain: Domain) -> int:
    """The seconds that bindings are granted at most: the longest time that any of them asks for, within the limits of
    the domain.

    :raises Refusal: 423 where one asks for less than the shortest time (RFC 3261 section 10.3 step 7).
    """
    shortest = min((contact.seconds for contact in wanted.adds if contact.seconds is not None), default=None)
    if shortest is not None and shortest < domain.min_expires:
        raise Refusal(423, "", [("Min-Expires", str(domain.min_expires))])
    longest = max(domain.max_expires if contact.seconds is None else contact.seconds for contact in wanted.adds)
    return min(longest, domain.max_expires)
