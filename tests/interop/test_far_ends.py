"""The courier against Postfix, OpenSMTPD and aiosmtpd as they are packaged: delivery, reports, TLS, refusals."""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from packaged_mta import free_port, opensmtpd, postfix
from scripted_smtp import EHLO, ScriptedSmtp, scripted_smtp

from gateway.deliver.port import Addressee, Parcel, Taken
from gateway.route.next_hop import NextHop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gateway" / "deliver"))
from sending import Sending, parcel, sending, told


class FarEnd:
    """A far end: where it listens and what it handed on."""

    def __init__(self, name: str, port: int, sink: ScriptedSmtp) -> None:
        self.name, self.port, self.sink = name, port, sink
        # Debian 12's OpenSMTPD offers STARTTLS and breaks off every handshake: it counts as a peer of that kind
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
                client.starttls()
            self.has_tls = True
        except (OSError, smtplib.SMTPException):
            self.has_tls = False

    def send(self, *parcels: Parcel, **hop: str) -> list[list[str]]:
        """Outcomes of parcels sent one after the other through one set of connections."""

        async def work(bench: Sending) -> list[list[str]]:
            there = NextHop("smtp", "127.0.0.1", self.port, **hop)  # type: ignore[arg-type]
            found = []
            for each in parcels:
                self.outcomes = await bench.send(there, each)
                found.append(told(self.outcomes))
            return found

        return sending(work)

    def handed_on(self, subject: bytes, recipients: int) -> list[tuple[str, list[str], bytes]]:
        """What came to the sink with this subject, when so many recipients have it."""
        begin = time.monotonic()
        while True:
            came = [each for each in list(self.sink.messages) if b"Subject: %b\r\n" % subject in each[2]]
            if sum(len(rcpts) for _, rcpts, _ in came) >= recipients:
                return came
            assert time.monotonic() - begin < 20, f"{len(came)} came"
            time.sleep(0.02)


class _Handler:
    """aiosmtpd's handler: refuses as the others, keeps messages as the sink does."""

    def __init__(self, sink: ScriptedSmtp) -> None:
        self.sink = sink

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        for name, reply in (("no@", "550 5.1.1 nobody here"), ("later@", "451 4.2.1 not now")):
            if address.startswith(name):
                return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        rcpts = [f"RCPT TO:<{each}>" for each in envelope.rcpt_tos]
        tls = b"Received: with TLSv1.3\r\n" if session.ssl else b""
        self.sink.messages.append((f"MAIL FROM:<{envelope.mail_from}>", rcpts, tls + envelope.content))
        return "250 2.0.0 kept"


