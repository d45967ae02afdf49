"""What is fuzzed: each target takes octets and raises when a promise of a core is broken.

Session cores: any octets, split anywhere, give the same replies; what waits in memory stays below a limit;
only the exceptions of the core's own interface come out. Parsers: their own error or an answer, and what
they read they can write again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from directory.filter import InvalidFilter, compile_filter
from directory.model import Condition, Deferred, InvalidAddress, Refused, canonical_address
from directory.port import Login
from directory.raw import RawEntry
from gateway.ask import Ask, Dialogue
from gateway.imap import names
from gateway.imap.commands import COMMANDS as IMAP_COMMANDS
from gateway.imap.content import Clock, Facts, ReadContents, ReadFacts, SearchContents
from gateway.imap.content import Content as ImapContent
from gateway.imap.listing import Listed, ListMailboxes
from gateway.imap.metadata import Annotate, Annotations
from gateway.imap.notifying import News, TellNews, WatchMailboxes
from gateway.imap.ports import (
    Appended,
    AppendPart,
    AppendPiece,
    BeginAppend,
    Compress,
    Copied,
    Copy,
    CreateMailbox,
    DeleteMailbox,
    DropAppend,
    Expunge,
    Failure,
    FinishAppend,
    LogOut,
    Opened,
    OpenMailbox,
    Refresh,
    RenameMailbox,
    Stored,
    StoreFlags,
    Watch,
)
from gateway.imap.ports import Authenticate as ImapAuthenticate
from gateway.imap.quota import Quota, QuotaOf, QuotaOfRoot
from gateway.imap.rights import ALL, AclOf, ChangeAcl, Granted, MyRights, Possible, RightsFor
from gateway.imap.search_subject import Subject
from gateway.imap.session import Session as ImapSession
from gateway.imap.settings import ImapSettings
from gateway.imap.status_items import Figures, Status
from gateway.imap.view import Contents, Row, View
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.header import HeaderProblem, scan
from gateway.mime.encoded import decode_header_text
from gateway.mime.parsed import Parsed
from gateway.mime.scanner import scan as scan_mime
from gateway.mime.section import Section, What, section_octets
from gateway.mime.text import decoded_text
from gateway.pop3.commands import COMMANDS as POP3_COMMANDS
from gateway.pop3.ports import Content, Maildrop, More, Piece
from gateway.pop3.ports import Login as Pop3Login
from gateway.pop3.session import Session as Pop3Session
from gateway.pop3.settings import Pop3Settings
from gateway.sasl import SaslProblem, decode, start
from gateway.smtp.commands import VERBS
from gateway.smtp.requests import Accept, Accepted, Authenticate, Spool
from gateway.smtp.session import Client
from gateway.smtp.session import Session as SmtpSession
from gateway.smtp.settings import Role, SmtpSettings

assert IMAP_COMMANDS and POP3_COMMANDS and VERBS

STORED = b"From: a@x.example\nSubject: hi\n\n.dot\nbody\n"
ENTRY = RawEntry("x:1", "cn=x", {"cn": [b"x", b"--5", b"\xc2\xb2", b"9" * 5000], "objectclass": [b"person"]})
MAX_STEPS = 100_000  # of one input: a core that goes on for ever fails instead of hanging


class Core(Protocol):
    """A session core."""

    closing: bool

    def receive(self, data: bytes) -> None: ...
    def next_dialogue(self) -> Dialogue | None: ...


def _smtp(request: object) -> object:
    if isinstance(request, Authenticate):
        if "x" in request.password:
            raise Refused(Condition.AUTHENTICATION_FAILED)
        return Login("id:1", "bind")
    if isinstance(request, Accept):
        return Accepted("ID", [None] * len(request.envelope.recipients))
    if isinstance(request, Spool) and len(request.pieces) > 3:
        raise Deferred(Condition.STORE_UNAVAILABLE)
    return None


def _imap(request: object) -> object:
    if isinstance(request, ImapAuthenticate):
        return Login("id:1", "bind")
    if isinstance(request, OpenMailbox):
        contents = Contents(("id:jane", 1, ""), 77)
        contents.apply((Row(7, 3, b"", 44, 86400.5), Row(8, 4, b"\\Seen work", 6, 0.0)), (), uidnext=9, modseq=5)
        return Opened(request.name, request.read_only, View(contents))
    if isinstance(request, ReadContents):
        return {uid: ImapContent(len(STORED), STORED, scan_mime(STORED)) for uid in request.uids if uid == 7}
    if isinstance(request, SearchContents):
        content = ImapContent(len(STORED), STORED, scan_mime(STORED))
        subject = Subject(content, lambda start, end: STORED[start:end], has_header=True, has_body=True)
        return {message.uid: request.test(message, subject) for message in request.messages}
    if isinstance(request, ReadFacts):
        return {uid: Facts("m" + "a" * 24, 1e9) for uid in request.uids}
    if isinstance(request, AppendPart):
        return 5 if request.url.uid == 7 else None
    if isinstance(request, Refresh):
        return True
    if isinstance(request, Clock):
        return 1e9
    if isinstance(request, StoreFlags):
        return Stored(request.uids[:1], 5, alone=True)
    if isinstance(request, Copy):
        return Copied(77, [(uid, 100 + uid) for uid in request.uids])
    if isinstance(request, FinishAppend):
        return Appended(77, [9])
    if isinstance(request, DeleteMailbox):
        return Failure("NONEXISTENT", "no such mailbox")
    if isinstance(
        request,
        LogOut | Compress | Watch | Expunge | BeginAppend | AppendPiece | DropAppend | CreateMailbox | RenameMailbox,
    ):
        return None
    if isinstance(request, ListMailboxes):
        return (Listed("INBOX", subscribed=True), Listed("a/b", "\\Sent"), Listed("c", subscribed=True, exists=False))
    if isinstance(request, Status):
        return {name: Figures(1, 1, 0, 2, 3, 4) for name in request.names}
    if isinstance(request, AclOf):
        return [Granted("jane@example.com", ALL), Granted('"\xe4', "l")]
    if isinstance(request, RightsFor):
        return Possible("lr")
    if isinstance(request, MyRights):
        return dict.fromkeys(request.mailboxes, "lrs")
    if isinstance(request, Annotations):
        return {
            name: {"/shared/a": b"x\0", "/shared/a/b": b'"', "/private/c": b"\xff\r\n"} for name in request.mailboxes
        }
    if isinstance(request, ChangeAcl | Annotate):
        return None
    if isinstance(request, WatchMailboxes):
        return {"a/b": Figures(1, 1, 0, 2, 3, 4)} if request.wants_figures else {}
    if isinstance(request, TellNews):
        return [
            News("a/b", Figures(1, 1, 0, 2, 3, 4)),
            News("c", None, is_named=True),
            News("d", Figures(0, 0, 0, 1, 3, 4), True, "e"),
        ]
    if isinstance(request, QuotaOf | QuotaOfRoot):
        return Quota("", 1, 2, 3, 4)
    raise Deferred(Condition.STORE_UNAVAILABLE)


def _pop3(request: object) -> object:
    if isinstance(request, Pop3Login):
        return Maildrop(7, (1, 9), (len(STORED) + 5, 10))
    if isinstance(request, Content):
        return Piece(STORED[:30], is_last=False) if request.uid == 1 else None
    return Piece(STORED[30:], is_last=True) if isinstance(request, More) else None


def _talk(core: Core, execute: Callable[[object], object], pieces: list[bytes], held: Callable[[], int]) -> bytes:
    """Everything the core says to the pieces."""
    out: list[bytes] = []
    steps = 0
    for piece in pieces:
        if core.closing:
            break
        core.receive(piece)
        while not core.closing and (dialogue := core.next_dialogue()) is not None:
            answer: object = None
            error: BaseException | None = None
            while True:
                steps += 1
                assert steps < MAX_STEPS, "the core goes on for ever"
                try:
                    step = dialogue.throw(error) if error is not None else dialogue.send(answer)
                except StopIteration:
                    break
                answer, error = None, None
                if isinstance(step, bytes):
                    out.append(step)
                else:
                    assert isinstance(step, Ask)
                    try:
                        answer = execute(step.request)
                    except (Deferred, Refused) as problem:
                        error = problem
        assert core.closing or held() <= len(piece) + 20_000, "the core keeps what it should not"
    return b"".join(out)


def _pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    """(the stream, the stream in pieces whose sizes the last octets choose)."""
    sizes, stream = data[-8:], data[:-8]
    pieces = []
    position = 0
    for size in sizes:
        pieces.append(stream[position : position + 1 + size])
        position += 1 + size
    return stream, [*(piece for piece in pieces if piece), stream[position:]]


def _same_however_split(make: Callable[[], Core], execute: Callable[[object], object], data: bytes) -> None:
    stream, pieces = _pieces(data)
    framing = ("framing", "_framing", "_buffer", "buffer")

    def run(parts: list[bytes]) -> bytes:
        core = make()

        def held() -> int:
            buffer = next((getattr(core, name) for name in framing if hasattr(core, name)), b"")
            return int(getattr(buffer, "pending", -1)) if hasattr(buffer, "pending") else len(buffer)

        return _talk(core, execute, parts, held)

    whole = run([stream])
    assert run(pieces) == whole
    if len(stream) < 300:
        assert run([stream[n : n + 1] for n in range(len(stream))]) == whole


def smtp(data: bytes) -> None:
    """MX, submission and LMTP, by the first octet."""
    role = list(Role)[data[0] % 3] if data else Role.MX
    settings = SmtpSettings(max_message_size=200_000)
    _same_however_split(
        lambda: SmtpSession(role, settings, "mx.example", Client("192.0.2.1"), plaintext_auth=True), _smtp, data[1:]
    )


def imap(data: bytes) -> None:
    """IMAP sessions; not COMPRESS, which drops what has come behind it, be it little or much."""
    _same_however_split(
        lambda: ImapSession(ImapSettings(max_literal=4096), "mail.example", "192.0.2.1", tls="TLSv1.3"), _imap, data
    )


def pop3(data: bytes) -> None:
    _same_however_split(
        lambda: Pop3Session(Pop3Settings(), "mail.example", "192.0.2.1", plaintext_auth=True), _pop3, data
    )


def mime(data: bytes) -> None:
    """The scanner, what is stored of it, sections and text."""
    stored = data.replace(b"\r\n", b"\n")
    parsed = scan_mime(stored)
    again = Parsed.decode(parsed.encode())
    assert again == parsed
    for path in ((), (1,), (2, 1)):
        for what in What:
            found = section_octets(stored, parsed, Section(path, what, frozenset({b"subject"})))
            assert found is None or len(found) <= 2 * len(stored) + 2
    texts = decoded_text(lambda start, end: stored[start:end], parsed, headers=True)
    assert sum(map(len, texts)) <= 8 * len(stored) + 1000


def header(data: bytes) -> None:
    """The fields of a message are where the scan says, and leaving one out leaves the others."""
    try:
        found = scan(data)
    except HeaderProblem:
        return
    assert b"".join(found.without(b"\0")) == data
    for field in found.fields:
        assert found.end >= field.end >= field.value > field.start >= 0
    decode_header_text(data)


def address(data: bytes) -> None:
    """Address fields and addresses."""
    try:
        for found in addresses(data):
            assert "\n" not in found
            assert "\0" not in found
    except AddressProblem:
        pass
    try:
        canonical = canonical_address(data.decode("utf-8", "replace"))
    except InvalidAddress:
        return
    assert canonical_address(str(canonical)) == canonical


def sasl(data: bytes) -> None:
    steps = start("PLAIN" if data[:1] < b"\x80" else "LOGIN")
    assert steps is not None
    try:
        for response in data[1:].split(b"\n")[:3]:
            steps.respond(decode(response))
            if steps.credentials is not None:
                return
    except SaslProblem:
        pass


def ldap_filter(data: bytes) -> None:
    """Filters from the directory (memberURL) and from profiles."""
    try:
        compile_filter(data.decode("utf-8", "replace"))(ENTRY)
    except InvalidFilter:
        pass


def mailbox_name(data: bytes) -> None:
    """Mailbox names on the wire, modified UTF-7 and UTF-8."""
    for utf8 in (False, True):
        try:
            name = names.mailbox_name(data, utf8=utf8)
        except names.BadName:
            continue
        assert names.decode(names.encode(name)) == name
        if len(name.encode()) <= names.MAX_NAME:
            assert names.mailbox_name(name.encode(), utf8=True) == name
        assert "\0" not in name
        assert not any(level in ("", ".", "..") for level in name.split(names.SEPARATOR))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (smtp, imap, pop3, mime, header, address, sasl, ldap_filter, mailbox_name)
}
