"""Session descriptions (RFC 8866): the only package that reads and writes SDP.

`description` has what one says, a `Description` with its `Media`; `reading` makes it of octets, whatever they look
like, line by line with `lines`, and `writing` makes octets of it that strict readers take. `attributes` says which
attributes cross at all. `answering` makes an answer one to its offer, `questions` compares two descriptions (RFC
3264), and `rewriting` makes one of another.
"""
