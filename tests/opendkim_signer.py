"""Debian's opendkim as a signer, spoken to as a mail server would (milter protocol 6)."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from pathlib import Path

CONTINUE, INSERT_FIELD, NEGOTIATED = b"c", b"i", b"O"
ADDS_HEADERS, CHANGES_HEADERS, KEEPS_SPACE = 0x01, 0x10, 0x100000


def _say(connection: socket.socket, command: bytes, data: bytes = b"") -> None:
    connection.sendall(struct.pack("!I", len(data) + 1) + command + data)


def _hear(connection: socket.socket) -> tuple[bytes, bytes]:
    head = connection.recv(5, socket.MSG_WAITALL)
    size, command = struct.unpack("!Ic", head)
    return command, connection.recv(size - 1, socket.MSG_WAITALL) if size > 1 else b""


def signed(folder: Path, key: Path, message: bytes, *, canonicalization: str = "relaxed/simple") -> bytes:
    """`message` (LF line ends) with the signature of example.com, selector `sel`, on top."""
    place, config = folder / "milter", folder / "opendkim-sign.conf"
    config.write_text(
        f"Mode s\nDomain example.com\nSelector sel\nKeyFile {key}\nSocket local:{place}\nInternalHosts 192.0.2.0/24\n"
        f"Canonicalization {canonicalization}\nSignatureAlgorithm rsa-sha256\nBackground no\nRequireSafeKeys no\n"
    )
    with (folder / "opendkim.log").open("wb") as log:
        daemon = subprocess.Popen(
            ["opendkim", "-f", "-x", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(20)
                try:
                    connection.connect(str(place))
                except OSError:  # not there, or not listening yet
                    assert daemon.poll() is None and time.monotonic() < deadline, (folder / "opendkim.log").read_text()
                    time.sleep(0.02)
                else:
                    return _dialogue(connection, message) + message
    finally:
        daemon.kill()  # it takes five seconds to end in peace
        daemon.wait(20)


def _dialogue(connection: socket.socket, message: bytes) -> bytes:
    header, _, body = message.partition(b"\n\n")
    _say(connection, b"O", struct.pack("!III", 6, ADDS_HEADERS | CHANGES_HEADERS, KEEPS_SPACE))
    command, answer = _hear(connection)
    assert command == NEGOTIATED
    wanted = struct.unpack("!III", answer[:12])[2]
    assert wanted == KEEPS_SPACE, "it wants to hear of everything"
    lines = header.replace(b"\n\t", b"\x00\t").replace(b"\n ", b"\x00 ").split(b"\n")
    steps = [
        (b"C", b"client\x004" + struct.pack("!H", 25) + b"192.0.2.1\x00"),
        (b"H", b"client\x00"),
        (b"M", b"<jane@example.com>\x00"),
        (b"R", b"<a@b.example>\x00"),
        *((b"L", _field(line)) for line in lines),
        (b"N", b""),
        (b"B", body.replace(b"\n", b"\r\n")),
    ]
    for step, data in steps:
        _say(connection, step, data)
        assert _hear(connection)[0] == CONTINUE
    _say(connection, b"E")
    made = b""
    while (answered := _hear(connection))[0] not in (CONTINUE, b"a"):
        if answered[0] == INSERT_FIELD:
            name, value = answered[1][4:].split(b"\x00")[:2]
            made += name + b":" + (b"" if value[:1] == b" " else b" ") + value.replace(b"\r\n", b"\n") + b"\n"
    _say(connection, b"Q")
    return made


def _field(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    return name + b"\x00" + value.replace(b"\x00", b"\n") + b"\x00"
