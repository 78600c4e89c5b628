"""Session descriptions (RFC 8866): the only package that reads and writes SDP.

`description` has the values: a `SessionDescription` with its media. `questions` has the checks that a call needs, and
the comparison of two descriptions (RFC 3264). `rewriting` makes one description from another.
"""
