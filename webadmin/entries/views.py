"""The pages that every kind of entry has: find, show and change, make, delete. A page's module adds what is its own."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.wrappers import Response

from webadmin.backend import Changed, NotPossible
from webadmin.entries import form
from webadmin.entries.kinds import Kind
from webadmin.entries.passwords import generate
from webadmin.person import ask

SHOWN = 50  # rows of a table
MAX_START = 1_000_000
STATUSES = ("active", "noaccess", "suspended", "closed")
NO_SUCH, BAD_WISH = 1, 2


def number(text: str) -> int:
    """The number of the first row that is wanted."""
    return min(int(text), MAX_START) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def found(kind: Kind, name: str) -> dict[str, Any]:
    """What `show` tells of an entry; 404 when there is none that this person may see."""
    try:
        facts: dict[str, Any] = ask("show", kind=kind.name, name=name)
    except NotPossible as problem:
        if problem.code in (NO_SUCH, BAD_WISH):
            abort(404)
        raise
    return facts


def search(kind: Kind) -> dict[str, Any]:
    """What a table of entries shows, for the request's arguments."""
    text, domain = request.args.get("q", "")[:200], request.args.get("domain", "")[:255]
    status = request.args.get("status", "")
    start = number(request.args.get("start", ""))
    status = status if status in STATUSES else ""
    answer = ask("find", kind=kind.name, text=text, domain=domain, status=status, start=start, limit=SHOWN)
    return {"text": text, "domain": domain, "status": status, "start": start, "shown": SHOWN, **answer}


