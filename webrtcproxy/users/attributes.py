"""Attributes of users: each is declared once, and read in the same way from a users file, a token and a portal.

A value is a text, as in a users file (``numbers=+4930123,+4930124``), or what JSON makes of a claim (a list of texts, a
number). `user_from` reads a mapping of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from webrtcproxy.config.addresses import host_name
from webrtcproxy.config.limits import MAX_RATE
from webrtcproxy.config.rules import REMEDY as RULES_REMEDY
from webrtcproxy.config.rules import RuleWords, rules
from webrtcproxy.sip.telephone import number_of
from webrtcproxy.sip.uri import bracketed, normal_user
from webrtcproxy.users.user import User

T = TypeVar("T")

MAX_TEXT: Final = 128
"""Characters of the longest name of a user, display name, number or word."""
MAX_WORDS: Final = 256
"""Most entries of a list."""

_is_word = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_no_user = re.compile(r'[\s"<>@:;,?/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]').search


class AttributeRefused(ValueError):
    """An attribute of a user can't be used. Its text is one line.

    :ivar attribute: its name; empty where the user as a whole is at fault.
    :ivar problem: what is wrong.
    :ivar remedy: what to write instead; it begins with "write".
    """

    def __init__(self, attribute: str, problem: str, remedy: str) -> None:
        super().__init__(attribute, problem, remedy)
        self.attribute = attribute
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return (
            f"{self.attribute}: {self.problem}; {self.remedy}" if self.attribute else f"{self.problem}; {self.remedy}"
        )


def _plain(value: object) -> object:
    """A value as JSON has it: a list for a tuple or a set."""
    return [str(entry) for entry in value] if isinstance(value, tuple | frozenset) else value


@dataclass(frozen=True, slots=True)
class UserAttribute(Generic[T]):
    """The declaration of one attribute.

    :ivar name: as it is written in a users file; a claim or a portal has the same name unless it is mapped.
    :ivar fills: the field of `User` that gets the value.
    :ivar read: returns the value; raises ValueError that says what is wrong.
    :ivar remedy: the correction that an error proposes.
    :ivar explanation: its purpose, for the reference.
    :ivar write: returns a value as JSON has it; `read` makes the same of it.
    """

    name: str
    fills: str
    read: Callable[[object], T]
    remedy: str
    explanation: str
    write: Callable[[Any], object] = _plain


def text_of(value: object) -> str:
    """One line of text.

    :raises ValueError: it is anything else, or too long.
    """
    if not isinstance(value, str):
        raise ValueError("this is no text")
    if len(value) > MAX_TEXT:
        raise ValueError(f"it is longer than {MAX_TEXT} characters")
    if _control(value):
        raise ValueError("it has a control character")
    return value


def words_of(value: object) -> tuple[str, ...]:
    """The entries of a list: of a JSON list of texts, or of a text with commas between them.

    :raises ValueError: it is anything else, or has too many entries.
    """
    if isinstance(value, str):
        value = [word for part in value.split(",") if (word := part.strip())]
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError("this is no list")
    if len(value) > MAX_WORDS:
        raise ValueError(f"it has more than {MAX_WORDS} entries")
    return tuple(text_of(word) for word in value)


def name_of(text: str) -> str:
    """The name of a group or trunk.

    :raises ValueError: it can't be one.
    """
    if not _is_word(text):
        raise ValueError(f"'{text}' has other signs than letters, digits, '.', '-' and '_'")
    return text


def _numbers(value: object) -> tuple[str, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # how YAML and JSON writers spell an extension
    return tuple(dict.fromkeys(number_of(word) for word in words_of(value)))


def _groups(value: object) -> frozenset[str]:
    return frozenset(name_of(word).lower() for word in words_of(value))


def _rules(value: object) -> RuleWords:
    return rules(words_of(value))


def _rule_words(rules: RuleWords) -> list[str]:
    return list(rules.words)


def _limit(value: object) -> int:
    """A limit: a whole number, or the text of one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 8:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RATE:
        raise ValueError(f"this is no whole number from 0 to {MAX_RATE}")
    return value


def _trunks(value: object) -> frozenset[str]:
    return frozenset(name_of(word) for word in words_of(value))


