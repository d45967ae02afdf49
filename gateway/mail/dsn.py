"""Reports on delivery (RFC 3461 6, RFC 3464, RFC 6522; RFC 6533 where addresses are internationalised).

A report is a multipart/report of three parts: a text for people in English and Chinese, the fields for
programs, and the message or its header. Whatever came from outside is cleaned before it is written: nothing
in an address, a reply or a header can begin a field, a part or a line of its own. LF line ends.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from directory.model import Condition
from gateway.mail.dates import date_of
from gateway.mail.dsn_sentences import sentence
from gateway.mail.header import MAX_HEADER, HeaderProblem, scan
from gateway.mail.xtext import BadValue, decode, original_recipient, seven_bit
from gateway.mime.encoded import decode_header_text

Action: TypeAlias = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

MAX_REPLY = 900  # characters of a reply that are quoted; a line of a message has 998 octets at most (RFC 5322 2.1.1)
MAX_NAMED = 100  # recipients in the text for people; the fields name all
MAX_SUBJECT = 200
FOLD = 76  # where fields are folded, RFC 5322 2.1.1
_STATUS = re.compile(r"[245](\.[0-9]{1,3}\.[0-9]{1,3})\Z")
_CLASS: dict[Action, str] = {"failed": "5", "delayed": "4", "delivered": "2", "relayed": "2", "expanded": "2"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient.

    `address` is where it was to go, `given` what the sender wrote ("" = the same), `original` ORCPT's value as
    it came. `host` and `reply` are the other side's, word for word; `retry_until` is for what is delayed.
    """

    address: str
    action: Action
    status: str
    condition: Condition | None = None
    given: str = ""
    original: str = ""
    host: str = ""
    reply: str = ""
    retry_until: float | None = None
    #: it was tried until its time was over
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One report about one message. `id` is the report's own, `message` the id of what it is about.

    `author` and `recipient` are addresses. `utf8`: the way to the recipient takes SMTPUTF8.
    """

    id: str
    message: str
    host: str
    author: str
    recipient: str
    arrival: float
    now: float
    fates: tuple[Fate, ...]
    #: ENVID as it came
    envelope_id: str = ""
    utf8: bool = False
    #: it goes to the postmaster, because the sender cannot be told
    to_postmaster: bool = False
    #: it is about the copy for a journal, which has no sender
    about_journal: bool = False


def clean(text: str, limit: int = 1000) -> str:
    """On one line, printable, no longer than `limit`."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())[:limit]


def status_of(action: Action, given: str, condition: Condition | None) -> str:
    """The status code of an action: what the other side gave, else the condition's, in the action's class."""
    for text in (given, condition.enhanced if condition is not None else ""):
        match = _STATUS.match(text)
        if match is not None:
            return _CLASS[action] + match[1]
    return f"{_CLASS[action]}.0.0"


def folded(lines: Sequence[tuple[str, str]], utf8: bool) -> str:
    """Fields, folded; outside ASCII only where `utf8` allows it."""
    text = []
    for name, value in lines:
        value = clean(value, 990 - len(name))
        if not utf8:
            value = value.encode("ascii", "replace").decode()
        line = f"{name}:"
        for word in value.split(" "):
            if len(line) + 1 + len(word) > FOLD and line.strip() and not line.endswith(":"):
                text.append(line)
                line = ""
            line += f" {word}"
        text.append(line)
    return "\n".join(text) + "\n"


def _typed(address: str, utf8: bool) -> str:
    """An address with its type (RFC 3464 2.3.1, RFC 6533 3)."""
    if address.isascii():
        return f"rfc822; {address}"
    return f"utf-8; {address if utf8 else seven_bit(address)}"


def _original(value: str, utf8: bool) -> str:
    try:
        kind, address = original_recipient(value)
    except BadValue:
        return ""
    return f"{kind}; {address if utf8 or address.isascii() else seven_bit(address)}"


def _delivery_status(report: Report) -> str:
    lines = [("Reporting-MTA", f"dns; {report.host}")]
    if report.envelope_id:
        try:
            lines.insert(0, ("Original-Envelope-Id", decode(report.envelope_id)))
        except BadValue:
            pass
    lines += [("Arrival-Date", date_of(report.arrival)), ("X-Gatepost-Queue-Id", report.message)]
    blocks = [folded(lines, report.utf8)]
    for fate in report.fates:
        lines = [
            ("Final-Recipient", _typed(fate.address, report.utf8)),
            ("Action", fate.action),
            ("Status", fate.status),
        ]
        if fate.original and (original := _original(fate.original, report.utf8)):
            lines.insert(0, ("Original-Recipient", original))
        if fate.host:
            lines.append(("Remote-MTA", f"dns; {fate.host}"))
        if fate.reply:
            lines.append(("Diagnostic-Code", f"smtp; {clean(fate.reply, MAX_REPLY)}"))
        elif fate.condition is not None:
            told = f"{fate.condition.code} {fate.condition.enhanced} {fate.condition.text}"
            lines.append(("Diagnostic-Code", f"smtp; {told}"))
        lines.append(("Last-Attempt-Date", date_of(report.now)))
        if fate.retry_until is not None:
            lines.append(("Will-Retry-Until", date_of(fate.retry_until)))
        blocks.append(folded(lines, report.utf8))
    return "\n".join(blocks)


