"""The write port against a real slapd: rights, conflicts, passwords, the journal and taking back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from followed_company import SUFFIX, Company, dn_of, eventually, person

from directory import write_entries
from directory.domain_accounts import count_accounts
from directory.model import Alias, Deferred, Domain, MailingList
from directory.profile import Profile
from directory.rights import Actor, Rights, RightsSettings
from directory.settings import Bind
from directory.view import View
from directory.write import Wish, WritePort, Written
from directory.write_journal import Journal
from directory.write_problem import Conflict, Invalid, NotAllowed, NotThere, WriteProblem
from directory.write_server import WriteServer

ROOT = Actor("operator")
ADMINS = f"cn=admins,ou=groups,{SUFFIX}"
HELPDESK = f"cn=helpdesk,ou=groups,{SUFFIX}"


def group(name: str, member: str) -> str:
    return f"\ndn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\nmember: {member}\n"


MORE = (
    f"""
dn: cn=other.example,ou=domains,{SUFFIX}
objectClass: gatepostEntry
objectClass: gatepostDomain
cn: other.example
gatepostDomainName: other.example
gatepostDomainAdmin: {dn_of("dora")}
"""
    + "".join(map(person, ("root", "helen", "dora", "lisa")))
    + "".join(person(name).replace("@example.com", "@other.example") for name in ("otto", "hugo", "dean"))
    + f"""
dn: cn=third.example,ou=domains,{SUFFIX}
objectClass: gatepostEntry
objectClass: gatepostDomain
cn: third.example
gatepostDomainName: third.example
gatepostDomainAdmin: {dn_of("dean")}
gatepostDomainAdmin: cn=keepers,ou=groups,{SUFFIX}
"""
    + f"""
dn: cn=keepers,ou=groups,{SUFFIX}
objectClass: gatepostEntry
objectClass: gatepostList
cn: keepers
gatepostAddress: keepers@other.example
owner: {dn_of("dora")}
member: {dn_of("dean")}
"""
    + group("admins", f"cn=inner,ou=groups,{SUFFIX}")
    + group("inner", dn_of("root"))
    + group("helpdesk", dn_of("helen"))
    + f"member: {dn_of('hugo')}\nmember: {dn_of('gone')}\n"
    + f"""
