"""Nothing but CRLF.CRLF ends a message: nineteen false ends, each delivered as one message or refused."""

from __future__ import annotations

import imaplib
import socket

import pytest
from conftest import RunningDemo

FALSE_ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r", b"\r.\r\n", b"\r.\n", b"\n.\r", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\r\n. \r\n", b"\n\n.\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\x85.\x85", b"\r\n..\r\n", b"\x0b.\x0b", b"\x0c.\x0c",
]  # fmt: skip


@pytest.mark.parametrize(("service", "hello"), [("mx", b"EHLO"), ("lmtp", b"LHLO")])
def test_false_ends(demo: RunningDemo, service: str, hello: bytes) -> None:
    for number, end in enumerate(FALSE_ENDS):
        mark = b"%s-%d-mark" % (service.encode(), number)
        with socket.create_connection(("127.0.0.1", demo.port(service)), timeout=20) as client:
            file = client.makefile("rb")
            file.readline()
            for line in (hello + b" x.test", b"MAIL FROM:<a@remote.test>", b"RCPT TO:<jane@example.com>", b"DATA"):
                client.sendall(line + b"\r\n")
                while file.readline()[3:4] == b"-":
                    pass
            client.sendall(
                b"Subject: outer\r\nFrom: a@remote.test\r\n\r\ntext " + mark + end
                + b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<jane@example.com>\r\nDATA\r\n"
                + b"Subject: smuggled\r\n\r\nsmuggled " + mark + b"\r\n.\r\nQUIT\r\n"
            )  # fmt: skip
            replies = file.read().splitlines()
        assert len(replies) == 2, (end, replies)
        assert replies[0].startswith(b"250 2.0.0 OK id=")
        with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as reader:
            reader.login("jane", next(a["password"] for a in demo.facts["accounts"] if a["login"] == "jane"))
            reader.select("INBOX")
            _, parts = reader.fetch("1:*", "(UID BODY.PEEK[])")
        found = [part[1] for part in parts if isinstance(part, tuple) and mark in part[1]]
        assert len(found) == 1, end
        assert b"smuggled " + mark in found[0]
        assert b"\r" not in found[0].replace(b"\r\n", b"")
