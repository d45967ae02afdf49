"""rspamd as a check, against a scripted daemon: what each answer becomes, and every kind of trouble."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from directory.model import Condition, Deferred, Refused
from gateway.filters.port import ACCEPT, Facts, Kind, Verdict
from gateway.filters.rspamd import RspamdCheck
from gateway.filters.settings import RspamdSettings
from gateway.mail.envelope import Envelope, EnvelopeRecipient
from gateway.mail.header import scan
from gateway.service.network import ClientTls, Dialer

MESSAGE = b"From: a@b.example\nSubject: x\n\nbody\n"


class Daemon:
    """Answers every request with the same octets; keeps what it was asked."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer, self.asked = answer, b""
        self.served: asyncio.Future[None] | None = None

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served = asyncio.ensure_future(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in self.asked.split(b"\r\n") if line.lower().startswith(b"content-length"))
        self.asked += await reader.readexactly(int(length.split(b":")[1]))
        if self.answer is None:
            await reader.read()
        else:
            writer.write(self.answer)
        writer.close()
        await writer.wait_closed()


def ask(answer: bytes | None, service: str = "mx", **settings: Any) -> tuple[Verdict, bytes]:
    daemon = Daemon(answer)

    async def main() -> Verdict:
        server = await asyncio.start_server(daemon.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            own = RspamdSettings(url=f"http://127.0.0.1:{port}", **settings)
            check = RspamdCheck(own, Dialer(ClientTls()), time.monotonic)
            envelope = Envelope("a@b.example", {}, [EnvelopeRecipient("c@d.example"), EnvelopeRecipient("e@f.example")])
            facts = Facts(envelope, scan(MESSAGE), "192.0.2.1", service, "mx.here", "id1", "helo\r\nEvil: 1", "")
            try:
                return await check.check(facts, [MESSAGE[:10], MESSAGE[10:]], time.monotonic() + 10)
            finally:
                if daemon.served is not None:
                    await asyncio.wait_for(daemon.served, 5)
                await asyncio.sleep(0)

    return asyncio.run(main()), daemon.asked


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s" % (len(body), body)


def says(action: str, **more: Any) -> bytes:
    return http(json.dumps({"action": action, "score": 7.5, "is_skipped": False, **more}).encode())


def test_what_rspamd_is_told() -> None:
    verdict, asked = ask(says("no action"))
    assert verdict == Verdict()
    lines = asked.split(b"\r\n")
    assert lines[0] == b"POST /checkv2 HTTP/1.1"
    for line in (b"From: a@b.example", b"Rcpt: c@d.example", b"Rcpt: e@f.example", b"IP: 192.0.2.1", b"Queue-Id: id1"):
        assert line in lines
    assert b"Helo: heloEvil: 1" in lines and asked.endswith(b"\r\n\r\n" + MESSAGE)


@pytest.mark.parametrize("action", ["add header", "rewrite subject", "quarantine", "discard"])
def test_junk(action: str) -> None:
    assert ask(says(action))[0].kind is Kind.JUNK


@pytest.mark.parametrize("action", ["greylist", "soft reject"])
def test_later(action: str) -> None:
    with pytest.raises(Deferred) as caught:
        ask(says(action, messages={"smtp_message": "Try\r\nagain"}))
    assert (caught.value.condition, caught.value.text) == (Condition.CONTENT_DEFERRED, "Tryagain")


def test_refused_or_junk_by_score() -> None:
    with pytest.raises(Refused) as caught:
        ask(says("reject"))
    assert caught.value.condition is Condition.CONTENT_REFUSED
    assert ask(says("reject"), reject_above=7.6)[0].kind is Kind.JUNK
    with pytest.raises(Refused):
        ask(says("reject"), reject_above=7.5)


def test_fields() -> None:
    verdict, _ = ask(
        says(
            "no action",
            symbols={"R_SPF_ALLOW": {"score": -0.2}},
            milter={
                "add_headers": {
                    "X-Score": {"value": "7.5", "order": 1},
                    "X-Folded": "one;\r\n\ttwo\r\n\r\nEvil: x",
                    "X-Many": ["a", {"value": "b"}],
                    "Bad Name": "x",
                    "X-Number": 5,
                },
                "remove_headers": {"X-Spam": 0, "X-Two": [1, 2], "Bad Name": 1, "X-Neg": -1},
            },
        )
    )
    assert verdict.header_lines == (
        b"X-Score: 7.5\n",
        b"X-Folded: one;\n\ttwo\n\tEvil: x\n",
        b"X-Many: a\n",
        b"X-Many: b\n",
    )
    assert verdict.removed == ((b"x-spam", 0), (b"x-two", 1), (b"x-two", 2))
    assert verdict.vouched


def test_chunks() -> None:
    body = b'{"action": "add header"}'
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\n" + body[:5] + b"\r\n"
    answer += b"%x;ext\r\n%s\r\n0\r\n\r\n" % (len(body) - 5, body[5:])
    assert ask(answer)[0].kind is Kind.JUNK


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 500 no\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
        http(b"[]"),
        http(b'{"action": 5}'),
        http(b"{"),
    ],
)
def test_trouble_is_never_a_refusal(answer: bytes | None) -> None:
    with pytest.raises(Deferred) as caught:
        ask(answer, timeout=0.5)
    assert caught.value.condition is Condition.CHECK_UNAVAILABLE
    assert ask(answer, timeout=0.5, on_trouble="accept")[0] is ACCEPT


def test_what_is_not_shown_to_it() -> None:
    assert ask(says("reject"), service="submission") == (ACCEPT, b"")
    assert ask(says("reject"), max_size=10) == (ACCEPT, b"")
