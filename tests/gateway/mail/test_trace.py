"""Trace fields."""

from __future__ import annotations

import pytest

from gateway.mail.trace import without_return_path


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"A: 1\nReturn-Path: <x@y>\n\t(folded)\nB: 2\n\nbody\n", b"A: 1\nB: 2\n\nbody\n"),
        (b"RETURN-PATH : <x>\nReturn-Path: <y>\n\n", b"\n"),
        (b"A: 1\n\nReturn-Path: in the body\n", b"A: 1\n\nReturn-Path: in the body\n"),
        (b"\nReturn-Path: in the body\n", b"\nReturn-Path: in the body\n"),
        (b"A: Return-Path: x\n\n", b"A: Return-Path: x\n\n"),
        (b"", b""),
    ],
)
def test_return_path_from_outside_goes(message: bytes, expected: bytes) -> None:
    assert without_return_path(message) == expected
