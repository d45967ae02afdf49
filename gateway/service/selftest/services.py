"""LMTP, POP3, TLS of every listener, quota, a mailing list, and IDLE."""

from __future__ import annotations

import re
import socket
import ssl
import time

from gateway.config.settings import Listener, Settings
from gateway.service.selftest import clients
from gateway.service.selftest.bench import Bench
from gateway.service.selftest.case import Failed, Skipped, case

UNLIMITED = 0
QUOTA = 1024  # octets; less than one message of the self-test
MAX_LOOKED = 50  # messages, the newest ones
MAX_REPLY = 64 * 1024
SOON_SECONDS = 7 * 86_400.0
#: service -> what is said until TLS begins: (what to send, what the answer has to begin with)
_DIALOGUES: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "mx": ((b"", b"220"), (b"EHLO selftest.invalid\r\n", b"250"), (b"STARTTLS\r\n", b"220")),
    "lmtp": ((b"", b"220"), (b"LHLO selftest.invalid\r\n", b"250"), (b"STARTTLS\r\n", b"220")),
    "imap": ((b"", b"* OK"), (b"a STARTTLS\r\n", b"a OK")),
    "pop3": ((b"", b"+OK"), (b"STLS\r\n", b"+OK")),
}
_LIKE = {"submission": "mx", "submissions": "mx", "imaps": "imap", "pop3s": "pop3"}


def _verifying(settings: Settings) -> ssl.SSLContext:
    """Trusts the authorities of this host, and the very certificate that the configuration names."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(settings.tls.cert)
    except OSError as error:
        raise Skipped(f"{settings.tls.cert} cannot be read: {error.strerror or error}") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _reply(sock: socket.socket) -> bytes:
    """One reply, of several lines where SMTP's goes on."""
    data = b""
    while True:
        piece = sock.recv(4096)
        data += piece
        lines = data.split(b"\r\n")
        if not piece or len(data) > MAX_REPLY or (len(lines) > 1 and not lines[-1] and lines[-2][3:4] != b"-"):
            return data


def _handshake(service: str, listener: Listener, context: ssl.SSLContext, hostname: str, seconds: float) -> float:
    """TLS as a client of the service does it; seconds until the certificate ends. Raises Failed, OSError."""
    with clients.dial(listener, seconds) as sock:
        if listener.tls == "starttls":
            for words, wanted in _DIALOGUES[_LIKE.get(service, service)]:
                sock.sendall(words)
                reply = _reply(sock)
                if not reply.startswith(wanted):
                    raise Failed(
                        f"{service} at {clients.where(listener)} offers TLS",
                        repr(reply[:200]),
                        "tls in the configuration",
                    )
        with context.wrap_socket(sock, server_hostname=hostname) as wrapped:
            ends = str((wrapped.getpeercert() or {}).get("notAfter", ""))
    return ssl.cert_time_to_seconds(ends) - time.time()


@case("lmtp", needs=("person",))
def lmtp(bench: Bench) -> None:
    """Another gateway brings a message by LMTP; it takes none for outside."""
    sender = bench.names.outside("somebody")
    identity, message = bench.by_lmtp(bench.person.address, sender)
    bench.arrived(message, identity)
    with clients.smtp(clients.lmtp(bench.settings), bench.left(), hello="lhlo") as client:
        client.mail(sender)
        reply = clients.said(*client.rcpt(bench.names.outside("victim")))
    if not reply.startswith("5"):
        raise Failed("5yz for a recipient outside", reply, "listen.lmtp: who may connect to it?")


@case("pop3", needs=("person",))
def pop3(bench: Bench) -> None:
    """The mailbox can be read by POP3, too."""
    identity, message = bench.by_host(bench.person.address)
    bench.arrived(message, identity)
    client = clients.pop3(bench.settings, bench.person.login, bench.person.password, bench.left())
    try:
        count = client.stat()[0]
        newest = range(count, max(0, count - MAX_LOOKED), -1)
        if not any(message.token.encode() in b"\n".join(client.top(number, 0)[1]) for number in newest):
            raise Failed("POP3 shows the message", f"{count} others", f"gatepost trace {identity}")
    finally:
        clients.close_pop3(client)


