"""Lines of a message that are too long are found however the octets are cut, and only these."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from directory.model import Refused
from gateway.smtp.framing import Chunk, EndOfData, Framing
from gateway.smtp.incoming import Incoming
from gateway.smtp.settings import Role, SmtpSettings

LIMIT = 7


@settings(max_examples=500, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=30), st.booleans(), st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_a_line_too_long_is_found_wherever_it_is(lengths: list[int], ended: bool, cuts: list[int]) -> None:
    lines = [b"x" * length for length in lengths]
    text = b"\r\n".join(lines) + (b"\r\n" if ended else b"")
    incoming = Incoming(SmtpSettings(max_data_line=LIMIT), Role.MX)
    position = turn = 0
    while position < len(text):
        piece = text[position : position + cuts[turn % len(cuts)]]
        for _ in incoming.add(piece):
            raise AssertionError("nothing to be asked")
        position, turn = position + len(piece), turn + 1
    assert isinstance(incoming.failed, Refused) is any(length > LIMIT for length in lengths)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([b".", b"..", b"a", b"\r\n", b"\r\n.", b"\n.\n", b"\r.\r", b"text\r\n"]), max_size=40), st.lists(st.integers(1, 9), min_size=1, max_size=6))  # fmt: skip
def test_dots_are_unstuffed_and_the_only_end_is_found_in_any_pieces(parts: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(parts).replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")
    stuffed = (b"\r\n" + sent).replace(b"\r\n.", b"\r\n..")[2:]
    ended = stuffed if stuffed.endswith(b"\r\n") or not stuffed else stuffed + b"\r\n"
    stream = ended + b".\r\nNOOP\r\n"
    framing = Framing(1000)
    framing.start_data()
    got, position, turn, is_over = b"", 0, 0, False
    while position < len(stream) and not is_over:
        piece = stream[position : position + cuts[turn % len(cuts)]]
        position, turn = position + len(piece), turn + 1
        framing.receive(piece)
        while not is_over and (event := framing.next()) is not None:
            if isinstance(event, Chunk):
                got += event.data
            else:
                assert isinstance(event, EndOfData)
                is_over = True
    assert is_over
    assert got == (sent if sent.endswith(b"\r\n") or not sent else sent + b"\r\n")


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\0", b"bc\r\n"]), max_size=40), st.lists(st.integers(1, 9), min_size=1, max_size=6))  # fmt: skip
def test_line_ends_become_lf_in_any_pieces(parts: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(parts)
    incoming = Incoming(SmtpSettings(), Role.MX)
    position = turn = 0
    while position < len(sent):
        piece = sent[position : position + cuts[turn % len(cuts)]]
        list(incoming.add(piece))
        position, turn = position + len(piece), turn + 1
    list(incoming.finish())
    kept = incoming.content() + b"".join(incoming._behind)
    assert kept == sent.replace(b"\r\n", b"\n").replace(b"\r", b" ").replace(b"\0", b" ")
    assert incoming.size == len(kept)
