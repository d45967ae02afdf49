"""PIPELINING (RFC 2920): replies wait until the input that is there has been answered."""

from gateway.smtp.session import Session

MAIL_PARAMETERS: tuple[str, ...] = ()


def keyword(session: Session) -> str | None:
    return "PIPELINING"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    return None
