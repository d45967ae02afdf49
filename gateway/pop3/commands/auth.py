"""AUTH with PLAIN and LOGIN (RFC 5034, RFC 4616)."""

import binascii

from gateway.ask import Dialogue
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session


def _decoded(line: bytes) -> bytes:
    if line == b"*":
        raise Wrong("[AUTH] cancelled")
    try:
        return binascii.a2b_base64(b"" if line == b"=" else line, strict_mode=True)
    except binascii.Error:
        raise Wrong("[AUTH] not base64") from None


@command("AUTH", logged_in=False)
def auth(session: Session, argument: bytes) -> Dialogue:
    session.require_privacy()
    name, space, initial = argument.partition(b" ")
    name = name.upper()
    if name not in (b"PLAIN", b"LOGIN"):
        raise Wrong("[AUTH] mechanisms are PLAIN and LOGIN")

    def plain(line: bytes) -> Dialogue:
        parts = _decoded(line).split(b"\0")
        if len(parts) != 3 or parts[0] not in (b"", parts[1]):
            raise Wrong("[AUTH] login, password expected")
        yield from session.log_in(parts[1], parts[2])

    def login(line: bytes) -> Dialogue:
        who = _decoded(line)

        def finish(line: bytes) -> Dialogue:
            yield from session.log_in(who, _decoded(line))

        session.pending = finish
        yield b"+ UGFzc3dvcmQ6\r\n"

    step = plain if name == b"PLAIN" else login
    if space:
        yield from step(initial)
    else:
        session.pending = step
        yield b"+ \r\n" if name == b"PLAIN" else b"+ VXNlcm5hbWU6\r\n"
