"""The keys of SEARCH (RFC 3501 6.4.4; MODSEQ of RFC 7162 3.1.5; OLDER and YOUNGER of RFC 5032; EMAILID and THREADID
of RFC 8474 6; SAVEDBEFORE, SAVEDON, SAVEDSINCE of RFC 8514 4.3).

A key becomes a test: a function of a message and, when it is there, its content. Without the content it
needs a test answers None, "not known yet", so that what the view answers decides as much as it can before
any file is read, and envelopes before bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from gateway.imap.content import Candidates, Facts
from gateway.imap.flags import has_flag
from gateway.imap.parser import SAVED, BadCommand, Parser, Ranges
from gateway.imap.search_subject import Subject, Wanted, days, folded
from gateway.imap.view import Message, View
from gateway.mime.encoded import codec_of
from gateway.mime.envelope_fields import BCC, CC, FROM, IN_REPLY_TO, MESSAGE_ID, SUBJECT, TO

Test: TypeAlias = Callable[[Message, "Subject | None"], "bool | None"]
MAX_NESTING = 50
MAX_KEYS = 1000
MAX_NEEDLE = 4096  # octets of a text that is looked for
_DATE = re.compile(rb"(\d{1,2})-([A-Za-z]{3})-(\d{4})\Z")
_MONTHS = {name: number for number, name in enumerate(b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
_DAY = 86400


class BadCharset(ValueError):
    """The charset is not known: answered NO [BADCHARSET] (RFC 3501 6.4.4)."""


@dataclass(slots=True)
class Needs:
    """What the keys of one search look at besides the view."""

    envelope: bool = False
    header: bool = False
    body: bool = False
    facts: bool = False
    modseq: bool = False
    clock: bool = False


@dataclass(slots=True)
class Keys:
    """Reads search keys. `now` is unix time, to be set before a test runs when `needs.clock` says so."""

    arguments: Parser
    view: View
    codec: str = "utf-8"  # holds US-ASCII, the default of RFC 3501, and is that of RFC 9051
    #: sets of message numbers are wrong (RFC 9586 3)
    uid_only: bool = False
    #: message numbers and `$` mean something: the selected mailbox is searched and no other (RFC 7377 2.2)
    has_numbers: bool = True
    #: what numbers mean now they mean for as long as the test is used (RFC 5267 4.3)
    is_fixed: bool = False
    now: float = 0.0
    #: what the index knows of the messages that are tested now
    facts: Mapping[int, Facts] = field(default_factory=dict)
    needs: Needs = field(default_factory=Needs)
    #: folded texts that are looked for in bodies, and where they may be
    texts: set[str] = field(default_factory=set)
    candidates: Candidates = field(default_factory=Candidates)
    #: a set of numbers outside which nothing is found, None when the keys name none
    within: list[range] | None = None
    _count: int = 0
    _depth: int = 0

    def read(self) -> Test:
        """All keys up to the end of the command. Raises BadCommand."""
        test = self._several(0)
        self.arguments.end()
        return test

    def _several(self, depth: int) -> Test:
        tests = [self._key(depth)]
        while self.arguments.at(b" "):
            tests.append(self._key(depth))
        return tests[0] if len(tests) == 1 else _all_of(tests)

    def _key(self, depth: int) -> Test:
        self._count += 1
        if depth > MAX_NESTING or self._count > MAX_KEYS:
            raise BadCommand("the search is too large")
        self._depth = depth
        arguments = self.arguments
        if arguments.at(b"("):
            test = self._several(depth + 1)
            arguments.expect(b")")
            return test
        if arguments.at_digit() or arguments.ahead(b"*") or arguments.ahead(b"$"):
            return self._numbers(arguments.sequence_set(), by_uid=False)
        name = arguments.atom().upper()
        if name in _SIMPLE:
            return _SIMPLE[name]
        if name == b"NOT":
            arguments.space()
            return _negated(self._key(depth + 1))
        if name == b"OR":
            arguments.space()
            first = self._key(depth + 1)
            arguments.space()
            return _any_of(first, self._key(depth + 1))
        reader = _READERS.get(name)
        if reader is None:
            raise BadCommand("unknown search key")
        arguments.space()
        return reader(self, name)

    # one kind of key each

    def _numbers(self, ranges: Ranges, *, by_uid: bool) -> Test:
        view = self.view
        if not self.has_numbers and (ranges is SAVED or not by_uid):
            raise BadCommand("message numbers and $ are of the selected mailbox alone; use UID")
        if self.uid_only and not by_uid and ranges is not SAVED:
            raise BadCommand("[UIDREQUIRED] message numbers are not used after ENABLE UIDONLY")
        if (
            not by_uid and ranges is not SAVED
        ):  # numbers beyond the last message find nothing; the set as a whole is no error
            count = view.count
            clipped = []
            for first, last in ranges:
                low, high = sorted((first or count, last or count))
                if count and low <= count:
                    clipped.append((low, min(high, count)))
            ranges = tuple(clipped)
        spans = view.spans(ranges, by_uid=by_uid) if ranges else []
        if not self._depth and (self.within is None or sum(map(len, spans)) < sum(map(len, self.within))):
            self.within = spans
        if self.is_fixed:
            return self._fixed(spans, ranges if by_uid and ranges is not SAVED else ())
        if len(spans) == 1:
            span = spans[0]
            return lambda message, _: message.number in span
        wanted = frozenset(number for span in spans for number in span)
        return lambda message, _: message.number in wanted

    def _fixed(self, spans: list[range], ranges: Ranges) -> Test:
        """The messages that are meant now, and those that come into a range of UIDs without an end."""
        view, last = self.view, self.view.last_uid
        wanted = frozenset(uid for span in spans for uid in view.uids(span))
        beginning = min((first or end for first, end in ranges if bool(first) != bool(end)), default=None)
        if beginning is None:
            return lambda message, _: message.uid in wanted
        return lambda message, _: message.uid in wanted or (message.uid > last and message.uid >= beginning)

    def _uids(self, _: bytes) -> Test:
        return self._numbers(self.arguments.sequence_set(), by_uid=True)

    def _flag(self, name: bytes) -> Test:
        wanted = self.arguments.atom()
        return _flagged(wanted, present=name == b"KEYWORD")

    def _size(self, name: bytes) -> Test:
        limit = self.arguments.number()
        if name == b"LARGER":
            return lambda message, _: message.size > limit
        return lambda message, _: message.size < limit

    def _modseq(self, _: bytes) -> Test:
        arguments = self.arguments
        if arguments.ahead(b'"'):
            arguments.string()  # all entries have one MODSEQ here, so which is meant makes no difference
            arguments.space()
            if arguments.atom().upper() not in (b"PRIV", b"SHARED", b"ALL"):
                raise BadCommand("unknown entry type")
            arguments.space()
        since = arguments.modseq()
        self.needs.modseq = True
        return lambda message, _: message.modseq >= since

    def _interval(self, name: bytes) -> Test:
        seconds = self.arguments.number()
        if not seconds:
            raise BadCommand("an interval of no seconds")
        self.needs.clock = True
        if name == b"OLDER":
            return lambda message, _: message.internaldate <= self.now - seconds
        return lambda message, _: message.internaldate >= self.now - seconds

    def _day(self, name: bytes) -> Test:
        wanted = self._date()
        if name == b"BEFORE":
            return lambda message, _: message.internaldate // _DAY < wanted
        if name == b"ON":
            return lambda message, _: message.internaldate // _DAY == wanted
        return lambda message, _: message.internaldate // _DAY >= wanted

    def _saved_day(self, name: bytes) -> Test:
        wanted = self._date()
        self.needs.facts = True

        def test(message: Message, _: Subject | None) -> bool | None:
            facts = self.facts.get(message.uid)
            if facts is None:
                return None
            day = facts.savedate // _DAY
            if name == b"SAVEDBEFORE":
                return day < wanted
            return day == wanted if name == b"SAVEDON" else day >= wanted

        return test

    def _email_id(self, _: bytes) -> Test:
        wanted = self.arguments.atom().decode("ascii")
        self.needs.facts = True

        def test(message: Message, _: Subject | None) -> bool | None:
            facts = self.facts.get(message.uid)
            return None if facts is None else facts.emailid == wanted

        return test

    def _thread_id(self, _: bytes) -> Test:
        self.arguments.atom()
        return _NEVER  # no message has one

    def _sent_day(self, name: bytes) -> Test:
        wanted = self._date()
        self.needs.envelope = True

        def test(message: Message, subject: Subject | None) -> bool | None:
            day = subject.sent_day() if subject is not None else None
            if day is None:
                return None
            if day < 0:
                day = int(message.internaldate // _DAY)
            if name == b"SENTBEFORE":
                return day < wanted
            return day == wanted if name == b"SENTON" else day >= wanted

        return test

    def _date(self) -> int:
        match = _DATE.match(self.arguments.astring())
        if match is None or match[2].upper() not in _MONTHS or not 1 <= int(match[1]) <= 31:
            raise BadCommand("a date is day-month-year")
        return days(int(match[3]), _MONTHS[match[2].upper()], int(match[1]))

    def _needle(self) -> str:
        octets = self.arguments.astring()
        if len(octets) > MAX_NEEDLE:
            raise BadCommand("the text to look for is too long")
        try:
            return octets.decode(self.codec)
        except UnicodeDecodeError:
            raise BadCommand("the text is not in the given charset") from None

    def _envelope(self, name: bytes) -> Test:
        return self._envelope_field(_ENVELOPE[name], self._needle())

    def _envelope_field(self, field: int, text: str) -> Test:
        self.needs.envelope = True
        wanted = Wanted(text)
        return lambda _, subject: None if subject is None else subject.envelope_contains(field, wanted)

    def _header(self, _: bytes) -> Test:
        name = self.arguments.astring()
        self.arguments.space()
        text = self._needle()
        known = _SAME_AS_ENVELOPE.get(name.lower())
        if known is not None and text:
            return self._envelope_field(known, text)
        self.needs.header = True
        wanted = folded(text)

        def test(_: Message, subject: Subject | None) -> bool | None:
            if subject is None or not subject.has_header:
                return None
            return any(wanted in text for text in subject.header_texts(name))

        return test

    def _body(self, name: bytes) -> Test:
        wanted = folded(self._needle())
        self.needs.body = True
        self.texts.add(wanted)
        with_header = name == b"TEXT"

        def test(message: Message, subject: Subject | None) -> bool | None:
            if self.candidates.exclude(message.uid, wanted):
                return False
            if subject is None or not subject.has_body:
                return None
            return (with_header and subject.header_contains(wanted)) or subject.body_contains(wanted)

        return test


def codec_of_charset(charset: bytes) -> str:
    """The codec of a CHARSET argument. Raises BadCharset."""
    codec = codec_of(charset)
    if codec is None:
        raise BadCharset
    return codec


_has_flag = lru_cache(65536)(has_flag)  # messages share their flags' text


def _flagged(flag: bytes, *, present: bool) -> Test:
    return lambda message, _: _has_flag(message.flags, flag) is present


def _all_of(tests: list[Test]) -> Test:
    def test(message: Message, subject: Subject | None) -> bool | None:
        answer: bool | None = True
        for each in tests:
            found = each(message, subject)
            if found is False:
                return False
            if found is None:
                answer = None
        return answer

    return test


def _any_of(first: Test, second: Test) -> Test:
    def test(message: Message, subject: Subject | None) -> bool | None:
        found = first(message, subject)
        if found:
            return True
        other = second(message, subject)
        if other:
            return True
        return None if found is None or other is None else False

    return test


def _negated(inner: Test) -> Test:
    def test(message: Message, subject: Subject | None) -> bool | None:
        found = inner(message, subject)
        return None if found is None else not found

    return test


def _pairs(flags: Iterable[tuple[bytes, bytes]]) -> dict[bytes, Test]:
    tests: dict[bytes, Test] = {}
    for name, flag in flags:
        tests[name] = _flagged(flag, present=True)
        tests[b"UN" + name] = _flagged(flag, present=False)
    return tests


_NEVER: Test = lambda _, __: False  # noqa: E731
_ALWAYS: Test = lambda _, __: True  # noqa: E731
#: \Recent is never set, so nothing is RECENT or NEW and everything is OLD
_SIMPLE: dict[bytes, Test] = {
    b"ALL": _ALWAYS,
    b"RECENT": _NEVER,
    b"NEW": _NEVER,
    b"OLD": _ALWAYS,
    b"SAVEDATESUPPORTED": _ALWAYS,
    **_pairs(
        [
            (b"ANSWERED", b"\\Answered"),
            (b"DELETED", b"\\Deleted"),
            (b"DRAFT", b"\\Draft"),
            (b"FLAGGED", b"\\Flagged"),
            (b"SEEN", b"\\Seen"),
        ]
    ),
}
_ENVELOPE = {b"BCC": BCC, b"CC": CC, b"FROM": FROM, b"SUBJECT": SUBJECT, b"TO": TO}
#: fields that have one value, of which the envelope holds all; an empty text asks whether the field is there
_SAME_AS_ENVELOPE = {b"subject": SUBJECT, b"message-id": MESSAGE_ID, b"in-reply-to": IN_REPLY_TO}
_READERS: dict[bytes, Callable[[Keys, bytes], Test]] = {
    b"UID": Keys._uids,
    **dict.fromkeys((b"KEYWORD", b"UNKEYWORD"), Keys._flag),
    **dict.fromkeys((b"LARGER", b"SMALLER"), Keys._size),
    **dict.fromkeys((b"BEFORE", b"ON", b"SINCE"), Keys._day),
    **dict.fromkeys((b"SENTBEFORE", b"SENTON", b"SENTSINCE"), Keys._sent_day),
    **dict.fromkeys((b"OLDER", b"YOUNGER"), Keys._interval),
    **dict.fromkeys(_ENVELOPE, Keys._envelope),
    **dict.fromkeys((b"BODY", b"TEXT"), Keys._body),
    b"HEADER": Keys._header,
    b"MODSEQ": Keys._modseq,
    b"EMAILID": Keys._email_id,
    b"THREADID": Keys._thread_id,
    **dict.fromkeys((b"SAVEDBEFORE", b"SAVEDON", b"SAVEDSINCE"), Keys._saved_day),
}
