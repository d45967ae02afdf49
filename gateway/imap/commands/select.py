"""SELECT and EXAMINE (RFC 3501 6.3.1, 6.3.2), with (CONDSTORE) and (QRESYNC ...) (RFC 7162 3.1.8, 3.2.5), MAILBOXID (RFC 8474 4.2)."""

from gateway.ask import Dialogue
from gateway.imap.flags import SYSTEM, SYSTEM_FLAGS
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Opened, OpenMailbox
from gateway.imap.quota import OVER_SOFT
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.resync import Known, read_known, resynchronized
from gateway.imap.rights import allowed_flags
from gateway.imap.session import No, Session


def _parameters(session: Session, arguments: Parser) -> Known | None:
    """What the client says that it knows of the mailbox, if it does."""
    known = None
    if arguments.at(b" ("):
        while True:
            name = arguments.atom().upper()
            if name == b"QRESYNC" and known is None:
                if not session.qresync:
                    raise BadCommand("ENABLE QRESYNC comes first")  # RFC 7162 3.2.5
                arguments.space()
                known = read_known(arguments, uid_only=session.uid_only)
            elif name != b"CONDSTORE":
                raise BadCommand("unknown parameter")
            if arguments.at(b")"):
                break
            arguments.space()
        session.use_condstore()
    arguments.end()
    return known


def _permanent(rights: str, keywords: bytes) -> bytes:
    """The flags that the client can change for good (RFC 4314 5.1.1)."""
    flags = [SYSTEM[letter] for letter in SYSTEM if allowed_flags(letter, rights)]
    if "w" in rights:
        flags += [keywords, b"\\*"] if keywords else [b"\\*"]
    return b" ".join(flags)


def _listed(session: Session, name: str, asked: bytes) -> bytes:
    """What RFC 9051 6.3.2 wants told: the name, and under which one it was asked for where that is another."""
    old = b"" if asked == name.encode() else b' ("OLDNAME" (%b))' % session.quoted(asked.decode())
    return b'* LIST () "/" %b%b\r\n' % (session.quoted(name), old)


def _told(session: Session, opened: Opened, asked: bytes) -> bytes:
    contents = opened.view.contents
    keywords, unseen = contents.summary()
    flags = SYSTEM_FLAGS + b" " + keywords if keywords else SYSTEM_FLAGS
    permanent = b"" if opened.read_only else _permanent(opened.rights, keywords)
    has_unseen = not (session.rev2 or session.uid_only)
    return b"".join(
        (
            b"* FLAGS (" + flags + b")\r\n",
            b"* OK [PERMANENTFLAGS (" + permanent + b")] flags that are kept\r\n",
            b"* %d EXISTS\r\n" % opened.view.count,
            b"" if session.rev2 else b"* 0 RECENT\r\n",
            b"* OK [UNSEEN %d] first unseen message\r\n" % unseen if unseen and has_unseen else b"",
            b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % contents.uidvalidity,
            b"* OK [UIDNEXT %d] next UID\r\n" % contents.uidnext,
            b"* OK [HIGHESTMODSEQ %d] last change\r\n" % contents.modseq,
            f"* OK [MAILBOXID ({opened.mailbox_id})] its name for ever\r\n".encode() if opened.mailbox_id else b"",
            _listed(session, opened.name, asked) if session.rev2 else b"",
            OVER_SOFT if opened.over_soft and not opened.read_only else b"",
        )
    )


def _open(session: Session, arguments: Parser, *, read_only: bool) -> Dialogue:
    arguments.space()
    asked = arguments.astring()
    name = session.mailbox_name(asked)
    known = _parameters(session, arguments)
    if session.selected is not None:
        session.selected = None
        yield b"* OK [CLOSED] the previous mailbox is closed\r\n"
    opened = yield from session.ask(OpenMailbox(name, read_only))
    if opened is None:
        raise No("[NONEXISTENT] no such mailbox")
    session.selected = opened
    yield _told(session, opened, asked)
    if known is not None:
        yield from resynchronized(opened.view, known, uid_only=session.uid_only)
    return "[READ-ONLY] examined" if opened.read_only else "[READ-WRITE] selected"


@command("SELECT", states=AUTHENTICATED)
def select(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _open(session, arguments, read_only=False))


@command("EXAMINE", states=AUTHENTICATED)
def examine(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _open(session, arguments, read_only=True))
