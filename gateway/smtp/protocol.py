"""The `with` keyword of a Received field (RFC 3848, RFC 6531 3.7.3, RFC 2033)."""

from gateway.smtp.session import Session
from gateway.smtp.settings import Role


def keyword(session: Session, *, utf8: bool) -> str:
    """SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP, …, UTF8SMTP, …, UTF8LMTPS."""
    if session.role is not Role.LMTP and not session.extended:
        return "SMTP"
    name = "LMTP" if session.role is Role.LMTP else "SMTP" if utf8 else "ESMTP"
    return (
        f"{'UTF8' if utf8 else ''}{name}{'S' if session.client.tls else ''}{'A' if session.login is not None else ''}"
    )
