"""XJOURNALLED, our own, over LMTP: another host of this site took the message and kept the copies for its journals."""

from gateway.smtp import reply
from gateway.smtp.session import Session
from gateway.smtp.settings import Role

NAME = "XJOURNALLED"
MAIL_PARAMETERS = (NAME,)


def keyword(session: Session) -> str | None:
    return NAME if session.role is Role.LMTP else None


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    if parameters.get(NAME):
        return reply.reply(501, "5.5.4", f"{NAME} takes no value")
    return None
