"""POP3 dialogs over the core with a maildrop in memory; the same answers however the octets are split."""

from __future__ import annotations

import base64
import email
import email.policy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.model import Condition, Deferred, Refused
from gateway.ask import Ask
from gateway.pop3 import languages
from gateway.pop3.commands import COMMANDS
from gateway.pop3.ports import Content, Login, Maildrop, More, Piece, StartTls, TooSoon, Update
from gateway.pop3.session import Session
from gateway.pop3.settings import Pop3Settings
from gateway.pop3.surrogate import surrogate

STORED = {7: b"Subject: a\n\n.dot\nline 2\n", 9: b"Subject: b\n\nno end"}


class Port:
    """Answers requests; `trouble` is raised instead at login."""

    def __init__(self, trouble: Exception | None = None, step: int = 1_000_000, breaks_after: int = -1) -> None:
        self.trouble = trouble
        self.step = step
        self.breaks_after = breaks_after
        self.rest = b""
        self.left = dict(STORED)
        self.tls = 0
        self.is_too_soon = False
        self.updates = 0

    def answer(self, request: object) -> object:
        if isinstance(request, Login):
            if self.trouble:
                raise self.trouble
            if self.is_too_soon:
                return TooSoon()
            if (request.name, request.password) != ("jane", "secret word"):
                raise Refused(Condition.AUTHENTICATION_FAILED)
            return Maildrop(5, list(self.left), [len(s) + s.count(b"\n") for s in self.left.values()])
        if isinstance(request, Content):
            found = self.left.get(request.uid)
            if found is None:
                return None
            self.rest = found
            return self.piece()
        if isinstance(request, More):
            if self.breaks_after == 0:
                raise Deferred(Condition.STORE_UNAVAILABLE)
            self.breaks_after -= 1
            return self.piece()
        if isinstance(request, Update):
            self.updates += 1
            for uid in request.uids:
                del self.left[uid]
        if isinstance(request, StartTls):
            self.tls += 1
        return None

    def piece(self) -> Piece:
        octets, self.rest = self.rest[: self.step], self.rest[self.step :]
        return Piece(octets, is_last=not self.rest)


def talk(
    pieces: list[bytes],
    port: Port,
    *,
    plaintext: bool = True,
    may_start_tls: bool = False,
    given: Pop3Settings = Pop3Settings(),  # noqa: B008
) -> bytes:
    session = Session(given, "mx", "192.0.2.1", plaintext_auth=plaintext, may_start_tls=may_start_tls)
    out = b""
    for piece in pieces:
        if session.closing:
            break
        session.receive(piece)
        while not session.closing and (dialogue := session.next_dialogue()) is not None:
            answer: object = None
            error: Exception | None = None
            while True:
                try:
                    step = dialogue.throw(error) if error else dialogue.send(answer)
                except StopIteration:
                    break
                answer = error = None
                if isinstance(step, Ask):
                    try:
                        answer = port.answer(step.request)
                    except (Deferred, Refused) as problem:
                        error = problem
                else:
                    out += step
    return out


LOGIN = b"USER jane\r\nPASS secret word\r\n"
OPEN = b"+OK send PASS\r\n+OK maildrop open\r\n"


def test_whole_session() -> None:
    port = Port()
    said = talk(
        [LOGIN + b"STAT\r\nLIST\r\nUIDL 2\r\nRETR 1\r\nTOP 1 1\r\nRETR 2\r\nDELE 1\r\nLIST 1\r\nSTAT\r\nQUIT\r\n"], port
    )
    assert said == (
        OPEN + b"+OK 2 47\r\n+OK\r\n1 28\r\n2 20\r\n.\r\n+OK 2 00000009u00000005v\r\n"
        b"+OK 28 octets\r\nSubject: a\r\n\r\n..dot\r\nline 2\r\n.\r\n"
        b"+OK\r\nSubject: a\r\n\r\n..dot\r\n.\r\n"
        b"+OK 20 octets\r\nSubject: b\r\n\r\nno end\r\n.\r\n"
        b"+OK marked\r\n-ERR message is deleted\r\n+OK 1 20\r\n+OK bye\r\n"
    ).replace(b" 47", b" 48")
    assert list(port.left) == [9]


