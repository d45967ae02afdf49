"""A store here becomes a Maildir of Dovecot: UIDs, flags, keywords, dates, subscriptions and POP3 unique-ids stay.

The store here is not touched: a Maildir++ tree of links to its files is built beside PATH, until two looks agree, gets
Dovecot's files and then, by one rename, its place. What a crash cuts off is done by the next call.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import sync_folder
from gateway.store import markers, uidls
from gateway.store.foreign import dovecot
from gateway.store.foreign.reading import Mailbox, Message
from gateway.store.foreign.records import Unreadable
from gateway.store.foreign.staging import Staging
from gateway.store.layout import SEPARATOR, encode_level
from gateway.store.opening import trouble
from gateway.store.repository import INBOX
from gateway.store.taking_over import LOOKS, TakingOver, alone


@dataclass(slots=True)
class HandedBack:
    """What became of it. `left_out`: by mailbox, keywords beyond those that Dovecot has letters for."""

    path: str
    messages: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    copied: int = 0


class HandingBack(TakingOver):
    """Part of Stores."""

    def hand_back(self, holder: MailboxHolder, target: str, uidl: str = dovecot.DEFAULT_UIDL) -> HandedBack:
        """Make a Maildir for Dovecot at `target`, where nothing may be yet; durable on return. `uidl` is its
        pop3_uidl_format. Raises Unreadable, Deferred.
        """
        target = os.path.abspath(target)
        maildir = self.open(holder).path
        done = HandedBack(target)
        with trouble(target):
            if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
                raise Unreadable(f"{target} is there already: move it aside, what is handed back begins anew")
            if os.path.commonpath([os.path.realpath(target), os.path.realpath(maildir)]) == os.path.realpath(maildir):
                raise Unreadable(f"{target} is within the store of {holder.dn}")
            with alone(f"{target}.handing-back") as path:
                staging = Staging(path)
                staging.begin()
                for _ in range(LOOKS):
                    mailboxes, letters = self._leaving(holder, maildir, done)
                    if not staging.put(mailboxes):
                        break
                else:
                    raise Deferred(Condition.STORE_UNAVAILABLE, f"{maildir} changes all the time: suspend the account")
                self._write_notes(maildir, staging, mailboxes, letters, uidl)
                staging.sync(mailboxes)
                os.rename(path, target)
                sync_folder(os.path.dirname(target))
        done.messages = {mailbox.name: len(mailbox.messages) for mailbox in mailboxes}
        done.copied = staging.copied
        return done

    def _leaving(
        self, holder: MailboxHolder, maildir: str, done: HandedBack
    ) -> tuple[list[Mailbox], dict[str, dict[str, str]]]:
        """All mailboxes as Dovecot will have them, and the letters of their keywords by mailbox. Raises OSError, Deferred."""
        mailboxes: list[Mailbox] = []
        letters: dict[str, dict[str, str]] = {}
        self.find_folders(holder.id, maildir)
        for known in self.repository.mailboxes(holder.id):
            row = self.look(holder.id, maildir, known)
            messages = self.repository.messages(holder.id, row.id)
            counted = Counter(word for message in messages for word in message.keywords.split())
            chosen = [word for word, _ in counted.most_common(dovecot.MAX_KEYWORDS)]
            letters[row.name] = {word: chr(ord("a") + number) for number, word in enumerate(sorted(chosen))}
            done.left_out.pop(row.name, None)
            if left := sorted(counted.keys() - letters[row.name].keys()):
                done.left_out[row.name] = left
            mailbox = Mailbox(row.name, row.uidvalidity, row.uidnext)
            for message in messages:
                try:
                    source = self.path_of(holder.id, row, message)
                except FileNotFoundError:
                    continue  # expunged just now
                marks = "".join(letters[row.name].get(word, "") for word in message.keywords.split())
                name = f"{message.ukey},S={message.size},W={message.crlf}:2,{message.flags}{''.join(sorted(marks))}"
                mailbox.messages.append(
                    Message(
                        source, message.uid, message.ukey, message.size, message.crlf, message.flags, message.keywords,
                        name=name,
                    )
                )  # fmt: skip
            mailboxes.append(mailbox)
        return mailboxes, letters

    def _write_notes(
        self,
        maildir: str,
        staging: Staging,
        mailboxes: list[Mailbox],
        letters: Mapping[str, Mapping[str, str]],
        uidl: str,
    ) -> None:
        """Dovecot's own files. Raises Unreadable, OSError."""
        for mailbox in mailboxes:
            folder = staging.folder(mailbox)
            told = uidls.read(maildir, mailbox.uidvalidity) if mailbox.name == INBOX else None
            lines = []
            for message in mailbox.messages:
                base = message.file.partition(":")[0]
                fields: dict[str, str] = {}
                if told is not None:
                    is_called = told.get(message.uid) or uidls.uidl(message.uid, mailbox.uidvalidity)
                    if is_called != dovecot.unique_id_of(uidl, mailbox.uidvalidity, message.uid, {}, base):
                        fields["P"] = is_called
                lines.append(dovecot.Line(message.uid, fields, base))
            header = {"V": str(mailbox.uidvalidity), "N": str(mailbox.uidnext), "G": secrets.token_hex(16)}
            markers.replace(os.path.join(folder, dovecot.UIDLIST), dovecot.uidlist(header, lines))
            if names := letters[mailbox.name]:
                markers.replace(os.path.join(folder, dovecot.KEYWORDS), dovecot.keywords(names))
        subscribed = [
            SEPARATOR.join(map(encode_level, name.split(SEPARATOR))) for name in markers.read_subscriptions(maildir)
        ]
        markers.replace(os.path.join(staging.path, dovecot.SUBSCRIPTIONS), dovecot.subscriptions(subscribed))
        highest = f"{max(mailbox.uidvalidity for mailbox in mailboxes):08x}"
        markers.replace(os.path.join(staging.path, dovecot.UIDVALIDITY), highest.encode())
        markers.replace(os.path.join(staging.path, f"{dovecot.UIDVALIDITY}.{highest}"), b"")
