"""qmail's control files (qmail-control(5)): which domains, which ways out, which limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.imports.result import Result

#: file -> where its number stands in the configuration, and in which unit
NUMBERS = {
    "databytes": ("smtp/max_message_size", ""),
    "queuelifetime": ("queue/lifetime", "s"),
    "concurrencyremote": ("queue/concurrency", ""),
    "timeoutconnect": ("queue/connect_timeout", "s"),
    "timeoutremote": ("queue/reply_timeout", "s"),
    "timeoutsmtpd": ("smtp/command_timeout", "s"),
}
#: file -> why it is not needed, or cannot be kept
OTHERS = {
    "concurrencylocal": "local deliveries need no limit of their own: they are done in the session",
    "idhost": "Message-IDs are made with the host's name",
    "helohost": "the host greets with its name",
    "localiphost": "addresses with an IP literal are not accepted",
    "bouncefrom": "reports come from <>, as qmail's do",
    "bouncehost": "reports come from <>, as qmail's do",
    "doublebounceto": "what cannot be reported goes to postmaster",
    "doublebouncehost": "what cannot be reported goes to postmaster",
    "smtpgreeting": "the greeting is the host's name",
    "percenthack": "user%domain@host is not rewritten: it is a hole for spam",
    "qmqpservers": "QMQP is not spoken; use relay.smarthost",
    "qmqpcip": "QMQP is not spoken",
    "badmailfrom": "put these senders into gatepostRejectFrom of the entries, or of the domain's lists",
    "badrcptto": "take the address out of the directory, or give it a `reject` rule",
    "envnoathost": "an address without a domain is completed with route.origin",
    "defaultdelivery": "people have a Maildir; the store is one",
}


class Control:
    """The folder `control`. After `read`, `primary` is the domain that all local domains are."""

    def __init__(self, folder: Path, result: Result) -> None:
        self._folder, self._result = folder, result
        self.me = self.primary = self.default_host = self.default_domain = self.plus_domain = ""
        self._done: set[str] = set()

    def _lines(self, name: str) -> Iterator[tuple[int, str]]:
        self._done.add(name)
        return self._result.read(self._folder / name)

    def _first(self, name: str, default: str, became: Callable[[str], str]) -> str:
        for number, text in self._lines(name):
            self._result.became(self._folder / name, number, text, became(text))
            return text
        return default

    def read(self) -> None:
        """Everything in the folder. Raises OSError, ValueError without a usable name of the host."""
        result = self._result
        self.me = self._first("me", "", lambda text: f"hostname: {text}").lower()
        if not self.me:
            raise ValueError(f"{self._folder / 'me'} names no host")
        result.configure("hostname", self.me)
        self.default_domain = self._first("defaultdomain", self.me, lambda text: f"addresses are completed with {text}")
        self.plus_domain = self._first("plusdomain", self.me, lambda text: f"host+ is completed with {text}")
        self.default_host = self._first("defaulthost", self.me, lambda text: f"route.origin: {text}")
        if "." not in self.default_host:
            self.default_host += f".{self.default_domain}"
        result.configure("route/origin", self.default_host)
        local = self._locals()
        virtual = self._virtual(local)
        self._others({*local, *virtual})
        self._routes()
        self._numbers()

    def qualify(self, address: str) -> str:
        """An address as qmail-inject completes it."""
        local, at, domain = address.rpartition("@")
        if not at:
            return f"{address}@{self.default_host}"
        if domain.endswith("+"):
            domain = f"{domain[:-1]}.{self.plus_domain}"
        elif "." not in domain:
            domain = f"{domain}.{self.default_domain}"
        return f"{local}@{domain}"

    def _locals(self) -> set[str]:
        path, found = self._folder / "locals", set()
        listed = list(self._lines("locals")) if path.exists() else [(0, self.me)]
        for number, text in listed:
            name = self._result.domain(path, number, text)
            if not name:
                continue
            found.add(name)
            if not self.primary:
                self.primary = name
                entry = self._result.entry("domain", name)
                entry.put("gatepostDomainName", name)
                self._result.became(path, number, text, f"the domain {name}")
            else:
                self._result.entry("domain", self.primary).add("gatepostDomainAlias", name)
                self._result.became(path, number, text, f"another name of {self.primary}: qmail has one set of users")
        if not self.primary:  # an empty locals: users are reached through virtual domains only
            self.primary = self.me
            self._result.entry("domain", self.me).put("gatepostDomainName", self.me)
        return found

    def _virtual(self, local: set[str]) -> set[str]:
        path, found = self._folder / "virtualdomains", set()
        for number, text in self._lines("virtualdomains"):
            name, _, user = text.partition(":")
            if "@" in name:
                entry = self._result.entry("alias", name)
                target = f"{user}-{name.partition('@')[0]}@{self.primary}"
                entry.put("gatepostAddress", name.lower())
                entry.add("gatepostForward", target)
                self._result.became(path, number, text, f"an alias for {target}")
                continue
            if name.startswith(".") or not name:
                self._result.lost(path, number, text, "domains of any name cannot be kept: name each in an entry")
                continue
            domain = self._result.domain(path, number, name)
            if not domain:
                continue
            if domain in local:
                self._result.lost(
                    path, number, text, "the domain is in locals too, which wins: qmail ignores this line"
                )
                continue
            found.add(domain)
            if not user:
                self._result.became(path, number, text, "an exception: the domain is not virtual")
                continue
            entry = self._result.entry("domain", domain)
            entry.put("gatepostDomainName", domain)
            entry.put("gatepostCatchAll", f"{user.lower()}-*@{self.primary}")
            self._result.became(path, number, text, f"the domain {domain}; its addresses are {user}-…@{self.primary}")
        return found

    def _others(self, ours: set[str]) -> None:
        """Domains that mail is taken for and that are not ours: backup and relay domains."""
        seen = False
        for file in ("rcpthosts", "morercpthosts"):
            path = self._folder / file
            for number, text in self._lines(file):
                seen = True
                if text.startswith("."):
                    self._result.lost(path, number, text, "domains of any name cannot be kept: name each in an entry")
                    continue
                name = self._result.domain(path, number, text)
                if not name:
                    continue
                if name in ours:
                    self._result.became(path, number, text, "mail is taken for it because it is in the directory")
                else:
                    entry = self._result.entry("domain", name)
                    entry.put("gatepostDomainName", name)
                    entry.put("gatepostDomainKind", "backup")
                    self._result.became(path, number, text, "a backup domain: taken here, sent on to its hosts")
        if not seen:
            self._result.lost(
                self._folder / "rcpthosts", 0, "(missing)", "qmail relays for everybody without it; mail for outside is "
                "taken from people who log in and from programs of this host only"
            )  # fmt: skip

    def _routes(self) -> None:
        path = self._folder / "smtproutes"
        for number, text in self._lines("smtproutes"):
            name, _, way = text.partition(":")
            way = way.strip().rstrip(":")
            if not way:
                way = "mx"
            if not name:
                self._result.configure("relay/smarthost", way)
                self._result.became(path, number, text, f"relay.smarthost: {way}")
                continue
            entry = self._result.entries.get(("domain", name.lower()))
            if entry is not None and "gatepostDomainKind" in entry.attributes:
                entry.put("gatepostDomainKind", "relay")
                entry.add("gatepostNextHop", way)
                self._result.became(path, number, text, f"gatepostNextHop of the relay domain {name}: {way}")
            else:
                self._result.configure(f"relay/routes/{name.lower()}", way)
                self._result.became(path, number, text, f"relay.routes.{name}: {way}")

    def _numbers(self) -> None:
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            name = path.name
            if name in self._done or not path.is_file() or name.endswith((".cdb", "~")):
                continue
            if name not in NUMBERS:
                why = OTHERS.get(name, "not a control file of qmail")
                listed = list(self._lines(name))
                for number, text in listed or [(0, "(empty)")]:
                    self._result.lost(path, number, text, why)
                continue
            key, unit = NUMBERS[name]
            for number, text in self._lines(name):
                if not text.isdigit() or text == "0":
                    self._result.lost(path, number, text, "no number, or no limit: the default stays")
                    continue
                value = f"{text}{unit}" if unit else int(text)
                self._result.configure(key, value)
                self._result.became(path, number, text, f"{key.replace('/', '.')}: {value}")
                break
