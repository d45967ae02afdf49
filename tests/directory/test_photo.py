"""Photographs: what is kept of a JPEG file, and what is none."""

from __future__ import annotations

import random

import pytest
from pictures import PLACE, SMALL

from directory.photo import MAX_OCTETS, NoPhoto, checked

COMMENT = b"\xff\xfe\x00\x0f<script>x</s>"


def without(octets: bytes, mark: int) -> bytes:
    """`octets` without its first segment of that kind."""
    at = octets.index(bytes((0xFF, mark)))
    return octets[:at] + octets[at + 2 + int.from_bytes(octets[at + 2 : at + 4], "big") :]


def test_only_the_picture_is_kept() -> None:
    full = SMALL[:2] + PLACE + COMMENT + SMALL[2:] + b"<html><script>behind the end</script>"
    kept = checked(full)
    assert kept == without(without(SMALL, 0xE0), 0xE2) and checked(kept) == kept
    assert b"Exif" not in kept and b"script" not in kept and b"JFIF" not in kept


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"\xff\xd8", b"GIF89a", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n", SMALL[:-2], SMALL[2:], SMALL[:200],
        without(SMALL, 0xC0), b"\xff\xd8\xff\xd9", SMALL.replace(b"\xff\xc0", b"\xff\xc9"), SMALL[:2] + b"\xff\xe1\xff\xff" + SMALL[2:],
        SMALL.replace(b"\xff\xc0\x00\x11\x08\x00\x10", b"\xff\xc0\x00\x11\x08\xff\x10"), SMALL[:2] + COMMENT * 600 + SMALL[2:],
        SMALL + bytes(MAX_OCTETS), SMALL.replace(b"\xff\xc0\x00\x11", b"\xff\xc0\x00\x01"),
    ],
)  # fmt: skip
def test_what_is_no_photo(octets: bytes) -> None:
    with pytest.raises(NoPhoto):
        checked(octets)


def test_no_file_does_harm() -> None:
    source = random.Random(8)
    for _ in range(3000):
        octets = bytearray(SMALL)
        for _ in range(source.randrange(1, 6)):
            octets[source.randrange(len(octets))] = source.randrange(256)
        try:
            kept = checked(bytes(octets[: source.randrange(len(octets))] if source.random() < 0.2 else octets))
        except NoPhoto:
            continue
        assert len(kept) <= len(octets) and checked(kept) == kept
