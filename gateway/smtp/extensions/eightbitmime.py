"""8BITMIME (RFC 6152)."""

from gateway.smtp import reply
from gateway.smtp.session import Session

MAIL_PARAMETERS = ("BODY",)


def keyword(session: Session) -> str | None:
    return "8BITMIME"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    if parameters.get("BODY", "7BIT").upper() not in ("7BIT", "8BITMIME"):
        return reply.reply(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
    return None
