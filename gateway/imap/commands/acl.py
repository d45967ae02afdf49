"""GETACL, SETACL, DELETEACL, LISTRIGHTS and MYRIGHTS (RFC 4314)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.rights import ALL, KNOWING, VIRTUAL, AclOf, ChangeAcl, MyRights, RightsFor, read_rights, shown
from gateway.imap.session import No, Session
from gateway.mime.quoting import string

MAX_IDENTIFIER = 1_000  # octets; a distinguished name has no more

announce("RIGHTS=kxte")  # RFC 4314 1


def _identifier(arguments: Parser) -> str:
    octets = arguments.astring()
    if not octets or len(octets) > MAX_IDENTIFIER:
        raise BadCommand(f"an identifier has 1 to {MAX_IDENTIFIER} octets")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand("an identifier is UTF-8") from None


@command("GETACL", states=AUTHENTICATED, capability="ACL")
def get_acl(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.end()
    granted = yield from session.ask(AclOf(name))
    entries = [b" %b %b" % (string(each.identifier.encode()), shown(each.rights)) for each in granted]
    yield b"* ACL %b%b\r\n" % (session.quoted(name), b"".join(entries))
    return ""


@command("SETACL", states=AUTHENTICATED)
def set_acl(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.space()
    identifier = _identifier(arguments)
    arguments.space()
    mode, rights = read_rights(arguments.astring())
    arguments.end()
    yield from session.ask(ChangeAcl(name, identifier, mode, rights))
    return ""


@command("DELETEACL", states=AUTHENTICATED)
def delete_acl(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.space()
    identifier = _identifier(arguments)
    arguments.end()
    yield from session.ask(ChangeAcl(name, identifier, "remove", ALL))
    return ""


@command("LISTRIGHTS", states=AUTHENTICATED)
def list_rights(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.space()
    identifier = _identifier(arguments)
    arguments.end()
    possible = yield from session.ask(RightsFor(name, identifier))
    always = shown(possible.always)
    others = [right for right in (*ALL, *VIRTUAL) if right.encode() not in always]
    answer = [session.quoted(name), string(identifier.encode()), always or b'""', *(right.encode() for right in others)]
    yield b"* LISTRIGHTS %b\r\n" % b" ".join(answer)
    return ""


@command("MYRIGHTS", states=AUTHENTICATED)
def my_rights(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.end()
    rights = (yield Ask(MyRights((name,)))).get(name, "")
    if KNOWING.isdisjoint(rights):
        raise No("[NONEXISTENT] no such mailbox")
    yield b"* MYRIGHTS %b %b\r\n" % (session.quoted(name), shown(rights))
    return ""
