"""What is done with messages: flags, labels, moved, copied, deleted, called junk. One command of IMAP each, for up to 2,000 of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.mail.folders import Folder, named
from webadmin.mail.labels import keyword_of
from webadmin.mail.store import Store, uid_sets, wire_name

_FLAGS = {
    "read": (b"+", b"\\Seen"), "unread": (b"-", b"\\Seen"), "flag": (b"+", b"\\Flagged"), "unflag": (b"-", b"\\Flagged"),
}  # fmt: skip


def act(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], what: str, to: str, label: str) -> str:
    """Do it; what was done, in words. Raises NotPossible, NoSuchMailbox, Unavailable."""
    if not uids:
        raise NotPossible(gettext("Choose messages first."))
    if what in _FLAGS:
        sign, flag = _FLAGS[what]
        _store(store, uids, sign, flag)
        return ""
    if what in ("label", "unlabel"):
        keyword = keyword_of(label)
        if keyword is None:
            raise NotPossible(gettext("A label has 1 to 40 letters, digits or spaces."))
        _store(store, uids, b"+" if what == "label" else b"-", keyword)
        return ""
    doing = _DOING.get(what)
    if doing is None:
        raise NotPossible(gettext("There is no such action."))
    return doing(store, tree, mailbox, uids, to)


def _store(store: Store, uids: Sequence[int], sign: bytes, flag: bytes) -> None:
    for part in uid_sets(uids):
        store.ask(b"UID STORE", part, sign + b"FLAGS.SILENT", b"(" + flag + b")")


def _title(tree: list[Folder], name: str) -> str:
    return next((folder.title for folder in tree if folder.name == name), name)


def _move_to(store: Store, tree: list[Folder], uids: Sequence[int], to: str) -> str:
    for part in uid_sets(uids):
        store.ask(b"UID MOVE", part, wire_name(to))
    return str(gettext("Moved to %(folder)s: %(num)s", folder=_title(tree, to), num=len(uids)))


def _move(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], to: str) -> str:
    if not to:
        raise NotPossible(gettext("Choose a folder to move to."))
    if to == mailbox:
        return ""
    return _move_to(store, tree, uids, to)


def _copy(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], to: str) -> str:
    if not to:
        raise NotPossible(gettext("Choose a folder to copy to."))
    for part in uid_sets(uids):
        store.ask(b"UID COPY", part, wire_name(to))
    return str(gettext("Copied to %(folder)s: %(num)s", folder=_title(tree, to), num=len(uids)))


def home_of(tree: list[Folder], mailbox: str, special: str) -> str:
    """Where messages of `mailbox` go for a special use: beside it in a shared mailbox, else to the person's own.

    Raises NotPossible when there is no such mailbox.
    """
    parts = mailbox.split("/")
    if len(parts) >= 2 and any(folder.name == mailbox and folder.is_foreign for folder in tree):
        beside = "/".join([*parts[:2], special.capitalize()])
        if any(folder.name == beside and folder.selectable for folder in tree):
            return beside
    found = named(tree, special)
    if found is None:
        raise NotPossible(gettext("There is no folder for that. Make one first, under “Manage folders”."))
    return found


def _delete(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], _: str) -> str:
    trash = home_of(tree, mailbox, "trash")
    if mailbox == trash or mailbox.startswith(trash + "/"):
        return _purge(store, tree, mailbox, uids, "")
    return _move_to(store, tree, uids, trash)


def _purge(store: Store, _tree: list[Folder], _mailbox: str, uids: Sequence[int], _: str) -> str:
    _store(store, uids, b"+", b"\\Deleted")
    for part in uid_sets(uids):
        store.ask(b"UID EXPUNGE", part)
    return str(gettext("Deleted for good: %(num)s", num=len(uids)))


def _archive(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], _: str) -> str:
    return _move(store, tree, mailbox, uids, home_of(tree, mailbox, "archive"))


def _junk(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], _: str) -> str:
    to = home_of(tree, mailbox, "junk")
    _store(store, uids, b"-", b"$NotJunk")
    _store(store, uids, b"+", b"$Junk")
    return _move(store, tree, mailbox, uids, to)


def _not_junk(store: Store, tree: list[Folder], mailbox: str, uids: Sequence[int], _: str) -> str:
    _store(store, uids, b"-", b"$Junk")
    _store(store, uids, b"+", b"$NotJunk")
    parts = mailbox.split("/")
    foreign = any(folder.name == mailbox and folder.is_foreign for folder in tree)
    return _move(store, tree, mailbox, uids, "/".join(parts[:2]) if foreign and len(parts) > 2 else "INBOX")


_DOING: dict[str, Callable[[Store, list[Folder], str, Sequence[int], str], str]] = {
    "move": _move, "copy": _copy, "delete": _delete, "purge": _purge, "archive": _archive, "junk": _junk, "notjunk": _not_junk,
}  # fmt: skip
#: what leads away from a message's page
LEAVING = frozenset(("move", "delete", "purge", "archive", "junk", "notjunk", "unread"))