@case("tls")
def tls(bench: Bench) -> str:
    """Every listener with TLS shows a certificate that is valid for this host's name, and the one of the configuration."""
    settings = bench.settings
    wanted = [
        (service, listener)
        for service, listeners in settings.listen.items()
        for listener in listeners
        if listener.tls != "none" and not listener.path
    ]
    if not wanted or not settings.tls.cert:
        raise Skipped("no listener has TLS" if not wanted else "the configuration has no tls.cert")
    left, context = [], _verifying(settings)
    for service, listener in wanted:
        try:
            left.append(_handshake(service, listener, context, settings.hostname, bench.left()))
        except ssl.SSLError as error:
            raise Failed(
                f"{service} at {clients.where(listener)} has a valid certificate for {settings.hostname}",
                getattr(error, "verify_message", "") or str(error), f"openssl x509 -noout -text -in {settings.tls.cert}",
            ) from None  # fmt: skip
    days = f"{min(left) / 86_400:.0f} days"
    return f"{len(wanted)} listeners, certificate good for {days}{': renew it' if min(left) < SOON_SECONDS else ''}"


def _set_quota(bench: Bench, octets: int) -> None:
    assert bench.entries is not None
    bench.entries.set_quota(octets)


def _full(bench: Bench, recipient: str, sender: str) -> str:
    """The refusal of a message that is larger than the quota, wherever in the session it comes."""
    message = bench.message(recipient, sender, f"{'x' * 70}\r\n" * (QUOTA // 50))
    with clients.smtp(clients.mx(bench.settings), bench.left()) as client:
        try:
            clients.send(client, sender, recipient, message.content)
        except Failed as refused:
            return refused.came
    return "250: it was taken"


@case("quota", needs=("entries",))
def quota(bench: Bench) -> None:
    """A full mailbox is answered "full", IMAP shows the limit, and mail comes again when the limit is gone."""
    sender, recipient = bench.names.outside("somebody"), bench.person.address
    _set_quota(bench, QUOTA)
    try:
        reply = _full(bench, recipient, sender)
        wanted = "452 4.2.2" if bench.settings.queue.quota_grace else "552 5.2.2"
        if not reply.startswith(wanted):
            raise Failed(f"{wanted}: the mailbox is full", reply, f"gatepost account show {recipient}")
        shown = str(bench.reader().getquotaroot("INBOX")[1])
        if not re.search(rf"STORAGE \d+ {QUOTA // 1024}\b", shown):
            raise Failed(f"IMAP shows the limit of {QUOTA} octets", shown, f"gatepost account show {recipient}")
    finally:
        _set_quota(bench, UNLIMITED)
    identity, message = bench.by_mx(recipient, sender)
    bench.arrived(message, identity)


@case("list", needs=("list", "sink"))
def mailing_list(bench: Bench) -> None:
    """A post comes to a member here and to one outside, as the list's; who fails fails to the list."""
    address, outside = bench.names.address("list"), bench.names.outside("member")
    identity, message = bench.by_host(address)
    content = bench.arrived(message, identity)
    if b"\r\nList-Id: " not in content or f"<list.{bench.names.domain}>".encode() not in content:
        raise Failed("the member's copy has List-Id", "it has not", f"gatepost list show {address}")
    bench.done(identity, outside, "the copy for the member outside is handed to the far end")
    kept = bench.at_far_end(message)
    if not kept.return_path.startswith("list-bounces") or not kept.return_path.endswith(f"@{bench.names.domain}"):
        raise Failed("its return path is the list's own", kept.return_path, f"gatepost trace {identity}")


@case("idle", needs=("person",))
def idle(bench: Bench) -> str:
    """A session in IDLE is told of a message the moment it is there."""
    reader = bench.new_reader()
    try:
        reader.select("INBOX", readonly=True)
        if "IDLE" not in reader.capabilities:
            raise Failed("IMAP offers IDLE", " ".join(reader.capabilities), "gatepost ps")
        reader.send(b"idle1 IDLE\r\n")
        line = reader.readline()
        while not line.startswith(b"+"):
            if not line:
                raise Failed("IMAP waits in IDLE", "the connection is closed", "the log of the service")
            line = reader.readline()
        begin = time.monotonic()
        identity, message = bench.by_host(bench.person.address)
        reader.sock.settimeout(bench.left())
        while b" EXISTS" not in line:
            line = reader.readline()
            if not line:
                raise Failed("EXISTS comes while in IDLE", "the connection is closed", f"gatepost trace {identity}")
        told = time.monotonic() - begin
        reader.send(b"DONE\r\n")
    except TimeoutError:
        raise Failed("EXISTS comes while in IDLE", "nothing came in time", "gatepost trace; is it in Junk?") from None
    finally:
        clients.close(reader)
    bench.arrived(message, identity)
    return f"told {told * 1000:.0f} ms behind the sending"
