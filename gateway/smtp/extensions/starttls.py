"""STARTTLS (RFC 3207)."""

from gateway.smtp.session import Session

MAIL_PARAMETERS: tuple[str, ...] = ()


def keyword(session: Session) -> str | None:
    return "STARTTLS" if session.starttls_possible and not session.client.tls else None


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    return None
