"""Limits of the scanner: what lies beyond is cut or treated as opaque, never an error.

They bound work and answers for hostile mail; ordinary mail is far below every one of them.
"""

from __future__ import annotations

#: octets of one header that are looked at, and of one field
MAX_HEADER = 256 * 1024
MAX_FIELD = 100 * 1024
MAX_HEADER_LINES = 2_000
#: addresses of one field that appear in ENVELOPE
MAX_ADDRESSES = 5_000
#: octets of References that are kept for THREAD
MAX_REFERENCES = 8 * 1024
#: multipart and message/rfc822 below each other, and parts in all
MAX_NESTING = 50
MAX_PARTS = 1_000
#: parameters of one Content-Type or Content-Disposition
MAX_PARAMETERS = 100
#: RFC 2046 5.1.1 allows 70; some programs write more
MAX_BOUNDARY = 998
#: octets of a charset's name
MAX_CHARSET = 40
#: octets of one text part that a search looks at
MAX_TEXT = 4 * 1024 * 1024
#: octets of an attached document that a search looks into, and files inside it
MAX_DOCUMENT = 8 * 1024 * 1024
MAX_DOCUMENT_FILES = 2_000
