"""Posts that wait for a moderator: a file each in `state_dir/held`, in the form of a queue file, until somebody decides.

    queue (accepted) -> held/message/<id>, moderators told -> approved: queue file of the same id, then the held one goes
                                                            -> rejected or expired: the held file goes

Every step may be repeated after a crash: the held file and the queue file of a post have one name, so that it is never
there twice, and a post that is in both was approved; moderators may be told twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from msgspec.structs import replace

from directory.model import Condition, Deferred, MailingList
from gateway.lists import notices
from gateway.lists.addresses import list_address
from gateway.lists.requests import Request, post_token
from gateway.lists.settings import ListSettings
from gateway.mail.header import Header, HeaderProblem, scan_pieces
from gateway.mime.encoded import decode_header_text
from gateway.mime.parsed import LEAF, Part
from gateway.mime.scanner import scan
from gateway.mime.text import decoded_text
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, Target
from gateway.route.plan import ListMail
from gateway.route.router import Router
from gateway.service.accept import target_of
from gateway.service.list_decider import Deciders
from gateway.service.list_facts import HostListFacts
from gateway.service.list_mailer import Content, ListMailer, beginning

MAX_SHOWN = 200  # octets of a field in a listing
MAX_READ = 256 * 1024  # octets of a post that is shown
MAX_TEXT = 64 * 1024  # characters of it
MAX_ATTACHMENTS = 100


@dataclass(frozen=True, slots=True)
class Waiting:
    """A post that waits."""

    id: str
    since: float
    return_path: str
    author: str
    subject: str
    size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A post that waits, for whoever decides: its beginning as plain words."""

    id: str
    since: float
    return_path: str
    author: str
    subject: str
    to: str
    date: str
    size: int
    text: str
    #: names or types of what is not text
    attachments: tuple[str, ...]
    #: there is more of it than is shown
    is_cut: bool


class NoSuchPost(Exception):
    """The post is not there (any more), or is not this list's."""


