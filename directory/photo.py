"""A person's photograph (`jpegPhoto`, RFC 2798 2.6), checked octet by octet before it is written and before it is shown.

What is kept is a JPEG (ITU-T T.81) of at most MAX_OCTETS and MAX_SIDE pixels: frame, tables and scans. Everything else goes:
application segments, where cameras write the place and programs hide things, comments, and what stands behind the end.
"""

from __future__ import annotations

MAX_OCTETS = 200 * 1024
MAX_SIDE = 2000  # pixels
MAX_SEGMENTS = 500
_START, _END, _SCAN, _STUFFED = 0xD8, 0xD9, 0xDA, 0x00
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what browsers show
_TABLES = (0xC4, 0xDB, 0xDD)  # Huffman, quantisation, restart interval
_ADOBE = 0xEE  # says which colours there are
_OTHERS = (*range(0xE0, 0xF0), 0xFE)  # application segments and comments


class NoPhoto(ValueError):
    """It is none that is taken; the message says why, for a person."""


def checked(octets: bytes) -> bytes:
    """The picture and nothing else. Raises NoPhoto."""
    if len(octets) > MAX_OCTETS:
        raise NoPhoto(f"a photo has at most {MAX_OCTETS // 1024} KiB")
    if octets[:2] != b"\xff\xd8":
        raise NoPhoto("a photo is a JPEG file")
    kept, at, has_frame, has_scan = [octets[:2]], 2, False, False
    for _ in range(MAX_SEGMENTS):
        while octets[at : at + 2] == b"\xff\xff":
            at += 1  # fill
        mark = octets[at + 1] if octets[at : at + 1] == b"\xff" and at + 1 < len(octets) else -1
        if mark == _END:
            if not (has_frame and has_scan):
                break
            return b"".join([*kept, b"\xff\xd9"])
        length = int.from_bytes(octets[at + 2 : at + 4], "big")
        segment = octets[at : at + 2 + length]
        if mark < 0 or length < 2 or len(segment) != 2 + length:
            break
        at += len(segment)
        if mark in _FRAMES and not has_frame:
            _measured(segment)
            has_frame = True
        elif mark == _SCAN and has_frame:
            end = _scanned(octets, at)
            segment, at, has_scan = segment + octets[at:end], end, True
        elif mark in _OTHERS:
            if mark != _ADOBE or segment[4:9] != b"Adobe" or len(segment) != 16:
                continue
        elif mark not in _TABLES:
            break
        kept.append(segment)
    raise NoPhoto("this JPEG file is damaged, or of a kind that browsers do not show")


def _measured(frame: bytes) -> None:
    height, width = int.from_bytes(frame[5:7], "big"), int.from_bytes(frame[7:9], "big")
    if len(frame) < 10 or frame[4] != 8 or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise NoPhoto(f"a photo has at most {MAX_SIDE} pixels in each direction, 8 bits deep")


def _scanned(octets: bytes, at: int) -> int:
    """Where the coded data that begin at `at` end: at a marker that is none of theirs."""
    while (at := octets.find(b"\xff", at)) >= 0 and at + 1 < len(octets):
        mark = octets[at + 1]
        if mark == _STUFFED or mark in _RESTARTS:
            at += 2
        elif mark == 0xFF:
            at += 1
        else:
            return at
    return len(octets)