dn: cn=news,ou=groups,{SUFFIX}
objectClass: gatepostEntry
objectClass: gatepostList
cn: news
gatepostAddress: news@example.com
owner: {dn_of("lisa")}
member: {dn_of("jane")}
"""
)


class Office:
    """A company with a write port."""

    def __init__(self, company: Company) -> None:
        self.company = company
        settings = msgspec.structs.replace(
            company.settings,
            write_bind=Bind(
                dn=f"cn=webadmin,ou=services,{SUFFIX}", password_file=str(company.embedded.password_file("webadmin"))
            ),
            rights=RightsSettings(administrators=(ADMINS,), helpdesk=(HELPDESK,)),
        )
        self.settings = settings
        self.view = View(company.reader(), Profile.load("native"))
        self.rights = Rights(self.view, settings.rights)
        self.port = WritePort(
            self.view, Profile.load("native"), self.rights, WriteServer.of(settings), Journal(company.state)
        )

    def actor(self, login: str) -> Actor:
        """Somebody logged in with his password."""
        entry = self.port.account(login)
        return Actor(entry.dn, entry, f"{login}-first-password")

    def set(self, actor: Actor, login: str, **values: str) -> Written:
        wishes = [Wish(name, "set", tuple(v for v in value.split() if v)) for name, value in values.items()]
        return self.port.change(actor, self.port.account(login), wishes, verb="test")

    def refused(self, kind: type[WriteProblem], actor: Actor, login: str, **values: str) -> str:
        with pytest.raises(kind) as caught:
            self.set(actor, login, **values)
        return str(caught.value)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    company = Company(tmp_path, MORE)
    yield Office(company)
    company.close()


def test_what_is_written_is_live_and_in_the_journal(office: Office) -> None:
    begin = time.monotonic()
    done = office.set(ROOT, "jane", quota="2G", forwards="jane@far.example", keep_copy="yes", status="noaccess")
    jane = office.port.account("jane")
    print(f"\nwritten and in the local copy after {(time.monotonic() - begin) * 1000:.0f} ms")
    assert (jane.quota, jane.forwards, jane.keep_copy, jane.status) == (
        2 << 30,
        ("jane@far.example",),
        True,
        "noaccess",
    )
    row = office.port.journal.row(done.number)
    assert row is not None
    assert (row.actor, row.outcome, row.entry) == ("operator", "done", jane.id)
    assert row.change["modify"]["gatepostQuota"] == [[], ["2147483648"]]
    assert office.set(ROOT, "jane", quota="2G").number == 0, "nothing had to change"
    office.port.undo(ROOT, done.number)
    jane = office.port.account("jane")
    assert (jane.quota, jane.forwards, jane.status) == (0, (), "active")
    with pytest.raises(Conflict):
        office.port.undo(ROOT, done.number)


def test_people_are_told_what_is_wrong(office: Office) -> None:
    refused = lambda **values: office.refused(Invalid, ROOT, "jane", **values)  # noqa: E731
    assert "did you mean 'quota'" in refused(qouta="1G")
    assert "reserved" in refused(sieve="keep;")
    assert "a size in octets" in refused(quota="much")
    assert "'suspended'" in refused(status="suspendet")
    assert "belongs to uid=joe" in refused(addresses="jane@example.com joe@example.com")
    assert "no domain of ours; there is example.com, other.example" in refused(addresses="jane@nowhere.example")
    assert "local-part@domain" in refused(forwards="not-an-address")
    assert "is no network" in refused(allow_net="the-office")
    assert "2027-01-31" in refused(expires="tomorrow")
    assert "calendar" in refused(expires="2027-02-31")
    assert "entries have the login or address 'ghost'" in refused(senders="ghost")
    assert "200/h" in refused(send_limits="lots")
    assert "one value" in refused(quota="1 2")
    assert "imap" in refused(services="imapp")
    with pytest.raises(NotThere, match="has no value"):
        office.port.change(ROOT, office.port.account("jane"), [Wish("forwards", "remove", ("x@y.example",))], verb="t")
    assert not office.port.account("jane").quota


def test_two_at_once(office: Office) -> None:
    jane = office.port.account("jane")
    seen = office.view.change_mark(jane.id)
    office.port.change(ROOT, jane, [Wish("quota", "set", ("1G",))], verb="first", version=seen)
    with pytest.raises(Conflict, match="changed meanwhile"):
        office.port.change(ROOT, jane, [Wish("quota", "set", ("2G",))], verb="second", version=seen)
    server = WriteServer.of(office.settings)
    with pytest.raises(Conflict):  # between the look and the write
        server.modify(ROOT, jane.dn, {"gatepostQuota": (["1073741824"], ["5"])}, seen)
    assert office.port.account("jane").quota == 1 << 30


def test_everybody_within_his_rights(office: Office) -> None:
    jane, root, helen, dora, lisa = (office.actor(name) for name in ("jane", "root", "helen", "dora", "lisa"))
    office.set(jane, "jane", forwards="jane@far.example")  # with her own bind: slapd lets her
    assert "of your own entry you may change forwards, " in office.refused(NotAllowed, jane, "jane", quota="9G")
    assert "no right" in office.refused(NotAllowed, jane, "joe", forwards="spy@far.example")
    office.set(root, "joe", quota="1G")
    office.set(helen, "joe", status="noaccess")
    assert "active or noaccess" in office.refused(NotAllowed, helen, "joe", status="closed")
    assert "not quota" in office.refused(NotAllowed, helen, "joe", quota="1G")
    assert "administrator" in office.refused(NotAllowed, helen, "root", status="noaccess")
    assert "administrator" in office.refused(NotAllowed, helen, "dora", status="noaccess")
    office.set(dora, "otto", quota="1G", status="suspended")
    assert "store" in office.refused(NotAllowed, dora, "otto", store="fast")
    assert "send_as" in office.refused(NotAllowed, dora, "otto", send_as="@example.com")
    assert "no right" in office.refused(NotAllowed, dora, "joe", quota="1G")
    assert "no right" in office.refused(NotAllowed, dora, "otto", addresses="otto@other.example boss@example.com")
    news = office.port.owner("news@example.com", MailingList)
    office.port.change(lisa, news, [Wish("members", "add", ("joe", "amy@example.com"))], verb="t")
    with pytest.raises(NotAllowed, match="max_message_size"):
        office.port.change(lisa, news, [Wish("max_message_size", "set", ("1M",))], verb="t")
    with pytest.raises(NotAllowed):
        office.port.change(helen, news, [Wish("members", "remove", ("jane",))], verb="t")
    found = office.port.owner("news@example.com", MailingList)
    assert isinstance(found, MailingList)
    assert set(found.members) == {dn_of("jane"), dn_of("joe"), dn_of("amy")}
    for actor in (jane, helen, lisa):
        with pytest.raises(NotAllowed):
            office.port.delete(actor, office.port.account("joe"), verb="t")
    with pytest.raises(NotAllowed, match="own entry"):
        office.port.delete(dora, office.port.account("dora"), verb="t")
    new = write_entries.person(office.settings, "new", "New One", ["new@other.example"])
    office.port.add(dora, new.kind, new.dn, new.classes, new.values, verb="t")
    with pytest.raises(NotAllowed, match="domain"):
        new = write_entries.person(office.settings, "new2", "New Two", ["new2@example.com"])
        office.port.add(dora, new.kind, new.dn, new.classes, new.values, verb="t")
    with pytest.raises(NotAllowed):
        office.port.undo(helen, 1)
    domain = office.view.domain("other.example")
    assert domain is not None
    office.port.change(dora, domain, [Wish("catch_all", "set", ("otto@other.example",))], verb="t")
    with pytest.raises(NotAllowed):
        office.port.change(dora, domain, [Wish("admins", "add", ("otto",))], verb="t")


def test_nobody_becomes_more_by_whom_he_administers(office: Office) -> None:
    """Whose password one may set, one can be; whose entry one makes, that one's rights count."""
    dora = office.actor("dora")
    office.set(dora, "otto", quota="1G")
    for login in ("hugo", "dean"):  # in dora's domain: the help desk, and who administers another one
        assert "administers others" in office.refused(NotAllowed, dora, login, quota="1G")
        with pytest.raises(NotAllowed):
            office.port.password(dora, office.port.account(login), "another-password")
        with pytest.raises(NotAllowed):
            office.port.delete(dora, office.port.account(login), verb="t")
    keepers = office.port.owner("keepers@other.example", MailingList)
    with pytest.raises(NotAllowed):
        office.port.change(dora, keepers, [Wish("members", "add", ("dora",))], verb="t")
    with pytest.raises(NotAllowed, match="earlier entry"):
        new = write_entries.person(office.settings, "gone", "Gone", ["gone@other.example"])
        office.port.add(dora, new.kind, new.dn, new.classes, new.values, verb="t")
    office.port.add(office.actor("root"), new.kind, new.dn, new.classes, new.values, verb="t")


