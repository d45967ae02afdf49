"""What the owner of a store sees of his expunged messages, and puts back, by the socket for everybody (webmail does).

Who asks is proven as for every verb there; nobody learns anything of another's messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from directory.model import Deferred, MailboxHolder, Refused
from directory.port import Directory
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.mail.header import MAX_HEADER, HeaderProblem, scan
from gateway.mime.encoded import decode_header_text
from gateway.store.errors import InvalidMailboxName
from gateway.store.keeping import Kept
from gateway.store.stores import Stores

MAX_LISTED = 1_000
MAX_PUT_BACK = 100  # messages by one wish
MAX_HEADERS = 100  # each costs a file that is opened
MAX_SHOWN = 200  # characters of a subject or author
Identifiers = Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_PUT_BACK)]


def headline(path: Path) -> tuple[str, str]:
    """Subject and author of a message, for people; "" for what it has not, or when it is gone."""
    try:
        with path.open("rb") as file:
            header = scan(file.read(MAX_HEADER).replace(b"\r\n", b"\n"))
    except (OSError, HeaderProblem):
        return "", ""
    texts = []
    for name in (b"subject", b"from"):
        fields = header.all(name)
        texts.append(decode_header_text(header.unfolded(fields[0])[: 2 * MAX_SHOWN])[:MAX_SHOWN] if fields else "")
    return texts[0], texts[1]


class ListExpunged(msgspec.Struct, forbid_unknown_fields=True):
    """The newest expunged messages, of one mailbox or of all ("")."""

    mailbox: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED)] = 100
    #: with subjects and authors, of at most `MAX_HEADERS`
    headers: bool = False


class Undelete(msgspec.Struct, forbid_unknown_fields=True):
    """Messages by the ids that the list gives; `into` a mailbox, "" = each into the one it was in."""

    messages: Identifiers
    into: str = ""


class ExpungedVerbs:
    """The verbs' functions; they run in threads. `owner` proves who asks."""

    def __init__(self, stores: Stores, directory: Directory, owner: Callable[[Caller], str]) -> None:
        self._stores, self._directory, self._owner = stores, directory, owner

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "own-expunged-list": Verb(Right.OWN, self._list, ListExpunged),
            "own-undelete": Verb(Right.OWN, self._undelete, Undelete),
        }

    def _kept(self, caller: Caller) -> tuple[MailboxHolder, list[Kept]]:
        """Raises VerbError, Deferred."""
        holder = self._directory.by_id(self._owner(caller))
        if not isinstance(holder, MailboxHolder) or not self._stores.has_index:
            raise VerbError("you have no mailbox on this host", 1)
        self._stores.check_up(holder)
        if self._stores.repository.account(holder.id) is None:
            return holder, []
        return holder, self._stores.expunged_messages(holder)

    def _list(self, caller: Caller, wanted: ListExpunged) -> list[dict[str, Any]]:
        _, found = self._kept(caller)
        some = [message for message in found if wanted.mailbox in ("", message.mailbox)][: wanted.limit]
        shown: list[dict[str, Any]] = [
            {"id": each.id, "mailbox": each.mailbox, "expunged_at": each.expunged_at, "octets": each.size}
            for each in some
        ]
        if wanted.headers:
            for facts, each in zip(shown[:MAX_HEADERS], some, strict=False):
                facts["subject"], facts["author"] = headline(each.path)
        return shown

    def _undelete(self, caller: Caller, wanted: Undelete) -> list[dict[str, Any]]:
        """For each message where it is now, or why not."""
        holder, found = self._kept(caller)
        known = {message.id: message for message in found}
        answers: list[dict[str, Any]] = []
        for name in wanted.messages:
            message = known.get(name)
            try:
                done = self._stores.undelete(holder, message, wanted.into) if message is not None else None
            except (Refused, Deferred) as error:
                answers.append({"id": name, "error": error.text})
            except InvalidMailboxName as error:
                answers.append({"id": name, "error": str(error)})
            else:
                answers.append(
                    {"id": name, "error": "it is not kept any more"}
                    if done is None
                    else {"id": name, "mailbox": done[0], "uid": done[1].uid}
                )
        return answers
