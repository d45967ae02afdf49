"""CHUNKING (RFC 3030), without BINARYMIME: a message has lines."""

from gateway.smtp.session import Session

MAIL_PARAMETERS: tuple[str, ...] = ()


def keyword(session: Session) -> str | None:
    return "CHUNKING"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    return None
