"""What a view remembers is forgotten when it changes, and strangers' questions do not fill its memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory import view as module
from directory.effective import Defaults
from directory.memory import MemorySource
from directory.model import Account
from directory.profile import Profile
from directory.raw import RawEntry
from directory.replica_writer import ReplicaWriter
from directory.tracker.port import Change
from directory.view import View

NATIVE = Profile.load("native")


def person(quota: str | None = None) -> RawEntry:
    values = {"objectclass": [b"gatepostAccount"], "uid": [b"jane"], "gatepostaddress": [b"jane@example.com"]}
    if quota is not None:
        values["gatepostquota"] = [quota.encode()]
    return RawEntry("x:1", "uid=jane,o=x", values)


def domain(**more: str) -> RawEntry:
    values = {"objectclass": [b"gatepostDomain"], "gatepostdomainname": [b"example.com"]}
    return RawEntry("x:d", "cn=d,o=x", values | {f"gatepost{name}": [text.encode()] for name, text in more.items()})


def jane(view: View) -> Account:
    (found,) = view.owners("jane@example.com")
    assert isinstance(found, Account)
    assert view.by_login("JANE") == (found,) == (view.by_dn("UID=jane, o=x"),) and view.by_id("x:1") == found
    return found


def test_values_come_from_the_entry_then_the_domain_then_the_configuration() -> None:
    source = MemorySource(NATIVE, (person(), domain()))
    view = View(source, NATIVE, Defaults(quota=3, services=("imap",)))
    assert (jane(view).quota, jane(view).services) == (3, ("imap",))
    source.put(domain(quota="2", service="pop3", status="suspended"))
    assert (jane(view).quota, jane(view).services, jane(view).status) == (2, ("pop3",), "suspended")
    source.put(person(quota="1"))
    assert jane(view).quota == 1
    source.remove("x:1")
    assert view.owners("jane@example.com") == view.by_login("jane") == () and view.by_dn("uid=jane,o=x") is None


def test_who_sets_a_hard_quota_does_not_inherit_a_soft_one() -> None:
    source = MemorySource(NATIVE, (person(), domain(quota="100", quotasoft="90")))
    view = View(source, NATIVE, Defaults(quota=10, quota_soft=9))
    assert (jane(view).quota, jane(view).quota_soft) == (100, 90)
    source.put(person(quota="500"))
    assert (jane(view).quota, jane(view).quota_soft) == (500, None)
    source.put(person(quota="0"))
    assert (jane(view).quota, jane(view).quota_soft) == (0, None)
    source.put(person())
    source.put(domain(quota="50"))
    assert (jane(view).quota, jane(view).quota_soft) == (50, None)
    source.put(domain())
    assert (jane(view).quota, jane(view).quota_soft) == (10, 9)


def test_a_change_by_the_agent_is_seen_at_once(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    view = View(writer.reader(), NATIVE)
    assert view.owners("jane@example.com") == ()
    writer.begin_refresh()
    writer.stage([domain(), person("5")])
    writer.finish_refresh(None, by_presence=True)
    assert jane(view).quota == 5 and not view.is_held("x:1")
    writer.proven_fresh(7.0)
    assert view.freshness().fresh_at == 7.0
    writer.apply([Change("x:1", person("6"))])
    assert jane(view).quota == 6
    writer.apply([Change("x:d", None)])  # a domain with people in it does not go
    assert jane(view).quota == 6 and view.is_held("x:d")
    writer.begin_refresh()
    writer.stage([domain(), person("6")])
    writer.finish_refresh(None, by_presence=True)
    assert not view.is_held("x:d")


def test_unknown_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 100)
    view = View(MemorySource(NATIVE, (person(), domain())), NATIVE)
    for number in range(1000):
        view.owners(f"n{number}@example.com")
        view.by_login(f"n{number}")
        view.by_dn(f"uid=n{number}")
        view.domain(f"n{number}.example")
        view.is_held(f"n{number}")
    remembered = (getattr(view._memory, name) for name in view._memory.__slots__)
    assert max(len(memory) for memory in remembered if isinstance(memory, dict)) <= 100
    assert jane(view).quota == 0


def test_names_that_differ_only_far_behind_are_two(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    names = [f"uid=jane,ou={'x' * 600}{end},o=x" for end in "ab"]
    entries = [
        RawEntry(f"x:{n}", dn, {"objectclass": [b"gatepostAccount"], "uid": [b"u%d" % n]}) for n, dn in enumerate(names)
    ]
    writer.begin_refresh()
    writer.stage([domain(), *entries])
    writer.finish_refresh(None, by_presence=True)
    view = View(writer.reader(), NATIVE)
    assert [found.id for dn in names if (found := view.by_dn(dn)) is not None] == ["x:0", "x:1"]
    assert view.by_dn(f"uid=jane,ou={'x' * 600}c,o=x") is None
    writer.close()


@pytest.mark.parametrize("login", ["müller", "MÜLLER", " mu\u0308ller ", "Mu\u0308ller"])
def test_a_login_is_found_however_its_letters_are_composed(login: str) -> None:
    entry = RawEntry("x:1", "uid=m,o=x", {"objectclass": [b"gatepostAccount"], "uid": ["Müller".encode()]})
    view = View(MemorySource(NATIVE, (entry,)), NATIVE)
    assert [found.id for found in view.by_login(login)] == ["x:1"]


class Slow(MemorySource):
    """A source in which `during` happens while an entry is read."""

    during = staticmethod(lambda: None)

    def get(self, entry_id: str) -> RawEntry | None:
        raw = super().get(entry_id)
        self.during()
        return raw


def test_what_is_read_during_a_change_is_not_remembered_behind_it() -> None:
    source = Slow(NATIVE, (domain(), person("1")))
    view = View(source, NATIVE)

    def change() -> None:
        source.during = lambda: None  # type: ignore[method-assign]
        source.put(person("2"))
        assert jane(view).quota == 2  # another thread has looked meanwhile

    source.during = change  # type: ignore[method-assign]
    view.owners("jane@example.com")
    assert jane(view).quota == 2
