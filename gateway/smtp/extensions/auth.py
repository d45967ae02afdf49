"""AUTH (RFC 4954) and its MAIL parameter, which is taken and not trusted (RFC 4954 5)."""

from gateway.sasl import MECHANISMS
from gateway.smtp.session import Session

MAIL_PARAMETERS = ("AUTH",)


def keyword(session: Session) -> str | None:
    return "AUTH " + " ".join(MECHANISMS) if session.may_login else None


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    return None
