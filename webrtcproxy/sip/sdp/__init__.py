"""Session descriptions (RFC 8866): the one place that reads and writes them.

`description` has the values: a `SessionDescription` with its media. `questions` has what is asked on the way of a call,
and how two descriptions compare (RFC 3264). `rewriting` makes one description out of another.
"""