def test_a_message_is_the_same_in_whatever_pieces_it_is_read() -> None:
    commands = LOGIN + b"RETR 1\r\nTOP 1 0\r\nTOP 1 1\r\nTOP 2 9\r\nRETR 2\r\nQUIT\r\n"
    whole = talk([commands], Port())
    for step in range(1, 30):
        assert talk([commands], Port(step=step)) == whole


def test_a_large_maildrop_is_listed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for uid in range(10, 2510):
        monkeypatch.setitem(STORED, uid, b"x\n")
    said = talk([LOGIN + b"LIST\r\nUIDL\r\nSTAT\r\n"], Port())
    listing, uids, stat = said.removeprefix(OPEN).split(b"+OK")[1:]
    assert listing.startswith(b"\r\n1 28\r\n2 20\r\n3 3\r\n")
    assert listing.count(b" 3\r\n") == uids.count(b"u00000005v\r\n") - 2 == 2500
    assert listing.endswith(b"\r\n2502 3\r\n.\r\n")
    assert stat == b" 2502 %d\r\n" % (2500 * 3 + 48)


def test_top_of_a_message_without_header_or_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORED, 7, b"\nbody\nmore\n")
    monkeypatch.setitem(STORED, 9, b"Subject: only")
    said = talk([LOGIN + b"TOP 1 1\r\nTOP 2 1\r\n"], Port(step=2))
    assert said == OPEN + b"+OK\r\n\r\nbody\r\n.\r\n+OK\r\nSubject: only\r\n.\r\n"


def test_a_message_that_breaks_off_is_not_closed_by_a_dot_and_the_session_ends() -> None:
    port = Port(step=5, breaks_after=2)
    said = talk([LOGIN + b"RETR 1\r\nNOOP\r\n"], port)
    assert said == OPEN + b"+OK 28 octets\r\nSubject: a\r\n\r\n..do"
    assert port.left == STORED


def test_nothing_is_removed_without_quit_or_after_rset() -> None:
    for end in (b"", b"RSET\r\nQUIT\r\n"):
        port = Port()
        talk([LOGIN + b"DELE 1\r\n" + end], port)
        assert port.left == STORED


def test_auth() -> None:
    plain = base64.b64encode(b"\0jane\0secret word")
    assert talk([b"AUTH PLAIN " + plain + b"\r\n"], Port()) == b"+OK maildrop open\r\n"
    assert talk([b"AUTH PLAIN\r\n" + plain + b"\r\n"], Port()) == b"+ \r\n+OK maildrop open\r\n"
    lines = b"AUTH LOGIN\r\n" + base64.b64encode(b"jane") + b"\r\n" + base64.b64encode(b"secret word") + b"\r\n"
    assert talk([lines], Port()).endswith(b"+OK maildrop open\r\n")
    assert talk([b"AUTH PLAIN\r\n*\r\n"], Port()) == b"+ \r\n-ERR cancelled\r\n"
    assert talk([b"AUTH PLAIN !\r\n"], Port()) == b"-ERR not base64\r\n"


def test_responses_that_prove_nothing() -> None:
    other = base64.b64encode(b"john\0jane\0secret word")
    assert talk([b"AUTH PLAIN " + other + b"\r\n"], Port()).startswith(b"-ERR [AUTH] ")
    empty = base64.b64encode(b"\0jane\0")
    assert talk([b"AUTH PLAIN " + empty + b"\r\n"], Port()).startswith(b"-ERR [AUTH] ")
    assert talk([b"USER jane\r\nPASS \r\n"], Port()).endswith(b"-ERR [AUTH] authentication failed\r\n")
    assert talk([b"AUTH PLAIN " + base64.b64encode(b"jane\0x") + b"\r\n"], Port()).startswith(b"-ERR PLAIN needs ")
    assert talk([b"AUTH\r\n"], Port()) == b"-ERR mechanisms are PLAIN and LOGIN\r\n"
    assert talk([b"USER \xff\r\nPASS x\r\n"], Port()).endswith(b"-ERR not UTF-8\r\n")
    assert talk([b"USER jane\r\nPASS a\0b\r\n"], Port()).endswith(b"-ERR NUL in a response\r\n")


