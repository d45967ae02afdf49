"""Logins against a real slapd with a strict password policy: what reaches it, and what works without it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import argon2
import ldap3
import pytest
from followed_company import Company, dn_of, eventually

from directory import authenticator_grace
from directory.authenticator_settings import AuthSettings
from directory.authenticator_tokens import APP, SESSION
from directory.login_mark import LoginMark
from directory.model import Condition, Deferred, Refused


@pytest.fixture(autouse=True)
def quick_verifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much a verifier costs is not looked at here."""
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(authenticator_grace, "_HASHER", hasher)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    made = Company(tmp_path)
    yield made
    made.close()


HOME, HOTEL = "192.0.2.7", "198.51.100.9"


def login(company: Company, name: str, password: str, address: str = HOME, service: str = "imap") -> str:
    """How it was proven, or the condition that forbade it."""
    try:
        return company.authenticator.prove(name, password, service, address).login.method
    except (Deferred, Refused) as error:
        return error.condition.name


def test_a_right_password_a_wrong_one_and_none(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    assert login(company, "JANE@Example.COM", "jane-first-password") == "bind"
    assert login(company, "jane", "joe-first-password") == "AUTHENTICATION_FAILED"
    assert login(company, "nobody", "jane-first-password") == "AUTHENTICATION_FAILED"
    for bad in ("", "x\0y", "x" * 5000, "\ud800"):
        assert login(company, "jane", bad) == "AUTHENTICATION_FAILED"
    for bad in ("", " ", "*", "jane)(uid=*", "jane\0", "x" * 600, "uid=jane", "\ud800"):
        assert login(company, bad, "jane-first-password") == "AUTHENTICATION_FAILED"
    assert company.failures("jane") == 1


def test_characters_that_libraries_stumble_over(company: Company) -> None:
    company.authenticator = company.make(AuthSettings(bind_budget=100))
    for odd in ("\u00ad", "\u200d", "\u2060\ufeff", "a\tb", "\x07", "\ue000", "\u06281", "\u0221", "é", "e\u0301"):
        assert login(company, "jane", odd) == "AUTHENTICATION_FAILED", odd
    assert login(company, "joe", "joe-first-password") == "bind", "nobody's input keeps others out"
    company.change(dn_of("amy"), userPassword=["pässwörd\twith\u00ad密码"])
    assert login(company, "amy", "pässwörd\twith\u00ad密码") == "bind"
    assert login(company, "amy", "pässwörd\twith密码") == "AUTHENTICATION_FAILED"


def test_one_old_password_for_ten_minutes_leaves_one_failure(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    for _ in range(120):
        assert login(company, "jane", "an old password", HOTEL) == "AUTHENTICATION_FAILED"
        company.clock.ahead += 5
        if company.clock.ahead == 300:
            time.sleep(0.3)  # what slapd wrote has come back into the replica by now
    assert company.failures("jane") == 1
    # the owner comes in, which clears slapd's count; the old password stays known
    company.authenticator.flush = lambda: None  # type: ignore[method-assign]
    assert login(company, "jane", "jane-first-password") == "bind"
    eventually(lambda: company.failures("jane") == 0)
    time.sleep(0.2)
    assert login(company, "jane", "an old password", HOTEL) == "AUTHENTICATION_FAILED"
    assert company.failures("jane") == 0
    company.clock.ahead += 86_400  # a day later it is tried once more
    assert login(company, "jane", "an old password", HOTEL) == "AUTHENTICATION_FAILED"
    assert company.failures("jane") == 1


def test_a_hundred_guesses_do_not_keep_the_owner_out(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    company.authenticator.grace.settle()
    answers = [login(company, "jane", f"guess {n}", f"203.0.113.{n}") for n in range(100)]
    assert answers.count("AUTHENTICATION_FAILED") == 3
    assert answers.count("AUTHENTICATION_UNAVAILABLE") == 97
    assert company.failures("jane") == 3
    company.clock.ahead += 301  # past the success cache
    assert login(company, "jane", "jane-first-password") == "bind", "from home"
    assert login(company, "jane", "guess 100", HOTEL) == "AUTHENTICATION_UNAVAILABLE"
    company.clock.ahead += 301
    assert login(company, "jane", "jane-first-password", "203.0.113.200") == "bind", "from anywhere"
    assert login(company, "joe", "joe-first-password", "203.0.113.3") == "bind"
    company.clock.ahead += 901
    assert login(company, "jane", "guess 101", HOTEL) == "AUTHENTICATION_FAILED"


def test_ten_connections_cost_one_bind(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    binds = company.authenticator._binds
    asked, bind = count(), binds.bind
    monkeypatch.setattr(binds, "bind", lambda dn, password: (next(asked), bind(dn, password))[1])
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: login(company, "jane", "jane-first-password"), range(10)))
        wrong = list(pool.map(lambda _: login(company, "joe", "not this one"), range(10)))
    assert answers == ["bind"] * 10
    assert wrong == ["AUTHENTICATION_FAILED"] * 10
    assert next(asked) == 2


def test_a_changed_password_counts_at_once(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    assert login(company, "jane", "jane-second-password") == "AUTHENTICATION_FAILED"
    time.sleep(1.1)  # pwdChangedTime has whole seconds, and another test may have changed the password just now
    company.change(dn_of("jane"), userPassword=["jane-second-password"])
    assert login(company, "jane", "jane-first-password") == "AUTHENTICATION_FAILED"
    assert login(company, "jane", "jane-second-password") == "bind"
    assert login(company, "jane", "jane-third-password") == "AUTHENTICATION_FAILED"
    time.sleep(1.1)
    company.change(dn_of("jane"), userPassword=["jane-third-password"])
    assert login(company, "jane", "jane-second-password") == "AUTHENTICATION_FAILED"
    assert login(company, "jane", "jane-third-password") == "bind"


def test_a_disabled_account_is_out_within_a_second(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    begin = time.monotonic()
    with company.admin() as admin:
        assert admin.modify(dn_of("jane"), {"gatepostStatus": [(ldap3.MODIFY_REPLACE, ["noaccess"])]})
    eventually(lambda: login(company, "jane", "jane-first-password") == "AUTHENTICATION_FAILED")
    print(f"\ndisabled, refused {(time.monotonic() - begin) * 1000:.0f} ms later")
    company.change(dn_of("jane"), gatepostStatus=["active"])
    assert login(company, "jane", "jane-first-password") == "bind"


def test_slapd_gone_and_back(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    company.authenticator.grace.settle()
    again = company.make(AuthSettings())  # the agent has been restarted too
    company.authenticator = again
    company.kill()
    assert login(company, "jane", "jane-first-password") == "grace"
    assert login(company, "jane", "something else") == "AUTHENTICATION_UNAVAILABLE"
    assert login(company, "joe", "joe-first-password") == "AUTHENTICATION_UNAVAILABLE"
    assert login(company, "jane", "joe-first-password") == "AUTHENTICATION_UNAVAILABLE"
    company.clock.ahead += 86_401
    assert login(company, "jane", "jane-first-password") == "AUTHENTICATION_UNAVAILABLE"
    company.start()
    eventually(lambda: login(company, "joe", "joe-first-password") == "bind")
    assert login(company, "jane", "jane-first-password") == "bind"


def test_what_was_proven_is_known_before_its_verifier_is_made(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QUIET_SECONDS", "BUSY_SECONDS"):
        monkeypatch.setattr(authenticator_grace, name, 600.0)
    memory, mark = company.authenticator.memory, LoginMark("content", "1", shows_changes=True, shows_policy=False)
    grace = authenticator_grace.Grace(memory, 3600.0, company.clock)
    try:
        grace.proven("x:1", "first", b"1", mark, policy=False)
        assert grace.vouches("x:1", "first", b"1", mark)
        assert memory.verifier("x:1") is None, "nothing is on disk yet"
        assert not grace.vouches("x:1", "another", b"2", mark)
        assert not grace.vouches("x:2", "first", b"1", mark)
        assert not grace.vouches("x:1", "first", b"1", replace(mark, content="changed"))
        grace.proven("x:1", "second", b"2", mark, policy=False)
        assert grace.vouches("x:1", "second", b"2", mark)
        assert not grace.vouches("x:1", "first", b"1", mark), "the last one only"
        company.clock.ahead += 3601
        assert not grace.vouches("x:1", "second", b"2", mark)
        grace.proven("x:1", "second", b"2", mark, policy=False)
        grace.forget()
        assert not grace.vouches("x:1", "second", b"2", mark)
    finally:
        grace.close()


def test_a_verifier_of_the_same_password_is_only_dated_anew(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, mark = company.authenticator.memory, LoginMark("content", "1", shows_changes=True, shows_policy=False)
    grace = authenticator_grace.Grace(memory, 3600.0, company.clock)
    try:
        grace.proven("x:1", "first", b"1", mark, policy=False)
        grace.settle()
        made = memory.verifier("x:1")
        company.clock.ahead += 3000
        monkeypatch.setattr(authenticator_grace, "_matches", lambda *_: pytest.fail("it was looked at again"))
        grace.proven("x:1", "first", b"1", mark, policy=False)
        grace.settle()
        again = memory.verifier("x:1")
        assert made is not None
        assert again is not None
        assert again.verifier == made.verifier
        assert again.at >= made.at + 3000
    finally:
        grace.close()


def test_no_grace_when_it_is_off(company: Company) -> None:
    company.authenticator = company.make(AuthSettings(grace=0, success_cache=0))
    assert login(company, "jane", "jane-first-password") == "bind"
    company.kill()
    assert login(company, "jane", "jane-first-password") == "AUTHENTICATION_UNAVAILABLE"


def test_the_servers_policy_is_kept(company: Company) -> None:
    company.change(dn_of("jane"), userPassword=["jane-second-password"])
    company.change(dn_of("jane"), pwdReset=["TRUE"])
    with pytest.raises(Refused) as caught:
        company.authenticator.prove("jane", "jane-second-password", "imap", HOME)
    assert caught.value.condition is Condition.PASSWORD_MUST_CHANGE
    assert login(company, "jane", "wrong") == "AUTHENTICATION_FAILED"
    for number in range(5):  # somebody else locks joe, past the gateway
        guess = company.servers.open(user=dn_of("joe"), password=f"no {number}", bind=False)
        guess.bind()
        guess.unbind()
    assert login(company, "joe", "joe-first-password") == "AUTHENTICATION_FAILED"
    assert not company.authenticator.history(company.view.by_login("joe")[0].id, HOME).failed
    company.change(dn_of("joe"), pwdAccountLockedTime=[])
    company.clock.ahead += 61
    assert login(company, "joe", "joe-first-password") == "bind", "a lock proved nothing about the password"


def test_what_the_entry_forbids(company: Company) -> None:
    company.change(dn_of("jane"), gatepostService=["submission"])
    assert login(company, "jane", "wrong") == "AUTHENTICATION_FAILED"
    assert login(company, "jane", "jane-first-password") == "SERVICE_NOT_ALLOWED"
    assert login(company, "jane", "jane-first-password", service="submission") == "bind"
    company.change(dn_of("joe"), gatepostMustChangePassword=["TRUE"])
    assert login(company, "joe", "joe-first-password") == "PASSWORD_MUST_CHANGE"
    company.change(dn_of("amy"), gatepostAllowNet=["192.0.2.0/24", "2001:db8::/32"])
    assert login(company, "amy", "amy-first-password") == "bind"
    assert login(company, "amy", "amy-first-password", "::ffff:192.0.2.7") == "bind"
    assert login(company, "amy", "amy-first-password", "2001:db8::9") == "bind"
    assert login(company, "amy", "amy-first-password", HOTEL) == "AUTHENTICATION_FAILED"
    assert login(company, "amy", "amy-first-password", "") == "AUTHENTICATION_FAILED"


def test_tokens_never_reach_the_directory(company: Company) -> None:
    jane, joe = company.view.by_login("jane")[0].id, company.view.by_login("joe")[0].id
    tokens, now = company.authenticator.tokens, company.clock
    token, secret = tokens.create(APP, jane, "telephone", now=now(), services=("imap",), networks=("192.0.2.0/24",))
    _, session = tokens.create(SESSION, jane, "web", now=now(), expires=now() + 60)
    assert login(company, "jane", secret) == "app"
    assert login(company, "jane", secret, service="submission") == "SERVICE_NOT_ALLOWED"
    assert login(company, "jane", secret, HOTEL) == "AUTHENTICATION_FAILED"
    assert login(company, "joe", secret) == "AUTHENTICATION_FAILED", "another account's"
    assert login(company, "jane", session, "127.0.0.1") == "token"
    assert login(company, "jane", session) == "AUTHENTICATION_FAILED", "only from this host"
    for number in range(100):
        assert login(company, "jane", f"gpa_{number}") == "AUTHENTICATION_FAILED"
    assert company.failures("jane") == 0
    company.clock.ahead += 61
    assert login(company, "jane", session, "127.0.0.1") == "AUTHENTICATION_FAILED", "expired"
    assert [found.name for found in tokens.of(jane, APP, now())] == ["telephone"]
    assert tokens.revoke(joe, APP, token.id) == 0
    assert tokens.revoke(jane, APP, token.id) == 1
    assert login(company, "jane", secret) == "AUTHENTICATION_FAILED"
    with pytest.raises(ValueError, match="network"):
        tokens.create(APP, jane, "x", now=now(), networks=("home",))
    company.change(dn_of("jane"), gatepostStatus=["closed"])
    _, secret = tokens.create(APP, jane, "late", now=now())
    assert login(company, "jane", secret) == "AUTHENTICATION_FAILED"


def test_an_address_that_guesses_is_slowed_and_never_locked_out(company: Company) -> None:
    authenticator = company.authenticator
    for number in range(11):
        login(company, "jane", "the same again", HOTEL)
        login(company, f"nobody{number}", "guess", HOTEL)
    with pytest.raises(Deferred, match=HOTEL):
        authenticator.delay(HOTEL)
    assert authenticator.delay(HOME) == 0
    assert login(company, "joe", "joe-first-password", HOTEL) == "bind"
    assert 0 < authenticator.delay(HOTEL) <= 5, "somebody works there"
    company.clock.ahead += 61
    assert authenticator.delay(HOTEL) == 0
    for number in range(60):
        login(company, "jane", f"guess {number}", "2001:db8::1")
        company.clock.ahead += 10
    with pytest.raises(Deferred):
        authenticator.delay("2001:db8:0:0:ffff::2")
    assert authenticator.delay("2001:db8:0:1::2") == 0


def test_flush_forgets(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    assert login(company, "jane", "wrong") == "AUTHENTICATION_FAILED"
    company.authenticator.grace.settle()
    company.authenticator.flush()
    assert login(company, "jane", "wrong") == "AUTHENTICATION_FAILED"
    assert company.failures("jane") == 2
    company.kill()
    assert login(company, "jane", "jane-first-password") == "AUTHENTICATION_UNAVAILABLE"


def test_what_is_of_no_effect_any_more_is_dropped_at_the_start(company: Company) -> None:
    assert login(company, "jane", "jane-first-password") == "bind"
    assert login(company, "jane", "wrong") == "AUTHENTICATION_FAILED"
    company.authenticator.grace.settle()
    company.authenticator.tokens.create(SESSION, "x:1", "web", now=company.clock(), expires=company.clock() + 60)

    def rows() -> list[int]:
        return [
            company.state.rows(f"SELECT count(*) FROM {name}")[0][0]
            for name in ("failed", "verifier", "token", "trusted")
        ]

    company.make(AuthSettings())
    assert rows() == [1, 1, 1, 1]
    company.clock.ahead += 86_401
    company.make(AuthSettings())
    assert rows() == [0, 0, 0, 1]
    company.clock.ahead += 31 * 86_400
    company.make(AuthSettings())
    assert rows() == [0, 0, 0, 0]
