"""What SEARCH looks into: one message's envelope, header and text, each worked out once and when needed.

Texts are compared as people read them: encoded words, transfer encodings and charsets undone, case and
compatibility forms folded (RFC 5255 4.6 i;unicode-casemap in effect).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

from gateway.imap.content import Content
from gateway.mime import decode_header_text, decoded_text, field_values, header_end
from gateway.mime.envelope_fields import DATE, Address, EnvelopeFields
from gateway.mime.preview import preview

MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DATE = re.compile(rb"(?:[A-Za-z]{3}\s*,\s*)?(\d{1,2})\s+([A-Za-z]{3})[a-z]*\s+(\d{2,4})")


_NOT_AS_WRITTEN = re.compile(r'["\\\\\x00-\x1f\x7f]')
_BETWEEN = re.compile("[@<>, ]+")  # what an envelope writes otherwise between parts of an address
MAX_KEPT = 1 << 20  # characters of one message's texts
_RUN = 128  # characters that are normalized together


def folded(text: str) -> str:
    """`text` as it is compared. Linear: normalizing a long run of combining marks at once is not."""
    if text.isascii():
        return text.lower()
    text = text.casefold()
    return "".join([unicodedata.normalize("NFKC", text[at : at + _RUN]) for at in range(0, len(text), _RUN)])


@lru_cache(4096)
def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01; out of range values count on."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def is_day(year: int, month: int, day: int) -> bool:
    """True when the month has that day (RFC 5322 3.3)."""
    return 1 <= month <= 12 and 1 <= day <= days(year + month // 12, month % 12 + 1, 1) - days(year, month, 1)


class Wanted:
    """A text that is looked for, folded, and what makes a miss in an envelope quick.

    `words` are pieces of it that any envelope with it holds, unless it holds encoded words or octets
    beyond ASCII; empty where nothing can be said.
    """

    __slots__ = ("text", "words")

    def __init__(self, text: str) -> None:
        self.text = folded(text)
        is_plain = self.text.isascii() and not _NOT_AS_WRITTEN.search(self.text)
        self.words = [word.encode() for word in _BETWEEN.split(self.text) if word] if is_plain else []

    def may_be_in(self, envelope: bytes) -> bool:
        """False when the envelope certainly does not hold the text."""
        if b"=?" in envelope or not envelope.isascii():
            return True
        low = envelope.lower()
        return all(word in low for word in self.words)


class Subject:
    """One message. `read(start, end)` gives stored octets; it may raise Deferred."""

    __slots__ = ("_body", "_content", "_fields", "_read", "_texts", "has_body", "has_header")

    def __init__(
        self, content: Content, read: Callable[[int, int], bytes], *, has_header: bool, has_body: bool
    ) -> None:
        self._content = content
        self._read = read
        self._body: list[str] | None = None
        self._fields: EnvelopeFields | None = None
        self._texts: dict[int, str] = {}
        self.has_header = has_header
        self.has_body = has_body

    @property
    def _envelope(self) -> EnvelopeFields | None:
        if self._fields is None and self._content.parsed is not None:
            self._fields = EnvelopeFields(self._content.parsed.envelope)
        return self._fields

    def envelope_contains(self, field: int, wanted: Wanted) -> bool | None:
        """True when that field of the envelope contains the text; None when there is no envelope here."""
        parsed = self._content.parsed
        if parsed is None:
            return None
        if wanted.words and not wanted.may_be_in(parsed.envelope):
            return False
        text = self._texts.get(field)
        if text is None:
            envelope = self._envelope
            assert envelope is not None
            text = self._texts[field] = folded(decode_header_text(envelope.get(field)))
        return wanted.text in text

    def field(self, field: int) -> bytes:
        """The raw value of a field of the envelope, empty where there is none."""
        envelope = self._envelope
        return envelope.get(field) if envelope is not None else b""

    def first_address(self, field: int) -> Address | None:
        """The first address of a field of the envelope."""
        envelope = self._envelope
        return envelope.first(field) if envelope is not None else None

    def raw_header(self, name: bytes) -> list[bytes]:
        """Every field of that name, unfolded, as it was sent."""
        head = self._content.data
        return field_values(head[: header_end(head)], name)

    @property
    def references(self) -> bytes:
        """The References field, empty where there is none."""
        return self._content.parsed.references if self._content.parsed is not None else b""

    def sent_day(self) -> int | None:
        """The day in the Date field as written there; -1 when it has none, None when there is no envelope here."""
        envelope = self._envelope
        if envelope is None:
            return None
        match = _DATE.match(envelope.get(DATE).strip())
        if match is None or match[2].lower() not in MONTHS:
            return -1
        year = int(match[3])
        if len(match[3]) < 4:  # RFC 5322 4.3
            year += 2000 if year < 50 and len(match[3]) == 2 else 1900
        month, day = MONTHS[match[2].lower()], int(match[1])
        return days(year, month, day) if is_day(year, month, day) else -1

    def header_texts(self, name: bytes) -> list[str]:
        """Every field of that name, folded."""
        return [folded(decode_header_text(value)) for value in self.raw_header(name)]

    def body_contains(self, wanted: str) -> bool:
        """True when the text of some part, or a header inside the message, contains folded `wanted`."""
        return any(wanted in text for text in self._body_texts())

    def _body_texts(self) -> Iterable[str]:
        """Folded texts; those of an ordinary message are kept for the search's other keys."""
        if self._body is not None:
            yield from self._body
            return
        parsed = self._content.parsed
        assert parsed is not None
        kept: list[str] = []
        size = 0
        for text in decoded_text(self._read, parsed):
            shown = folded(text)
            yield shown
            size += len(shown)
            if size <= MAX_KEPT:
                kept.append(shown)
        if size <= MAX_KEPT:
            self._body = kept

    def preview(self) -> str:
        """The first words of the text."""
        parsed = self._content.parsed
        assert parsed is not None
        return preview(self._read, parsed)

    def header_contains(self, wanted: str) -> bool:
        """True when the message's own header contains folded `wanted`."""
        parsed = self._content.parsed
        assert parsed is not None
        return wanted in folded(next(decoded_text(self._read, parsed, headers=True)))