_HEADINGS: dict[Action, tuple[str, str]] = {
    "failed": ("The message was NOT delivered to:", "邮件未能送达："),
    "delayed": (
        "The message is not delivered YET to the following. Nothing has to be done: it is tried again.",
        "邮件尚未送达以下收件人。您无需任何操作，系统会继续尝试投递：",
    ),
    "delivered": ("The message was delivered to:", "邮件已送达："),
    "relayed": (
        "The message was handed to another host, which sends no reports of its own, for:",
        "邮件已转交给对方主机（该主机不会另行发送报告）：",
    ),
    "expanded": (
        "The message was taken and spread to those behind the address (no report about each of them):",
        "邮件已被接收，并分发给该地址下的各收件人（不再逐一报告）：",
    ),
}


def _about(fate: Fate) -> Iterator[tuple[str, str]]:
    """What is said of one recipient, English and Chinese line by line."""
    address = clean(fate.address, 320)
    given = clean(fate.given, 320)
    if given and given.lower() != address.lower():
        yield f"  <{given}>, which leads to <{address}>", f"  <{given}>（转至 <{address}>）"
    else:
        yield f"  <{address}>", f"  <{address}>"
    if fate.action not in ("failed", "delayed"):
        return
    why = sentence(fate.condition, fate.status if not fate.expired else _reason(fate))
    yield f"    {why.reason}", f"    {why.reason_zh}"
    if fate.expired:
        yield "    It was tried many times; now it is given up.", "    系统已多次尝试，现已放弃投递。"
    if fate.reply:
        host = clean(fate.host, 255)
        yield (
            (f"    The host {host} answered:" if host else "    The answer was:"),
            f"    主机 {host} 的答复：" if host else "    答复为：",
        )
        quoted = f"      {clean(fate.reply, MAX_REPLY)}"
        yield quoted, quoted
    if fate.retry_until is not None:
        until = date_of(fate.retry_until)
        yield f"    It is tried until {until}.", f"    将一直尝试到 {until}。"
    if fate.action == "failed":
        yield f"    What you can do: {why.advice}", f"    您可以：{why.advice_zh}"
    yield "", ""


def _reason(fate: Fate) -> str:
    """The status that tells why it was deferred for so long, for the sentence only."""
    found = re.match(r"[245][0-9]{2}[ -](\d\.\d{1,3}\.\d{1,3})\b", fate.reply)
    return found[1] if found else fate.condition.enhanced if fate.condition is not None else fate.status


def _text(report: Report, subject: str, sent: str) -> str:
    english = [f"This is the mail system of {clean(report.host, 255)}.", ""]
    chinese = [f"这是 {clean(report.host, 255)} 邮件系统的通知。", ""]
    if report.about_journal:
        english += [
            "The copy of a message for a journal (gatepostJournal) could not be delivered. It is behind this report,",
            "or comes in a message of its own where it is too large. The author of the message was not told.",
            "",
        ]
        chinese += [
            "日志邮箱（gatepostJournal）的邮件副本无法送达。副本附在本报告之后；若过大，则另行发送。原作者不会收到通知。",
            "",
        ]
    elif report.to_postmaster:
        english += [
            "A report about the message below could not be delivered to its sender. No further report is made.",
            "",
        ]
        chinese += ["关于下述邮件的报告无法送达其发件人，系统不会再发送其他报告。", ""]
    if subject or sent:
        english += ["It is about this message:" if report.to_postmaster else "It is about your message:"]
        chinese += ["相关邮件："]
        for name, zh, value in (("Subject", "主题", subject), ("Date", "日期", sent)):
            if value:
                english.append(f"  {name}: {value}")
                chinese.append(f"  {zh}：{value}")
        english.append("")
        chinese.append("")
    for action, (heading, heading_zh) in _HEADINGS.items():
        fates = [fate for fate in report.fates if fate.action == action]
        if not fates:
            continue
        english += [heading, ""]
        chinese += [heading_zh, ""]
        for fate in fates[:MAX_NAMED]:
            for line, line_zh in _about(fate):
                english.append(line)
                chinese.append(line_zh)
        if len(fates) > MAX_NAMED:
            english.append(f"  and {len(fates) - MAX_NAMED} more, named in the second part of this report")
            chinese.append(f"  以及另外 {len(fates) - MAX_NAMED} 个收件人，见本报告的第二部分")
        if english[-1]:
            english.append("")
            chinese.append("")
    number = f"{clean(report.message, 200)}"
    english += [f"For questions to the administrators, the number of this message: {number}", ""]
    chinese += [f"如需咨询管理员，请提供邮件编号：{number}", ""]
    return "\n".join([*english, "-" * 60, "", *chinese])


