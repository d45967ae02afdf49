"""A qmail installation: control/*, users/assign, alias/.qmail-*, the users' own .qmail files.

What qmail does is kept by what it has the same of: an address of a user or of ~alias is an entry or a rule, a virtual
domain hands its addresses to its controlling user (`gatepostCatchAll: user-*@domain`), a file ending in -default is a
rule with `*`. All local domains are one address space in qmail: the first is the domain, the others its aliases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.imports.dot_qmail import Orders, read
from gateway.imports.qmail_control import Control
from gateway.imports.result import Result

NO_MAILBOX = "sorry, no mailbox here by that name"
MIN_UID = 1


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a home. `full_name` is for people."""

    name: str
    home: Path
    full_name: str = ""


class QmailImport:
    """One tree: `folder` is /var/qmail or a copy of it, `root` stands before the homes that it names."""

    def __init__(self, folder: Path, base: str, root: Path, passwd: Path | None) -> None:
        self.folder, self.root = folder, root
        self.result = Result(base)
        self._passwd = passwd
        self.control = Control(folder / "control", self.result)

    def run(self) -> Result:
        """Read everything. Raises OSError, ValueError."""
        control, result = self.control, self.result
        control.read()
        result.configure("route/extension_separator", "-")
        users = self._users()
        for user in users.values():
            if user.home.is_dir():
                self._user(user)
        self._assigned(users)
        alias = self.folder / "alias"
        if alias.is_dir():
            self._alias(alias)
        return result

    # users

    def _users(self) -> dict[str, User]:
        """People of the passwd file (as qmail-getpw finds them) and of users/assign."""
        found: dict[str, User] = {}
        path = self._passwd
        if path is not None:
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                fields = line.split(":")
                if len(fields) < 7 or not fields[2].isdigit():
                    continue
                shown = ":".join((fields[0], "x", *fields[2:]))
                if int(fields[2]) < MIN_UID:
                    self.result.became(
                        path, number, shown, "uid 0 gets no mail of its own: the alias of that name does"
                    )
                    continue
                home = self.root / fields[5].lstrip("/")
                if not home.is_dir() or fields[0] == "alias":
                    continue
                found[fields[0].lower()] = User(fields[0].lower(), home, fields[4].partition(",")[0])
                self.result.became(path, number, shown, f"the person {fields[0].lower()}")
        assign = self.folder / "users" / "assign"
        if assign.exists():
            for line in assign.read_text(encoding="utf-8", errors="replace").splitlines():
                fields = line[1:].split(":")
                if line.startswith("=") and len(fields) >= 7 and fields[2] != "0" and fields[1] != "alias":
                    found.setdefault(fields[1].lower(), User(fields[1].lower(), self.root / fields[4].lstrip("/")))
        return found

    def _user(self, user: User) -> None:
        entry = self.result.entry("person", user.name)
        address = f"{user.name}@{self.control.primary}"
        entry.put("mail", address)
        entry.put("gatepostAddress", address)
        if user.full_name:
            entry.put("cn", user.full_name)
            entry.put("sn", user.full_name.rpartition(" ")[2])
        own = user.home / ".qmail"
        if own.exists():
            orders = read(own, self.control.qualify, self.result)
            if orders.is_plain:
                for address in orders.forwards:
                    entry.add("gatepostForward", address)
                if orders.forwards:
                    entry.put("gatepostKeepCopy", "TRUE" if orders.deliver else "FALSE")
            else:
                entry.add("gatepostExtension", *self._rules(orders, "@"))
        self._extensions(user.home, entry.name, "person")

    def _extensions(self, home: Path, name: str, kind: str) -> None:
        """The .qmail-EXT files of a home as rules; what has no file is refused, as qmail does."""
        entry = self.result.entry(kind, name)
        has_default = False
        for path in sorted(home.glob(".qmail-*")):
            if not path.is_file():
                continue
            extension = path.name.removeprefix(".qmail-").replace(":", ".")
            if extension == "default":
                extension, has_default = "*", True
            elif extension.endswith("-default"):
                extension = extension.removesuffix("default") + "*"
            if any(c.isspace() or c == "@" for c in extension) or "*" in extension[:-1]:
                self.result.lost(path, 0, path.name, "its extension cannot stand in a rule")
                continue
            entry.add("gatepostExtension", *self._rules(read(path, self.control.qualify, self.result), extension))
        if not has_default:
            entry.add("gatepostExtension", f"* reject {NO_MAILBOX}")

    @staticmethod
    def _rules(orders: Orders, extension: str) -> list[str]:
        # a file of comments only does nothing, successfully
        return orders.rules(extension) or [f"{extension} discard"]

    def _assigned(self, users: dict[str, User]) -> None:
        path = self.folder / "users" / "assign"
        if not path.exists():
            return
        result, primary = self.result, self.control.primary
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            fields = line[1:].split(":")
            if line.strip() in ("", "."):
                continue
            if len(fields) < 7 or line[0] not in "=+":
                result.lost(path, number, line, "not a line of users/assign")
                continue
            local, user, dash, extension = fields[0].lower(), fields[1].lower(), fields[5], fields[6]
            if user not in users and user != "alias":
                result.lost(path, number, line, f"there is no home of {user} that could be read")
            elif line[0] == "+":
                if local == f"{user}-" and not extension:
                    result.became(path, number, line, f"the extensions of {user}")
                elif not local and user == "alias":
                    result.became(path, number, line, "everything else is for the alias user")
                else:
                    result.lost(path, number, line, "a prefix that belongs to another name: make a rule for it by hand")
            elif local == user and not dash:
                result.became(path, number, line, f"the person {user}")
            elif user == "alias":
                result.became(path, number, line, f"the alias file .qmail-{extension or local}")
            else:
                entry = result.entry("alias", local)
                entry.put("gatepostAddress", f"{local}@{primary}")
                target = f"{user}{dash}{extension}@{primary}"
                entry.add("gatepostForward", target)
                result.became(path, number, line, f"an alias for {target}")

    # ~alias

    def _alias(self, home: Path) -> None:
        """Files with nothing but forwards are aliases, or lists where there is an -owner; the rest are rules of a
        mailbox called alias, which gets every address that nobody owns."""
        files = {path.name.removeprefix(".qmail-").replace(":", "."): path for path in sorted(home.glob(".qmail-*"))}
        rest: dict[str, Orders] = {}
        owners = {name.removesuffix("-owner") for name in files if name.endswith("-owner")}
        orders = {name: read(path, self.control.qualify, self.result) for name, path in files.items()}
        for name, ordered in orders.items():
            if name.endswith("-owner") and name.removesuffix("-owner") in orders:
                continue  # the list's
            if name == "default" or name.endswith("-default") or not ordered.only_forwards:
                rest[name] = ordered
            elif name in owners:
                self._list(name, ordered, orders[f"{name}-owner"], files[name])
            else:
                entry = self.result.entry("alias", name)
                entry.put("gatepostAddress", f"{name}@{self.control.primary}")
                entry.add("gatepostForward", *ordered.forwards)
        for name in owners & set(rest):
            rest[f"{name}-owner"] = orders[f"{name}-owner"]
        if rest:
            self._rest(rest)

    def _list(self, name: str, members: Orders, owner: Orders, path: Path) -> None:
        entry = self.result.entry("list", name)
        address = f"{name}@{self.control.primary}"
        entry.put("gatepostAddress", address)
        entry.put("mail", address)
        entry.add("gatepostMemberAddress", *members.forwards)
        entry.add("gatepostOwnerAddress", *owner.forwards)
        self.result.became(
            path,
            0,
            f"with .qmail-{name}-owner",
            f"the list {address}; its return path is {name}-bounces@ instead of -owner",
        )

    def _rest(self, rest: dict[str, Orders]) -> None:
        entry = self.result.entry("shared", "alias")
        entry.put("gatepostAddress", f"alias@{self.control.primary}")
        for name, ordered in rest.items():
            extension = (
                "*" if name == "default" else name.removesuffix("default") + "*" if name.endswith("-default") else name
            )
            entry.add("gatepostExtension", *self._rules(ordered, extension))
        if "default" not in rest:
            entry.add("gatepostExtension", f"* reject {NO_MAILBOX}")
        self.result.entry("domain", self.control.primary).put("gatepostCatchAll", f"alias-*@{self.control.primary}")
