"""DSN (RFC 3461): what the sender wants to be told, and how the message is called in what is told."""

from gateway.mail.xtext import BadValue, decode, original_recipient
from gateway.smtp import reply
from gateway.smtp.session import Session

MAIL_PARAMETERS = ("RET", "ENVID")
RCPT_PARAMETERS = ("NOTIFY", "ORCPT")
MAX_ENVID = 100  # RFC 3461 5.4
MAX_ORCPT = 500
_KINDS = frozenset({"SUCCESS", "FAILURE", "DELAY"})


def keyword(session: Session) -> str | None:
    return "DSN"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    if "RET" in parameters and parameters["RET"].upper() not in ("FULL", "HDRS"):
        return reply.reply(501, "5.5.4", "RET is FULL or HDRS")
    envelope_id = parameters.get("ENVID")
    if envelope_id is not None:
        if not envelope_id or len(envelope_id) > MAX_ENVID:
            return reply.reply(501, "5.5.4", f"ENVID has 1 to {MAX_ENVID} characters")
        try:
            decode(envelope_id)
        except BadValue as problem:
            return reply.reply(501, "5.5.4", f"ENVID: {problem}")
    return None


def check_rcpt(session: Session, parameters: dict[str, str]) -> bytes | None:
    """A refusal of its RCPT parameters, None when they are fine."""
    if "NOTIFY" in parameters:
        wanted = parameters["NOTIFY"].upper().split(",")
        if wanted != ["NEVER"] and not _KINDS.issuperset(wanted):
            return reply.reply(501, "5.5.4", "NOTIFY is NEVER or some of SUCCESS,FAILURE,DELAY")
    original = parameters.get("ORCPT")
    if original is not None:
        if len(original) > MAX_ORCPT:
            return reply.reply(501, "5.5.4", f"ORCPT has at most {MAX_ORCPT} characters")
        try:
            original_recipient(original)
        except BadValue as problem:
            return reply.reply(501, "5.5.4", str(problem))
    return None
