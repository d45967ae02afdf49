"""HELP (RFC 5321 4.1.1.8), from the table of verbs."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import VERBS, verb
from gateway.smtp.session import Session


@verb("HELP", syntax="HELP [command]", after_greeting=False, junk=True)
def help(session: Session, argument: str) -> Dialogue:  # noqa: A001
    offered = {facts.name: facts.syntax for facts in VERBS.values() if session.role in facts.roles}
    if not argument:
        yield reply.reply(214, "2.0.0", *[offered[name] for name in sorted(offered)])
    elif argument.upper() in offered:
        yield reply.reply(214, "2.0.0", offered[argument.upper()])
    else:
        yield reply.reply(504, "5.5.4", "no such command")
