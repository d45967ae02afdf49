"""Dialogs of the core with a driver in memory: verbs, parameters, logins, chunks, limits."""

from __future__ import annotations

import base64

import pytest

from directory.model import Condition, Deferred, Refused
from directory.port import Login
from gateway.ask import Ask
from gateway.smtp.commands import VERBS
from gateway.smtp.protocol import keyword
from gateway.smtp.requests import Accept, Accepted, Authenticate, Spool
from gateway.smtp.session import Client, Session
from gateway.smtp.settings import Role, SmtpSettings

assert VERBS


class Talk:
    """A session, its replies and the messages it accepted."""

    def __init__(self, role: Role, **settings: object) -> None:
        self.session = Session(role, SmtpSettings(**settings), "mx.example", Client("192.0.2.1"), plaintext_auth=True)
        self.accepted: list[bytes] = []
        self.spooled = b""

    def execute(self, request: object) -> object:
        if isinstance(request, Authenticate):
            if request.password == "later":
                raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE)
            if request.password != "right":
                raise Refused(Condition.AUTHENTICATION_FAILED)
            return Login("x:1", "bind")
        if isinstance(request, Spool):
            self.spooled += b"".join(request.pieces)
        if isinstance(request, Accept):
            self.accepted.append(request.content + self.spooled)
            assert request.size == len(self.accepted[-1])
            return Accepted("ID", [None] * len(request.envelope.recipients))
        return None

    def say(self, data: bytes) -> list[str]:
        out = b""
        self.session.receive(data)
        while not self.session.closing and (dialogue := self.session.next_dialogue()) is not None:
            answer: object = None
            error: BaseException | None = None
            while True:
                try:
                    step = dialogue.throw(error) if error is not None else dialogue.send(answer)
                except StopIteration:
                    break
                answer, error = None, None
                if isinstance(step, Ask):
                    try:
                        answer = self.execute(step.request)
                    except (Deferred, Refused) as problem:
                        error = problem
                else:
                    out += step
        return out.decode().splitlines()


START = b"EHLO c.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


def test_chunks_keep_in_step_and_split_line_ends() -> None:
    talk = Talk(Role.MX)
    talk.say(START)
    assert talk.say(b"BDAT 4\r\na\r\n\rBDAT 5 LAST\r\nb.\r\n.NOOP\r\n") != []
    assert talk.accepted == [b"a\n b.\n."]
    assert talk.say(b"BDAT 6\r\nQUIT\r\nNOOP\r\n") == ["503 5.5.1 say MAIL and RCPT first", "250 2.0.0 OK"]


def test_reply_names_the_id_and_lmtp_answers_for_each() -> None:
    talk = Talk(Role.LMTP)
    assert talk.say(b"EHLO c\r\n")[0].startswith("500 ")
    talk.say(START.replace(b"EHLO", b"LHLO") + b"RCPT TO:<c@y.example>\r\nDATA\r\n")
    assert talk.say(b"hello\r\n.\r\n") == ["250 2.0.0 OK id=ID"] * 2


@pytest.mark.parametrize(("role", "code"), [(Role.MX, "250"), (Role.SUBMISSION, "554")])
def test_bare_cr_is_replaced_or_refused(role: Role, code: str) -> None:
    talk = Talk(role)
    talk.say(b"EHLO c\r\nAUTH PLAIN " + base64.b64encode(b"\0u\0right") + b"\r\n" if role is Role.SUBMISSION else b"")
    talk.say(START + b"DATA\r\n")
    assert talk.say(b"a\rb\0\nc\r\n.\r\n")[0].startswith(code)
    assert talk.accepted == ([b"a b \nc\n"] if code == "250" else [])


def test_large_messages_are_spooled_and_limits_hold() -> None:
    talk = Talk(Role.MX, max_message_size=2_000_000)
    talk.say(START + b"DATA\r\n")
    for _ in range(20):
        talk.say(b"x" * 998 + b"\r\n" + b"y" * 60000 + b"\r\n")
    assert talk.say(b".\r\n")[0].startswith("250")
    assert len(talk.accepted[0]) == 20 * 61000
    talk.say(START.partition(b"\n")[2] + b"DATA\r\n")
    for _ in range(40):
        talk.say(b"y" * 60000 + b"\r\n")
    assert talk.say(b".\r\n")[0].startswith("552 5.3.4")
    talk.say(START.partition(b"\n")[2] + b"DATA\r\n")
    talk.say(b"z" * 70000 + b"\r\n")
    assert talk.say(b".\r\n")[0].startswith("554 5.6.0")


def test_login() -> None:
    talk = Talk(Role.SUBMISSION)
    assert "250 AUTH PLAIN LOGIN" in talk.say(b"EHLO c\r\n")
    assert talk.say(b"MAIL FROM:<a@x.example>\r\n")[0].startswith("530 5.7.0")
    assert talk.say(b"AUTH PLAIN\r\n*\r\n") == ["334 ", "501 5.7.0 authentication cancelled"]
    assert talk.say(b"AUTH PLAIN =\r\n")[0].startswith("501")
    assert talk.say(b"AUTH PLAIN " + base64.b64encode(b"\0u\0later") + b"\r\n")[0].startswith("454 4.7.0")
    assert talk.say(b"AUTH PLAIN " + base64.b64encode(b"\0u\0") + b"\r\n")[0].startswith("535 5.7.8")
    assert talk.say(b"AUTH LOGIN\r\ndQ==\r\ncmlnaHQ=\r\n")[-1] == "235 2.7.0 logged in"
    assert talk.say(b"AUTH LOGIN\r\n")[0].startswith("503")
    assert keyword(talk.session, utf8=False) == "ESMTPA"
    assert Talk(Role.MX).say(b"EHLO c\r\nAUTH PLAIN\r\n")[-1].startswith("502")


