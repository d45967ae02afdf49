"""SIZE (RFC 1870)."""

from directory.model import Condition
from gateway.smtp import reply
from gateway.smtp.session import Session

MAIL_PARAMETERS = ("SIZE",)
MAX_DIGITS = 20  # RFC 1870 3


def keyword(session: Session) -> str | None:
    return f"SIZE {session.settings.max_message_size}"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    size = parameters.get("SIZE")
    if size is None:
        return None
    if not size.isascii() or not size.isdigit() or len(size) > MAX_DIGITS:
        return reply.reply(501, "5.5.4", "SIZE is a number of octets")
    if int(size) > session.settings.max_message_size:
        return reply.condition_reply(Condition.MESSAGE_TOO_LARGE)
    return None
