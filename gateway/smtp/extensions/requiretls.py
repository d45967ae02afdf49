"""REQUIRETLS (RFC 8689): a message that goes on over proven TLS only, or comes back. Offered under TLS."""

from gateway.smtp import reply
from gateway.smtp.session import Session

MAIL_PARAMETERS = ("REQUIRETLS",)


def keyword(session: Session) -> str | None:
    return "REQUIRETLS" if session.client.tls else None


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    if parameters.get("REQUIRETLS"):
        return reply.reply(501, "5.5.4", "REQUIRETLS takes no value")
    return None
