"""What the rules of a mailbox (`gatepostExtension`) make of a message. The grammar: directory.model.extension_rule.

Of the rules whose condition holds (or that have none) the longest EXT counts alone:

    jane+a+b@   `a+b`, then `a+*`, then `*`, then `@`
    jane@       `@`

Of several rules with that EXT all are done; those with a condition, where one holds, displace those without. A
`reject` among them refuses the message. Programs and conditions that need the message are for the queue runner.
Without any rule that counts the mailbox gets it as if the address had no
extension. A rule that cannot be read makes the addresses that it stands for temporary: mending it frees the mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from directory.model import Condition, Deferred, Domain, MailboxHolder, Refused
from directory.model.extension_rule import EVERY, NONE, If, Rule, extension_of, holds, parse_rule

if TYPE_CHECKING:
    from gateway.route.walk import Walk


class Undecided(Exception):
    """Which rules count depends on `condition`, which is not known yet."""

    def __init__(self, condition: If) -> None:
        super().__init__(condition.kind)
        self.condition = condition


def _unknown(condition: If) -> bool | None:
    return None


def split(local: str, base: str, separators: str) -> str:
    """The extension of `local` behind `base`, "" when there is none."""
    rest = local[len(base) :]
    return rest[1:] if rest and rest[0] in separators else ""


def shorter(local: str, separators: str) -> str:
    """`local` without its last extension, "" when it has none."""
    return local[: max((0, *map(local.rfind, separators)))]


def forms(local: str, separators: str) -> Iterator[str]:
    """`local`, then without its last extension, without the one before, …: the forms that may be owned."""
    while local:
        yield local
        local = shorter(local, separators)


def ownable(local: str, given: str, domain: Domain | None, separators: str) -> Iterator[tuple[str, str]]:
    """(form, address) of everything by which an entry may own `local` in the domain `given`; the first that anybody
    owns decides. The longest form comes first, each as it was addressed before the domain of which `given` is an alias:
    an entry that has an address in an alias domain itself is not overruled by its namesake in the domain.

    `domain` is the own domain that `given` names, None where it is a foreign one.
    """
    domains = (given,) if domain is None or domain.name == given else (given, domain.name)
    for form in forms(local, separators):
        for name in domains:
            yield form, f"{form}@{name}"


def candidates(extension: str, separators: str) -> Iterator[str]:
    """Every EXT that stands for `extension`, the longest first."""
    if extension:
        yield extension
        end = len(extension)
        while (end := max((extension.rfind(each, 0, end) for each in separators), default=-1)) > 0:
            yield extension[: end + 1] + EVERY
        yield EVERY
    yield NONE


def chosen(
    texts: Sequence[str],
    extension: str,
    separators: str,
    sender: str | None,
    answer: Callable[[If], bool | None] = _unknown,
) -> tuple[Rule, ...]:
    """The rules that count, () when none does. `sender` None: not known, no condition on it holds.

    `answer` knows of conditions on header and programs whether they hold, None where it does not. Raises Deferred when
    a rule that may count cannot be read, Undecided.
    """
    by_extension: dict[str, list[str]] = {}
    for text in sorted(texts):
        by_extension.setdefault(extension_of(text), []).append(text)
    for candidate in candidates(extension.lower(), separators):
        rules = [_read(text) for text in by_extension.get(candidate, ())]
        conditional = tuple(rule for rule in rules if rule.condition and _is_so(rule.condition, sender, answer))
        if found := conditional or tuple(rule for rule in rules if rule.condition is None):
            return found
    return ()


def _is_so(condition: If, sender: str | None, answer: Callable[[If], bool | None]) -> bool:
    if condition.kind == "sender":
        return sender is not None and holds(condition, sender)
    found = answer(condition)
    if found is None:
        raise Undecided(condition)
    return found


def _read(text: str) -> Rule:
    try:
        return parse_rule(text)
    except ValueError as error:
        raise Deferred(Condition.RULE_UNUSABLE, f"gatepostExtension: {error}") from None


def follow(
    walk: Walk, holder: MailboxHolder, extension: str, recipient: str, depth: int, return_path: str | None
) -> bool:
    """Walk where the rules of `holder` lead; False when none counts. Raises Refused, Deferred."""
    try:
        rules = chosen(holder.extensions, extension, walk.separators, walk.sender)
    except Undecided as question:
        walk.say(f"{holder.dn}: which rule counts depends on a {question.condition.kind}")
        walk.instruct(holder, recipient, return_path, extension)
        return True
    if not rules:
        return False
    for rule in rules:
        walk.say(f"{holder.dn}: rule {rule.extension}: {' '.join((rule.action, *rule.arguments))}")
    for rule in rules:
        if rule.action == "reject":
            text = rule.arguments[0] if rule.arguments else ""
            raise Refused(Condition.REFUSED_BY_RULE, f"{holder.dn}: rule {rule.extension}", text)
    actions = {rule.action for rule in rules}
    is_split = "forward" in actions and bool(actions & {"deliver", "folder"}) and bool(walk.other_host(holder))
    if "program" in actions or is_split:
        walk.instruct(holder, recipient, return_path, extension)
        return True
    for rule in rules:
        if rule.action == "forward":
            if not walk.forward(holder, rule.arguments, depth, return_path):
                walk.keep(holder, recipient, return_path)
        elif rule.action == "folder":
            walk.keep(holder, recipient, return_path, rule.arguments[0])
        elif rule.action == "deliver":
            walk.keep(holder, recipient, return_path)
        else:
            walk.drop(holder, recipient)
    return True
