"""Rules that need the message itself: programs, and conditions on header fields. Done by the queue runner.

Programs run first, in the order of their rules. One that ends with 99 ends the work with success; one that refuses or
cannot take the message leaves everything else undone, so a message that is tried again runs the programs before it
again. What the rules want beside programs goes into the queue as a message of its own, with a Delivered-To field by
which it is known when it comes back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from directory.model import Account, Condition, Refused
from directory.model.extension_rule import If, Rule
from gateway.deliver.program import LATER, STOP, TAKEN, Delivery, Ran, environment, meaning
from gateway.files.spool import lines_of, size_of
from gateway.mail.header import Header, scan_pieces
from gateway.observe import maillog
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.wake import ring
from gateway.route.extension import Undecided, chosen
from gateway.route.plan import Instructions
from gateway.route.router import Router
from gateway.service.program_client import Programs

MAX_ID = 120  # octets: a name of a file and of the runner's bell has room for more


class RuleDesk:
    """One a runner."""

    def __init__(self, queue: QueueFolder, programs: Programs, router: Router, bell: Path) -> None:
        self._queue, self._programs, self._router, self._bell = queue, programs, router, bell

    async def handle(
        self, step: Instructions, path: str, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]
    ) -> None:
        """Follow the rules for a message with return path `path`. Raises Deferred, Refused, OSError."""
        pieces = await asyncio.to_thread(lambda: list(content()))
        header = scan_pieces(iter(pieces))
        mark = f"Delivered-To: {step.recipient}\n".encode()
        if any(header.unfolded(field) == step.recipient.encode() for field in header.all(b"delivered-to")):
            raise Refused(Condition.LIST_LOOP, f"{step.recipient}: the message has been here before")
        work = _Work(envelope.id, step, path, pieces, self._programs, self._router)
        rules = await work.rules(header)
        targets = await work.follow(rules)
        if not targets:
            return
        pieces.insert(0, mark)
        size = size_of(pieces)
        fresh = _id_of(envelope, step)
        own = msgspec.structs.replace(
            envelope,
            id=fresh,
            return_path=path,
            targets=targets,
            size=size,
            crlf=size + lines_of(pieces),
            owner="",  # where the rules of the recipient send it is not the sender's business
        )
        await asyncio.to_thread(self._queue.inject, own, pieces)
        maillog.queued(id=fresh, targets=len(targets), about=envelope.id)
        ring(self._bell)


def _id_of(envelope: QueuedEnvelope, step: Instructions) -> str:
    """The same each time, so that a crash behind the injection leaves one message, not two. It begins with what it is
    made of, while that is short enough for a name."""
    whole = envelope.id if len(envelope.id) <= MAX_ID else envelope.id.partition(".R")[0]
    return f"{whole}.R{hashlib.sha256(f'{envelope.id} {step.target}'.encode()).hexdigest()[:16]}"


class _Work:
    """One message at one set of rules."""

    def __init__(
        self, message: str, step: Instructions, path: str, pieces: list[bytes], programs: Programs, router: Router
    ) -> None:
        self._id, self._step, self._path, self._pieces, self._programs = message, step, path, pieces, programs
        self._separators, self._may_forward_to = router.settings.extension_separator, router.may_forward_to
        self._answers: dict[If, bool] = {}

    async def rules(self, header: Header) -> tuple[Rule, ...]:
        """The rules that count for this message."""
        while True:
            try:
                return chosen(
                    self._step.holder.extensions, self._step.extension, self._separators, self._path, self._answers.get
                )
            except Undecided as open_question:
                asked = replace(open_question.condition, wanted=True)
                found = await self._ask(asked, header)
                self._answers[asked] = found
                self._answers[replace(asked, wanted=False)] = not found

    async def _ask(self, condition: If, header: Header) -> bool:
        if condition.kind == "header":
            name, text = condition.arguments
            wanted = text.lower()
            return any(
                wanted in header.unfolded(field).decode("utf-8", "replace").lower()
                for field in header.all(name.lower().encode())
            )
        ran = await self._run(condition.arguments[0])
        if ran.code is None or ran.code == LATER:
            meaning(condition.arguments[0], ran)
        return ran.code == TAKEN

    async def _run(self, name: str) -> Ran:
        holder = self._step.holder
        user = holder.logins[0] if isinstance(holder, Account) and holder.logins else holder.primary or ""
        variables = environment(
            Delivery(self._path, self._step.recipient, user, self._step.extension, self._separators)
        )
        return await self._programs.run(name, variables, iter(self._pieces), size_of(self._pieces))

    async def follow(self, rules: tuple[Rule, ...]) -> tuple[Target, ...]:
        """Run the programs; answers what is left to be delivered."""
        holder, recipient = self._step.holder, self._step.recipient
        for rule in rules:
            if rule.action == "reject":
                raise Refused(
                    Condition.REFUSED_BY_RULE, f"{holder.dn}: rule {rule.extension}", "".join(rule.arguments[:1])
                )
        named = [rule.arguments[0] for rule in rules if rule.action == "program"] if rules else list(holder.delivery)
        for name in named:
            ran = await self._run(name)
            meaning(name, ran)
            maillog.ran(id=self._id, recipient=recipient, account=holder.id, program=name, code=ran.code)
            if ran.code == STOP:
                return ()
        targets = list(self._of_rules(rules) if rules else self._of_account())
        return tuple(dict.fromkeys(targets))

    def _of_rules(self, rules: tuple[Rule, ...]) -> Iterator[Target]:
        store = Target(self._step.recipient, self._step.holder.id)
        for rule in rules:
            if rule.action == "forward":
                allowed = [Target(address) for address in rule.arguments if self._may_forward_to(address)]
                yield from allowed or [store]
            elif rule.action == "folder":
                yield msgspec.structs.replace(store, mailbox=rule.arguments[0])
            elif rule.action == "deliver":
                yield store

    def _of_account(self) -> Iterator[Target]:
        holder = self._step.holder
        allowed = [Target(address) for address in holder.forwards if self._may_forward_to(address)]
        yield from allowed
        if holder.keep_copy or not allowed:
            yield Target(self._step.recipient, holder.id)
