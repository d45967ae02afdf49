"""ENABLE (RFC 5161): CONDSTORE and QRESYNC (RFC 7162 3.1, 3.2.3), IMAP4rev2 (RFC 9051 6.3.1), UTF8=ACCEPT (RFC 9755),
UIDONLY (RFC 9586).
"""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.session import Session
from gateway.imap.switches import is_announced

MAX_NAMES = 32
#: what is true of the session then; the first one says whether it is enabled already
_ENABLES = {
    b"CONDSTORE": ("condstore",),
    b"IMAP4REV2": ("rev2", "utf8"),
    b"QRESYNC": ("qresync", "condstore"),
    b"UIDONLY": ("uid_only",),
    b"UTF8=ACCEPT": ("utf8",),
}
_SHOWN = {b"IMAP4REV2": b"IMAP4rev2"}

for _name in ("CONDSTORE", "QRESYNC", "UIDONLY", "UTF8=ACCEPT"):
    announce(_name)


@command("ENABLE", states=AUTHENTICATED, capability="ENABLE")
def enable(session: Session, arguments: Parser) -> Dialogue:
    enabled = b""
    for _ in range(MAX_NAMES):
        arguments.space()
        name = arguments.atom().upper()
        states = _ENABLES.get(name)
        is_off = bool(session.without) and not is_announced(_SHOWN.get(name, name).decode(), session.without)
        if states is not None and not is_off and not getattr(session, states[0]):
            for state in states:
                setattr(session, state, True)
            enabled += b" " + _SHOWN.get(name, name)
        if arguments.at_end():
            break
    arguments.end()
    yield b"* ENABLED" + enabled + b"\r\n"
    return ""
