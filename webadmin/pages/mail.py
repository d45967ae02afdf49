"""Webmail: the messages of a mailbox, by page or as the reader scrolls; searches; what is new."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import to_user_timezone

from webadmin.mail import dates
from webadmin.mail.folders import Folder, folders, special_of
from webadmin.mail.listing import ORDERS, Listed, listed, listed_conversations
from webadmin.mail.places import asked_mailbox, link
from webadmin.mail.quotas import quota
from webadmin.mail.searching import MAX_QUERY, keys_of
from webadmin.mail.store import Store, opened
from webadmin.page import MAIL, Page
from webadmin.person import person

PAGE = Page("Mail", group=MAIL, order=10)
SHOWN = 50
MAX_PLACE = 10_000_000
bp = Blueprint("mail", __name__, url_prefix="/mail")


class Wish:
    """What of a mailbox is to be shown, from the request's address."""

    def __init__(self) -> None:
        self.mailbox = asked_mailbox()
        self.query = request.args.get("q", "").strip()[:MAX_QUERY]
        self.order = request.args.get("order", "newest")
        if self.order not in ORDERS:
            self.order = "newest"
        at = request.args.get("at", "0")
        self.at = min(int(at), MAX_PLACE) if at.isascii() and at.isdigit() and len(at) < 9 else 0
        if "threads" in request.args:
            session["threads"] = request.args["threads"] == "1"
        self.threads = bool(session.get("threads")) and not self.query and self.order == "newest"

    def address(self, endpoint: str, **changed: str | int | None) -> str:
        """A link to the same with changes."""
        wanted: dict[str, str | int | None] = {
            "mailbox": self.mailbox,
            "q": self.query or None,
            "order": self.order if self.order != "newest" else None,
            "at": self.at or None,
            **changed,
        }
        return url_for(endpoint, _anchor=None, _method=None, _scheme=None, _external=None, **wanted)

    def found(self, store: Store, tree: list[Folder]) -> Listed:
        """What is there. Raises NotPossible, Unavailable."""
        folder = next((each for each in tree if each.name == self.mailbox), None)
        if self.threads and folder is not None:
            return listed_conversations(store, person().id, folder, self.at, SHOWN)
        return listed(store, keys_of(self.query), self.order, self.at, SHOWN)


@bp.get("/")
def index() -> ResponseReturnValue:
    """A page of the list. Where the tree says that the mailbox is empty nothing else is asked."""
    wish = Wish()
    with opened(wish.mailbox) as store:
        tree = folders(store)
        found = wish.found(store, tree)
        used = quota(store)
    special = special_of(tree, wish.mailbox)
    return render_template(
        "mail/list.html",
        wish=wish,
        mailbox=wish.mailbox,
        title=next((folder.title for folder in tree if folder.name == wish.mailbox), wish.mailbox),
        folders=tree,
        special=special,
        quota=used,
        total=found.total,
        page=SHOWN,
        compose=link("compose.index"),
        **_rows(wish, found, special),
    )


@bp.get("/rows")
def rows() -> ResponseReturnValue:
    """A part of the list alone, for the script that fills it as the reader scrolls."""
    wish = Wish()
    with opened(wish.mailbox) as store:
        tree = folders(store) if wish.threads else []
        found = wish.found(store, tree)
    special = request.args.get("special", "")
    answer = render_template("mail/rows.html", **_rows(wish, found, special))
    return answer, 200, {"X-Gatepost-Total": str(found.total)}


@bp.get("/news")
def news() -> ResponseReturnValue:
    """How many messages, and how many of them unread, are in each mailbox now."""
    with opened() as store:
        tree = folders(store)
    return {
        folder.name: {"messages": folder.messages, "unseen": folder.unseen, "next": folder.next}
        for folder in tree
        if folder.selectable
    }


def _rows(wish: Wish, found: Listed, special: str) -> dict[str, object]:
    """What the rows' template needs."""
    now = to_user_timezone(datetime.now(UTC))
    target = "compose.index" if special == "drafts" and link("compose.index") else "message.index"
    name = "draft" if target == "compose.index" else "uid"
    return {
        "rows": found.rows,
        "first": wish.at,
        "day": lambda when: dates.short(to_user_timezone(when), now),
        "long": dates.long,
        "open": link(target, mailbox=wish.mailbox) + f"&{name}=",
        "outgoing": special in ("sent", "drafts"),
    }
