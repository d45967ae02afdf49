"""The extensions, one file each: what EHLO announces and which parameters of MAIL and RCPT follow from it."""

from __future__ import annotations

from typing import Protocol

from gateway.smtp import reply
from gateway.smtp.extensions import (
    auth,
    chunking,
    dsn,
    eightbitmime,
    enhancedstatuscodes,
    futurerelease,
    journalled,
    pipelining,
    requiretls,
    size,
    smtputf8,
    starttls,
)
from gateway.smtp.session import Session


class Extension(Protocol):
    """A module of this package."""

    #: MAIL parameters that belong to it
    @property
    def MAIL_PARAMETERS(self) -> tuple[str, ...]: ...  # noqa: N802

    def keyword(self, session: Session) -> str | None:
        """The EHLO line, None while it is not offered in this session."""
        ...

    def check_mail(self, session: Session, parameters: dict[str, str]) -> bytes | None:
        """A refusal of its MAIL parameters, None when they are fine; asked when there is one of them."""
        ...


EXTENSIONS: tuple[Extension, ...] = (
    pipelining,
    size,
    eightbitmime,
    smtputf8,
    enhancedstatuscodes,
    chunking,
    dsn,
    futurerelease,
    journalled,
    starttls,
    requiretls,
    auth,
)
_OWNERS = {name: extension for extension in EXTENSIONS for name in extension.MAIL_PARAMETERS}


def keywords(session: Session) -> list[str]:
    """The EHLO lines of this session."""
    return [line for extension in EXTENSIONS if (line := extension.keyword(session)) is not None]


def mail_parameters(session: Session, parameters: dict[str, str]) -> bytes | None:
    """A refusal of MAIL's parameters (RFC 5321 4.1.1.11), None when all are fine."""
    for name in parameters:
        extension = _OWNERS.get(name)
        if extension is None or not session.extended or extension.keyword(session) is None:
            return reply.reply(555, "5.5.4", f"parameter {name} is not known")
        problem = extension.check_mail(session, parameters)
        if problem is not None:
            return problem
    return None


def rcpt_parameters(session: Session, parameters: dict[str, str]) -> bytes | None:
    """A refusal of RCPT's parameters (RFC 5321 4.1.1.11), None when all are fine."""
    for name in parameters:
        if name not in dsn.RCPT_PARAMETERS or not session.extended:
            return reply.reply(555, "5.5.4", f"parameter {name} is not known")
    return dsn.check_rcpt(session, parameters) if parameters else None