def test_three_wrong_passwords_and_too_many_errors_end_the_session() -> None:
    talk = Talk(Role.SUBMISSION)
    line = b"AUTH PLAIN " + base64.b64encode(b"\0u\0wrong") + b"\r\n"
    assert talk.say(b"EHLO c\r\n" + line * 3)[-1].startswith("421 4.7.0")
    talk = Talk(Role.MX)
    assert talk.say(b"FOO\r\n" * 30)[-1].startswith("421")
    assert Talk(Role.MX).say(b"NOOP\r\n" * 200)[-1].startswith("421")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MAIL FROM:<ä@x.example>", "553 5.6.7"),
        ("MAIL FROM:<ä@x.example> SMTPUTF8", "250 2.1.0"),
        ("MAIL FROM:<a@x.example> RET=hdrs ENVID=a+2Bb", "250 2.1.0"),
        ("MAIL FROM:<a@x.example> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<a@x.example> ENVID=a+2b", "501 5.5.4"),
        ("MAIL FROM:<a@x.example> NOTIFY=NEVER", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> SIZE=999999999999", "552 5.3.4"),
        ("VRFY x", "252 2.1.5"),
        ("EXPN x", "502 5.7.0"),
        ("HELP", "214-2.0.0"),
        ("STARTTLS", "502 5.5.1"),
        ("RCPT TO:<a@x>", "503 5.5.1"),
    ],
)
def test_answers(line: str, code: str) -> None:
    talk = Talk(Role.MX)
    talk.say(b"EHLO c\r\n")
    assert talk.say(line.encode() + b"\r\n")[0].startswith(code)


def test_requiretls_is_offered_under_tls_and_kept_with_the_message() -> None:
    talk = Talk(Role.MX)
    assert "250-REQUIRETLS" not in talk.say(b"EHLO c\r\n")
    assert talk.say(b"MAIL FROM:<a@x.example> REQUIRETLS\r\n")[0].startswith("555 5.5.4")
    talk.session.client = Client("192.0.2.1", tls="TLSv1.3 X")
    assert any(line[4:] == "REQUIRETLS" for line in talk.say(b"EHLO c\r\n"))
    assert talk.say(b"MAIL FROM:<a@x.example> REQUIRETLS=1\r\n")[0].startswith("501 5.5.4")
    assert talk.say(b"MAIL FROM:<a@x.example> REQUIRETLS\r\n")[0].startswith("250")
    assert talk.session.envelope is not None and "REQUIRETLS" in talk.session.envelope.parameters


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("NOTIFY=NEVER", "250 2.1.5"),
        ("NOTIFY=success,Delay ORCPT=rfc822;a+2Bb@y.example", "250 2.1.5"),
        ("ORCPT=utf-8;\\x{7528}@y.example", "250 2.1.5"),
        ("NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("NOTIFY", "501 5.5.4"),
        ("NOTIFY=SUCCESS,", "501 5.5.4"),
        ("ORCPT=a@y.example", "501 5.5.4"),
        ("ORCPT=rfc822;a+0D", "501 5.5.4"),
        ("ORCPT=rfc822;" + "a" * 500, "501 5.5.4"),
        ("RET=FULL", "555 5.5.4"),
    ],
)
def test_what_is_to_be_told_of_a_recipient(parameters: str, code: str) -> None:
    talk = Talk(Role.MX)
    assert "DSN" in [line[4:] for line in talk.say(b"EHLO c.example\r\nMAIL FROM:<a@x.example>\r\n")]
    assert talk.say(f"RCPT TO:<b@y.example> {parameters}\r\n".encode())[0].startswith(code)


def test_without_ehlo_there_are_no_parameters() -> None:
    talk = Talk(Role.MX)
    talk.say(b"HELO c.example\r\nMAIL FROM:<a@x.example>\r\n")
    assert talk.say(b"RCPT TO:<b@y.example> NOTIFY=NEVER\r\n")[0].startswith("555 5.5.4")


def test_a_site_s_own_word_about_journals_is_for_lmtp_only() -> None:
    assert any(line.endswith("XJOURNALLED") for line in Talk(Role.LMTP).say(b"LHLO c\r\n"))
    assert Talk(Role.MX).say(b"EHLO c\r\nMAIL FROM:<a@x.example> XJOURNALLED\r\n")[-1].startswith("555 ")
    talk = Talk(Role.LMTP)
    talk.say(b"LHLO c\r\n")
    assert talk.say(b"MAIL FROM:<a@x.example> XJOURNALLED=1\r\n")[-1].startswith("501 ")
    assert talk.say(b"MAIL FROM:<a@x.example> XJOURNALLED\r\n")[-1].startswith("250 ")
