"""The TLS layer however the octets are cut and whenever the inner protocol pauses: what goes in comes out, in order."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.service.tls import Certificates, TlsLayer, TlsOffer

Contexts = tuple[TlsOffer, ssl.SSLContext]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    authority = trustme.CA()
    both = tmp_path_factory.mktemp("tls") / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(both)
    certificates = Certificates(str(both), str(both))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return TlsOffer(lambda: certificates.context("imap"), b"imap", 30), trusting


class Raw:
    """The raw transport: what the layer sends is kept for the client."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.reading = True
        self.closing = False

    def write(self, data: bytes) -> None:
        self.out += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


class Echo(asyncio.Protocol):
    """Says again what it hears; pauses reading after every so many octets until it is told to go on."""

    def __init__(self, pause_every: int) -> None:
        self.pause_every = pause_every
        self.heard = bytearray()
        self.next_pause = pause_every
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport.is_reading(), "heard something while it had paused"
        self.heard += data
        self.transport.write(data)
        if len(self.heard) >= self.next_pause:
            self.next_pause = len(self.heard) + self.pause_every
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        return False


async def play(contexts: Contexts, messages: list[int], cuts: list[int], pause_every: int) -> None:
    offer, trusting = contexts
    raw, inner = Raw(), Echo(pause_every)
    layer = TlsLayer(inner, offer, at_once=True)
    layer.connection_made(cast(Any, raw))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    cut = iter(cuts * 10_000)
    waiting = bytearray()
    sent = bytes(range(256)) * (sum(messages) // 256 + 1)
    sent = sent[: sum(messages)]
    position, back = 0, bytearray()
    sizes = list(messages)
    done_handshake = False
    for _ in range(20_000):
        if not done_handshake:
            try:
                client.do_handshake()
                done_handshake = True
            except ssl.SSLWantReadError:
                pass
        elif sizes:
            size = sizes.pop(0)
            if size:
                client.write(sent[position : position + size])
            position += size
        waiting += outgoing.read()
        if raw.reading and waiting:
            size = next(cut)
            layer.data_received(bytes(waiting[:size]))
            del waiting[:size]
        elif not raw.reading:
            inner.transport.resume_reading()
        await asyncio.sleep(0)
        incoming.write(bytes(raw.out))
        raw.out.clear()
        while done_handshake:
            try:
                back += client.read(65536)
            except ssl.SSLWantReadError:
                break
        if done_handshake and not sizes and len(back) == len(sent) and raw.reading:
            break
    assert bytes(inner.heard) == sent
    assert bytes(back) == sent
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    layer.data_received(outgoing.read())
    assert inner.ended
    assert raw.closing


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(st.one_of(st.integers(0, 300), st.integers(16_000, 40_000)), max_size=8),
    cuts=st.lists(st.integers(200, 20_000), min_size=1, max_size=8),
    pause_every=st.sampled_from([1, 50, 5_000, 1 << 30]),
)
def test_what_goes_in_comes_out(contexts: Contexts, messages: list[int], cuts: list[int], pause_every: int) -> None:
    asyncio.run(play(contexts, messages, cuts, pause_every))
