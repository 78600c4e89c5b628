"""Words that nobody can guess: as long as asked for, never twice, and others in a child process."""

from __future__ import annotations

import os
from string import hexdigits

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.ids import _POOL_SIZE, _RandomPool, random_token


class TokenTests(SynchronousTestCase):
    """`random_token` draws from the operating system, in batches."""

    def test_length(self) -> None:
        """Two hexadecimal digits for each octet, at every place in a batch, and for more than a batch has."""
        for octets in (1, 6, 8, 12, 16, _POOL_SIZE - 1, _POOL_SIZE, _POOL_SIZE + 1, 3 * _POOL_SIZE, 1):
            for _ in range(3):
                word = random_token(octets)
                self.assertEqual(len(word), 2 * octets)
                self.assertLessEqual(set(word), set(hexdigits))

    def test_unique(self) -> None:
        """No word is given twice, whatever lengths are asked for in between."""
        count = 100_000
        words = set()
        for number in range(count):
            words.add(random_token(8))
            if not number % 7:
                random_token(5)
        self.assertEqual(len(words), count)

    def test_source(self) -> None:
        """They are what the system gives, each octet once; what is left and too short for the next word is dropped."""
        drawn: list[bytes] = []

        def urandom(octets: int) -> bytes:
            drawn.append(bytes([len(drawn) + 1]) * octets)
            return drawn[-1]

        self.patch(os, "urandom", urandom)
        pool = _RandomPool()
        words = [pool.random_token(_POOL_SIZE // 2 - 1) for _ in range(3)]
        self.assertEqual([set(word) for word in words], [set("01"), set("01"), set("02")])
        self.assertEqual(len(drawn), 2)
        self.assertEqual(pool.random_token(2 * _POOL_SIZE), "03" * (2 * _POOL_SIZE))


class ForkTests(SynchronousTestCase):
    """A child has the parent's memory, but not what was drawn there."""

    def in_a_child(self) -> str:
        """The first word of a child process."""
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(write, random_token(16).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            word = pipe.read()
        os.waitpid(child, 0)
        return word

    def test_others(self) -> None:
        """Two children and their parent draw three words."""
        random_token(1)  # something is drawn, and not given away
        words = {self.in_a_child(), self.in_a_child(), random_token(16)}
        self.assertEqual(sorted(map(len, words)), [32, 32, 32])