def test_trouble_is_told_apart() -> None:
    assert b"-ERR [AUTH] " in talk([b"USER jane\r\nPASS wrong\r\n"], Port())
    assert b"-ERR [IN-USE] " in talk([LOGIN], Port(Deferred(Condition.MAILDROP_IN_USE)))
    assert b"-ERR [SYS/TEMP] " in talk([LOGIN], Port(Deferred(Condition.STORE_UNAVAILABLE)))


def test_privacy_and_stls() -> None:
    assert talk([b"USER jane\r\n"], Port(), plaintext=False).startswith(b"-ERR encryption ")
    port = Port()
    assert talk([b"STLS\r\nUSER injected\r\n"], port, may_start_tls=True) == b"+OK begin TLS\r\n"
    assert port.tls == 1
    capa = talk([b"CAPA\r\n"], Port(), plaintext=False, may_start_tls=True)
    assert b"STLS\r\n" in capa
    assert b"USER" not in capa


def test_texts_in_another_language() -> None:
    assert talk([b"LANG\r\n"], Port()) == "+OK languages\r\nen English\r\nzh 中文\r\n.\r\n".encode()
    said = talk([b"LANG zh-Hans-CN\r\n", LOGIN, b"DELE 9\r\nX\r\nLANG i-default\r\nX\r\nQUIT\r\n"], Port()).decode()
    assert said == (
        "+OK zh 此后使用该语言\r\n+OK 请发送 PASS\r\n+OK 邮箱已打开\r\n-ERR 没有该邮件\r\n-ERR 未知命令\r\n"
        "+OK en texts are in this language\r\n-ERR unknown command\r\n+OK bye\r\n"
    )
    assert talk([b"LANG tlh\r\nLANG *\r\n"], Port()).startswith(b"-ERR no such language\r\n+OK en ")
    wrong = talk([b"LANG zh\r\nUSER jane\r\nPASS x\r\n"], Port()).decode()
    assert wrong.endswith("-ERR [AUTH] 登录失败\r\n")


def test_every_text_can_be_told() -> None:
    sources = "".join(path.read_text() for path in Path("gateway/pop3").rglob("*.py"))
    conditions = {condition.text for condition in Condition}
    for text in languages._CHINESE:  # one that nobody says any more is a text that was changed
        assert f'"{text}"' in sources.replace("+OK ", "") or f"] {text}" in sources or text in conditions, text


INTERNATIONAL = "Subject: 你好\nFrom: 张三 <z@例子.cn>\nTo: a@b.example,\n 李四@例子.cn\n\nbody ü\n".encode()


def test_messages_in_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORED, 7, INTERNATIONAL)
    assert talk([b"UTF8\r\n", LOGIN, b"RETR 1\r\n"], Port()) == (
        b"+OK UTF-8 from now on\r\n" + OPEN + b"+OK %d octets\r\n" % (len(INTERNATIONAL) + 6)
        + INTERNATIONAL.replace(b"\n", b"\r\n") + b".\r\n"
    )  # fmt: skip
    assert talk([LOGIN, b"UTF8\r\n"], Port()) == OPEN + b"-ERR not in this state\r\n"
    assert talk([b"UTF8 USER\r\n"], Port()) == b"-ERR UTF8 stands alone\r\n"
    for command in (b"RETR 1\r\n", b"TOP 1 9\r\n"):
        said = talk([LOGIN, command], Port()).removeprefix(OPEN)
        header, _, body = said.partition(b"\r\n\r\n")
        assert header.isascii()
        assert header.startswith(b"+OK\r\nSubject: =?utf-8?")
        assert body == "body ü\r\n.\r\n".encode()
        shown = email.message_from_bytes(header.partition(b"\r\n")[2], policy=email.policy.default)
        assert shown["Subject"] == "你好"
        assert str(shown["From"]) == "张三 <z@xn--fsqu00a.cn>"
        assert [each.addr_spec for each in shown["To"].addresses] == ["a@b.example"]
        assert shown["To"].groups[1].display_name == "李四@xn--fsqu00a.cn"


