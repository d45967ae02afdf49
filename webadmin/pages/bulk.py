"""Many people at once: a CSV table, looked at before it is done, and an LDIF file of what was found."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.entries import table, views
from webadmin.entries.kinds import ALIAS, DOMAIN, LIST, SHARED, USER
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, ask

PAGE = Page("Bulk changes", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=80)
KINDS = {kind.name: kind for kind in (USER, ALIAS, LIST, SHARED, DOMAIN)}
MAX_PARTS = 1000  # answers of one export
bp = Blueprint("bulk", __name__, url_prefix="/bulk")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The form."""
    return render_template("bulk/index.html", text="", problem="")


def _text() -> str:
    """The table that was sent, as a file or as text. Raises BadTable."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return request.form.get("table", "")
    octets = file.stream.read(table.MAX_CHARACTERS * 4 + 1)
    for encoding in ("utf-8-sig", "utf-16" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else "gb18030"):
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise table.BadTable(gettext("The file is not text in UTF-8."))


@bp.post("/")
def apply() -> ResponseReturnValue:
    """Show what a table would do; with `apply`, do it."""
    text = request.form.get("table", "")
    try:
        text = _text()
        rows = table.read(text)
    except table.BadTable as problem:
        return render_template("bulk/index.html", text=text[: table.MAX_CHARACTERS], problem=str(problem)), 422
    is_done = "apply" in request.form
    results = list(table.do(rows, rehearse=not is_done))
    good = sum(1 for result in results if not result.problem and result.action != "nothing")
    return render_template("bulk/results.html", text=text, results=results, is_done=is_done, good=good)


def _parts(wanted: dict[str, str]) -> Iterator[list[Any]]:
    """What was found, some records at a time. The first part is asked for at once, so trouble has a page of its own."""
    part = ask("export", **wanted)

    def parts() -> Iterator[list[Any]]:
        answer = part
        for _ in range(MAX_PARTS):
            yield answer["records"]
            if answer["next"] >= answer["total"]:
                return
            answer = ask("export", **wanted, start=answer["next"])

    return parts()


def _searched(kind: str) -> dict[str, str]:
    return {
        "kind": kind,
        "text": request.args.get("q", "")[:200],
        "domain": request.args.get("domain", "")[:255],
        "status": request.args["status"] if request.args.get("status") in views.STATUSES else "",
    }


def _file(name: str, kind: str, parts: Iterator[str]) -> Response:
    response = Response(stream_with_context(parts), mimetype=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@bp.get("/export/<kind>.ldif")
def export(kind: str) -> ResponseReturnValue:
    """What the table of entries shows, for the same search, as LDIF."""
    if kind not in KINDS:
        abort(404)
    records = _parts(_searched(kind))
    return _file(f"{kind}.ldif", "text/plain", chain(["version: 1\n\n"], ("".join(part) for part in records)))


@bp.get("/export/people.csv")
def people() -> ResponseReturnValue:
    """People as a table that can be changed and taken back in."""
    records = _parts({**_searched(USER.name), "form": "fields"})
    return _file("people.csv", "text/csv", chain([table.HEAD], (table.write(part) for part in records)))
