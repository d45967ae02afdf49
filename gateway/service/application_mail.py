"""A control verb by which the web front end has the applicants for a mailbox written to: three texts, to one address, with a
link of its own; an address gets few of them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from directory.model import InvalidAddress, canonical_address
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.mail.notice import notice
from gateway.service.list_mailer import ListMailer
from gateway.service.runner_actors import Actors

MOST = 5  # to one address
WITHIN = 3600.0  # seconds
MAX_KEPT = 10_000
TEXTS = {
    "confirm": (
        "please confirm your application",
        "Somebody, probably you, applied for the mailbox\n\n    {address}\n\nIf it was you, open this and press the button:\n\n"
        "    {url}\n\nIf not, do nothing: without it the application is forgotten.\n\n"
        "有人申请了以上邮箱。如果是您本人，请打开以上链接并确认；否则请忽略。\n",
    ),
    "approved": (
        "your mailbox is there",
        "Your mailbox\n\n    {address}\n\nis there. Choose your password here within 14 days:\n\n    {url}\n\n"
        "您申请的邮箱已开通。请在 14 天内通过以上链接设置密码。\n",
    ),
    "rejected": (
        "your application",
        "Your application for the mailbox\n\n    {address}\n\nwas not granted. Ask whoever told you of it.\n\n您的邮箱申请未获批准。\n",
    ),
}  # fmt: skip


class Tell(msgspec.Struct, forbid_unknown_fields=True):
    """Write to `contact` about the mailbox `address`; `url` is a page of the front end."""

    contact: str
    address: str
    what: Literal["confirm", "approved", "rejected"]
    url: str = ""

    def __repr__(self) -> str:
        return f"Tell({self.contact!r}, {self.what!r})"


class ApplicationMail:
    """The verb's function; it runs in a thread. `web` is the address of the front end."""

    def __init__(
        self, mailer: ListMailer, web: str, actors: Actors, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._mailer, self._web, self._actors, self._clock = mailer, web, actors, clock
        self._lock = threading.Lock()
        self._told: OrderedDict[str, list[float]] = OrderedDict()

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"application-mail": Verb(Right.FRONT, self._tell, Tell)}

    def _count(self, contact: str) -> None:
        """Raises VerbError for an address that got enough."""
        with self._lock:
            now = self._clock()
            times = [at for at in self._told.pop(contact, []) if now - at < WITHIN]
            if len(times) >= MOST:
                self._told[contact] = times
                raise VerbError("this address was written to often enough, try again later", 4)
            self._told[contact] = [*times, now]
            if len(self._told) > MAX_KEPT:
                self._told.popitem(last=False)

    def _tell(self, caller: Caller, wanted: Tell) -> dict[str, Any]:
        try:
            contact, address = (str(canonical_address(text)) for text in (wanted.contact, wanted.address))
        except InvalidAddress as error:
            raise VerbError(str(error), 2) from None
        if (
            not self._web
            or (wanted.url and not wanted.url.startswith(f"{self._web}/apply/"))
            or not wanted.url.isprintable()
        ):
            raise VerbError("the link leads elsewhere", 2)
        self._count(contact)
        subject, text = TEXTS[wanted.what]
        number = self._mailer.new_id()
        message = notice(
            f"postmaster@{address.rpartition('@')[2]}", contact, f"{address}: {subject}",
            text.format(address=address, url=wanted.url),
            message_id=self._mailer.message_id(number), now=self._mailer.clock(),
        )  # fmt: skip
        self._actors.in_loop(lambda: self._mailer.send(number, (contact,), message.as_bytes()))
        return {"contact": contact}
