"""Where Gatepost and Dovecot 2.3 answer otherwise about one message, and the sentence that decides.

Whatever is not here has to be equal, and what is here has to be there: the test fails both ways.
"""

from __future__ import annotations

#: item of FETCH -> sentence -> names in the corpus
FETCHED: dict[str, dict[str, tuple[str, ...]]] = {
    "ENVELOPE": {
        "RFC 5322 2.2.3: unfolding takes away the line end, and what white space was behind it stays": ("folded-subject",),
        "RFC 5322 4.5: what several fields of a name mean is not specified, but for destinations; here the first counts, "
        "there the last, or their sum": ("two-subjects", "two-froms", "two-message-ids", "two-dates"),
        "RFC 9051 7.5.2: only a group has NIL for a host; what an address lacks is an empty string here and a word "
        "of Dovecot's own there": (
            "local-only", "null-path", "name-null-path", "double-angle", "open-angle", "open-quote", "open-comment",
        ),
        "RFC 5322 4.4: empty elements of a list are no addresses": ("commas",),
        "RFC 5322 3.4: no syntax of an address; each address in it is shown, and the whole name": (
            "semicolons", "at-in-name",
        ),
    },
    "BODYSTRUCTURE": {
        "RFC 9051 7.5.2: the parameters are those of the field; RFC 2046 4.1.2 tells the reader what none means": (
            "mime-no-parameters", "mime-rfc2231", "mime-rfc2231-parts", "mime-rfc2231-both", "mime-encoded-name",
            "mime-raw-name", "mime-escaped-name", "no-mime-version", "bare-parts", "part-without-body", "digest",
            "delivery-report", "unknown-encoding", "encoding-comment",
        ),
        "RFC 2045 5.2: a Content-Type that is not valid stands for text/plain": ("mime-bad-type", "mime-empty-type"),
        "RFC 2045 5.1: a value with a space needs quotes; here it is taken whole, there to the space": (
            "mime-unquoted-space",
        ),
        "RFC 9051 9, body-fld-lang: one language is a string or a list": ("mime-language",),
    },
    "BODY[HEADER.FIELDS (SUBJECT X-TEST FROM)]": {
        "RFC 9051 6.4.5.1: a message with no body and no blank line has none in its header fields either": ("no-blank-line",),
    },
    "BODY[HEADER.FIELDS.NOT (SUBJECT RECEIVED TO)]": {
        "RFC 9051 6.4.5.1: fields whose names do not match; a line without a name is no field": ("colon-missing",),
    },
}  # fmt: skip
FETCHED["BODY"] = FETCHED["BODYSTRUCTURE"]  # mime-language is among the messages without a charset, too

_UNDATED = "RFC 9051 6.4.4 speaks of the Date field; of a message that has none it says nothing: when it came counts here, 1970 there"
_MIME_HEADERS = (
    "RFC 9051 6.4.4: BODY is the body of the message, in which headers of parts and of messages inside stand"
)
_EMPTY = "RFC 9051 6.4.4: only HEADER asks whether a field is there; an empty string stands in every subject and address list"
_INVENTED = "RFC 9051 6.4.4: no address is MISSING_DOMAIN"
_BROKEN = "RFC 5322 3.4: no syntax of an address; what stands there is found here as it is shown in ENVELOPE"
#: keys of SEARCH -> the sentence that decides
SEARCHED: dict[str, str] = {
    "500:*": "RFC 9051 9, seq-range: 500:* is *:500, which holds the last message",
    "SENTBEFORE 3-Mar-2026": _UNDATED,
    "SENTON 3-Mar-2026": _UNDATED,
    "SENTSINCE 3-Mar-2026": _UNDATED,
    "SUBJECT date SENTSINCE 3-Mar-2026 SENTBEFORE 4-Mar-2026": _UNDATED,
    "FROM ann": _BROKEN,
    "FROM ann@example.com": _BROKEN,
    'SUBJECT ""': _EMPTY,
    'CC ""': _EMPTY,
    'FROM ""': _EMPTY,
    "SUBJECT café": "RFC 9051 6.4.4: octets in no known charset; found here as Latin-1",
    "BODY html": _MIME_HEADERS,
    "BODY inside": _MIME_HEADERS,
    "BODY inner": _MIME_HEADERS,
    "BODY dot.png": _MIME_HEADERS,
    "BODY plain": _MIME_HEADERS,
    "BODY Content-Type": _MIME_HEADERS,
    "SUBJECT word": "RFC 2231 5: an encoded word may name a language",
    'SUBJECT "second third"': "RFC 5322 2.2.3: the tab of a folded line stays",
    "FROM MISSING": _INVENTED,
}

#: messages that stand elsewhere in the order, by key of SORT, and the sentence
SORTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "SUBJECT": (
        "RFC 5256 2.1: encoded words are decoded first, those with a language too (RFC 2231 5); an unknown charset "
        "is guessed here, and left there; octets beyond ASCII that are no UTF-8 are guessed",
        ("encoded-latin1", "encoded-language", "encoded-unknown-charset", "raw-latin1"),
    ),
    "FROM": (
        "RFC 5256 3: by the mailbox of the first address; what an address lacks is the empty string",
        ("null-path", "name-null-path", "double-angle", "commas", "open-quote"),
    ),
    "DISPLAY": (
        "RFC 5957 2: the name, else the address; of broken addresses each shows what ENVELOPE shows",
        ("null-path", "open-comment", "open-quote", "commas", "at-in-name", "local-only", "comment-inside"),
    ),
}
