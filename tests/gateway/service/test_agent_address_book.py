"""As whom somebody may write, whom the directory knows, what he chose: the verbs behind the form for messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Account
from directory.rights import Actor
from directory.settings import DirectorySettings
from directory.state import State
from directory.view import View
from gateway.control.protocol import Claim
from gateway.control.server import Caller, VerbError
from gateway.service.agent_accounts import Accounts
from gateway.service.agent_address_book import AddressBook, Identities, LookUp
from gateway.service.agent_preferences import (
    MAX_PREFERENCES,
    Preferences,
    PreferenceVerbs,
    SetPreferences,
)


def person(uid: str, **more: str) -> Any:
    mail = f"{uid}@example.com"
    return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, mail=mail, gatepostAddress=mail, **more)


def company() -> MemorySource:
    return MemorySource(
        PROFILE,
        (
            entry("cn=d", "gatepostEntry gatepostDomain", gatepostDomainName="example.com"),
            person("jane", displayName="Jane Doe", gatepostSendAs="sales@example.com"),
            person("jean-luc", displayName="Jean-Luc Müller"),
            person("hidden", displayName="Jane Hidden", gatepostHidden="TRUE"),
            person("gone", displayName="Jane Gone", gatepostStatus="closed"),
            entry("cn=team", "groupOfNames", member=f"uid=jane,{BASE}"),
            entry(
                "cn=desk", "gatepostEntry gatepostSharedMailbox", mail="desk@example.com", gatepostAddress="desk@example.com",
                displayName="Desk", gatepostSender=f"cn=team,{BASE}",
            ),
            entry(
                "cn=l", "gatepostEntry gatepostList", mail="sales@example.com", gatepostAddress="sales@example.com",
                member=f"uid=jane,{BASE}",
            ),
        ),
    )  # fmt: skip


class StubAccounts:
    """Believes what the claim says."""

    def __init__(self, directory: View) -> None:
        self._directory = directory

    def actor(self, caller: Caller) -> Actor:
        if caller.claim is None:
            return Actor("operator")
        account = self._directory.by_login(caller.claim.login)[0]
        assert isinstance(account, Account)
        return Actor(account.dn, account)


def caller(login: str) -> Caller:
    return Caller(0, Claim(login))


class Bench:
    def __init__(self, *, service_keeps: bool = False) -> None:
        self.source, self.now = company(), 0.0
        view = View(self.source, PROFILE)
        self.accounts = cast(Accounts, StubAccounts(view))
        self.book = AddressBook(
            self.accounts,
            view,
            self.source.generation,
            DirectorySettings(base=BASE),
            service_keeps=service_keeps,
            clock=self.tick,
        )
        self.verbs = self.book.verbs()

    def tick(self) -> float:
        self.now += 1.0  # the book takes a second to make
        return self.now

    def find(self, text: str, limit: int = 10) -> list[str]:
        return [one["address"] for one in self.verbs["address-book"].run(caller("jane"), LookUp(text, limit))]


def test_beginnings_of_words_find_people_lists_and_shared_mailboxes() -> None:
    bench = Bench()
    assert bench.find("ja") == ["jane@example.com"], "neither hidden nor closed ones"
    assert bench.find("MÜLL jean") == ["jean-luc@example.com"] and bench.find("luc") == ["jean-luc@example.com"]
    assert bench.find("sales") == ["sales@example.com"] and bench.find("desk@ex") == ["desk@example.com"]
    assert bench.find("ane") == [] and bench.find("") == [] and bench.find("  ") == []
    assert len(bench.find("j", limit=1)) == 1


def test_the_book_is_made_anew_behind_a_change_but_not_all_the_time() -> None:
    bench = Bench()
    assert bench.find("zoe") == []
    bench.source.put(person("zoe", displayName="Zoe"))
    assert bench.find("zoe") == [], "made a moment ago"
    bench.now += 20
    assert bench.find("zoe") == ["zoe@example.com"]


def identities(bench: Bench, login: str) -> list[tuple[str, str, str]]:
    found = bench.verbs["identities"].run(caller(login), Identities())
    return [(one["address"], one["name"], one["store"]) for one in found]


def test_as_whom_somebody_may_write() -> None:
    assert identities(Bench(), "jane") == [
        ("jane@example.com", "Jane Doe", ""),
        ("desk@example.com", "Desk", "Shared/desk@example.com"),
        ("sales@example.com", "Jane Doe", ""),
    ]
    assert identities(Bench(), "jean-luc") == [("jean-luc@example.com", "Jean-Luc Müller", "")]
    assert ("desk@example.com", "Desk", "") in identities(Bench(service_keeps=True), "jane")


def test_the_operator_is_no_person() -> None:
    with pytest.raises(VerbError, match="logged in"):
        Bench().verbs["identities"].run(Caller(0, None), Identities())


def test_preferences_are_each_ones_own_and_bounded(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    verbs = PreferenceVerbs(state, Bench().accounts).verbs()

    def put(login: str, **values: str) -> dict[str, str]:
        return dict(verbs["preferences-set"].run(caller(login), SetPreferences(values)))

    assert put("jane", signature="Jane", undo_seconds="5") == {"signature": "Jane", "undo_seconds": "5"}
    assert put("jane", signature="") == {"undo_seconds": "5"}
    assert verbs["preferences"].run(caller("jean-luc"), Preferences()) == {}
    for name in ("", "Name", "a-b", "x" * 41, "../x"):
        with pytest.raises(VerbError, match="no name"):
            put("jane", **{name: "x"})
    with pytest.raises(VerbError, match="at most"):
        put("jane", **{f"p_{chr(97 + n % 26)}{'x' * (n // 26)}": "1" for n in range(MAX_PREFERENCES + 1)})
    assert verbs["preferences"].run(caller("jane"), Preferences()) == {"undo_seconds": "5"}, "all or nothing"
    state.close()
