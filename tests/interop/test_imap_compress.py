"""COMPRESS against the running demo, under TLS: a whole session through zlib."""

from __future__ import annotations

import socket
import ssl
import zlib

from conftest import RunningDemo


def test_a_session_through_zlib(demo: RunningDemo) -> None:
    account = demo.facts["accounts"][0]
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    with (
        socket.create_connection(("127.0.0.1", demo.port("imaps")), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        held = b""

        def until(end: bytes, come: object = None) -> bytes:
            nonlocal held
            while end not in held:
                data = client.recv(65536)
                assert data
                held += come.decompress(data) if isinstance(come, type(zlib.decompressobj())) else data
            said, held = held, b""
            return said

        until(b"ready\r\n")
        client.sendall(f"a LOGIN {account['login']} {account['password']}\r\n".encode())
        until(b"logged in\r\n")
        client.sendall(b"b COMPRESS DEFLATE\r\n")
        assert until(b"\r\n") == b"b OK DEFLATE active\r\n"
        out, come = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

        def say(text: bytes) -> None:
            client.sendall(out.compress(text) + out.flush(zlib.Z_SYNC_FLUSH))

        message = b"Subject: x\r\n\r\n" + b"line\r\n" * 200_000
        say(b"c APPEND Drafts {%d+}\r\n%b\r\nd SELECT Drafts\r\n" % (len(message), message))
        assert b"APPENDUID" in until(b"\r\nd OK ", come)
        say(b"e FETCH * BODY.PEEK[]\r\n")
        assert message in until(b"\r\ne OK ", come)
        say(b"f LOGOUT\r\n")
        assert b"* BYE" in until(b"f OK ", come)
