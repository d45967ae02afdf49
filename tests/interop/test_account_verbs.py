"""The verbs for people, aliases, lists, domains and passwords, and what a mail client sees of them right after."""

from __future__ import annotations

import imaplib
import json
import re
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import in_process
import pytest
from conftest import RunningDemo
from in_process import answer

from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: its people change."""
    running = RunningDemo(tmp_path_factory.mktemp("changed"))
    yield running
    running.stop()


def run(demo: RunningDemo, *words: str, given: str = "", code: int = 0) -> str:
    """What the verb prints."""
    found, text = in_process.run(demo, *words, given=given)
    assert found == code, (words, found, text)
    return text


def data(demo: RunningDemo, *words: str) -> Any:
    return json.loads(run(demo, *words, "--json"))


def rcpt(demo: RunningDemo, *recipients: str) -> list[int]:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return [client.rcpt(recipient)[0] for recipient in recipients]


def login(demo: RunningDemo, name: str, password: str) -> bool:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        try:
            return bool(client.login(name, password)[0] == "OK")
        except imaplib.IMAP4.error as error:
            assert re.search("AUTHENTICATIONFAILED|EXPIRED", str(error)), error
            return False


def test_a_person_from_first_to_last_day(changed: RunningDemo) -> None:
    demo = changed
    run(demo, "user", "add", "nina", "--name", "Nina Neu", "--address", "nina@example.com", "--address",
        "nina.neu@example.com", "quota=1G", "--password-stdin", given="ninas first password\n")  # fmt: skip
    assert login(demo, "nina", "ninas first password")
    assert rcpt(demo, "nina@example.com", "Nina.Neu@example.com") == [250, 250]
    shown = data(demo, "user", "show", "nina")
    assert (shown["quota"], shown["mail"], shown["status"]) == (1 << 30, "nina@example.com", "active")
    assert re.search(r"^quota +1G$", run(demo, "user", "show", "nina.neu@example.com"), re.MULTILINE)
    run(demo, "user", "set", "nina", "addresses+=nn@example.com", "forwards=nina@far.example", "keep_copy=no")
    assert rcpt(demo, "nn@example.com") == [250]
    assert "nina" in {user.get("logins", [""])[0] for user in data(demo, "user", "list", "--domain", "example.com")}
    begin = time.monotonic()
    run(demo, "user", "disable", "nina")
    assert not login(demo, "nina", "ninas first password")
    print(f"\nlogin refused {(time.monotonic() - begin) * 1000:.0f} ms after the command was typed")
    assert rcpt(demo, "nina@example.com") == [250]
    run(demo, "user", "disable", "nina", "--suspend")
    assert rcpt(demo, "nina@example.com") == [451]
    run(demo, "user", "disable", "nina", "--close")
    assert rcpt(demo, "nina@example.com") == [550]
    run(demo, "user", "enable", "nina")
    assert login(demo, "nina", "ninas first password")
    run(demo, "passwd", "nina", "--stdin", given="ninas second password\n")
    assert login(demo, "nina", "ninas second password")
    assert not login(demo, "nina", "ninas first password")
    assert "--yes" in run(demo, "user", "delete", "nina", code=2)
    run(demo, "user", "delete", "nina", "--yes")
    assert rcpt(demo, "nina@example.com") == [550]
    assert "no account 'nina'" in run(demo, "user", "show", "nina", code=1)
    journal = run(demo, "directory", "journal", "--limit", "20")
    assert "user add" in journal
    assert "passwd" in journal
    assert "ninas" not in journal


def test_aliases_and_lists(changed: RunningDemo) -> None:
    demo = changed
    run(demo, "alias", "add", "chief@example.com", "jane", "chief@far.example")
    assert rcpt(demo, "chief@example.com") == [250]
    run(demo, "alias", "add", "chief@example.com", "emma@example.com")
    shown = data(demo, "alias", "show", "chief@example.com")
    assert len(shown["targets"]) == 2
    assert shown["forwards"] == ["chief@far.example"]
    assert "jane@example.com" in run(demo, "alias", "list")
    run(demo, "alias", "remove", "chief@example.com", "jane", "chief@far.example")
    assert "stand for nobody" in run(demo, "alias", "remove", "chief@example.com", "emma", code=2)
    removed = data(demo, "alias", "remove", "chief@example.com", "--yes")
    assert rcpt(demo, "chief@example.com") == [550]
    run(demo, "directory", "undo", str(removed["number"]))
    assert rcpt(demo, "chief@example.com") == [250]
    run(
        demo,
        "list",
        "add",
        "choir@example.com",
        "jane",
        "soprano@far.example",
        "--name",
        "The choir",
        "--owner",
        "emma",
    )
    run(demo, "list", "member", "add", "choir@example.com", "oliver@example.com", "bass@far.example")
    run(demo, "list", "member", "remove", "choir@example.com", "jane", "bass@far.example")
    shown = data(demo, "list", "show", "choir@example.com")
    assert list(shown["member_names"].values()) == ["oliver@example.com"]
    assert shown["member_addresses"] == ["soprano@far.example"]
    assert rcpt(demo, "choir@example.com") == [250]
    assert "nobody has the address" in run(demo, "list", "member", "add", "choir@example.com", "x@example.com", code=1)
    assert "has no value" in run(demo, "list", "member", "remove", "choir@example.com", "jane", code=1)
    run(demo, "list", "delete", "choir@example.com", "--yes")
    assert rcpt(demo, "choir@example.com") == [550]


def test_domains(changed: RunningDemo) -> None:
    demo = changed
    assert rcpt(demo, "jane@new.example") == [550]
    run(demo, "domain", "add", "new.example", "catch_all=jane@example.com", "quota=2G")
    assert rcpt(demo, "whoever@new.example") == [250]
    run(demo, "user", "set", "oliver", "addresses+=oliver@new.example")
    assert "entries have addresses in new.example" in run(demo, "domain", "delete", "new.example", "--yes", code=2)
    run(demo, "user", "set", "oliver", "addresses-=oliver@new.example")
    run(demo, "domain", "set", "new.example", "catch_all=", "aliases+=newer.example")
    assert rcpt(demo, "whoever@new.example") == [550]
    assert data(demo, "domain", "show", "newer.example")["name"] == "new.example"
    assert "new.example" in run(demo, "domain", "list")
    run(demo, "domain", "delete", "new.example", "--yes")
    assert "no domain new.example; there is example.com" in run(demo, "domain", "show", "new.example", code=1)


def test_people_act_within_their_rights(changed: RunningDemo) -> None:
    demo = changed
    run(demo, "user", "set", "emma", "forwards=emma@far.example", "--as", "emma", given="emma-demo-password\n")
    mistake = run(demo, "user", "set", "emma", "quota=9G", "--as", "emma", given="emma-demo-password\n", code=5)
    assert "of your own entry you may change" in mistake
    run(demo, "user", "set", "emma", "quota=9G", "--as", "emma", given="wrong\n", code=5)
    run(demo, "user", "set", "emma", "quota=9G", "--as", "admin", given="admin-demo-password\n")
    assert data(demo, "user", "show", "emma")["quota"] == 9 << 30
    run(demo, "passwd", "emma", "--stdin", "--as", "emma", given="emma-demo-password\nanother password\n")
    assert login(demo, "emma", "another password")
    run(demo, "passwd", "jane", "--stdin", "--as", "emma", given="another password\ntaken over now\n", code=5)
    assert login(demo, "jane", "jane-demo-password")


def test_a_password_that_must_be_changed(changed: RunningDemo) -> None:
    demo = changed
    run(demo, "user", "set", "felix", "must_change_password=yes")
    assert not login(demo, "felix", "felix-demo-password")
    mistake = run(
        demo, "user", "set", "felix", "forwards=f@far.example", "--as", "felix", given="felix-demo-password\n", code=5
    )
    assert "must be changed" in mistake
    run(demo, "passwd", "felix", "--stdin", "--as", "felix", given="wrong\nanother password\n", code=5)
    run(demo, "passwd", "felix", "--stdin", "--as", "felix", given="felix-demo-password\nanother password\n")
    assert login(demo, "felix", "another password")


def test_a_session_of_the_web(changed: RunningDemo) -> None:
    demo = changed
    socket = Path(demo.facts["control_socket"])
    with pytest.raises(ControlError) as caught:
        call(socket, "session-open", Claim("stefan", "wrong"))
    assert caught.value.code == 5
    with pytest.raises(ControlError):
        call(socket, "session-open")
    opened = call(socket, "session-open", Claim("lukas", "lukas-demo-password"), seconds=60)
    token = opened["password"]
    assert login(demo, "lukas", token)
    assert not login(demo, "jane", token)
    call(socket, "change", Claim(token=token), kind="user", name="lukas",
         changes=[{"field": "forwards", "operation": "set", "values": ["lukas@far.example"]}])  # fmt: skip
    with pytest.raises(ControlError) as caught:
        call(socket, "change", Claim(token=token), kind="user", name="jane",
             changes=[{"field": "forwards", "operation": "set", "values": ["lukas@far.example"]}])  # fmt: skip
    assert caught.value.code == 5
    with pytest.raises(ControlError):
        call(socket, "flush-logins", Claim(token=token))
    assert call(socket, "session-close", token=token) == 1
    assert not login(demo, "lukas", token)
    with pytest.raises(ControlError):
        call(socket, "journal", Claim(token=token))


def refused(demo: RunningDemo, verb: str, claim: Claim, code: int = 5, **arguments: Any) -> str:
    with pytest.raises(ControlError) as caught:
        call(Path(demo.facts["control_socket"]), verb, claim, **arguments)
    assert caught.value.code == code, caught.value
    return str(caught.value)


def session(demo: RunningDemo, login: str, password: str) -> Claim:
    claim = Claim(login, password)
    return Claim(token=call(Path(demo.facts["control_socket"]), "session-open", claim)["password"])


def test_sessions_end_with_what_they_stand_on(changed: RunningDemo) -> None:
    demo, socket = changed, Path(changed.facts["control_socket"])
    run(demo, "user", "add", "sina", "--name", "S", "--address", "sina@example.com", "--password-stdin", given="sinas first one\n")  # fmt: skip
    first = session(demo, "sina", "sinas first one")
    assert call(socket, "whoami", first)["login"] == "sina"
    call(socket, "set-password", Claim("sina", "sinas first one"), login="sina", password="sinas second one")
    assert "session has ended" in refused(demo, "whoami", first)
    second = session(demo, "sina", "sinas second one")
    run(demo, "passwd", "sina", "--stdin", given="sinas third one\n")
    assert "session has ended" in refused(demo, "whoami", second)
    third = session(demo, "sina", "sinas third one")
    run(demo, "user", "set", "sina", "services=imap")
    assert "session has ended" in refused(demo, "whoami", third)
    run(demo, "user", "set", "sina", "services=")
    assert call(socket, "whoami", third)["login"] == "sina"
    run(demo, "user", "disable", "sina")
    assert "session has ended" in refused(demo, "whoami", third)


def test_what_tokens_of_programs_may_not(changed: RunningDemo) -> None:
    demo, socket = changed, Path(changed.facts["control_socket"])
    own = {"login": "lukas", "name": "n"}
    run(demo, "list", "add", "walks@example.com", "jane")
    run(demo, "list", "set", "walks@example.com", "subscription=open")
    for scope in ("read", "write"):
        claim = Claim(token=call(socket, "program-token-add", **own, scope=scope)["token"])
        for verb, more in (("app-password-add", own), ("app-password-list", {"login": "lukas"}),
                           ("app-password-revoke", {"login": "lukas", "id": "all"}), ("program-token-add", own),
                           ("session-open", {}), ("session-end", {"id": "others"}), ("set-password", {"login": "lukas", "password": "another password"})):  # fmt: skip
            refused(demo, verb, claim, **more)
    claim = Claim(token=call(socket, "program-token-add", **own)["token"])
    assert "reading only" in refused(demo, "preferences-set", claim, values={"signature": "x"})
    walks = {"list": "walks@example.com", "operation": "subscribe"}
    assert "reading only" in refused(demo, "own-subscription", claim, **walks)
    assert call(socket, "preferences", claim) == {}


def test_who_may_not_look_learns_nothing_of_what_there_is(changed: RunningDemo) -> None:
    demo, jane = changed, session(changed, "jane", "jane-demo-password")
    for kind, there, missing in (("user", "lukas", "nix"), ("domain", "example.com", "nix.example"), ("list", "everyone@example.com", "nix@example.com")):  # fmt: skip
        texts = {refused(demo, "show", jane, 1, kind=kind, name=name).replace(name, "") for name in (there, missing)}
        assert len(texts) == 1, texts
    domains = {domain["name"] for domain in data(demo, "domain", "list")}
    for verb, more in (("change", {"kind": "domain", "name": "nix.example", "changes": []}), ("add-user", {"login": "x", "name": "x"})):  # fmt: skip
        with pytest.raises(ControlError) as caught:
            call(Path(demo.facts["control_socket"]), verb, jane, **more)
        assert not any(domain in str(caught.value) for domain in domains), caught.value


def test_guessers_are_as_slow_here_as_at_a_login(changed: RunningDemo) -> None:
    """And learn nothing: neither whether there is such an account, nor its name in the directory."""
    run(changed, "user", "add", "gina", "--name", "G", "--address", "gina@example.com", "--password-stdin", given="ginas first one\n")  # fmt: skip
    for number in range(9):
        assert "failed" in refused(changed, "session-open", Claim(f"nobody{number}", "wrong", "", "192.0.2.9")).lower()
    found = refused(changed, "session-open", Claim("gina", "wrong one", "", "192.0.2.9")).lower()
    assert "failed" in found
    answers = {
        refused(changed, "session-open", Claim(login, "wrong two", "", "192.0.2.9"), code=4)
        for login in ("gina", "nobody")
    }
    assert len(answers) == 1 and "dc=" not in answers.pop()
    for number in range(4):  # from elsewhere each, more than are tried from unknown places
        claim = Claim("gina", f"wrong {number}", "", f"198.51.100.{number}")
        with pytest.raises(ControlError) as caught:
            call(Path(changed.facts["control_socket"]), "session-open", claim)
    assert caught.value.code == 4 and "dc=" not in str(caught.value)


def test_app_passwords(changed: RunningDemo) -> None:
    demo = changed
    made = data(demo, "user", "app-password", "add", "harry", "telephone", "--service", "imap")
    assert login(demo, "harry", made["password"])
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("harry", made["password"])
    assert "telephone" in run(demo, "user", "app-password", "list", "harry")
    assert made["password"] not in run(demo, "user", "app-password", "list", "harry")
    run(demo, "user", "app-password", "revoke", "jane", made["id"], code=1)
    assert data(demo, "user", "app-password", "revoke", "harry", made["id"]) == {"ended": 1}
    assert not login(demo, "harry", made["password"])
    assert "7d" in run(demo, "user", "app-password", "add", "harry", "x", "--valid", "soon", code=2)
    assert "leave it away" in run(demo, "user", "app-password", "add", "harry", "x", "--valid", "0", code=2)
    endless, ending = (
        data(demo, "user", "app-password", "add", "harry", name, *words)
        for name, words in (("endless", ()), ("ending", ("--valid", "1h")))
    )
    assert endless["expires"] is None
    assert 3500 < ending["expires"] - time.time() < 3700
    assert login(demo, "harry", endless["password"]) and login(demo, "harry", ending["password"])
    assert "changed since" not in run(demo, "user", "app-password", "list", "harry")
    hint = "2 app passwords made before the password was changed, and still good: gatepost user app-password revoke"
    assert hint in run(demo, "passwd", "harry", "--stdin", given="harrys second password\n")
    listed = run(demo, "user", "app-password", "list", "harry")
    assert hint in listed and listed.count("changed since") == 2 and login(demo, "harry", endless["password"])
    assert data(demo, "user", "app-password", "revoke", "harry", "older") == {"ended": 2}
    assert not login(demo, "harry", endless["password"])


def test_mistakes_are_explained(changed: RunningDemo, tmp_path: Path) -> None:
    demo = changed
    for words, code, text in (
        (("user", "set", "jane", "qouta=1G"), 2, "did you mean 'quota'?"),
        (("user", "set", "jane", "quota"), 2, "FIELD=VALUE"),
        (("user", "set", "jane", "quota=lots"), 2, "50M, 2G"),
        (("user", "set", "jane", "status=asleep"), 2, "active, closed, noaccess, suspended"),
        (("user", "set", "nobody", "quota=1G"), 1, "no account 'nobody'"),
        (("user", "set", "jane", "addresses+=emma@example.com"), 2, "belongs to uid=emma"),
        (("user", "add", "jane", "--name", "Jane", "--address", "j2@example.com"), 2, "the login jane belongs to"),
        (("user", "add", "a b", "--name", "A", "--address", "ab@example.com"), 2, "letters, digits"),
        (("user", "add", "amy", "--name", "Amy"), 2, "--address"),
        (("alias", "add", "jane@example.com", "emma"), 1, "is an account, not an alias"),
        (("alias", "show", "no-address"), 2, "local-part@domain"),
        (("list", "show", "jane@example.com"), 1, "not a mailing list"),
        (("domain", "add", "exa mple"), 2, "exa mple"),
        (("directory", "undo", "99999"), 1, "no change 99999"),
    ):
        assert text in run(demo, *words, code=code), words
    assert "gatepost passwd ben" in run(demo, "user", "add", "ben", "--name", "Ben", "--address", "ben@example.com")
    made = data(demo, "user", "add", "kim", "--name", "Kim", "--address", "kim@example.com", "--generate")
    assert login(demo, "kim", made["password"])
    short = run(demo, "user", "add", "bea", "--name", "Bea", "--address", "bea@example.com", "--password-stdin",
                given="x\n", code=2)  # fmt: skip
    assert "was not made" in short
    run(demo, "user", "show", "bea", code=1)
    other = tmp_path / "gatepost.yaml"
    other.write_text(
        Path(demo.facts["config_file"]).read_text().replace(f"run_dir: {demo.folder}/run", f"run_dir: {tmp_path}")
    )
    done = answer("user", "set", "jane", "quota=1G", "--config", str(other))
    assert (done.returncode, "is the service running?" in done.stderr) == (4, True)
