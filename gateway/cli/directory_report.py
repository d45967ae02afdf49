"""gatepost directory check, status: what the local copy shows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from directory.findings import MAX_FINDINGS, Finding, findings, transport
from directory.model import Account, Deferred, Domain, Entry, MailboxHolder, Refused, ServiceAccount
from directory.model.extension_rule import parse_rule
from directory.model.send_limit import parse_limit
from directory.port import Directory
from directory.profile import Profile
from directory.view import View
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO, TEMPORARY
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.control.client import ControlError, call
from gateway.route.plan import Later
from gateway.route.router import Router
from gateway.route.settings import RouteSettings
from gateway.route.special import ALWAYS
from gateway.service.local_copy import raw_copy
from gateway.service.signing import FOLDER as DKIM_FOLDER
from gateway.service.signing import MAX_SELECTORS, key_path, load_key

SHOWN = 10


def send_limits(entry: Entry) -> Iterator[Finding]:
    """Sending limits that cannot be read limit nothing."""
    if isinstance(entry, Account | ServiceAccount | Domain):
        for text in (*entry.send_limits, *(entry.domain_send_limits if isinstance(entry, Domain) else ())):
            try:
                parse_limit(text)
            except ValueError as error:
                yield Finding("warning", "odd-value", entry.dn, f"sending limit {error}: it limits nothing")


def extension_rules(known: Collection[str]) -> Callable[[Entry], Iterator[Finding]]:
    """Rules that cannot be read, and delivery programs that are not among `known`: mail for them waits."""

    def check(entry: Entry) -> Iterator[Finding]:
        if not isinstance(entry, MailboxHolder):
            return
        named = [("gatepostDelivery", name) for name in entry.delivery]
        for text in entry.extensions:
            try:
                rule = parse_rule(text)
            except ValueError as error:
                yield Finding("error", "odd-value", entry.dn, f"gatepostExtension: {error}: mail for it is deferred")
                continue
            if rule.action == "program":
                named.append(("gatepostExtension", rule.arguments[0]))
            if rule.condition is not None and rule.condition.kind == "program":
                named.append(("gatepostExtension", rule.condition.arguments[0]))
        for attribute, name in named:
            if name not in known:
                text = f"{attribute}: there is no programs.{name} in the configuration: mail for it is deferred"
                yield Finding("error", "no-program", entry.dn, text)

    return check


def signing_keys(folder: Path) -> Callable[[Entry], Iterator[Finding]]:
    """Selectors of domains without a usable key in `folder` on this host: what should be signed leaves without."""

    def check(entry: Entry) -> Iterator[Finding]:
        if not isinstance(entry, Domain):
            return
        if len(entry.dkim_selectors) > MAX_SELECTORS:
            text = f"gatepostDkimSelector: the first {MAX_SELECTORS} of {len(entry.dkim_selectors)} sign"
            yield Finding("warning", "odd-value", entry.dn, text)
        for name in (entry.name, *entry.aliases):
            for selector in entry.dkim_selectors[:MAX_SELECTORS]:
                try:
                    path = key_path(folder, name, selector.lower())
                    load_key(path, name, selector.lower())
                except PermissionError:  # keys are the mail user's alone: whoever asks may not know
                    return
                except FileNotFoundError:
                    make = f"gatepost domain dkim {name} --selector {selector.lower()}"
                    why = f"there is no {path} on this host (copy it from another one, or {make})"
                except (OSError, ValueError) as error:
                    why = str(error)
                else:
                    continue
                text = f"gatepostDkimSelector {selector}: {why}: mail of {name} leaves without its signature"
                yield Finding("warning", "no-key", entry.dn, text)

    return check


def unread(directory: Directory, settings: RouteSettings, now: float) -> Iterator[Finding]:
    """Domains where mail for those who must be reached (RFC 5321 4.5.1, RFC 2142) reaches nobody."""
    router = Router(directory, settings)
    for domain in directory.domains():
        lost: dict[str, list[str]] = {}
        for local in sorted(ALWAYS) if domain.kind == "local" else ():
            why = ""
            try:
                plan = router.route(f"{local}@{domain.name}", now)
            except (Deferred, Refused) as error:
                why = error.detail or error.text
            else:
                later = [step.reason for step in plan.steps if isinstance(step, Later)]
                if later and len(later) == len(plan.steps):
                    why = later[0].detail or later[0].text
            if why:
                lost.setdefault(why.replace(f"nobody reads {local}: ", ""), []).append(local)
        for why, locals_ in lost.items():
            text = f"mail for {', '.join(locals_)} at {domain.name} reaches nobody: {why}"
            yield Finding("error", "unread", domain.dn, text)


def survey(settings: Settings) -> list[Finding]:
    """What is wrong in the directory, worst first. Raises Deferred when there is no copy yet."""
    with raw_copy(settings) as reader:
        checks = (
            send_limits,
            extension_rules(settings.programs),
            signing_keys(Path(settings.state_dir) / DKIM_FOLDER),
        )
        found = [*transport(settings.directory), *findings(reader, Profile.of(settings.directory), checks)]
        if reader.freshness().complete:
            view = View(reader, Profile.of(settings.directory), settings.defaults)
            found.extend(islice(unread(view, settings.route, time.time()), MAX_FINDINGS))
    if settings.smtp.open_relay != "no":
        found.append(
            Finding("error", "open-relay", "", "smtp.open_relay: port 25 takes mail of everybody for everywhere")
        )
    return sorted(found, key=lambda finding: finding.level)


@click.command(name="check")
@configuration_file
@for_machines
def check(path: Path, as_json: bool) -> None:
    """Look for what is wrong in the directory; exit code 1 when mail or logins suffer from it."""
    found = survey(load(path))
    if as_json:
        click.echo(msgspec.json.encode([dataclasses.asdict(finding) for finding in found]))
    else:
        for finding in found:
            click.echo(f"{finding.level:<8} {finding.dn or 'directory'}: {finding.text}")
        errors = sum(finding.level == "error" for finding in found)
        click.echo(f"{errors} errors, {len(found) - errors} warnings")
    if any(finding.level == "error" for finding in found):
        raise SystemExit(NO)


def facts(settings: Settings) -> dict[str, Any]:
    """What `gatepost directory status --json` prints. Raises Deferred when there is no copy yet."""
    with raw_copy(settings) as reader:
        now, freshness = time.time(), reader.freshness()
        held = reader.held_ids()
        shown = [raw.dn for entry_id in held[:SHOWN] if (raw := reader.get(entry_id)) is not None]
        shared = reader.shared("address", SHOWN)
        found: dict[str, Any] = {
            "ok": freshness.absence_is_final(now) and not shared,
            "complete": freshness.complete,
            "age_seconds": round(now - freshness.fresh_at, 1) if freshness.fresh_at else None,
            "braked": freshness.braked,
            "trouble": freshness.trouble,
            "entries": {name: count for name, count in reader.counts().items() if count},
            "held": {"count": len(held), "first": shown},
            "shared_addresses": [{"address": address, "entries": owners} for address, owners in shared],
        }
    try:
        found["following"] = call(Path(settings.run_dir) / "control.sock", "directory-status")
    except ControlError as error:
        found["following"] = None
        found["trouble"] = found["trouble"] or str(error)
    return found


def _lines(found: dict[str, Any], settings: Settings) -> Iterator[str]:
    following = found["following"] or {}
    yield f"server    {following.get('server') or 'none at the moment'} ({following.get('method', 'not followed')})"
    yield f"base      {settings.directory.base or '(root)'}, profile {settings.directory.profile}"
    age = "never proven" if found["age_seconds"] is None else f"{found['age_seconds']:.0f} s ago"
    yield f"copy      {'complete' if found['complete'] else 'incomplete'}, equal to the directory {age}"
    yield "entries   " + (", ".join(f"{count} {name}" for name, count in sorted(found["entries"].items())) or "none")
    if found["trouble"]:
        yield f"trouble   {found['trouble']}"
    if found["braked"]:
        yield f"brake     {found['braked']}"
    for dn in found["held"]["first"]:
        yield f"          held: {dn}"
    if found["held"]["count"] > len(found["held"]["first"]):
        yield f"          and {found['held']['count'] - len(found['held']['first'])} more"
    for shared in found["shared_addresses"]:
        yield f"address   {shared['address']} belongs to several entries (451 4.3.5): {'; '.join(shared['entries'])}"


@click.command(name="status")
@configuration_file
@for_machines
def status(path: Path, as_json: bool) -> None:
    """Show how the directory is followed and what the copy holds; exit code 1 when something is wrong."""
    settings = load(path)
    found = facts(settings)
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_lines(found, settings)))
    if found["following"] is None:
        raise SystemExit(TEMPORARY)
    if not found["ok"]:
        raise SystemExit(NO)
