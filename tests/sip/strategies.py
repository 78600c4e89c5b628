"""Hypothesis strategies: SIP as it might come, and what somebody may have done to it."""

from pathlib import Path

from hypothesis import strategies as st

TORTURE = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "data" / "torture").glob("rfc*/*.dat"))]

TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"
tokens = st.text(TOKEN, min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
quoted = texts.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
blank = st.sampled_from(["", "", "", " ", "\t", "  ", "\r\n ", " \r\n\t"])

users = st.text("abcXYZ019-_.!~*'()&=+$,;?/#é", min_size=1, max_size=12) | st.sampled_from(
    ["%61b", "a%40b", "%00", "*21#"]
)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.\-]{0,12}[a-z0-9])?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ports = st.none() | st.integers(0, 65535)
uri_params = st.lists(
    st.tuples(tokens, st.none() | st.text(TOKEN + "[]/:&$", max_size=8)), max_size=4
).map(tuple)  # fmt: skip
params = st.lists(st.tuples(tokens, st.none() | tokens | quoted), max_size=4).map(tuple)


@st.composite
def sip_uris(draw: st.DrawFn) -> str:
    user = draw(st.none() | users)
    password = draw(st.none() | users) if user is not None else None
    port = draw(ports)
    tail = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in draw(uri_params))
    return "".join(
        [
            draw(st.sampled_from(["sip:", "sips:", "SIP:"])),
            "" if user is None else user + ("" if password is None else f":{password}") + "@",
            draw(hosts) + ("" if port is None else f":{port}"),
            tail,
            draw(st.sampled_from(["", "", "?Subject=x%20y", "?a=b&c=d"])),
        ]
    )


uris = st.one_of(
    sip_uris(), st.sampled_from(["tel:+1-201-555-0123;phone-context=example.com", "urn:service:sos", "soap.beep://h:1"])
)


@st.composite
def name_addrs(draw: st.DrawFn) -> str:
    display = draw(st.one_of(st.just(""), tokens, quoted))
    tail = "".join(
        draw(blank) + ";" + draw(blank) + name + ("" if value is None else draw(blank) + "=" + draw(blank) + value)
        for name, value in draw(params)
    )
    return f"{display}{draw(blank)}<{draw(uris)}>{tail}"


@st.composite
def vias(draw: st.DrawFn) -> str:
    port = draw(ports)
    tail = "".join(f"{draw(blank)};{name}" + ("" if value is None else f"={value}") for name, value in draw(params))
    space = draw(st.sampled_from([" ", "  ", "\r\n "]))
    slash = draw(st.sampled_from(["/", "/", " / "]))
    return f"SIP{slash}2.0{slash}{draw(tokens)}{space}{draw(hosts)}{'' if port is None else f':{port}'}{tail}"


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Plausible messages: names in any spelling and order, folds, lists, bodies of octets, maybe an odd line end."""
    method = draw(st.sampled_from(["INVITE", "REGISTER", "OPTIONS", "BYE"]) | tokens)
    status = draw(st.integers(100, 699))
    first = draw(st.sampled_from([f"{method} {draw(uris)} SIP/2.0", f"SIP/2.0 {status} {draw(texts).strip()}"]))
    number = draw(st.integers(0, 2**31 - 1))
    fields = [
        (draw(st.sampled_from(["Via", "v", "VIA", "vIA"])), draw(vias())),
        (draw(st.sampled_from(["From", "f", "fROM"])), draw(name_addrs())),
        (draw(st.sampled_from(["To", "t"])), draw(name_addrs())),
        (draw(st.sampled_from(["Call-ID", "i", "I"])), draw(tokens)),
        ("CSeq", f"{number}{draw(blank)} {method}"),
        *draw(
            st.lists(st.tuples(st.sampled_from(["Contact", "m", "Route", "Record-Route"]), name_addrs()), max_size=3)
        ),
        *draw(
            st.lists(
                st.tuples(st.sampled_from(["Subject", "s", "User-Agent"]) | tokens.map("X-".__add__), texts), max_size=4
            )
        ),
    ]
    body = draw(st.binary(max_size=40))
    if draw(st.booleans()):
        fields.append((draw(st.sampled_from(["Content-Length", "l", "CONTENT-LENGTH"])), str(len(body))))
    lines = [
        f"{name}{draw(st.sampled_from(['', ' ']))}:{draw(blank)}{value}"
        for name, value in draw(st.permutations(fields))
    ]
    end = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"]))
    head = "\r\n".join([first, *lines, "", ""]).replace("\r\n", end)
    return head.encode() + body


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A torture message with some octets cut out, put in, doubled or changed."""
    data = draw(st.sampled_from(TORTURE))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 30)))
        filling = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b";", b",", b'"', b"<", b">", b"@", b"\\", b"%", b"\xff"]
                ),
                st.just(data[begin:end] * 2),
            )
        )
        data = data[:begin] + filling + data[end:]
    return data
