"""gatepost directory try: what the configured profile makes of the directory, without touching the service."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from directory.connection import Servers, close
from directory.findings import findings
from directory.ldif_file import LdifFile
from directory.memory import MemorySource
from directory.model import Entry
from directory.profile import Profile
from directory.raw import RawEntry, kept
from directory.tracker.listing import raw_entries
from directory.view import View
from gateway.cli.directory_report import send_limits
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.config.load import load
from gateway.config.settings import Settings

MAX_ENTRIES = 200_000
EXAMPLES = 2
MAX_VALUES = 5  # of one field of an example


def _entries(settings: Settings, profile: Profile) -> tuple[str, tuple[RawEntry, ...]]:
    """Where the entries are from, and the entries. Raises Deferred."""
    file = LdifFile.of(settings.directory)
    if file is not None:
        return f"file://{file.path}", file.entries()
    servers = Servers(settings.directory)
    connection = servers.open()
    try:
        pages = raw_entries(connection, settings.directory, "(objectClass=*)", profile.id_attribute)
        entries = itertools.islice(itertools.chain.from_iterable(pages), MAX_ENTRIES)
        return servers.url_of(connection), tuple(RawEntry(raw.id, raw.dn, kept(raw.attributes)) for raw in entries)
    finally:
        close(connection)


def _example(entry: Entry) -> dict[str, Any]:
    """What is set in an entry, apart from what every entry has."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if field.name in ("id", "dn") or value in (None, (), "") or value == field.default:
            continue
        found[field.name] = (
            [*value[:MAX_VALUES], *(["…"] if len(value) > MAX_VALUES else [])] if isinstance(value, tuple) else value
        )
    return found


def facts(settings: Settings) -> dict[str, Any]:
    """What `gatepost directory try --json` prints. Raises Deferred when the directory cannot be read."""
    profile, begin = Profile.of(settings.directory), time.monotonic()
    server, entries = _entries(settings, profile)
    source = MemorySource(profile, entries)
    view = View(source, profile, settings.defaults)
    counts: Counter[str] = Counter()
    examples: dict[str, list[dict[str, Any]]] = {}
    for raw in entries:
        kind = profile.kind(raw)
        entry = view.by_id(raw.id)
        if kind is None or entry is None:
            counts["other"] += 1
            continue
        counts[kind] += 1
        if len(examples.setdefault(kind, [])) < EXAMPLES:
            examples[kind].append({"dn": raw.dn, **_example(entry)})
    problems = Counter((finding.level, finding.code) for finding in findings(source, profile, (send_limits,)))
    return {
        "server": server,
        "profile": profile.name,
        "seconds": round(time.monotonic() - begin, 1),
        "entries": dict(counts),
        "domains": [domain.name for domain in view.domains()],
        "examples": examples,
        "findings": [
            {"level": level, "code": code, "count": count} for (level, code), count in sorted(problems.items())
        ],
        "ok": bool(counts["account"] and view.domains()),
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    total = sum(found["entries"].values())
    yield f"{total} entries from {found['server']} in {found['seconds']} s, by the profile {found['profile']}"
    for kind, count in found["entries"].items():
        yield f"{kind:<8} {count}"
        for example in found["examples"].get(kind, ()):
            yield f"         {example['dn']}"
            yield from (f"           {name}: {_shown(value)}" for name, value in example.items() if name != "dn")
    domains = found["domains"]
    yield (
        f"domains  {', '.join(domains[:20])}{' …' if len(domains) > 20 else ''}"
        if domains
        else ("domains  none: name them in directory.domains, or give the profile a section domain")
    )
    if not found["entries"].get("account"):
        yield "no account: look at directory.base, the filter of the profile's section account, and the rights of directory.bind"
    yield from (f"{each['level']:<8} {each['count']} x {each['code']}" for each in found["findings"])
    if found["findings"]:
        yield "with the service running, `gatepost directory check` names the entries"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@click.command(name="try")
@configuration_file
@for_machines
def command(path: Path, as_json: bool) -> None:
    """Read the directory and show what the profile makes of it, with examples; exit code 1 without account or domain."""
    found = facts(load(path))
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_lines(found)))
    if not found["ok"]:
        raise SystemExit(NO)