def register(bp: Blueprint, kind: Kind, *, also: str = "") -> None:
    """Give a blueprint the pages of a kind. `also` = a template with more for the page of an entry."""

    @bp.get("/")
    def index() -> ResponseReturnValue:
        """Those who match."""
        return render_template(
            "entries/list.html", kind=kind, form=ask("form", kind=kind.name), statuses=STATUSES, **search(kind)
        )

    @bp.get("/of/<path:name>")
    def show(name: str) -> ResponseReturnValue:
        """One entry as a form."""
        facts = found(kind, name)
        values = form.stored(kind.cls, facts)
        return _form(facts, values, form.pack(values), facts["version"])

    def _form(
        facts: dict[str, Any],
        values: form.Values,
        before: str,
        version: str,
        problem: str = "",
        meanwhile: form.Values | None = None,
        code: int = 200,
    ) -> ResponseReturnValue:
        made = form.sections(kind.cls, values, facts["editable"], facts["values"], facts["names"])
        for section in made:
            for one in section.inputs:
                if meanwhile and one.name in meanwhile:
                    one.meanwhile = meanwhile[one.name]
        top = form.blame(made, problem) if problem else ""
        page = render_template(
            "entries/show.html", kind=kind, entry=facts, sections=made, before=before, version=version, problem=top,
            is_refused=bool(problem), conflict=bool(meanwhile), also=also,
        )  # fmt: skip
        return page, code

    @bp.post("/of/<path:name>")
    def save(name: str) -> ResponseReturnValue:
        """Change what was changed in the form, unless somebody else was faster."""
        facts = found(kind, name)
        version = request.form.get("version", "")
        before = form.unpack(request.form.get("before", ""))
        if before is None:
            abort(400)
        after = form.sent(kind.cls, request.form, facts["editable"])
        wanted = form.differences(before, after, form.defaults_of(kind.cls))
        if not wanted:
            flash(gettext("Nothing was changed."))
            return redirect(url_for(f"{bp.name}.show", name=name))
        if version != facts["version"]:
            return _both(facts, before, wanted)
        try:
            done = ask("change", kind=kind.name, name=name, changes=form.as_changes(wanted), version=version)
        except Changed:
            return _both(found(kind, name), before, wanted)
        except NotPossible as problem:
            return _form(facts, before | after, form.pack(before), version, str(problem), code=_status(problem))
        flash(gettext("Saved."), "done")
        return _to(done, name, bool(wanted.keys() & {"logins", "mail", "addresses", "primary_address"}))

    def _to(done: dict[str, Any], name: str, renamed: bool) -> Response:
        """To the entry, by its distinguished name when it may be called otherwise now."""
        return redirect(url_for(f"{bp.name}.show", name=done["dn"] if renamed else name))

    def _both(facts: dict[str, Any], before: form.Values, wanted: form.Values) -> ResponseReturnValue:
        """What this person wants, beside what somebody else wrote meanwhile."""
        now = form.stored(kind.cls, facts)
        meanwhile = {
            name: now.get(name, [])
            for name in wanted
            if sorted(now.get(name, [])) != sorted(before.get(name, []))
            and sorted(now.get(name, [])) != sorted(wanted[name])
        }
        text = gettext("Somebody else changed this entry meanwhile. Look at both, then save again.")
        return _form(facts, now | wanted, form.pack(now), facts["version"], text, meanwhile, 409)

    @bp.get("/new")
    def new() -> ResponseReturnValue:
        """The form of a new one."""
        return _new({}, {})

    def _new(first: dict[str, str], values: form.Values, problem: str = "", code: int = 200) -> ResponseReturnValue:
        asked = ask("form", kind=kind.name)
        if not asked["may_add"]:
            abort(403)
        made = form.sections(kind.cls, values, asked["editable"], leave_out=kind.covers)
        top = form.blame(made, problem) if problem else ""
        page = render_template(
            "entries/new.html", kind=kind, form=asked, sections=made, first=first, problem=top,
            is_refused=bool(problem),
        )  # fmt: skip
        return page, code

    @bp.post("/new")
    def add() -> ResponseReturnValue:
        """Make it."""
        asked = ask("form", kind=kind.name)
        after = form.sent(kind.cls, request.form, asked["editable"], kind.covers)
        wanted = form.differences({}, after, form.defaults_of(kind.cls))
        arguments = {**kind.arguments(request.form)}
        if kind.add != "add-alias":
            arguments["changes"] = form.as_changes(wanted)
        generated = ""
        if kind.name == "user":
            generated = generate() if request.form.get("password_kind") == "generate" else ""
            arguments["password"] = generated or request.form.get("password", "")
        try:
            done = ask(kind.add, **arguments)
            if kind.add == "add-alias" and wanted:
                ask("change", kind=kind.name, name=done["dn"], changes=form.as_changes(wanted))
        except NotPossible as problem:
            first = {one.name: request.form.get(f"n.{one.name}", "") for one in kind.first}
            return _new(first, after, str(problem), _status(problem))
        if generated:
            return render_template("entries/password_made.html", kind=kind, name=arguments["login"], made=generated)
        flash(gettext("Made."), "done")
        return redirect(url_for(f"{bp.name}.show", name=_key(arguments, done)))

    def _key(arguments: dict[str, Any], done: dict[str, Any]) -> str:
        return str(arguments.get("login") or arguments.get("address") or arguments.get("name") or done["dn"])

    @bp.get("/delete/<path:name>")
    def confirm(name: str) -> ResponseReturnValue:
        """Ask before it is gone."""
        facts = found(kind, name)
        if not facts["may_delete"]:
            abort(403)
        return render_template("entries/delete.html", kind=kind, entry=facts, problem="")

    @bp.post("/delete/<path:name>")
    def delete(name: str) -> ResponseReturnValue:
        """Delete it, when it is still what was looked at."""
        facts = found(kind, name)
        try:
            ask("delete", kind=kind.name, name=name, version=request.form.get("version", ""))
        except NotPossible as problem:
            return render_template(
                "entries/delete.html", kind=kind, entry=found(kind, name), problem=str(problem)
            ), _status(problem)
        flash(gettext("%(name)s is deleted.", name=facts["title"]), "done")
        return redirect(url_for(f"{bp.name}.index"))


def _status(problem: NotPossible) -> int:
    return {5: 403, 4: 409}.get(problem.code, 422)