@contextmanager
def aiosmtpd(sink: ScriptedSmtp, context: object) -> Iterator[int]:
    port = free_port()
    controller = Controller(
        _Handler(sink),
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        enable_SMTPUTF8=True,
        data_size_limit=2_000_000,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def why_not(server: str) -> str:
    """Why a packaged server cannot be started here, "" when it can."""
    if os.geteuid() != 0:
        return f"{server} gives up root's rights by itself and so starts as root only; `sudo make test` runs this"
    if server == "opensmtpd" and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        return (
            "opensmtpd runs in a mount namespace beside Postfix, which this host does not allow: give it CAP_SYS_ADMIN"
        )
    return ""


@pytest.fixture(scope="module", params=["postfix", "opensmtpd", "aiosmtpd"])
def far_end(request: pytest.FixtureRequest) -> Iterator[FarEnd]:
    name = request.param
    with scripted_smtp(ehlo=(*EHLO, "DSN")) as sink:
        if name == "aiosmtpd":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            trustme.CA().issue_cert("far.example").configure_cert(context)
            opened: AbstractContextManager[int] = aiosmtpd(sink, context)
        else:
            if reason := why_not(name):
                pytest.skip(reason)
            starters: dict[str, Callable[[int], AbstractContextManager[int]]] = {
                "postfix": postfix,
                "opensmtpd": opensmtpd,
            }
            opened = starters[name](sink.port)
        with opened as port:
            yield FarEnd(name, port, sink)


BODY = b"Subject: far\nFrom: me@here.example\n\n.dot\n..two\n" + "grüße\n".encode()


def lines(content: bytes) -> bytes:
    """The body as it came."""
    return content.partition(b"\r\n\r\n")[2]


def test_a_message_arrives_over_tls(far_end: FarEnd) -> None:
    assert far_end.send(parcel("a@far.example", "b@far.example", body=BODY)) == [["taken", "taken"]]
    came = far_end.handed_on(b"far", 2)
    body = lines(came[0][2])
    assert body == b".dot\r\n..two\r\n" + "grüße\r\n".encode() or b"=C3=BC" in body
    assert (b"TLSv1.3" in came[0][2]) == far_end.has_tls
    assert far_end.has_tls or far_end.name == "opensmtpd"


def test_refusals_for_now_and_for_good(far_end: FarEnd) -> None:
    message = parcel("no@far.example", "ok@far.example", "later@far.example", body=b"Subject: some\n\nx\n")
    assert far_end.send(message) == [["refused 5.1.1", "taken", "deferred 4.2.1"]]
    ((_, rcpts, _),) = far_end.handed_on(b"some", 1)
    assert len(rcpts) == 1 and rcpts[0].startswith("RCPT TO:<ok@far.example>")
    assert far_end.send(parcel("no@far.example", "later@far.example")) == [["refused 5.1.1", "deferred 4.2.1"]]


def test_a_large_message_and_one_that_is_too_large(far_end: FarEnd) -> None:
    body = b"Subject: large\n\n" + b"".join(b".%d %s\n" % (n, b"x" * (n % 70)) for n in range(15_000))
    assert far_end.send(parcel("a@far.example", body=body)) == [["taken"]]
    assert lines(far_end.handed_on(b"large", 1)[0][2]) == lines(body.replace(b"\n", b"\r\n"))
    assert far_end.send(parcel("a@far.example", body=b"Subject: x\n\n" + b"y" * 70 * 40_000)) == [["refused 5.3.4"]]


def test_many_recipients_and_many_messages_over_one_connection(far_end: FarEnd) -> None:
    many = tuple(f"u{number}@far.example" for number in range(150))
    found = far_end.send(
        parcel(*many, body=b"Subject: many\n\nx\n"), *(parcel(body=b"Subject: five\n\nx\n") for _ in range(5))
    )
    assert found[0].count("taken") >= 100 and set(found[0]) <= {"taken", "deferred 4.5.3"}
    assert found[1:] == [["taken"]] * 5
    far_end.handed_on(b"many", found[0].count("taken"))
    far_end.handed_on(b"five", 5)


def test_reports_are_asked_for_where_they_are_made(far_end: FarEnd) -> None:
    one = Addressee("a@far.example", frozenset({"FAILURE", "DELAY"}), "rfc822;first@here.example")
    far_end.send(parcel(one, body=b"Subject: report\n\nx\n", ENVID="q1", RET="HDRS"))
    taken = far_end.outcomes[0]
    assert isinstance(taken, Taken) and taken.dsn == (far_end.name != "aiosmtpd")
    mail, rcpts, _ = far_end.handed_on(b"report", 1)[0]
    if taken.dsn:
        assert "ENVID=q1" in mail and "RET=HDRS" in mail
        assert "ORCPT=rfc822;first@here.example" in rcpts[0] and "NOTIFY=" in rcpts[0]


def test_without_tls_and_with_tls_that_cannot_be_verified(far_end: FarEnd) -> None:
    assert far_end.send(parcel(), tls="never") == [["taken"]]
    assert far_end.send(parcel(), tls="must") == [["taken" if far_end.has_tls else "deferred 4.7.5"]]
    assert far_end.send(parcel(), tls="verify") == [["deferred 4.7.5"]]


def test_nobody_waits_for_a_server_that_is_gone(far_end: FarEnd) -> None:
    port, far_end.port = far_end.port, free_port()
    try:
        assert far_end.send(parcel()) == [["deferred 4.4.1"]]
    finally:
        far_end.port = port
