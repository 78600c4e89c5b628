"""Credentials for twisted.cred: SIP digests, and passwords over HTTPS. Checkers that know a password, or a hash of it,
check them.

With a digest the password itself never comes, so a checker that wants it (``IUsernamePassword``, as ``unix`` does) can
check passwords only.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import suppress

from twisted.cred.credentials import (
    ICredentials,
    IUsernameDigestHash,
    IUsernameHashedPassword,
    IUsernamePassword,
)
from zope.interface import Attribute, implementer

from webrtcproxy.sip.digest import algorithm_of, ha1, is_right


class IDigestHash(ICredentials):
    """Digest credentials for a checker that has a hash of the password in the algorithm of the credentials."""

    username: bytes = Attribute("The username, as it is looked up.")
    realm: str = Attribute("The realm of the challenge that they answer.")
    algorithm: str = Attribute("``md5``, ``sha-256`` or ``sha-512-256``.")

    def check_ha1(hashed: str) -> bool:
        """Whether they are right.

        :param hashed: H(A1) of RFC 7616 section 3.4.2, that is `algorithm` of ``user:realm:password``, in lower case.
        """


class IPasswordForHashes(ICredentials):
    """A password for a checker that has hashes of it, as digests need them."""

    username: bytes = Attribute("The username, as it is looked up.")

    def check_hashes(hashes: Mapping[str, str]) -> bool:
        """Whether it is right.

        :param hashes: H(A1), as `IDigestHash.check_ha1` has it, by the name of the algorithm. They are all compared.
        """


SUPPORTED = (IDigestHash, IUsernameHashedPassword, IUsernameDigestHash)
"""The interfaces that `SipDigest` provides, for checkers."""


@implementer(*SUPPORTED)
class SipDigest:
    """The credentials of one request (RFC 3261 section 22, RFC 7616).

    :param username: as it is to be looked up; the one in the credentials, or the whole address-of-record.
    :param written: the username that the credentials are made with.
    :param given: the parameters of the credentials; they have nonce, uri and response, and a known algorithm.
    :param method: of the request.
    :param body: of the request.
    """

    def __init__(self, username: str, written: str, given: Mapping[str, str], method: str, body: bytes) -> None:
        algorithm = algorithm_of(given)
        assert algorithm is not None
        self.username = username.encode("utf-8", "surrogateescape")
        self.realm = given["realm"]
        self.algorithm = algorithm
        self._written = written
        self._given = given
        self._method = method
        self._body = body

    def __repr__(self) -> str:
        return f"<SipDigest of {self.username!r}>"

    def looked_up_as(self, username: str) -> SipDigest:
        """The same, for a checker that looks up another username."""
        return SipDigest(username, self._written, self._given, self._method, self._body)

    def check_ha1(self, hashed: str) -> bool:
        return is_right(self._given, hashed, self._method, self._body)

    def checkPassword(self, password: bytes | str) -> bool:
        """Whether they were made with this password."""
        if isinstance(password, bytes):
            password = password.decode("utf-8", "surrogateescape")
        return self.check_ha1(ha1(self.algorithm, self._written, self.realm, password))

    def checkHash(self, digestHash: bytes | str) -> bool:
        """Whether they were made with the password of this MD5 hash; False for other algorithms, of which
        ``IUsernameDigestHash`` knows nothing."""
        if isinstance(digestHash, bytes):
            digestHash = digestHash.decode("ascii", "replace")
        return self.algorithm == "md5" and self.check_ha1(digestHash.lower())


@implementer(IPasswordForHashes, IUsernamePassword, IUsernameHashedPassword)
class Password:
    """A name and a password, which came over HTTPS.

    :param username: as it is to be looked up; the name, or the whole address-of-record.
    :param written: the name, which is part of the hashes in a users file.
    :param realm: the realm of the domain, which is part of them, too.
    """

    def __init__(self, username: str, written: str, realm: str, password: str) -> None:
        self.username = username.encode("utf-8", "surrogateescape")
        self.password = password.encode("utf-8", "surrogateescape")
        self._written = written
        self._realm = realm
        self._text = password

    def __repr__(self) -> str:
        return f"<Password of {self.username!r}>"

    def looked_up_as(self, username: str) -> Password:
        """The same, for a checker that looks up another username."""
        return Password(username, self._written, self._realm, self._text)

    def check_hashes(self, hashes: Mapping[str, str]) -> bool:
        right = False
        for algorithm, hashed in hashes.items():
            with suppress(KeyError):  # OpenSSL may lack it
                right |= hmac.compare_digest(ha1(algorithm, self._written, self._realm, self._text), hashed)
        return right

    def checkPassword(self, password: bytes | str) -> bool:
        """Whether it is this password."""
        if isinstance(password, str):
            password = password.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(self.password, password)