@pytest.mark.parametrize(
    "value", ["ü" * 400, "a, ü", '"ü, x" <a@b>', "ü@", "<ü>", "@ü", "ü@" + "ü" * 300, "undisclosed ü:;", '\\" ü']
)
def test_any_header_can_be_shown(value: str) -> None:
    for name in ("Subject", "From", "X-Other", "Received"):
        header = f"{name}: {value}\n\tcontinued\nTo: x@y\n".encode()
        shown = surrogate(header)
        assert shown.isascii()
        assert shown.startswith(f"{name}: ".encode())
        assert shown.endswith(b"\nTo: x@y\n")
        assert max(map(len, shown.split(b"\n"))) < 998
        assert not [line for line in shown.split(b"\n")[1:-2] if line[:1] not in (b" ", b"\t")]
    latin = b"Subject: \xfc\nX: y\n"
    assert surrogate(latin) == latin


def test_retention_and_delay_as_configured() -> None:
    capa = talk([b"CAPA\r\n"], Port())
    assert b"\r\nEXPIRE NEVER\r\n" in capa
    assert b"LOGIN-DELAY" not in capa
    assert b"\r\nUTF8\r\nLANG\r\n" in capa
    limited = Pop3Settings(login_delay=89.5, expire=30 * 86_400.0)
    assert b"\r\nEXPIRE 30\r\nLOGIN-DELAY 90\r\n" in talk([b"CAPA\r\n"], Port(), given=limited)
    port = Port()
    port.is_too_soon = True
    assert talk([LOGIN], port).endswith(b"-ERR [LOGIN-DELAY] you have logged in just now, try again later\r\n")
    none = Pop3Settings(leave_on_server=False)
    assert b"\r\nEXPIRE 0\r\n" in talk([b"CAPA\r\n"], Port(), given=none)
    port = Port()
    talk([LOGIN, b"RETR 1\r\nTOP 2 1\r\nQUIT\r\n"], port, given=none)
    assert list(port.left) == [9]
    port = Port()
    talk([LOGIN, b"RETR 1\r\n"], port, given=none)
    assert port.updates == 0  # without QUIT nothing goes


def test_apop_is_refused_and_says_why() -> None:
    assert talk([b"APOP jane c4c9334bac560ecc979e58001b3e22fb\r\n"], Port()).startswith(b"-ERR APOP would need ")
    assert b"<" not in Session(Pop3Settings(), "mx", "192.0.2.1").greeting()  # no time stamp: no APOP


def test_errors_close() -> None:
    assert talk([b"X\r\n" * 100], Port()).count(b"-ERR") == Pop3Settings().max_errors_before_login + 1
    assert talk([b"x" * 20_000], Port()) == b"-ERR line too long\r\n"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([name + b"\r\n" for name in COMMANDS] + [LOGIN, b"RETR 1\r\n", b"DELE 2\n", b"TOP 1 x\r\n", b"\0\xff\r\n", b"LIST 99\r\n", b"PASS"]),
        max_size=12,
    ),
    st.data(),
)  # fmt: skip
def test_splitting_changes_nothing(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line for line in lines if not line.startswith(b"STLS"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert talk(pieces, Port()) == talk([stream], Port())