_SUBJECTS: dict[Action, str] = {
    "failed": "Mail not delivered =?utf-8?B?6YKu5Lu25pyq6YCB6L6+?=",  # 邮件未送达
    "delayed": "Mail delayed =?utf-8?B?6YKu5Lu25bu26L+f?=",  # 邮件延迟
    "delivered": "Mail delivered =?utf-8?B?6YKu5Lu25bey6YCB6L6+?=",  # 邮件已送达
    "relayed": "Mail handed on =?utf-8?B?6YKu5Lu25bey6L2s5Lqk?=",  # 邮件已转交
    "expanded": "Mail spread =?utf-8?B?6YKu5Lu25bey5YiG5Y+R?=",  # 邮件已分发
}


def _part(kind: str, body: bytes) -> bytes:
    encoding = b"" if body.isascii() else b"Content-Transfer-Encoding: 8bit\n"
    return b"Content-Type: %s\n%s\n%s" % (kind.encode(), encoding, body if body.endswith(b"\n") else body + b"\n")


def header_of(content: bytes, limit: int) -> bytes:
    """The header of a message, whole lines, at most `limit` octets. `content` may be cut anywhere."""
    end = content.find(b"\n\n") + 1
    header = b"" if content.startswith(b"\n") else content[:end] if end else content
    if len(header) > limit or not header.endswith(b"\n"):
        header = header[: header.rfind(b"\n", 0, limit) + 1]
    return header


def compose(report: Report, header: bytes, whole: bytes | None) -> bytes:
    """The report; its third part is `whole` (a message) or, where that is None, `header`."""
    subject = sent = message_id = ""
    try:
        scanned = scan(header[:MAX_HEADER])
        for field in reversed(scanned.fields):
            if field.name == b"subject":
                subject = clean(decode_header_text(scanned.unfolded(field)), MAX_SUBJECT)
            elif field.name == b"date":
                sent = clean(scanned.unfolded(field).decode("ascii", "replace"), 100)
            elif field.name == b"message-id":
                message_id = scanned.unfolded(field).decode("ascii", "ignore")
    except HeaderProblem:
        pass  # the header is quoted all the same
    text = quopri.encodestring(_text(report, subject, sent).encode("utf-8", "replace"))
    wide = "global-" if report.utf8 else ""
    if whole is not None:
        third = _part(f"message/{'global' if report.utf8 else 'rfc822'}", whole)
    elif report.utf8:
        third = _part("message/global-headers", header)
    else:
        third = _part("text/rfc822-headers" if header.isascii() else "text/rfc822-headers; charset=utf-8", header)
    parts = (
        b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + text + b"\n",
        _part(f"message/{wide}delivery-status", _delivery_status(report).encode("utf-8", "replace")),
        third,
    )
    boundary = f"=_{re.sub(r'[^0-9A-Za-z._]', '_', report.id)[:60]}"
    while any(boundary.encode() in part for part in parts):
        boundary += "_"
    first = next(action for action in _HEADINGS if any(fate.action == action for fate in report.fates))
    lines = [
        ("From", f"Mail Delivery System <{report.author}>"),
        ("To", f"<{report.recipient}>"),
        ("Subject", _SUBJECTS[first]),
        ("Date", date_of(report.now)),
        ("Message-ID", f"<{report.id}@{report.host}>"),
        ("Auto-Submitted", "auto-replied"),  # RFC 3834 5, RFC 3464 2
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type={wide}delivery-status; boundary="{boundary}"'),
    ]
    if message_id.startswith("<") and message_id.isprintable() and " " not in message_id and len(message_id) < FOLD * 4:
        lines[5:5] = [("In-Reply-To", message_id), ("References", message_id)]
    if not all(part.isascii() for part in parts):
        lines.append(("Content-Transfer-Encoding", "8bit"))
    head = folded(lines, report.utf8).encode("utf-8", "replace")
    mark = b"--" + boundary.encode()
    return b"%s\n%s%s--\n" % (head, b"".join(b"%s\n%s\n" % (mark, part) for part in parts), mark)