class Moderation:
    """One in the runner, called in its loop."""

    def __init__(
        self,
        mailer: ListMailer,
        router: Router,
        facts: HostListFacts,
        held: QueueFolder,
        settings: ListSettings,
        deciders: Deciders,
    ) -> None:
        self._mailer, self._router, self._facts = mailer, router, facts
        self._held, self._settings, self._deciders = held, settings, deciders

    # -- a post comes --

    async def hold(self, step: ListMail, envelope: QueuedEnvelope, content: Content) -> None:
        """Keep a post and tell the moderators."""
        mailing_list = step.service_of
        mark = hashlib.sha256(mailing_list.id.encode()).hexdigest()[:8]
        address = list_address(mailing_list) or step.recipient
        post = replace(
            envelope,
            id=f"{envelope.id}-{mark}",
            arrival=self._mailer.clock(),
            targets=(Target(address, mailing_list.id),),
            not_before=0.0,
            owner="",
        )
        await asyncio.to_thread(lambda: self._held.inject(post, list(content())))
        self._mailer.say("post-held", mailing_list, id=envelope.id, post=post.id)
        number = self._mailer.new_id()
        octets = notices.held(
            mailing_list,
            post_token(self._facts.key, mailing_list.id, post.id),
            beginning(content(), notices.MAX_ORIGINAL + 1),
            message_id=self._mailer.message_id(number),
            now=self._mailer.clock(),
            days=self._settings.held_lifetime / 86400,
            page=f"{self._mailer.web}/moderation/{quote(address)}/{quote(post.id)}" if self._mailer.web else "",
        )
        await self._mailer.send(number, self._mailer.moderators(mailing_list), octets)

    def recover(self) -> None:
        """At the start, before the queue is worked on: a post that is there, too, was approved when a crash came.
        Raises OSError."""
        for post in self._held.ids() & self._mailer.queue.ids():
            self._held.remove(post)

    # -- somebody decides --

    async def asked(
        self, mailing_list: MailingList, request: Request, header: Header, envelope: QueuedEnvelope, content: Content
    ) -> bool:
        """Decide by mail. False when a person has to look at the message. Raises Deferred, OSError."""
        if request.verb not in ("approve", "reject"):
            return False
        who = await self._deciders.decider(mailing_list, header, envelope, content)
        if not who:
            self._mailer.say("decision-not-proven", mailing_list, id=envelope.id)
            return False
        # a signature proves the author, not the return path
        answer_to = envelope.return_path if who == envelope.login else who
        key = self._facts.key
        post = next((p for p in self._held.ids() if post_token(key, mailing_list.id, p) == request.token), "")
        try:
            await self.decide(mailing_list, post, request.verb, who)
            done = {"approve": "The post was sent to the members.\n邮件已发送给成员。\n",
                    "reject": "The post was thrown away.\n邮件已拒绝。\n"}[request.verb]  # fmt: skip
        except NoSuchPost:
            done = "Somebody has decided on this post already, or it expired.\n该邮件已被处理或已过期。\n"
        if answer_to:
            number = self._mailer.new_id()
            message = notices.notice(
                mailing_list, answer_to, f"{list_address(mailing_list)}: {request.verb}", done,
                message_id=self._mailer.message_id(number), now=self._mailer.clock(),
            )  # fmt: skip
            await self._mailer.send(number, (answer_to,), message.as_bytes())
        return True

    async def decide(self, mailing_list: MailingList, post: str, verb: str, who: str) -> None:
        """Send a post to the members, or throw it away. Raises NoSuchPost, Deferred, Refused, OSError."""
        envelope = await asyncio.to_thread(self._read, mailing_list.id, post)
        if verb == "approve":
            address = list_address(mailing_list) or ""
            plan = self._router.route(address, self._mailer.clock(), sender=envelope.return_path)
            targets = tuple(target_of(step, envelope.return_path) for step in plan.steps)
            sent = replace(envelope, arrival=self._mailer.clock(), targets=targets)
            await self._mailer.inject(sent, lambda: list(self._held.content(post)))
        self._held.remove(post)
        self._mailer.say("post-approved" if verb == "approve" else "post-rejected", mailing_list, post=post, by=who)

    def _read(self, list_id: str, post: str) -> QueuedEnvelope:
        try:
            envelope = self._held.read(post) if post and "/" not in post else None
        except (FileNotFoundError, IsADirectoryError):
            envelope = None
        except Damaged as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, str(error)) from error
        if envelope is None or envelope.targets[0].account != list_id:
            raise NoSuchPost(post)
        return envelope

    # -- what waits --

    def waiting(self, list_id: str) -> list[Waiting]:
        """The posts of a list, oldest first. Reads files: call it in a thread."""
        found = []
        for post in self._held.ids():
            try:
                envelope = self._read(list_id, post)
                header = scan_pieces(self._held.content(post))
            except (NoSuchPost, Deferred, Damaged, HeaderProblem, OSError):
                continue
            author, subject = (
                decode_header_text(header.unfolded(fields[0]))[:MAX_SHOWN] if (fields := header.all(name)) else ""
                for name in (b"from", b"subject")
            )
            found.append(Waiting(post, envelope.arrival, envelope.return_path, author, subject, envelope.size))
        return sorted(found, key=lambda one: one.since)

    def shown(self, list_id: str, post: str) -> Shown:
        """A post that waits. Reads files: call it in a thread. Raises NoSuchPost, Deferred, OSError."""
        envelope = self._read(list_id, post)
        try:
            octets = beginning(self._held.content(post), MAX_READ)
        except FileNotFoundError:
            raise NoSuchPost(post) from None
        except Damaged as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, str(error)) from error
        header, parsed = scan_pieces(iter((octets,))), scan(octets)
        author, subject, to, date = (
            decode_header_text(header.unfolded(fields[0]))[:MAX_SHOWN] if (fields := header.all(name)) else ""
            for name in (b"from", b"subject", b"to", b"date")
        )
        text = "\n".join(decoded_text(lambda start, end: octets[start:end], parsed))
        return Shown(
            post, envelope.arrival, envelope.return_path, author, subject, to, date, envelope.size, text[:MAX_TEXT],
            tuple(_others(parsed.root)), envelope.size > MAX_READ or len(text) > MAX_TEXT,
        )  # fmt: skip

    async def expire(self) -> None:
        """Throw away what nobody decided on in time."""
        limit = self._mailer.clock() - self._settings.held_lifetime
        self._held.clean()
        for post in await asyncio.to_thread(self._held.ids):
            try:
                envelope = await asyncio.to_thread(self._held.read, post)
            except (Damaged, OSError):
                continue
            if envelope.arrival < limit:
                self._held.remove(post)
                entry = self._mailer.directory.by_id(envelope.targets[0].account)
                if isinstance(entry, MailingList):
                    self._mailer.say("post-expired", entry, post=post)


def _others(root: Part) -> Iterator[str]:
    """What a message holds beside text, at most MAX_ATTACHMENTS of it."""
    waiting, found = [root], 0
    while waiting and found < MAX_ATTACHMENTS:
        part = waiting.pop()
        if part.kind != LEAF:
            waiting += part.children[::-1]
        elif part.type != b"text":
            found += 1
            yield f"{part.type.decode('latin-1')}/{part.subtype.decode('latin-1')}"
