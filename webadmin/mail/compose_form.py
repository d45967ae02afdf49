"""The form in which a message is written: what came from the browser, and what is shown in it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flask_babel import gettext

from webadmin.mail import letter as letters
from webadmin.mail import rich
from webadmin.mail.letter import KEY, Attachment, Letter, new_key
from webadmin.mail.recipients import AddressMistake, Person, one_line, people, typed
from webadmin.mail.source import Place
from webadmin.shown import readable

MAX_TEXT = 500_000  # characters
MAX_ATTACHMENTS = 100
MAX_OFFSET = 14 * 60  # minutes between UTC and where somebody sits
FIELDS = ("to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody as whom the person may write; `store` is the shared mailbox that keeps what is sent so, "" = his own."""

    address: str
    name: str
    store: str

    @property
    def person(self) -> Person:
        """As an author."""
        return Person(self.name, self.address)

    @property
    def shown(self) -> str:
        """In the list to choose from."""
        return f"{self.name} <{readable(self.address)}>" if self.name else readable(self.address)


@dataclass(slots=True)
class ComposeForm:
    """All of it, as typed."""

    key: str
    author: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    in_reply_to: str = ""
    references: str = ""
    about: str = ""
    wants_receipt: bool = False
    #: "YYYY-MM-DDTHH:MM" where the person's clock is so many minutes before UTC
    later: str = ""
    offset: int = 0
    draft: Place | None = None
    attachments: tuple[Attachment, ...] = ()
    #: of attachments that lie among his messages
    places: list[Place] = field(default_factory=list)
    #: field -> what is wrong with it
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, letter: Letter, draft: Place | None = None) -> ComposeForm:
        """To go on with a letter."""
        return cls(
            letter.key,
            author=letter.author.address if letter.author is not None else "",
            to=typed(letter.to),
            cc=typed(letter.cc),
            bcc=typed(letter.bcc),
            subject=letter.subject,
            text=letter.text,
            html=letter.html,
            in_reply_to=letter.in_reply_to,
            references=letter.references,
            about=letter.about,
            draft=draft,
            attachments=letter.attachments,
        )

    @classmethod
    def sent(cls, given: Any) -> ComposeForm:
        """From the browser (a MultiDict); nothing of it is believed."""
        offset = given.get("offset", "")
        dropped = set(given.getlist("drop"))
        found = [
            place
            for text in given.getlist("part")[:MAX_ATTACHMENTS]
            if text not in dropped
            for place in [Place.of(text)]
        ]
        key = given.get("key", "")
        return cls(
            key if KEY.match(key) else new_key(),
            author=one_line(given.get("author", ""))[:400],
            **{name: given.get(name, "")[:100_000] for name in FIELDS},
            subject=one_line(given.get("subject", ""))[: letters.MAX_SUBJECT],
            text=_clean(given.get("text", "")),
            html=rich.cleaned(given.get("html", "")[:MAX_TEXT]),
            in_reply_to=one_line(given.get("in_reply_to", ""))[:500],
            references=one_line(given.get("references", ""))[:10_000],
            about=one_line(given.get("about", ""))[:1200],
            wants_receipt=bool(given.get("receipt")),
            later=given.get("later", "")[:20],
            offset=int(offset) if offset.lstrip("-").isdecimal() and abs(int(offset[:6])) <= MAX_OFFSET else 0,
            draft=Place.of(given.get("draft", "")),
            places=[place for place in found if place is not None],
        )

    def letter(self, identities: Mapping[str, Identity]) -> Letter:
        """What stands in it; what is wrong is put into `problems` and left out."""
        sorted_out: dict[str, tuple[Person, ...]] = {}
        for name in FIELDS:
            try:
                sorted_out[name] = people(getattr(self, name))
            except AddressMistake as mistake:
                self.problems[name] = f"{mistake.piece}: {gettext(str(mistake))}"
        author = identities.get(self.author.lower()) or next(iter(identities.values()), None)
        return Letter(
            self.key,
            author.person if author is not None else None,
            sorted_out.get("to", ()),
            sorted_out.get("cc", ()),
            sorted_out.get("bcc", ()),
            subject=self.subject,
            text=rich.text_of(self.html) if self.html else self.text,
            html=self.html,
            attachments=self.attachments,
            in_reply_to=self.in_reply_to,
            references=self.references,
            about=self.about,
            wants_receipt=self.wants_receipt,
        )

    def moment(self) -> float:
        """When it is to go, in unix time; 0 = now. Raises ValueError."""
        if not self.later:
            return 0.0
        return (datetime.fromisoformat(self.later).replace(tzinfo=UTC) - timedelta(minutes=self.offset)).timestamp()


def _clean(text: str) -> str:
    """A text as it may stand in a message: line ends are LF, no other control characters but tabs."""
    text = text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    return "".join(character for character in text if character in "\n\t" or (character >= " " and character != "\x7f"))