def test_a_token_for_reading_takes_nothing_back(office: Office) -> None:
    office.port.delete(ROOT, office.port.account("joe"), verb="t")
    root = dataclasses.replace(office.actor("root"), reads_only=True)
    with pytest.raises(NotAllowed, match="reading"):
        office.port.undo(root, 1)


def test_passwords_are_set_by_the_server(office: Office) -> None:
    def works(login: str, password: str) -> bool:
        connection = office.company.servers.open(user=dn_of(login), password=password.encode(), bind=False)  # type: ignore[arg-type]
        connection.bind()
        bound = bool(connection.bound)
        connection.unbind()
        return bound

    jane, helen = office.actor("jane"), office.actor("helen")
    entry = office.port.account("jane")
    office.set(ROOT, "jane", must_change_password="yes")
    with pytest.raises(NotAllowed, match="old one"):
        office.port.password(Actor(jane.name, entry), entry, "a brand new password")
    with pytest.raises(WriteProblem):
        office.port.password(Actor(jane.name, entry), entry, "a brand new password", "not the old one")
    office.port.password(jane, office.port.account("jane"), "a brand new password")
    assert works("jane", "a brand new password")
    assert not works("jane", "jane-first-password")
    eventually(lambda: not office.port.account("jane").must_change_password)
    office.port.password(helen, office.port.account("joe"), "密码 with\u00ad and a\ttab")
    assert works("joe", "密码 with\u00ad and a\ttab")
    office.port.password(helen, office.port.account("joe"), "set by the help desk")
    assert works("joe", "set by the help desk")
    with pytest.raises(Invalid, match=r"short|weak|quality"):
        office.port.password(ROOT, office.port.account("joe"), "short")
    with pytest.raises(NotAllowed):
        office.port.password(helen, office.port.account("root"), "taken over by helen")
    for row in office.port.journal.latest(100):
        assert "password" not in str(row.change).replace("'password': True", "").replace("MustChangePassword", "")
        assert row.outcome != "begun"


