"""CREATE (RFC 9051 6.3.4), with USE (RFC 6154 3), answered with MAILBOXID (RFC 8474 4.1)."""

from gateway.ask import Dialogue
from gateway.imap.names import SEPARATOR
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import CreateMailbox
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.session import No, Session

USES = {use.upper().encode(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")}
MAX_USES = 8

announce("CREATE-SPECIAL-USE")


def _use(arguments: Parser) -> str:
    if not arguments.at(b" ("):
        return ""
    arguments.expect(b"USE (")
    uses: list[bytes] = []
    while not arguments.at(b")"):
        if uses:
            arguments.space()
        arguments.expect(b"\\")
        uses.append(b"\\" + arguments.atom().upper())
        if len(uses) > MAX_USES:
            raise BadCommand("too many uses")
    arguments.expect(b")")
    if not uses:
        return ""
    use = USES.get(uses[0])
    if use is None or len(uses) > 1:
        raise No("[USEATTR] a mailbox has one use, of \\Archive \\Drafts \\Junk \\Sent \\Trash")
    return use


@command("CREATE", states=AUTHENTICATED)
def create(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    octets = arguments.astring()
    use = _use(arguments)
    arguments.end()
    # a separator at the end says that there will be mailboxes below
    name = session.mailbox_name(octets.removesuffix(SEPARATOR.encode()))
    mailbox_id = yield from session.ask(CreateMailbox(name, use))
    return f"[MAILBOXID ({mailbox_id})] made"
