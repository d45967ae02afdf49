"""Sendmail's tables: aliases, virtusertable, mailertable, local-host-names, relay-domains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.imports.dot_qmail import program_named
from gateway.imports.result import Result

_TARGET = re.compile(r'\s*((?:"(?:[^"\\]|\\.)*"|[^,"])+)\s*(?:,|$)')
_ERROR = re.compile(r"error:(?:[0-9.]+[: ])?(?:nouser|[A-Za-z]+)?[: ]?\s*(?:[0-9]{3} )?(.*)\Z")


class SendmailImport:
    """`folder` is /etc/mail or a copy; `aliases` lies there or where it is said to be."""

    def __init__(self, folder: Path, base: str, domain: str, aliases: Path | None) -> None:
        self._folder, self._primary = folder, domain
        self._aliases = aliases or folder / "aliases"
        self.result = Result(base)
        self._relayed: set[str] = set()

    def run(self) -> Result:
        """Read everything that is there. Raises OSError, ValueError."""
        result = self.result
        result.entry("domain", self._primary).put("gatepostDomainName", self._primary)
        for number, text in self._lines("local-host-names"):
            name = result.domain(self._folder / "local-host-names", number, text)
            if name and name != self._primary:
                result.entry("domain", self._primary).add("gatepostDomainAlias", name)
                result.became(self._folder / "local-host-names", number, text, f"another name of {self._primary}")
        for number, text in self._lines("relay-domains"):
            name = result.domain(self._folder / "relay-domains", number, text)
            if name:
                self._relayed.add(name)
                entry = result.entry("domain", name)
                entry.put("gatepostDomainName", name)
                entry.put("gatepostDomainKind", "backup")
                result.became(self._folder / "relay-domains", number, text, "a backup domain: taken here, sent on")
        if self._aliases.exists():
            self._read_aliases()
        for number, text in self._lines("virtusertable"):
            self._virtual(number, text)
        for number, text in self._lines("mailertable"):
            self._mailer(number, text)
        for name in ("access", "genericstable", "domaintable", "trusted-users"):
            for number, text in self._lines(name):
                result.lost(self._folder / name, number, text, f"{name} has no counterpart in the directory")
        return result

    def _lines(self, name: str) -> Iterator[tuple[int, str]]:
        return self.result.read(self._folder / name)

    def _full(self, address: str) -> str:
        address = address.strip().removeprefix("\\")
        return address if "@" in address else f"{address}@{self._primary}"

    # aliases(5)

    def _read_aliases(self) -> None:
        path, result = self._aliases, self.result
        joined: list[tuple[int, str]] = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if line.startswith("#"):
                result.became(path, number, line, "a comment, left out")
            elif line[:1] in (" ", "\t") and joined:
                joined[-1] = (joined[-1][0], f"{joined[-1][1]} {line.strip()}")
            elif line.strip():
                joined.append((number, line.rstrip()))
        names = {text.partition(":")[0].strip().lower() for _, text in joined}
        for number, text in joined:
            name, colon, rest = text.partition(":")
            name = name.strip().strip('"').lower()
            if not colon or not name:
                result.lost(path, number, text, "name: target is wanted")
            elif name.startswith("owner-") and name.removeprefix("owner-") in names:
                entry = result.entry("list", name.removeprefix("owner-"))
                entry.add("gatepostOwnerAddress", *(self._full(t) for t in self._targets(rest)))
                result.became(path, number, text, f"the owners of the list {name.removeprefix('owner-')}")
            else:
                self._alias(path, number, text, name, self._targets(rest), is_list=f"owner-{name}" in names)

    @staticmethod
    def _targets(text: str) -> list[str]:
        return [match[1].strip().strip('"') for match in _TARGET.finditer(text) if match[1].strip()]

    def _alias(self, path: Path, number: int, text: str, name: str, targets: list[str], *, is_list: bool) -> None:
        result, address = self.result, f"{name}@{self._primary}"
        forwards: list[str] = []
        programs: list[str] = []
        for target in targets:
            if target.startswith("|"):
                programs.append(program_named(result, target[1:].strip()))
            elif target.startswith(":include:"):
                forwards += self._included(path, number, text, target.removeprefix(":include:").strip())
            elif target.startswith("/"):
                result.lost(path, number, text, f"the file {target}: mail goes into mailboxes only")
            else:
                forwards.append(self._full(target))
        if programs:
            entry = result.entry("shared", name)
            entry.put("gatepostAddress", address)
            entry.add("gatepostExtension", *(f"@ program {each}" for each in programs))
            if forwards:
                entry.add("gatepostExtension", f"@ forward {' '.join(forwards)}")
            result.became(path, number, text, f"rules of the mailbox {name}: programs {', '.join(programs)}")
        elif forwards:
            entry = result.entry("list" if is_list else "alias", name)
            entry.put("gatepostAddress", address)
            entry.add("gatepostMemberAddress" if is_list else "gatepostForward", *forwards)
            result.became(path, number, text, f"{'the list' if is_list else 'an alias for'} {' '.join(forwards)}")
        elif not any(target.startswith("/") for target in targets):
            result.lost(path, number, text, "it has no target")

    def _included(self, path: Path, number: int, text: str, name: str) -> list[str]:
        file = self._folder / name.lstrip("/") if not Path(name).is_file() else Path(name)
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            self.result.lost(path, number, text, f"{name}: {error.strerror}")
            return []
        found: list[str] = []
        for count, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                some = [self._full(target) for target in self._targets(line)]
                found += some
                self.result.became(file, count, line.strip(), " ".join(some))
        return found

    # virtusertable

    def _virtual(self, number: int, text: str) -> None:
        path, result = self._folder / "virtusertable", self.result
        key, _, target = text.partition("\t") if "\t" in text else text.partition(" ")
        target = target.strip()
        local, at, domain = key.lower().rpartition("@")
        if not at or not target:
            result.lost(path, number, text, "user@domain and a target are wanted")
            return
        name = result.domain(path, number, domain)
        if not name:
            return
        if name != self._primary:
            result.entry("domain", name).put("gatepostDomainName", name)
        if local.endswith("+*"):
            result.lost(path, number, text, "extensions: give the mailbox a rule")
            return
        if target.startswith("error:"):
            said = "".join(c if " " <= c <= "~" else "?" for c in (_ERROR.match(target) or [""] * 2)[1].strip('" '))
            if not local:
                result.became(path, number, text, "addresses that nobody owns are refused anyway")
                return
            entry = result.entry("shared", f"{local}@{name}")
            entry.put("gatepostAddress", f"{local}@{name}")
            entry.put("gatepostExtension", f"@ reject {said}".rstrip())
            result.became(path, number, text, "refused in the session, with this text")
            return
        if not local:
            where = self._full(target.replace("%1", "*"))
            result.entry("domain", name).add("gatepostCatchAll", where)
            result.became(path, number, text, f"gatepostCatchAll of {name}: {where}")
            return
        entry = result.entry("alias", f"{local}@{name}")
        entry.put("gatepostAddress", f"{local}@{name}")
        entry.add("gatepostForward", self._full(target.replace("%1", local)))
        result.became(path, number, text, f"an alias for {self._full(target.replace('%1', local))}")

    # mailertable

    def _mailer(self, number: int, text: str) -> None:
        path, result = self._folder / "mailertable", self.result
        key, _, rest = text.partition("\t") if "\t" in text else text.partition(" ")
        mailer, _, host = rest.strip().partition(":")
        name = key.lower()
        if mailer.lower() not in ("smtp", "esmtp", "smtp8", "dsmtp", "relay"):
            result.lost(path, number, text, f"the mailer {mailer or '(none)'} is not one that goes to another host")
            return
        host = host.strip()
        way = host.strip("[]") if host.startswith("[") else host
        note = "" if host.startswith("[") else "; the host itself, not its MX records"
        if name in self._relayed:
            entry = result.entry("domain", name)
            entry.put("gatepostDomainKind", "relay")
            entry.add("gatepostNextHop", way)
            result.became(path, number, text, f"gatepostNextHop of the relay domain {name}: {way}{note}")
            return
        result.configure(f"relay/routes/{name}", way)
        result.became(path, number, text, f"relay.routes.{name}: {way}{note}")
