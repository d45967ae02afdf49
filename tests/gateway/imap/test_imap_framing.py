"""IMAP framing: literals arrive however the octets are split; what is over a limit is skipped, not kept."""

from __future__ import annotations

import pytest

from gateway.imap.framing import Command, Framing, TooLong, WantsLiteral
from gateway.imap.parser import Parser
from gateway.imap.settings import ImapSettings

SMALL = ImapSettings(max_literal=64, max_line=256, max_before_login=512)


def events(stream: bytes, size: int) -> list[object]:
    framing = Framing(SMALL)
    found: list[object] = []
    for position in range(0, len(stream), size):
        framing.receive(stream[position : position + size])
        while (event := framing.next()) is not None:
            found.append(event)
            if isinstance(event, TooLong) and event.close:
                return found
        assert framing.pending <= 512
    return found


LOGIN = b"a1 LOGIN {4}\r\njane {6+}\r\nsecret\r\na2 NOOP\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(LOGIN)])
def test_literals_split_anywhere(size: int) -> None:
    found = events(LOGIN, size)
    assert [type(event) for event in found] == [WantsLiteral, Command, Command]
    command = found[1]
    assert isinstance(command, Command)
    parser = Parser(command.parts)
    assert parser.astring() == b"a1"
    parser.space()
    assert parser.atom() == b"LOGIN"
    parser.space()
    assert parser.astring() == b"jane"
    parser.space()
    assert parser.astring() == b"secret"
    parser.end()
    assert found[2] == Command((b"a2 NOOP",))


@pytest.mark.parametrize("size", [1, 5, 4096])
def test_literals_over_the_limit(size: int) -> None:
    refused = events(b"a1 LOGIN {65}\r\na2 NOOP\r\n", size)
    assert refused == [TooLong(b"a1", "literal too large"), Command((b"a2 NOOP",))]
    skipped = events(b"a1 LOGIN {65+}\r\n" + b"x" * 65 + b" {3+}\r\nabc\r\na2 NOOP\r\n", size)
    assert skipped == [TooLong(b"a1", "literal too large"), Command((b"a2 NOOP",))]


@pytest.mark.parametrize("size", [1, 100])
def test_an_endless_line_closes(size: int) -> None:
    found = events(b"x" * 10_000, size)
    assert len(found) == 1
    assert isinstance(found[0], TooLong)
    assert found[0].close
