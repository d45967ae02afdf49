"""Trace fields: what a peer says never ends or fakes a field."""

from __future__ import annotations

import pytest

from gateway.mail.trace import received, return_path


def field(helo: str = "x.example", recipient: str | None = None, address: str = "192.0.2.1") -> bytes:
    return received(
        helo=helo, address=address, hostname="mx.example.com", protocol="ESMTPS", message_id="1.M2P3",
        recipient=recipient, now=1_000_000_000.5, tls="TLSv1.3 X",
    )  # fmt: skip


def test_the_field() -> None:
    assert field(recipient="jane@example.com") == (
        b"Received: from x.example ([192.0.2.1])\n"
        b"\t(using TLSv1.3 X)\n"
        b"\tby mx.example.com with ESMTPS id 1.M2P3\n"
        b"\tfor <jane@example.com>;\n"
        b"\tSun, 09 Sep 2001 01:46:40 +0000\n"
    )
    assert b"([IPv6:2001:db8::1])" in field(address="2001:db8::1")


@pytest.mark.parametrize("helo", ["x\r\nSubject: fake", "x (by me);", "a\\b", "\x00", "x" * 3000, "\ud800"])
def test_a_peer_cannot_add_fields(helo: str) -> None:
    lines = field(helo, recipient=helo).split(b"\n")
    assert len(lines) == 6
    assert all(line.startswith(b"\t") for line in lines[1:-1])
    assert max(map(len, lines)) < 400
    assert lines[3].endswith(b">;")
    assert lines[3].count(b";") == 1


def test_return_path() -> None:
    assert return_path("a@b.example") == b"Return-Path: <a@b.example>\n"
    assert return_path("") == b"Return-Path: <>\n"
    assert return_path("a\n@b") == b"Return-Path: <a@b>\n"
