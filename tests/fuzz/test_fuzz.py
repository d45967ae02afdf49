"""The fuzz targets on inputs that hypothesis makes of each protocol's words; the seeds are run first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

WORDS: dict[str, list[bytes]] = {
    "smtp": [
        b"EHLO c\r\n", b"LHLO c\r\n", b"MAIL FROM:<a@b.example>", b" SIZE=9", b" BODY=8BITMIME", b"RCPT TO:<c@d.example>",
        b"DATA\r\n", b"BDAT 4\r\n", b"BDAT 3 LAST\r\n", b"RSET\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"AUTH LOGIN\r\n", b"*\r\n",
        b"STARTTLS\r\n", b"\r\n.\r\n", b"\n.\n", b"\r\n..\r\n", b"QUIT\r\n", b"VRFY x\r\n", b"<", b">", b"\"", b"\\", b"\xc3\xa4",
    ],
    "imap": [
        b"a ", b"LOGIN j s\r\n", b"LOGIN {1}\r\n", b"{3+}\r\n", b"SELECT inbox\r\n", b"FETCH 1:* (UID BODY.PEEK[1.MIME]<0.5>)\r\n",
        b"SEARCH OR FROM a NOT (SEEN 1,*:4)\r\n", b"STORE 1 +FLAGS (\\Seen)\r\n", b"APPEND x {4+}\r\n", b"a APPEND x (\\Seen) {4+}\r\nabcd\r\n", b"UID MOVE 7:* x\r\n",
        b"a LOGIN j s\r\na SELECT x\r\na ", b"APPEND {1+}\r\nx {70000}\r\n", b"EXPUNGE\r\n", b"CLOSE\r\n", b"\"a b\" ", b"IDLE\r\n", b"DONE\r\n",
        b"SEARCH RETURN (MIN COUNT) CHARSET gb2312 BODY {2+}\r\nhi OLDER 9 MODSEQ 3\r\n", b"FETCH 1 (ENVELOPE BODY[HEADER.FIELDS (a {1+}\r\nb)])\r\n",
        b"FETCH 1:2 FLAGS (CHANGEDSINCE 3)\r\n", b"LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% \"a*\") RETURN (STATUS (SIZE))\r\n", b"LSUB \"\" *\r\n",
        b"STATUS inbox (MESSAGES UIDNEXT)\r\n", b"GETQUOTAROOT inbox\r\n", b"SETQUOTA \"\" (STORAGE 1)\r\n",
        b"LIST \"\" %\r\n", b"AUTHENTICATE PLAIN\r\n", b"AGEAYg==\r\n", b"(", b")", b"\"", b"\\", b"&AC8-", b"~", b"NIL", b"{0}\r\n",
        b"a APPEND x CATENATE (URL /x/;UID=7 TEXT {1+}\r\na URL {14+}\r\n/x/;UID=7/;SEC) {2+}\r\nab\r\n", b" {1}\r\n", b" TEXT {1+}\r\nz",
        b"a UID REPLACE 7 x (\\Seen) {2+}\r\nab\r\n", b"REPLACE 2 x {2}\r\n", b"UNAUTHENTICATE\r\n", b"ENABLE IMAP4rev2 UIDONLY UTF8=ACCEPT\r\n", b"FETCH 1:* (EMAILID SAVEDATE)\r\n",
        b"SEARCH OR EMAILID ma SAVEDSINCE 1-Jan-2001\r\n", b"GETACL x\r\n", b"SETACL x {3+}\r\nj@d +lrcd\r\n", b"LISTRIGHTS x j\r\n", b"MYRIGHTS x\r\n",
        b"GETMETADATA (DEPTH 1 MAXSIZE 2) \"\" (/shared/a /private)\r\n", b"SETMETADATA x (/shared/a NIL /private/b ~{2+}\r\n\x00x)\r\n",
        b"LIST \"\" * RETURN (MYRIGHTS METADATA (/shared/a))\r\n", b"NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge)) (subtree (x y) NONE)\r\n",
        b"NOTIFY NONE\r\n", b"a LOGIN j s\r\na NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName))\r\n",
    ],
    "pop3": [
        b"USER a\r\n", b"PASS b\r\n", b"STAT\r\n", b"LIST\r\n", b"LIST 1\r\n", b"UIDL 9\r\n", b"RETR 1\r\n", b"RETR 2\r\n", b"TOP 1 1\r\n",
        b"DELE 1\r\n", b"RSET\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"CAPA\r\n", b"STLS\r\n", b"QUIT\r\n", b"NOOP\r\n", b"99999999999999999999",
    ],
    "mime": [
        b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n", b"--b--\n", b"Content-Type: message/rfc822\n\n", b"Subject: x\n",
        b"Content-Transfer-Encoding: base64\n", b"Content-Type: text/plain; charset*0*=u''utf; charset*1=-8\n", b"=?utf-8?q?=41?=", b"\n\n",
    ],
    "header": [b"From: a\n", b" fold\n", b"Received: x\n", b":", b"\n\n", b"=?utf-8?b?", b"?=", b"x" * 200],
    "address": [b"a@b.example", b"<", b">", b",", b";", b":", b"\"", b"(c)", b"@", b"=?utf-8?q?x?=", b"\\", b"xn--", b"\xc3\xa4", b".", b"\n "],
    "sasl": [b"\0", b"AGEAYg==", b"\n", b"=", b"*"],
    "ldap_filter": [b"(", b")", b"&", b"|", b"!", b"cn=", b"*", b"\\2a", b"\\", b"objectClass", b">=", b"~=", b" "],
    "mailbox_name": [b"INBOX", b"/", b".", b"..", b"&", b"-", b"&AC8-", b"&2D3cqQ-", b"&AOQ-", b"\0", b"*", b"a" * 300],
}  # fmt: skip
SEEDS = Path(__file__).parent / "seeds"


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_octets(name: str, data: st.DataObject) -> None:
    words = st.sampled_from(WORDS[name])
    parts = data.draw(st.lists(st.one_of(words, words, st.binary(max_size=8)), max_size=24))
    TARGETS[name](b"".join(parts))


@pytest.mark.parametrize("path", sorted(SEEDS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_failed(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())
