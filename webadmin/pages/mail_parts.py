"""Webmail: what is inside a message, served by itself: HTML for its frame, attachments, all of them as one file, the source."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO
from urllib.parse import quote

from flask import Blueprint, Response, abort, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext

from webadmin.backend import NotPossible
from webadmin.mail import reading
from webadmin.mail.answers import number
from webadmin.mail.places import asked_mailbox, asked_uid, asked_uids
from webadmin.mail.sanitise import MAX_HTML, sanitised
from webadmin.mail.store import opened
from webadmin.mail.structure import Part, safe_file_name
from webadmin.page import Page

PAGE = Page("Parts")
bp = Blueprint("mail_parts", __name__, url_prefix="/mail/part")

MAX_ZIP = 64 << 20  # octets of all attachments together
MAX_ZIPPED = 500  # files
#: types that a browser shows by itself without running anything of them
INLINE = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
    "application/pdf": "application/pdf",
    "text/plain": "text/plain",
}
_NOTHING = "default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
_PART_POLICY = _NOTHING + "; sandbox"
#: the browser's viewer runs in the page of the file
_PDF_POLICY = _NOTHING + "; object-src 'self'; style-src 'unsafe-inline'"
_FRAME_POLICY = _NOTHING + "; style-src 'unsafe-inline'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; img-src "  # fmt: skip
_STYLE = (
    "body{margin:0;padding:.75rem;font:15px/1.5 system-ui,sans-serif;color:#1c2226;background:#fff;overflow-wrap:anywhere}"
    "img{max-width:100%;height:auto}table{max-width:100%}blockquote{margin:.5em 0 .5em .5em;padding-left:.8em;border-left:2px solid #c5cdd2;color:#4d585f}"
    "pre{white-space:pre-wrap}a{color:#0b5f66}"
)


@bp.get("/frame")
def frame() -> ResponseReturnValue:
    """HTML of the message, harmless, for the frame of its page and nowhere else.

    With `images=1` the reader's browser, never this host, loads pictures from where the sender put them.
    """
    mailbox, uid, remote = asked_mailbox(), asked_uid(), request.args.get("images") == "1"
    with opened(mailbox) as store:
        message = reading.message(store, uid)
        part = message.part(request.args.get("part", ""))
        if part.type != "text/html":
            abort(404)
        data = reading.raw(store, uid, part.path.encode(), MAX_HTML)

    def cid_url(name: str) -> str | None:
        found = message.shown.related.get(name.strip("<> ")) or message.shown.related.get(name.replace("%40", "@"))
        if found is None or found.type not in INLINE:
            return None
        return url_for("mail_parts.part", mailbox=mailbox, uid=uid, part=found.path, inline=1)

    clean, left_out = sanitised(reading.text_of(part, data), cid_url, remote=remote)
    policy = _FRAME_POLICY + ("'self' https: http:" if remote else "'self'")
    language = str(get_locale() or "en")
    title = gettext("Text of the message")
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<title>{title}</title><style>{_STYLE}</style></head><body data-left-out="{left_out}">{clean}</body></html>'
    )
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _served(body: Iterator[bytes], kind: str, name: str, *, inline: bool, policy: str = _PART_POLICY) -> Response:
    response = Response(stream_with_context(body), content_type=kind)
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    way = "inline" if inline else "attachment"
    response.headers["Content-Disposition"] = f"{way}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Cache-Control"] = "private, max-age=300" if inline else "no-store"
    return response


def _read(mailbox: str, uid: int, part: Part | None, size: int) -> Iterator[bytes]:
    with opened(mailbox) as store:
        yield from reading.pieces(store, uid, part, size)


@bp.get("")
def part() -> ResponseReturnValue:
    """One part: shown by the browser where that is harmless and `inline=1`, else saved."""
    mailbox, uid = asked_mailbox(), asked_uid()
    with opened(mailbox) as store:
        found = reading.message(store, uid).part(request.args.get("part", ""))
    name = found.file_name or gettext("attachment") + _ending(found)
    kind = INLINE.get(found.type) if request.args.get("inline") == "1" else None
    body = _read(mailbox, uid, found, found.size)
    if kind is None:
        return _served(body, "application/octet-stream", name, inline=False)
    if kind == "text/plain":
        kind = "text/plain; charset=utf-8"
        body = _as_utf8(mailbox, uid, found)
    policy = _PDF_POLICY if kind == "application/pdf" else _PART_POLICY
    return _served(body, kind, name, inline=True, policy=policy)


def _as_utf8(mailbox: str, uid: int, found: Part) -> Iterator[bytes]:
    """The beginning of a text, in a charset that every browser knows."""
    with opened(mailbox) as store:
        data = reading.raw(store, uid, found.path.encode(), reading.MAX_TEXT)
    yield reading.text_of(found, data).encode("utf-8", "replace")


def _ending(found: Part) -> str:
    if found.type in ("message/rfc822", "message/global"):
        return ".eml"
    return {"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif"}.get(found.type, ".bin")  # fmt: skip


@bp.get("/source")
def source() -> ResponseReturnValue:
    """The message as it came, as text."""
    mailbox, uid = asked_mailbox(), asked_uid()
    with opened(mailbox) as store:
        size = reading.message(store, uid).size
    return _served(_read(mailbox, uid, None, size), "text/plain; charset=utf-8", f"{uid}.txt", inline=True)


@bp.get("/save")
def save() -> ResponseReturnValue:
    """The message as a file for other mail programs."""
    mailbox, uid = asked_mailbox(), asked_uid()
    with opened(mailbox) as store:
        message = reading.message(store, uid)
    name = (safe_file_name(message.subject)[:80] or gettext("message")) + ".eml"
    return _served(_read(mailbox, uid, None, message.size), "message/rfc822", name, inline=False)


@bp.get("/zip")
def archive() -> ResponseReturnValue:
    """All attachments as one file. Raises NotPossible when they are more than MAX_ZIP."""
    mailbox, uid = asked_mailbox(), asked_uid()
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the answer has been sent)
    try:
        with opened(mailbox) as store:
            message = reading.message(store, uid)
            parts = message.shown.attached
            if sum(each.decoded_size for each in parts) > MAX_ZIP or len(parts) > MAX_ZIPPED:
                raise NotPossible(gettext("These attachments are too many or too large for one file. Save them one by one."))  # fmt: skip
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
                for name, each in zip(_names(parts), parts, strict=True):
                    with packed.open(name, "w") as entry:
                        for piece in reading.pieces(store, uid, each, each.size):
                            entry.write(piece)
    except BaseException:
        file.close()
        raise
    name = (safe_file_name(message.subject)[:80] or gettext("attachments")) + ".zip"
    return _served(_sent(file), "application/zip", name, inline=False)


@bp.post("/export")
def export() -> ResponseReturnValue:
    """The messages that were chosen as files in one. Raises NotPossible when they are more than MAX_ZIP."""
    mailbox, uids = asked_mailbox(), asked_uids()
    if not uids or len(uids) > MAX_ZIPPED:
        raise NotPossible(gettext("Choose 1 to %(most)s messages.", most=MAX_ZIPPED))
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the answer has been sent)
    try:
        with opened(mailbox) as store:
            sizes = {uid: number(items.get(b"RFC822.SIZE")) for uid, items in store.fetch(uids, b"(UID RFC822.SIZE)").items()}  # fmt: skip
            if sum(sizes.values()) > MAX_ZIP:
                raise NotPossible(gettext("These messages are too large for one file. Save fewer at once."))
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
                for uid, size in sizes.items():
                    with packed.open(f"{uid}.eml", "w") as entry:
                        for piece in reading.pieces(store, uid, None, size):
                            entry.write(piece)
    except BaseException:
        file.close()
        raise
    return _served(_sent(file), "application/zip", gettext("messages") + ".zip", inline=False)


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(1 << 18):
            yield piece


def _names(parts: list[Part]) -> list[str]:
    """A name of its own for each file."""
    taken: set[str] = set()
    found = []
    for place, each in enumerate(parts, 1):
        name = each.file_name or f"{gettext('attachment')}-{place}{_ending(each)}"
        stem, dot, ending = name.rpartition(".")
        count = 1
        while name.lower() in taken:
            count += 1
            name = f"{stem} ({count}).{ending}" if dot and stem else f"{ending} ({count})"
        taken.add(name.lower())
        found.append(name)
    return found
