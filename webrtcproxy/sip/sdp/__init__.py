"""Session descriptions (RFC 8866): the only package that reads and writes SDP.

`values` has what a description says, a `Description` with its `Media`; `reading` makes it of octets, whatever they look
like, and `writing` makes octets of it that strict readers take. `attributes` says which attributes cross at all.

`description` has a `SessionDescription` that keeps the lines as they came. `questions` has the checks that a call
needs, and the comparison of two descriptions (RFC 3264). `rewriting` makes one description from another.
"""
