"""COMPRESS=DEFLATE (RFC 4978). What came behind the command is dropped: a client waits for its answer."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import Parser
from gateway.imap.ports import Compress
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.session import No, Session

announce("COMPRESS=DEFLATE", lambda phase: phase.logged_in and not phase.compressed)


@command("COMPRESS", states=AUTHENTICATED)
def compress(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    algorithm = arguments.atom().upper()
    arguments.end()
    if session.compressed:
        raise No("[COMPRESSIONACTIVE] this connection is compressed")
    if algorithm != b"DEFLATE":
        raise No("[CANNOT] DEFLATE is the only algorithm here")
    yield session.tag + b" OK DEFLATE active\r\n"
    session.framing.discard()
    session.compressed = True
    yield Ask(Compress())
    return None
