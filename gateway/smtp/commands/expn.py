"""EXPN (RFC 5321 4.1.1.7): refused, who is on a list is the list's business."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import SMTP, verb
from gateway.smtp.session import Session


@verb("EXPN", syntax="EXPN list", roles=SMTP, junk=True)
def expn(session: Session, argument: str) -> Dialogue:
    yield reply.reply(502, "5.7.0", "lists are not shown")
