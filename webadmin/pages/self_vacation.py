"""Self-service: replies while somebody is away, with a look at what people will get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from gateway.policy.autoreply import DEFAULT_DAYS, MAX_DAYS
from webadmin import own_entry
from webadmin.backend import NotPossible
from webadmin.mail.compose_form import MAX_OFFSET
from webadmin.own_entry import OwnEntry
from webadmin.page import SELF, Page
from webadmin.person import person

PAGE = Page("Vacation", group=SELF, order=25)
MAX_SUBJECT, MAX_TEXT = 200, 4000  # characters
bp = Blueprint("self_vacation", __name__, url_prefix="/self/vacation")


@dataclass(slots=True)
class Form:
    """As typed; moments are `YYYY-MM-DDTHH:MM`, `offset` minutes before UTC."""

    version: str
    is_on: bool
    start: str
    end: str
    days: str
    subject: str
    text: str
    offset: int = 0

    @classmethod
    def of(cls, entry: OwnEntry) -> Form:
        """What the directory has."""
        return cls(
            entry.version,
            bool(entry.values.get("vacation")),
            _shown(entry.values.get("vacation_start")),
            _shown(entry.values.get("vacation_end")),
            entry.text("vacation_days"),
            entry.text("vacation_subject"),
            entry.text("vacation_text"),
        )

    @classmethod
    def sent(cls) -> Form:
        """What came from the browser."""
        given = request.form
        offset = given.get("offset", "0")
        return cls(
            given.get("version", ""),
            bool(given.get("vacation")),
            given.get("start", "")[:20],
            given.get("end", "")[:20],
            given.get("days", "")[:4].strip(),
            given.get("subject", "").strip()[:MAX_SUBJECT],
            given.get("text", "").replace("\r\n", "\n").strip()[:MAX_TEXT],
            int(offset) if offset.lstrip("-").isdecimal() and abs(int(offset[:6])) <= MAX_OFFSET else 0,
        )

    def changes(self) -> dict[str, list[str]]:
        """For the directory. Raises NotPossible."""
        start, end = self._moment(self.start), self._moment(self.end)
        if start and end and end <= start:
            raise NotPossible(gettext("The end lies before the beginning."))
        if self.days and not (self.days.isdecimal() and 1 <= int(self.days) <= MAX_DAYS):
            raise NotPossible(gettext("The days between two replies are a number from 1 to %(most)s.", most=MAX_DAYS))
        return {
            "vacation": ["yes" if self.is_on else "no"],
            "vacation_start": [start] if start else [],
            "vacation_end": [end] if end else [],
            "vacation_days": [self.days] if self.days else [],
            "vacation_subject": [self.subject] if self.subject else [],
            "vacation_text": [self.text] if self.text else [],
        }

    def _moment(self, text: str) -> str:
        if not text:
            return ""
        try:
            local = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return f"{local - timedelta(minutes=self.offset):%Y%m%d%H%M%SZ}"
        except (ValueError, OverflowError):
            raise NotPossible(gettext("That is no date and time.")) from None


def _shown(moment: float | None) -> str:
    return "" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M}"


@bp.get("")
def index() -> ResponseReturnValue:
    """As it is."""
    return _page(Form.of(own_entry.load()))


@bp.post("")
def save() -> ResponseReturnValue:
    """As it shall be, or a look at it first."""
    form = Form.sent()
    try:
        changes = form.changes()
        if request.form.get("do") == "preview":
            return _page(form, preview=True)
        own_entry.change(form.version, changes)
    except NotPossible as problem:
        return _page(form, problem=str(problem)), 409
    flash(gettext("Vacation replies are on.") if form.is_on else gettext("Vacation replies are off."))
    return redirect(url_for("self_vacation.index"))


def _page(form: Form, *, problem: str = "", preview: bool = False) -> str:
    from gateway.service.vacation import DEFAULT_TEXT

    return render_template(
        "self/vacation.html",
        form=form,
        problem=problem,
        preview=preview,
        usual_days=DEFAULT_DAYS,
        usual_text=DEFAULT_TEXT,
        longest=MAX_TEXT,
        longest_subject=MAX_SUBJECT,
        address=next(iter(person().addresses), ""),
    )