def test_a_domain_takes_no_more_accounts_than_it_may_have(office: Office) -> None:
    domain = office.view.domain("other.example")
    assert domain is not None
    count = count_accounts(office.view, domain)
    office.port.change(ROOT, domain, [Wish("max_accounts", "set", (str(count + 1),))], verb="t")

    def add(name: str, *addresses: str) -> None:
        new = write_entries.person(office.settings, name, name, addresses)
        office.port.add(ROOT, new.kind, new.dn, new.classes, new.values, verb="t")

    add("one", "one@other.example")
    with pytest.raises(Invalid, match=f"has {count + 1} accounts and may have {count + 1}"):
        add("two", "two@other.example", "two@example.com")
    add("three", "three@example.com", "three@other.example")  # its primary address is elsewhere
    alias = write_entries.alias(office.settings, "four@other.example")
    wish = [Wish("targets", "set", ("one@other.example",))]
    office.port.add(ROOT, alias.kind, alias.dn, alias.classes, alias.values, wish, verb="t")


def test_entries_made_and_deleted(office: Office) -> None:
    new = write_entries.person(office.settings, "zoë", "Zoë Müller", ["zoë@example.com", "zm@example.com"])
    made = office.port.add(ROOT, new.kind, new.dn, new.classes, new.values, [Wish("quota", "set", ("1G",))], verb="t")
    zoe = office.port.account("zm@example.com")
    assert (zoe.id, zoe.quota, zoe.display_name, zoe.primary) == (made.entry, 1 << 30, "Zoë Müller", "zoë@example.com")
    alias = write_entries.alias(office.settings, "boss@example.com")
    office.port.add(
        ROOT, alias.kind, alias.dn, alias.classes, alias.values, [Wish("targets", "set", ("zm@example.com",))], verb="t"
    )
    entry = office.port.owner("boss@example.com", Alias)
    assert isinstance(entry, Alias)
    assert entry.targets == (zoe.dn,)
    gone = office.port.delete(ROOT, entry, verb="t")
    assert not office.view.owners("boss@example.com")
    office.port.undo(ROOT, gone.number)
    again = office.port.owner("boss@example.com", Alias)
    assert isinstance(again, Alias)
    assert again.targets == (zoe.dn,)
    gone = office.port.delete(ROOT, zoe, verb="t")
    with pytest.raises(Invalid, match="cannot be taken back"):
        office.port.undo(ROOT, gone.number)
    with pytest.raises(NotThere):
        office.port.account("zm@example.com")
    domain = write_entries.domain(office.settings, "bücher.example")
    office.port.add(ROOT, domain.kind, domain.dn, domain.classes, domain.values, verb="t")
    found = office.view.domain("xn--bcher-kva.example")
    assert isinstance(found, Domain)
    for bad in ("", "a b", "x" * 65, "a)(b", "*"):
        with pytest.raises(Invalid):
            write_entries.person(office.settings, bad, "Name", ["a@example.com"])
    tricky = write_entries.alias(office.settings, '"a,b+c=d"@example.com')
    office.port.add(
        ROOT,
        tricky.kind,
        tricky.dn,
        tricky.classes,
        tricky.values,
        [Wish("forwards", "set", ("x@far.example",))],
        verb="t",
    )
    assert office.view.owners("a,b+c=d@example.com")


def test_without_a_bind_that_may_write(office: Office) -> None:
    settings = msgspec.structs.replace(office.settings, write_bind=Bind())
    port = WritePort(office.view, Profile.load("native"), office.rights, WriteServer.of(settings), office.port.journal)
    with pytest.raises(NotAllowed, match="write_bind"):
        port.change(ROOT, port.account("jane"), [Wish("quota", "set", ("1G",))], verb="t")
    jane = office.actor("jane")
    port.change(jane, port.account("jane"), [Wish("forwards", "set", ("jane@far.example",))], verb="t")
    assert office.port.account("jane").forwards == ("jane@far.example",)


def test_a_dead_directory_is_not_a_no(office: Office) -> None:
    jane = office.port.account("jane")
    office.company.kill()
    with pytest.raises(Deferred):
        office.port.change(ROOT, jane, [Wish("quota", "set", ("1G",))], verb="t")
    office.company.start()


def test_an_entry_that_others_deleted(office: Office) -> None:
    jane = office.port.account("jane")
    with office.company.admin() as admin:
        assert admin.delete(jane.dn)
    with pytest.raises(NotThere):
        office.port.change(ROOT, jane, [Wish("quota", "set", ("1G",))], verb="t")
