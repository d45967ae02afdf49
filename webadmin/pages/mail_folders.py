"""Webmail: folders made, renamed, deleted and subscribed; messages taken in from files."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.mail.folders import SEPARATOR, Folder, folders
from webadmin.mail.places import INBOX, asked_mailbox
from webadmin.mail.quotas import quota
from webadmin.mail.store import Store, opened, wire_name
from webadmin.page import Page

PAGE = Page("Folders")
bp = Blueprint("mail_folders", __name__, url_prefix="/mail/folders")
MAX_NAME = 100  # characters of one folder's own name
MAX_FILES = 200  # messages taken in at once


@bp.get("")
def index() -> ResponseReturnValue:
    """All folders, each with what may be done with it."""
    with opened() as store:
        tree = folders(store)
        used = quota(store)
    return render_template(
        "mail/manage.html", folders=tree, quota=used, mailbox="", chosen=request.args.get("mailbox", "")
    )


def _own_name() -> str:
    name = request.form.get("name", "").strip()
    if not name or len(name) > MAX_NAME or not name.isprintable() or SEPARATOR in name or name in (".", ".."):
        raise NotPossible(gettext("A folder's name has 1 to %(most)s characters and no “/”.", most=MAX_NAME))
    return name


def _below(parent: str) -> str:
    name = _own_name()
    return f"{parent}{SEPARATOR}{name}" if parent else name


def _created(store: Store, _: list[Folder]) -> str:
    name = _below(request.form.get("parent", ""))
    store.ask(b"CREATE", wire_name(name))
    store.ask(b"SUBSCRIBE", wire_name(name))
    return str(gettext("The folder was made."))


def _named(tree: list[Folder]) -> Folder:
    """The folder that the form names, if its owner may change it."""
    name = asked_mailbox()
    found = next((folder for folder in tree if folder.name == name), None)
    if found is None:
        raise NotPossible(gettext("There is no such folder."))
    return found


def _ordinary(tree: list[Folder]) -> Folder:
    found = _named(tree)
    if found.special or found.name == INBOX:
        raise NotPossible(gettext("This folder is needed: mail programs put messages there."))
    return found


def _renamed(store: Store, tree: list[Folder]) -> str:
    old = _ordinary(tree)
    parent = request.form.get("parent", "")
    if parent == old.name or parent.startswith(old.name + SEPARATOR):
        raise NotPossible(gettext("A folder cannot be moved into itself."))
    name = _below(parent)
    if name != old.name:
        store.ask(b"RENAME", wire_name(old.name), wire_name(name))
        store.ask(b"SUBSCRIBE", wire_name(name))
        store.ask(b"UNSUBSCRIBE", wire_name(old.name))
    return str(gettext("The folder was renamed."))


def _deleted(store: Store, tree: list[Folder]) -> str:
    old = _ordinary(tree)
    if old.messages and request.form.get("sure") != "1":
        raise NotPossible(gettext("There are messages in this folder. Say that they are to be deleted, too."))
    store.ask(b"DELETE", wire_name(old.name))
    store.ask(b"UNSUBSCRIBE", wire_name(old.name))
    return str(gettext("The folder was deleted."))


def _subscribed(store: Store, tree: list[Folder]) -> str:
    store.ask(b"SUBSCRIBE", wire_name(_named(tree).name))
    return str(gettext("Mail programs show the folder from now on."))


def _unsubscribed(store: Store, tree: list[Folder]) -> str:
    store.ask(b"UNSUBSCRIBE", wire_name(_named(tree).name))
    return str(gettext("Mail programs do not show the folder any more."))


_DOING = {"create": _created, "rename": _renamed, "delete": _deleted, "subscribe": _subscribed, "unsubscribe": _unsubscribed}  # fmt: skip


@bp.post("")
def change() -> ResponseReturnValue:
    """Do what the form says."""
    doing = _DOING.get(request.form.get("do", ""))
    if doing is None:
        raise NotPossible(gettext("There is no such action."))
    try:
        with opened() as store:
            store.forget_selected()
            flash(doing(store, folders(store)))
    except NotPossible as problem:
        flash(str(problem), "problem")
        return redirect(url_for("mail_folders.index", mailbox=request.form.get("mailbox") or None))
    return redirect(url_for("mail_folders.index"))


@bp.post("/import")
def take_in() -> ResponseReturnValue:
    """Messages from files (.eml), one each, into the mailbox."""
    mailbox = asked_mailbox()
    files = [each for each in request.files.getlist("files") if each.filename]
    if not files or len(files) > MAX_FILES:
        raise NotPossible(gettext("Choose 1 to %(most)s files with a message each (.eml).", most=MAX_FILES))
    taken = 0
    problem = ""
    with opened(mailbox) as store:
        for file in files:
            octets = file.stream.read()
            try:
                store.append(mailbox, octets)
                taken += 1
            except NotPossible as error:
                problem = f"{file.filename}: {error}"
                break
    if taken:
        flash(gettext("Messages taken in: %(count)s", count=taken))
    if problem:
        flash(problem, "problem")
    return redirect(url_for("mail.index", mailbox=mailbox))
