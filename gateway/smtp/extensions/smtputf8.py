"""SMTPUTF8 (RFC 6531): addresses outside ASCII, only in a transaction that says so."""

from gateway.smtp import reply
from gateway.smtp.session import Session

MAIL_PARAMETERS = ("SMTPUTF8",)


def keyword(session: Session) -> str | None:
    return "SMTPUTF8"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    if parameters.get("SMTPUTF8"):
        return reply.reply(501, "5.5.4", "SMTPUTF8 takes no value")
    return None


def check_characters(path: str, parameters: dict[str, str]) -> bytes | None:
    """The refusal of an address outside ASCII in a transaction that did not announce any (RFC 6531 3.5)."""
    if path.isascii() or "SMTPUTF8" in parameters:
        return None
    return reply.reply(553, "5.6.7", "an address outside ASCII needs SMTPUTF8")
