"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208; RFC 2087). Limits are set in the directory, never here.

Every mailbox belongs to one quota root, the store it lies in: "" is one's own. STORAGE counts units of 1024
octets.
"""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import Parser
from gateway.imap.quota import Quota, QuotaOf, QuotaOfRoot
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import No, Session

UNIT = 1024


def _shown(session: Session, quota: Quota) -> bytes:
    resources: list[bytes] = []
    if quota.octet_limit:
        # what is used is rounded up and the limit down, so that "full" never looks like "nearly full"
        resources.append(b"STORAGE %d %d" % (-(-quota.octets // UNIT), quota.octet_limit // UNIT))
    if quota.message_limit:
        resources.append(b"MESSAGE %d %d" % (quota.messages, quota.message_limit))
    return b"* QUOTA %b (%b)\r\n" % (session.quoted(quota.root), b" ".join(resources))


@command("GETQUOTAROOT", states=AUTHENTICATED, capability="QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE")
def get_quota_root(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.end()
    quota = yield Ask(QuotaOf(name))
    if quota is None:
        raise No("[NONEXISTENT] no such mailbox")
    yield b"* QUOTAROOT %b %b\r\n%b" % (session.quoted(name), session.quoted(quota.root), _shown(session, quota))
    return ""


@command("GETQUOTA", states=AUTHENTICATED)
def get_quota(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    root = arguments.astring()
    arguments.end()
    quota = yield Ask(QuotaOfRoot(root.decode("utf-8", "replace")))
    if quota is None:
        raise No("[NONEXISTENT] no such quota root")
    yield _shown(session, quota)
    return ""


@command("SETQUOTA", states=AUTHENTICATED)
def set_quota(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    arguments.astring()
    arguments.space()
    arguments.expect(b"(")
    while not arguments.at(b")"):
        arguments.atom()
        arguments.space()
        arguments.modseq()  # a number of 63 bits, as RFC 9208 7 has it
        arguments.at(b" ")
    arguments.end()
    yield from ()
    raise No("[NOPERM] quotas are set in the directory")
