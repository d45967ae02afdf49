"""Text that people see where the octets say something else: HTML without its tags, words of office documents. Pure.

Everything is linear and bounded, whatever a sender makes of it; what cannot be read has no text.
"""

from __future__ import annotations

import html
import io
import re
import struct
import zipfile
import zlib

from gateway.mime.limits import MAX_DOCUMENT, MAX_DOCUMENT_FILES, MAX_TEXT

_SILENT = re.compile(r"<(?:script|style)\b", re.IGNORECASE)
_SILENT_END = re.compile(r"</(?:script|style)\b[^<>]*>", re.IGNORECASE)
#: within a word they change nothing
_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|bdi|bdo|em|font|i|mark|s|small|span|strong|sub|sup|tt|u|wbr|w:\w+|text:span|a:\w+)"
    r"(?:[\s/][^<>]*)?>",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"</(?:w:p|a:p)>|<w:(?:tab|br)/>")
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")
_PREFIX = b"vnd.openxmlformats-officedocument."
#: subtypes of application/, and which files inside hold the text
_DOCUMENTS = {
    _PREFIX + b"wordprocessingml.document": re.compile(
        r"word/(?:document|header\d*|footer\d*|footnotes|endnotes)\.xml"
    ),
    _PREFIX + b"spreadsheetml.sheet": re.compile(r"xl/sharedStrings\.xml"),
    _PREFIX + b"presentationml.presentation": re.compile(r"ppt/slides/slide\d+\.xml"),
    **{
        b"vnd.oasis.opendocument." + kind: re.compile(r"content\.xml")
        for kind in (b"text", b"spreadsheet", b"presentation")
    },
}


def is_document(subtype: bytes) -> bool:
    """True for a subtype of application/ whose text `document_text` reads."""
    return subtype in _DOCUMENTS


def html_text(text: str) -> str:
    """What a page shows: without comments, styles and scripts, tags and character references."""
    first, *rest = text.split("<!--")
    text = first + "".join([each.partition("-->")[2] for each in rest])
    first, *rest = _SILENT.split(text)
    text = first + "".join([each[end.end() :] for each in rest if (end := _SILENT_END.search(each))])
    return html.unescape(_TAG.sub(" ", _INLINE.sub("", text)))


def document_text(subtype: bytes, data: bytes) -> str:
    """The words of a document; "" of one that is damaged, encrypted or larger than the limits."""
    if len(data) > MAX_DOCUMENT or data.count(b"PK\x01\x02") > MAX_DOCUMENT_FILES:
        return ""
    wanted, found, room = _DOCUMENTS[subtype], [], MAX_TEXT
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in sorted(archive.namelist()):
                if wanted.fullmatch(name) and room > 0:
                    with archive.open(name) as file:
                        piece = file.read(room)
                    room -= len(piece)
                    found.append(piece.decode("utf-8", "replace"))
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, NotImplementedError, OSError, RuntimeError,
        ValueError, MemoryError,
    ):  # fmt: skip
        return ""
    return "\n".join([html.unescape(_TAG.sub(" ", _INLINE.sub("", _PARAGRAPH.sub(" ", each)))) for each in found])
