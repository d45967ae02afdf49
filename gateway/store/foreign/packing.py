"""Message files that another server compressed, and how many octets a message has."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from gateway.store.foreign.records import Unreadable
from gateway.store.layout import number_in

_READ = 262_144
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_UNKNOWN = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"Dovecot-LZ4\r\x2a\x9b\xc5": "lz4"}
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def sizes(path: str, name: str, size: int) -> tuple[int, int, bool]:
    """(octets stored, octets on the wire, is compressed) of a file of `size` octets whose name is `name` up to `:`.

    A name that tells true sizes is believed, else the file is read. Raises Unreadable, OSError.
    """
    told, on_wire = number_in(name, "S"), number_in(name, "W")
    if told == size and on_wire is not None and on_wire > size:
        return size, on_wire, False
    packing = _packing(path) if told != size else ""
    octets = crlf = 0
    for piece in pieces(path, packing):
        octets += len(piece)
        crlf += piece.count(b"\n") - piece.count(b"\r\n")
    return octets, octets + crlf, bool(packing)


def unpacked(path: str) -> Iterator[bytes]:
    """The octets of a message, whether its file is compressed or not. Raises Unreadable, OSError."""
    return pieces(path, _packing(path))


def _packing(path: str) -> str:
    with open(path, "rb") as file:
        head = file.read(16)
    for magic, name in _UNKNOWN.items():
        if head.startswith(magic):
            raise Unreadable(f"{path} is compressed with {name}, which cannot be read here: let Dovecot store it anew")
    return next((name for magic, name in _PACKED.items() if head.startswith(magic)), "")


def pieces(path: str, packing: str) -> Iterator[bytes]:
    """Octets in pieces that do not end between CR and LF. Raises Unreadable for damage, OSError."""
    held = b""
    try:
        with _open(path, packing) as file:
            while data := held + file.read(_READ):
                if data == held:
                    yield data
                    return
                held = b"\r" if data.endswith(b"\r") else b""
                if text := data[: len(data) - len(held)]:
                    yield text
    except _BROKEN as error:
        raise Unreadable(f"{path}: {error}") from error


def _open(path: str, packing: str) -> BinaryIO:
    if packing == "gzip":
        return cast(BinaryIO, gzip.open(path))
    if packing == "bzip2":
        return cast(BinaryIO, bz2.open(path))
    if packing == "xz":
        return cast(BinaryIO, lzma.open(path))
    return open(path, "rb")
