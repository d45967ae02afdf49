"""Letters that begin with another message: answers to its author or to everybody, and messages passed on."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

from webadmin.mail import drafts, flowed, rich
from webadmin.mail.letter import MAX_SUBJECT, Attachment, Letter, ids, new_key, shortened
from webadmin.mail.recipients import Person
from webadmin.mail.source import Source
from webadmin.shown import readable

MAX_QUOTED = 200_000  # characters of the text that is quoted
_ANSWER = re.compile(r"\s*(?:(?:re|aw|sv|antw|回复|答复)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)
_PASSED_ON = re.compile(r"\s*(?:(?:fwd?|wg|转发)\s*[:：]\s*)+", re.IGNORECASE)


def answer(
    found: Source,
    own: frozenset[str],
    as_whom: frozenset[str],
    written: str,
    *,
    everybody: bool,
    rich_text: bool = False,
) -> Letter:
    """An answer; `own` are the person's addresses, `as_whom` those as which he may write, `written` the line above the
    quote.

    To whom: Reply-To, else From; for everybody To and Cc too, without himself. An answer to his own message goes to whom
    he wrote. A mailing list's Mail-Followup-To is not looked at.
    """
    author = _addressed(found, own) or _addressed(found, as_whom)
    authors = found.people("Reply-To") or found.people("From")
    is_mine = bool(authors) and all(one.address.lower() in own for one in found.people("From"))
    to = found.people("To") if is_mine else authors
    cc: tuple[Person, ...] = ()
    if everybody:
        others = found.people("Cc") if is_mine else found.people("To", "Cc")
        known = {person.address.lower() for person in (*to, *((author,) if author is not None else ()))} | own
        cc = tuple(person for person in others if person.address.lower() not in known)
    if not is_mine:
        to = tuple(person for person in to if person.address.lower() not in own) or to
    message_id = ids(found.field("Message-ID"))[:1]
    before = ids(found.field("References")) or ids(found.field("In-Reply-To"))[:1]
    quoted = flowed.quote(found.text[:MAX_QUOTED])
    return Letter(
        new_key(),
        author=author,
        to=to,
        cc=cc,
        subject=f"Re: {_ANSWER.sub('', found.field('Subject'), count=1)}"[:MAX_SUBJECT],
        text=f"\n\n{written}\n{quoted}\n" if quoted else "\n",
        html=_html(written, found) if rich_text else "",
        in_reply_to="".join(message_id),
        references=" ".join(shortened([*before, *message_id])),
        about=f"{drafts.ANSWERED} {found.place}",
    )


def _html(written: str, found: Source) -> str:
    page = (found.html or rich.html_of(found.text))[: 4 * MAX_QUOTED]
    return rich.cleaned(f"<div><br></div><div>{escape(written)}</div><blockquote>{page}</blockquote>")


def _addressed(found: Source, own: frozenset[str]) -> Person | None:
    """Which of the person's addresses the message came to: the answer comes from it."""
    people = found.people("To", "Cc", "Delivered-To", "X-Original-To")
    return next((person for person in people if person.address.lower() in own), None)


def passed_on(
    found: Source, authors: frozenset[str], labels: dict[str, str], *, attached: bool, rich_text: bool = False
) -> Letter:
    """A message for others: in the text with its attachments, or as an attachment. `labels` name the header's fields in
    the writer's language, with "begin" for the line above."""
    subject = found.field("Subject")
    letter = Letter(
        new_key(),
        author=_addressed(found, authors),
        subject=f"Fwd: {_PASSED_ON.sub('', subject, count=1)}"[:MAX_SUBJECT],
        references=" ".join(shortened([*ids(found.field("References")), *ids(found.field("Message-ID"))])),
        about=f"{drafts.FORWARDED} {found.place}",
    )
    if attached:
        whole = Attachment(f"{subject or 'message'}.eml", "message/rfc822", 0, b"", str(found.place))
        return _with(letter, text="\n", attachments=(whole,))
    lines = [labels["begin"]]
    for name in ("From", "Date", "Subject", "To", "Cc"):
        value = found.field(name)
        if name in ("From", "To", "Cc"):
            value = ", ".join(f"{one.name} <{readable(one.address)}>".strip() for one in found.people(name))
        if value:
            lines.append(f"{labels[name]}: {value}")
    head = "\n".join(lines)
    html = ""
    if rich_text:
        page = (found.html or rich.html_of(found.text))[: 4 * MAX_QUOTED]
        html = rich.cleaned(f"<div><br></div>{rich.html_of(head)}<div><br></div>{page}")
    text = f"\n\n{head}\n\n{found.text[:MAX_QUOTED].rstrip()}\n"
    return _with(letter, text=text, html=html, attachments=drafts.told(found))


def _with(letter: Letter, text: str, attachments: tuple[Attachment, ...], html: str = "") -> Letter:
    return replace(letter, text=text, html=html, attachments=attachments)
