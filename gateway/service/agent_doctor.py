"""Control verb `doctor-login`: everything the agent knows about why somebody can or cannot log in."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from directory.authenticator import Authenticator
from directory.authenticator_tokens import APP
from directory.connection import Servers, close
from directory.login_rules import may_come, may_use, named
from directory.model import Account, Deferred, Refused, ServiceAccount
from directory.port import Directory
from directory.profile_source import WORDS
from gateway.config.settings import Settings
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts


class AskLogin(msgspec.Struct, forbid_unknown_fields=True):
    """`password` "" = only look; with it the login is tried, and counts like any other."""

    login: Annotated[str, msgspec.Meta(max_length=320)]
    service: str = "imap"
    address: Annotated[str, msgspec.Meta(max_length=100)] = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"AskLogin({self.login!r})"


@dataclass(slots=True)
class _Report:
    """Findings in the order in which a login meets them."""

    findings: list[dict[str, Any]]

    def good(self, text: str) -> None:
        self.findings.append({"ok": True, "text": text})

    def bad(self, text: str, *, temporary: bool = False) -> None:
        self.findings.append({"ok": False, "text": text, "temporary": temporary})


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"


class LoginDoctor:
    """Looks with a view of its own; asks the directory whether it answers (`servers` None: it is a file)."""

    def __init__(
        self,
        directory: Directory,
        authenticator: Authenticator,
        servers: Servers | None,
        settings: Settings,
        accounts: Accounts,
    ) -> None:
        self._directory, self._authenticator = directory, authenticator
        self._servers, self._settings, self._accounts = servers, settings, accounts
        self._lock = threading.Lock()

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"doctor-login": Verb(Right.ACT, self._report, AskLogin)}

    def _check(self, caller: Caller, wanted: AskLogin) -> None:
        """Raise VerbError for one who may not ask this: people ask about those whom they look after, and try no passwords."""
        actor = self._accounts.actor(caller)
        if actor.account is None:
            return
        if wanted.password:
            raise VerbError("only the operator tries passwords of others", 5)
        with self._accounts.looking() as port:
            domains = port.rights.mail_domains(actor)
            found = named(self._directory, wanted.login)
            if domains is None or (domains and found and all(port.rights.may_see(actor, entry) for entry in found)):
                return
        if not domains:
            raise VerbError("that is for people who administer others", 5)
        raise VerbError(f"there is no login {wanted.login!r} that you may look at", 1)

    def _report(self, caller: Caller, wanted: AskLogin) -> dict[str, Any]:
        self._check(caller, wanted)
        if wanted.service not in WORDS["services"]:
            raise VerbError(f"{wanted.service!r} is no service; there is {', '.join(WORDS['services'])}", 2)
        report = _Report([])
        with self._lock:
            entry = self._entry(wanted, report)
            if entry is not None:
                self._permission(entry, wanted, report)
        if entry is not None:
            self._history(entry, wanted, report)
        self._server(report)
        if wanted.password:
            self._try(wanted, report)
        elif entry is not None and not any(not f["ok"] for f in report.findings):
            report.good("nothing stands against a login with the right password")
        return {
            "login": wanted.login,
            "entry": entry.id if entry is not None else "",
            "dn": entry.dn if entry is not None else "",
            "findings": report.findings,
        }

    def _entry(self, wanted: AskLogin, report: _Report) -> Account | ServiceAccount | None:
        now = time.time()
        freshness = self._directory.freshness()
        if not freshness.complete:
            report.bad("there is no complete copy of the directory yet", temporary=True)
        elif not freshness.absence_is_final(now):
            why = freshness.braked or freshness.trouble or "the server does not answer"
            report.bad(
                f"the copy of the directory was last proven {_ago(now - freshness.fresh_at)}: {why}", temporary=True
            )
        found = named(self._directory, wanted.login)
        if not found:
            report.bad("no entry has this login name or address (an account with it, as the profile says)")
            return None
        if len(found) > 1:
            report.bad(
                f"{len(found)} entries have this login: {'; '.join(entry.dn for entry in found)}", temporary=True
            )
            return None
        report.good(f"the login means {found[0].dn}")
        if self._directory.is_held(found[0].id):
            report.bad("the directory does not show the entry any more; the deletion brake holds it", temporary=True)
        return found[0]

    def _permission(self, entry: Account | ServiceAccount, wanted: AskLogin, report: _Report) -> None:
        now, address = time.time(), wanted.address
        if not address and entry.allow_net:
            report.good(
                f"logins are allowed from {', '.join(entry.allow_net)} only (--address tells whether it is one)"
            )
            address = entry.allow_net[0].partition("/")[0]
        try:
            may_come(entry, address, now)
            report.good(f"status {entry.status}")
        except Refused as error:
            report.bad(error.detail.removeprefix(f"{entry.dn}: "))
            domain = (getattr(entry, "primary", None) or "").rpartition("@")[2]
            ours = self._directory.domain(domain) if domain else None
            if ours is not None and ours.status != "active":
                report.bad(f"the domain {ours.name} is {ours.status}, and so is everybody in it")
        try:
            may_use(entry, wanted.service)
            report.good(f"{wanted.service} is enabled")
        except Refused as error:
            report.bad(error.detail.removeprefix(f"{entry.dn}: "))
        if self._settings.auth.plaintext != "always":
            where = "" if self._settings.auth.plaintext == "never" else " (but on loopback listeners)"
            report.good(f"passwords are taken under TLS only{where}: auth.plaintext is {self._settings.auth.plaintext}")

    def _history(self, entry: Account | ServiceAccount, wanted: AskLogin, report: _Report) -> None:
        authenticator, now = self._authenticator, time.time()
        history = authenticator.history(entry.id, wanted.address)
        if history.failed:
            report.good(
                f"{len(history.failed)} wrong passwords are remembered, the last {_ago(now - history.failed[-1].at)} "
                f"from {'a known' if history.failed[-1].from_known_place else 'an unknown'} place; "
                "they are refused without asking the directory until the entry changes"
            )
        budget = self._settings.auth.bind_budget
        if history.budget_spent >= budget:
            report.bad(
                f"{history.budget_spent} wrong passwords came from unknown places within 15 minutes: from such places "
                "only the password of the last login is tried now",
                temporary=True,
            )
        if history.locked_for:
            report.bad(
                f"the directory said the account is locked; it is asked again in {history.locked_for:.0f} s",
                temporary=True,
            )
        if wanted.address:
            try:
                delay = authenticator.delay(wanted.address)
            except Deferred as error:
                report.bad(f"too many failures from there: {error.detail}", temporary=True)
            else:
                if delay:
                    report.good(
                        f"logins from there wait {delay:.1f} s: {history.from_minute} failures in the last minute, "
                        f"{history.from_day} in the last day"
                    )
        try:
            count = len(authenticator.tokens.of(entry.id, APP, now))
        except Deferred as error:
            report.bad(f"app passwords and sessions cannot be checked: {error.detail}", temporary=True)
        else:
            if count:
                report.good(f"{count} app passwords")
        if history.verifier_at is not None and self._settings.auth.grace:
            left = history.verifier_at + self._settings.auth.grace - now
            if left > 0:
                report.good(f"without the directory the last password works for {left / 3600:.1f} h more")

    def _server(self, report: _Report) -> None:
        if self._servers is None:
            report.good("the directory is a file")
            return
        try:
            connection = self._servers.open(bind=False)
        except Deferred as error:
            report.bad(f"the directory does not answer: {error.detail}", temporary=True)
            return
        report.good(f"the directory answers ({self._servers.url_of(connection)})")
        close(connection)

    def _try(self, wanted: AskLogin, report: _Report) -> None:
        try:
            proof = self._authenticator.prove(
                wanted.login, wanted.password, wanted.service, wanted.address or "127.0.0.1"
            )
        except Deferred as error:
            report.bad(f"tried: {error.condition.text}: {error.detail}", temporary=True)
        except Refused as error:
            report.bad(f"tried: {error.condition.text}: {error.detail}")
        else:
            how = {"bind": "by the directory", "grace": "by a verifier, the directory is down",
                   "app": "as an app password", "token": "as a session token"}  # fmt: skip
            report.good(f"tried: the password is right, proven {how[proof.login.method]}")
