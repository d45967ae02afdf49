"""ENHANCEDSTATUSCODES (RFC 2034)."""

from gateway.smtp.session import Session

MAIL_PARAMETERS: tuple[str, ...] = ()


def keyword(session: Session) -> str | None:
    return "ENHANCEDSTATUSCODES"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    return None
