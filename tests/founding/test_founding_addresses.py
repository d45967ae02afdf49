"""S61-S70: other names, relays, aliases, lists, extensions, virtual hosts, forwards, as qmail has them in its files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import RunningDemo
from letters import FOUNDING, configured, facts, make_person, offline, outside, post, rcpt, verb

from gateway.config.load import ConfigurationError, load

pytestmark = FOUNDING
RELAY_WORDS = "I know that everybody will send spam through this host"


def imported(folder: Path, **files: str) -> Path:
    """A folder as /var/qmail with these control files."""
    (folder / "control").mkdir()
    for name, text in {"me": "mail.corp.example\n", "rcpthosts": "corp.example\n", **files}.items():
        (folder / "control" / name).write_text(text)
    return folder


def test_s61_smarthost_from_the_same_file_and_by_domain(founded: RunningDemo, tmp_path: Path) -> None:
    host = f"127.0.0.1:{founded.facts['smarthost']['sink_port']}"
    folder = imported(tmp_path, smtproutes=f":your.smart.host\n21cn.example:{host}\nfar.example:\n")
    offline("import", "qmail", folder, "--base", "o=x", "--configuration", tmp_path / "c.yaml")
    relay = yaml.safe_load((tmp_path / "c.yaml").read_text())["relay"]
    assert relay == {"smarthost": "your.smart.host", "routes": {"21cn.example": host, "far.example": "mx"}}
    with configured(founded, relay=relay):
        verb(founded, "alias", "add", "s61@example.com", "dd@21cn.example")
        assert f"to {host}" in verb(founded, "doctor", "address", "s61@example.com")
        post(founded, "s61 by domain", "s61@example.com")
        assert b"X-Envelope-To: <dd@21cn.example>\r\n" in outside(founded, "s61 by domain")
        verb(founded, "alias", "add", "s61b@example.com", "dd@elsewhere.example", "dd@far.example")
        said = verb(founded, "doctor", "address", "s61b@example.com")
        assert "to your.smart.host:25" in said
        assert "by the MX records of far.example" in said
    post(founded, "s61 everything", "s61b@example.com")
    assert b"X-Envelope-To: <dd@elsewhere.example>" in outside(founded, "s61 everything")


def test_s62_relay_for_other_hosts(founded: RunningDemo) -> None:
    assert rcpt(founded, "dd@relay62.example")[0] == 550
    host = f"127.0.0.1:{founded.facts['smarthost']['sink_port']}"
    verb(founded, "domain", "add", "relay62.example", "kind=relay", f"next_hops={host}")
    post(founded, "s62", "dd@relay62.example")
    assert b"X-Envelope-To: <dd@relay62.example>\r\n" in outside(founded, "s62")
    assert rcpt(founded, "dd@other62.example") == (550, "5.7.1 relaying denied")


def test_s63_several_names_for_one_host(founded: RunningDemo, tmp_path: Path) -> None:
    verb(founded, "domain", "add", "one63.example", "aliases=two63.example", "aliases+=three63.example")
    person = make_person(founded, "p63", domain="one63.example")
    for name in ("one63", "two63", "three63"):
        post(founded, f"s63 {name}", f"p63@{name}.example")
    assert sorted(person.subjects()) == ["s63 one63", "s63 three63", "s63 two63"]
    # qmail's files for the same: locals has all names, `me` only the first
    folder = imported(tmp_path, me="one.example\n", locals="one.example\ntwo.example\n", rcpthosts="two.example\n")
    ldif = offline("import", "qmail", folder, "--base", "o=x")
    assert "gatepostDomainName: one.example\n" in ldif
    assert "gatepostDomainAlias: two.example\n" in ldif


def test_s64_alias_for_somebody_here_and_somebody_outside(founded: RunningDemo) -> None:
    user1 = make_person(founded, "user64")
    verb(founded, "alias", "add", "webmaster64@example.com", "user64")
    verb(founded, "alias", "add", "help64@example.com", "dd@21cn.example")
    post(founded, "s64 here", "webmaster64@example.com")
    post(founded, "s64 there", "help64@example.com")
    assert user1.message("s64 here").startswith(b"Return-Path: <me@elsewhere.example>")
    assert b"X-Envelope-To: <dd@21cn.example>\r\n" in outside(founded, "s64 there")


def test_s65_list(founded: RunningDemo) -> None:
    members = [make_person(founded, f"user65{letter}") for letter in "abc"]
    verb(founded, "list", "add", "list65@example.com", *(member.login for member in members))
    post(founded, "s65", "list65@example.com", sender="jane@example.com")
    for member in members:
        text = member.message("s65")
        assert b"List-Id: " in text
        assert text.startswith(b"Return-Path: <list65-")


def test_s66_extensions_of_a_user_the_default_last(founded: RunningDemo) -> None:
    q1, q2, qq = (make_person(founded, name) for name in ("q166", "q266", "qq66"))
    rules = ("s1 forward q166@example.com", "s2 forward q266@example.com", "21 forward dd@21cn.example",
             "list forward q166@example.com q266@example.com", "* forward qq66@example.com")  # fmt: skip
    user1 = make_person(founded, "user66", *(f"extensions+={rule}" for rule in rules))
    for extension in ("s1", "s2", "21", "list", "other"):
        post(founded, f"s66 {extension}", f"user66+{extension}@example.com")
    post(founded, "s66 none", "user66@example.com")
    outside(founded, "s66 21")
    assert sorted(q1.subjects()) == ["s66 list", "s66 s1"]
    assert sorted(q2.subjects()) == ["s66 list", "s66 s2"]
    assert qq.subjects() == ["s66 other"]
    assert user1.subjects() == ["s66 none"]


def test_s67_virtual_host_without_a_restart(founded: RunningDemo) -> None:
    web, other = make_person(founded, "tttweb"), make_person(founded, "tttother")
    pids = {row["name"]: row["pid"] for row in facts(founded, "ps")}
    assert rcpt(founded, "webmaster@ttt.example")[0] == 550
    verb(founded, "domain", "add", "ttt.example", "catch_all=tttother@example.com")
    verb(founded, "alias", "add", "webmaster@ttt.example", "tttweb")
    verb(founded, "alias", "add", "help@ttt.example", "dd@21cn.example")
    for name in ("webmaster", "help", "whoever"):
        post(founded, f"s67 {name}", f"{name}@ttt.example")
    assert web.subjects() == ["s67 webmaster"]
    assert other.subjects() == ["s67 whoever"]
    assert b"X-Envelope-To: <dd@21cn.example>\r\n" in outside(founded, "s67 help")
    assert {row["name"]: row["pid"] for row in facts(founded, "ps")} == pids


def test_s67b_a_domain_in_locals_and_virtualdomains_is_told(founded: RunningDemo, tmp_path: Path) -> None:
    folder = imported(tmp_path, locals="corp.example\nttt.example\n", virtualdomains="ttt.example:tttcom\n")
    said = offline("import", "qmail", folder, "--base", "o=x", "--explain")
    _, _, behind = said.partition("ttt.example:tttcom\n")
    assert behind.split("\n")[0].strip() == (
        "NOT KEPT: the domain is in locals too, which wins: qmail ignores this line"
    )


def test_s68_a_copy_to_others(founded: RunningDemo) -> None:
    user2 = make_person(founded, "user268")
    user1 = make_person(founded, "user168", "forwards+=user268@example.com", "forwards+=dd@21cn.example")
    post(founded, "s68", user1.address)
    for person in (user1, user2):
        person.message("s68")
    assert b"X-Envelope-To: <dd@21cn.example>\r\n" in outside(founded, "s68")


def test_s69_forwarding_without_a_copy(founded: RunningDemo) -> None:
    user1 = make_person(founded, "user169", "forwards=dd@21cn.example", "keep_copy=no")
    post(founded, "s69", user1.address)
    assert b"X-Envelope-To: <dd@21cn.example>\r\n" in outside(founded, "s69")
    assert user1.subjects() == []


def test_s70_no_open_relay_by_mistake(founded: RunningDemo, tmp_path: Path) -> None:
    assert rcpt(founded, "dd@21cn.example") == (550, "5.7.1 relaying denied")
    # qmail relays for everybody when rcpthosts is deleted: that is told, and not kept
    folder = imported(tmp_path)
    (folder / "control" / "rcpthosts").unlink()
    said = offline("import", "qmail", folder, "--base", "o=x", "--explain")
    assert "relays for everybody" in said
    assert "open_relay:" not in said
    settings = yaml.safe_load(Path(founded.facts["config_file"]).read_text())
    for word in ("yes", True, "all"):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings | {"smtp": {"open_relay": word}}))
        with pytest.raises(ConfigurationError, match="open_relay"):
            load(tmp_path / "c.yaml")
    with configured(founded, smtp={"open_relay": RELAY_WORDS}):
        assert rcpt(founded, "dd@21cn.example")[0] == 250
        assert "OPEN RELAY" in verb(founded, "status", code=1)
        assert "open_relay" in verb(founded, "doctor", "directory", code=1)
    assert rcpt(founded, "dd@21cn.example")[0] == 550
