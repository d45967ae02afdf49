"""Whatever octets come from a peer, they are a reply or trouble with the connection, however they are cut."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.model import Deferred, Refused
from gateway.deliver.port import Taken, TlsWish
from gateway.deliver.reply import Reply, read_reply


class Lines:
    """A stream that holds everything already."""

    is_open, tls = True, ""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    async def read_line(self, seconds: float) -> bytes:
        line, end, self.rest = self.rest.partition(b"\n")
        return line + end

    async def write(self, data: bytes, seconds: float) -> None: ...

    async def start_tls(self, wish: TlsWish, seconds: float) -> None: ...

    def close(self) -> None: ...


def read(data: bytes) -> Reply | None:
    try:
        return asyncio.run(read_reply(Lines(data), 1))
    except OSError:
        return None


LIKELY = st.lists(
    st.sampled_from([b"250", b"550", b"-", b" ", b"\r\n", b"\n", b"5.1.1", b"x", b"\xff", b"\0", b"999", b"251-"]),
    max_size=12,
).map(b"".join)


@given(LIKELY | st.binary(max_size=200))
def test_octets_are_a_reply_or_trouble(data: bytes) -> None:
    reply = read(data)
    if reply is None:
        return
    outcome = reply.outcome("host")
    assert 200 <= reply.code < 600 and len(reply.literal) <= 500
    assert reply.literal.isprintable()
    assert isinstance(outcome, Refused) == (reply.code >= 500)
    assert isinstance(outcome, Taken) == (reply.code < 300)
    assert not isinstance(outcome, Deferred) or outcome.status.startswith("4")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"250 ok\r\n", Reply(250, ("ok",))),
        (b"250-one\r\n250 two\n", Reply(250, ("one", "two"))),
        (b"250\r\n", Reply(250, ("",))),
        (b"250-one\r\n251 two\r\n", None),
        (b"25 ok\r\n", None),
        (b"2500 ok\r\n", None),
        (b"150 ok\r\n", None),
        (b"250 ok", None),
        (b"", None),
        (b"250-x\r\n" * 101 + b"250 x\r\n", None),
        (b"250 " + b"x" * 5000 + b"\r\n", None),
    ],
)
def test_replies(data: bytes, expected: Reply | None) -> None:
    assert read(data) == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [("550 5.1.1 who", "5.1.1"), ("550 4.1.1 who", ""), ("550 5.1.1", "5.1.1"), ("550 5.1.1who", ""), ("550 no", "")],
)
def test_the_enhanced_status_must_fit_its_code(line: str, status: str) -> None:
    reply = read(f"{line}\r\n".encode())
    assert reply is not None and reply.status == status