def _accounts(value: object) -> tuple[str, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    words = words_of(value)
    for word in words:
        if not word or any(sign.isspace() for sign in word):
            raise ValueError(f"'{word}' is no name of an account")
    return tuple(dict.fromkeys(words))


ATTRIBUTES: Final[Mapping[str, UserAttribute[Any]]] = {
    attribute.name: attribute
    for attribute in (
        UserAttribute(
            "name",
            "display_name",
            text_of,
            'write a name such as "Alice Liddell"',
            "The display name that those it calls see; without it they see none, whatever the browser writes.",
        ),
        UserAttribute(
            "numbers",
            "numbers",
            _numbers,
            "write numbers such as +4930123456, with commas between them",
            "The numbers that it may show, the default one first.",
        ),
        UserAttribute(
            "groups",
            "groups",
            _groups,
            "write names of groups, with commas between them",
            "The groups that it belongs to; a call to one rings all its members.",
        ),
        UserAttribute(
            "trunks",
            "trunks",
            _trunks,
            "write names of trunks, with commas between them",
            "The trunks that it may use beside those of its domain, at the expense of their accounts.",
        ),
        UserAttribute(
            "allow",
            "allow",
            _rules,
            RULES_REMEDY,
            "The only numbers and hosts that it may call, beside those in ``allow`` of ``[access]``.",
            _rule_words,
        ),
        UserAttribute(
            "deny",
            "deny",
            _rules,
            RULES_REMEDY,
            "Numbers and hosts that it may not call, beside those in ``deny`` of ``[access]``; the longest decides.",
            _rule_words,
        ),
        UserAttribute(
            "calls",
            "calls",
            _limit,
            "write a number such as 2",
            "Calls at once, in place of ``user-calls``; 0 for any number.",
        ),
        UserAttribute(
            "calls-per-minute",
            "calls_per_minute",
            _limit,
            "write a number such as 10",
            "Calls in a minute, in place of ``user-calls-per-minute``; 0 for any number.",
        ),
        UserAttribute(
            "minutes-per-day",
            "minutes_per_day",
            _limit,
            "write a number such as 60",
            "Minutes of calls to trunks in a day, in place of ``user-minutes-per-day``; 0 for any number.",
        ),
        UserAttribute(
            "account",
            "account",
            _accounts,
            "write names of lines in the accounts file of a trunk, NAME or TRUNK/NAME, with commas between them",
            "Its own accounts at trunks that want a registration per user.",
        ),
    )
}
"""The attributes, by name."""


def user_from(name: str, domain: str, attributes: Mapping[str, object]) -> User:
    """A user with these attributes.

    :param name: the user part of its address-of-record; in a text escapes are not needed.
    :param domain: the domain of its address-of-record.
    :param attributes: by the names in `ATTRIBUTES`.
    :raises AttributeRefused: one of them is not known or can't be read, or name or domain can't be those of a user.
    """
    values: dict[str, Any] = {}
    for key, value in attributes.items():
        attribute = ATTRIBUTES.get(key)
        if attribute is None:
            raise AttributeRefused(key, "there is no such attribute", "write one of " + ", ".join(ATTRIBUTES))
        try:
            values[attribute.fills] = attribute.read(value)
        except ValueError as error:
            raise AttributeRefused(key, str(error), attribute.remedy) from error
    return User(user_part(name), domain_name(domain), **values)


def attributes_of(user: User) -> dict[str, object]:
    """The attributes of a user as JSON has them, but for those that it does not have; `user_from` reads them again. A
    token may say that the user has none of them, and then they are there."""
    values = {attribute: getattr(user, attribute.fills) for attribute in ATTRIBUTES.values()}
    bare = User(user.name, user.domain)
    return {
        attribute.name: attribute.write(value)
        for attribute, value in values.items()
        if value != getattr(bare, attribute.fills) or attribute.fills in user.of_token
    }


def user_part(name: str) -> str:
    """The user part of an address-of-record, in its normal form.

    :raises AttributeRefused: it can't be one.
    """
    if not name or len(name) > MAX_TEXT or _no_user(name):
        raise AttributeRefused("", "this can't be the name of a user", "write USER@DOMAIN, such as alice@example.com")
    return normal_user(name)


def domain_name(domain: str) -> str:
    """The domain of an address-of-record, in lower case; an IPv6 address in brackets.

    :raises AttributeRefused: it can't be one.
    """
    try:
        return bracketed(host_name(domain))
    except ValueError as error:
        raise AttributeRefused("", "this can't be a domain", "write USER@DOMAIN, such as alice@example.com") from error
