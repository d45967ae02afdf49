"""SMTP framing: the same events however the octets are split; only CRLF.CRLF ends a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.framing import Chunk, EndOfData, Framing, Line


def message(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Feed the pieces after DATA: (message, what was left of the stream as lines)."""
    framing = Framing(2048)
    framing.start_data()
    body, rest, done = b"", b"", False
    for piece in pieces:
        framing.receive(piece)
        while (event := framing.next()) is not None:
            if isinstance(event, Chunk):
                assert not done
                assert not (body.endswith(b"\r") and event.data.startswith(b"\n")), "CRLF split between chunks"
                body += event.data
            elif isinstance(event, EndOfData):
                done = True
            elif isinstance(event, Line):
                rest += event.text
    assert framing.pending < 2048 + 8
    return (body if done else b"(unfinished)"), rest


CASES = [
    (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT"),
    (b".\r\nQUIT\r\n", b"", b"QUIT"),
    (b"..\r\n..x\r\n.\r\n", b".\r\n.x\r\n", b""),
    (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", b""),
    (b"a\r\n.\nb\n.\r\nc\r.\r\r\n.\r\n", b"a\r\n\nb\n.\r\nc\r.\r\r\n", b""),
]


def test_known_cases_whole_and_octet_by_octet() -> None:
    for stream, body, rest in CASES:
        assert message([stream]) == (body, rest)
        assert message([bytes([octet]) for octet in stream]) == (body, rest)


@given(
    st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\n", b"\r", b"..", b"\0", b"text"]), max_size=40),
    st.data(),
)
def test_splitting_changes_nothing(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts) + b"\r\n.\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert message(pieces) == message([stream])
