"""Other systems' files become entries, and mail goes where it went before."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from directory.ldif_file import LdifFile
from directory.memory import MemorySource
from directory.model import Deferred, Refused
from directory.model.extension_rule import parse_rule
from directory.port import Freshness
from directory.profile import Profile
from directory.view import View
from gateway.cli import group
from gateway.imports import cdb
from gateway.imports.qmail import NO_MAILBOX
from gateway.route.plan import Instructions, Local, Remote
from gateway.route.router import Router
from gateway.route.settings import RouteSettings

CASES = Path(__file__).resolve().parents[2] / "cases" / "import"
QMAIL = CASES / "qmail"
PROFILE = Profile.load("native")
BASE = "o=corp"


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(group, ["import", *map(str, words), "--base", BASE])
    assert result.exit_code == 0, result.output
    return result.stdout


def router(ldif: str, folder: Path, separators: str = "-") -> Router:
    path = folder / "made.ldif"
    path.write_text(ldif)
    source = MemorySource(PROFILE, LdifFile(path, "t", BASE).entries())
    source.state = Freshness(True, float("inf"), "")
    return Router(View(source, PROFILE), RouteSettings(extension_separator=separators))


def went(subject: Router, address: str, sender: str = "me@else.example") -> str:
    try:
        plan = subject.route(address, time.time(), sender=sender)
    except (Deferred, Refused) as error:
        return f"{error.condition.code} {error.text}"
    shown = []
    for step in plan.steps:
        if isinstance(step, Local):
            shown.append((step.holder.primary or "").partition("@")[0])
        elif isinstance(step, Instructions):
            shown.append(f"rules {(step.holder.primary or '').partition('@')[0]} {step.extension}".strip())
        elif isinstance(step, Remote):
            shown.append(step.recipient)
        else:
            shown.append(type(step).__name__.lower())
    return " ".join(sorted(shown))


@pytest.fixture(scope="module")
def qmail(tmp_path_factory: pytest.TempPathFactory) -> Router:
    ldif = run("qmail", QMAIL, "--root", QMAIL, "--passwd", QMAIL / "passwd")
    return router(ldif, tmp_path_factory.mktemp("qmail"))


@pytest.mark.parametrize(
    ("address", "where"),
    [
        # a person: .qmail with a copy to others
        ("user1@corp.example", "dd@21cn.example tttweb user1"),
        ("User1@Mail.Corp.Example", "dd@21cn.example tttweb user1"),
        ("tttother@corp.example", "qd@21cn.example"),
        # extensions, the longest first, then the default
        ("user1-s1@corp.example", "tttweb"),
        ("user1-s2@corp.example", "qd@21cn.example"),
        ("user1-21@corp.example", "user2@21cn.example"),
        ("user1-list@corp.example", "qd@21cn.example tttweb"),
        ("user1-dev-x@corp.example", "user1"),
        ("user1-dev@corp.example", "rules dev"),
        ("user1-empty@corp.example", "user1"),
        ("user1-void@corp.example", "discard"),
        ("user1-other@corp.example", "rules dev"),
        ("tttweb-x@corp.example", f"550 {NO_MAILBOX}"),
        # programs and conditions
        ("dev@corp.example", "rules dev"),
        ("dev-lunch@corp.example", "550 gone to lunch, <here>"),
        ("dev-tickets@corp.example", "rules dev tickets"),
        ("dev-clean@corp.example", "rules dev clean"),
        ("dev-odd@corp.example", "ctl"),
        ("dev-none@corp.example", f"550 {NO_MAILBOX}"),
        # users/assign
        ("chef@corp.example", "tttweb"),
        # ~alias
        ("postmaster@corp.example", "dd@21cn.example tttweb user1"),
        ("root@corp.example", "dd@21cn.example tttweb user1"),
        ("webmaster@corp.example", "dd@21cn.example tttweb user1 you@far.example"),
        ("jane.doe@corp.example", "dd@21cn.example tttweb user1"),
        ("choir@corp.example", "dd@21cn.example tttweb user1 you@far.example"),
        ("choir-owner@corp.example", "rules dev"),
        ("robot@corp.example", "rules alias robot"),
        ("nobody@corp.example", f"550 {NO_MAILBOX}"),
        # virtual domains: by ~alias, and by a controlling user
        ("webmaster@ttt.example", "tttweb"),
        ("help@ttt.example", "help@far.example"),
        ("anybody@ttt.example", "qd@21cn.example"),
        ("webmaster@ctl.example", "tttweb"),
        ("help@ctl.example", "out@far.example"),
        ("anybody@ctl.example", "ctl"),
        # in locals and virtualdomains: locals win
        ("user1@both.example", "dd@21cn.example tttweb user1"),
        # backup and relay
        ("x@backup.example", "x@backup.example"),
        ("x@relay.example", "x@relay.example"),
        ("x@else.example", "550 relaying denied"),
    ],
)
def test_qmail_routes_as_before(qmail: Router, address: str, where: str) -> None:
    assert went(qmail, address) == where


def test_qmail_every_line_is_explained() -> None:
    found = json.loads(run("qmail", QMAIL, "--root", QMAIL, "--passwd", QMAIL / "passwd", "--json"))
    told = {(Path(line["file"]).name, line["number"]) for line in found["lines"]}
    read = {"passwd": {7}}  # a line that is none
    for path in [*QMAIL.rglob("*")]:
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.strip() in ("", ".") or number in read.get(path.name, ()):
                continue
            assert (path.name, number) in told, (path, line)
    lost = {line["text"]: line["became"] for line in found["lines"] if not line["kept"]}
    assert "locals too" in lost["both.example:ctl"]
    assert "members" in str(lost.keys())
    assert lost["!what"].startswith("not a line that qmail knows")
    assert ".wild.example:ctl" in lost
    assert "@spam.example" in lost
    assert "+lists-:user1:1001:100:/home/user1:-:lists-:" in lost


def test_qmail_configuration_and_text(tmp_path: Path) -> None:
    text = run("qmail", QMAIL, "--root", QMAIL, "--passwd", QMAIL / "passwd", "--explain",
               "--configuration", tmp_path / "c.yaml", "--output", tmp_path / "o.ldif")  # fmt: skip
    assert "a backup domain" in text
    assert "NOT KEPT: the domain is in locals too" in text
    made = yaml.safe_load((tmp_path / "c.yaml").read_text())
    assert made["relay"] == {"smarthost": "smart.example", "routes": {"far.example": "mx"}}
    assert made["route"] == {"extension_separator": "-", "origin": "corp.example"}
    assert made["smtp"]["max_message_size"] == 20_000_000
    assert made["programs"]["tickets"] == {"argv": ["/bin/sh", "-c", '/usr/local/bin/tickets --queue "$EXT"']}
    assert (tmp_path / "o.ldif").stat().st_mode & 0o777 == 0o600
    for line in (tmp_path / "o.ldif").read_text().splitlines():
        if line.startswith("gatepostExtension: "):
            parse_rule(line.removeprefix("gatepostExtension: "))
    assert "gatepostNextHop: 10.0.0.7:2525" in (tmp_path / "o.ldif").read_text()


def test_qmail_without_rcpthosts_and_without_me(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    result = CliRunner().invoke(group, ["import", "qmail", str(tmp_path), "--base", BASE])
    assert result.exit_code == 1
    assert "names no host" in result.output
    (tmp_path / "control" / "me").write_text("a.example\n")
    assert "relays for everybody" in run("qmail", tmp_path, "--explain")


# VmailMgr


def record(
    password: str, mailbox: str, forwards: list[str], *numbers: str, personal: str = "", enabled: int = 1
) -> bytes:
    fields = [password, mailbox, *forwards, "", personal, *numbers]
    return b"\x02" + bytes((8, enabled, 0)) + b"".join(field.encode() + b"\0" for field in fields)


def make_cdb(items: dict[str, bytes]) -> bytes:
    body = b""
    tables: dict[int, list[tuple[int, int]]] = {}
    for key, value in items.items():
        code = 5381
        for octet in key.encode():
            code = (((code << 5) + code) ^ octet) & 0xFFFFFFFF
        tables.setdefault(code & 255, []).append((code, 2048 + len(body)))
        body += struct.pack("<II", len(key.encode()), len(value)) + key.encode() + value
    head, tail, place = b"", b"", 2048 + len(body)
    for number in range(256):
        some = tables.get(number, [])
        head += struct.pack("<II", place + len(tail), 2 * len(some))
        slots = [(0, 0)] * (2 * len(some))
        for code, position in some:
            where = (code >> 8) % len(slots)
            while slots[where][1]:
                where = (where + 1) % len(slots)
            slots[where] = (code, position)
        tail += b"".join(struct.pack("<II", *slot) for slot in slots)
    return head + body + tail


USERS = {
    "jane": record(
        "$1$abc$xyz", "./users/jane", [], "20000000", "15000000", "-", "100", "0", "1893456000", personal="Jane Doe"
    ),
    "bob": record("$1$b$b", "./users/bob", ["bob@far.example", "jane"], "4294967295", "-", "5000", "-", "0", "-"),
    "away": record("*", "./users/away", ["jane"], enabled=0),
    "sales": record("", "", ["jane", "out@far.example"]),
    "+": record("", "", ["jane"]),
}


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    (tmp_path / "passwd.cdb").write_bytes(make_cdb(USERS))
    answer = tmp_path / "users" / "jane" / "autoresponse" / "message.txt"
    answer.parent.mkdir(parents=True)
    answer.write_text("From: jane\nSubject: I am away\n\nBack on Monday.\n")
    return tmp_path


def test_vmailmgr(domain: Path) -> None:
    ldif = run("vmailmgr", domain, "--domain", "v.example")
    subject = router(ldif, domain)
    for address, where in (
        ("jane@v.example", "jane"), ("bob@v.example", "bob bob@far.example jane"), ("away@v.example", "jane"),
        ("sales@v.example", "jane out@far.example"), ("who@v.example", "jane"),
    ):  # fmt: skip
        assert went(subject, address) == where
    for line in ("gatepostQuota: 20000000", "gatepostQuotaSoft: 15000000", "gatepostQuotaMessages: 100",
                 "gatepostExpires: 20300101000000Z", "gatepostMaxMessageSize: 5000", "userPassword: {CRYPT}$1$abc$xyz",
                 "gatepostVacationSubject: I am away", "gatepostVacationText: Back on Monday.", "gatepostStatus: noaccess",
                 "sn: Doe"):  # fmt: skip
        assert f"\n{line}\n" in ldif
    told = run("vmailmgr", domain, "--domain", "v.example", "--explain")
    assert "gatepostCatchAll of v.example: jane@v.example" in told
    assert "$1$" not in told


def test_vmailmgr_table_in_text(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("ann:$1$x:./users/ann:\nteam:*::ann,x@far.example\nbroken\n")
    subject = router(run("vmailmgr", tmp_path, "--domain", "v.example"), tmp_path)
    assert went(subject, "team@v.example") == "ann x@far.example"
    assert "NOT KEPT" in run("vmailmgr", tmp_path, "--domain", "v.example", "--explain")


def test_vmailmgr_lines_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("broken\nann:$1$x:./users/ann:\n")
    lines = json.loads(run("vmailmgr", tmp_path, "--domain", "v.example", "--json"))["lines"]
    assert [(line["number"], line["text"]) for line in lines] == [(1, "broken"), (2, "ann")]


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[:-9], lambda data: b"\xff" * 4000])
def test_a_damaged_cdb_is_an_error(damage: object) -> None:
    whole = make_cdb(USERS)
    assert dict(cdb.records(whole)) == {key.encode(): value for key, value in USERS.items()}
    with pytest.raises(ValueError, match="cdb"):
        list(cdb.records(damage(whole)))  # type: ignore[operator]


# Sendmail


def test_sendmail(tmp_path: Path) -> None:
    ldif = run("sendmail", CASES / "sendmail", "--domain", "corp.example", "--configuration", tmp_path / "c.yaml")
    people = "".join(
        f"dn: uid={uid},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: gatepostAccount\nuid: {uid}\ncn: {uid}\n"
        f"sn: {uid}\nmail: {uid}@corp.example\ngatepostAddress: {uid}@corp.example\n\n"
        for uid in ("jane", "bob", "carl", "shop")
    )
    subject = router(ldif + people, tmp_path, "+")
    for address, where in (
        ("postmaster@corp.example", "admin@far.example jane"),
        ("root@mail.corp.example", "admin@far.example jane"),
        ("list@corp.example", "ann@far.example bob carl"),
        ("list-owner@corp.example", "jane"),
        ("tickets@corp.example", "rules tickets"),
        ("info@shop.example", "jane"),
        ("anything@shop.example", "shop"),
        ("old@shop.example", "550 this shop has closed"),
        ("x@other.example", "550 no such recipient here"),
        ("bob@map.example", "bob"),
        ("x@ours.example", "x@ours.example"),
    ):
        assert went(subject, address) == where, address
    made = yaml.safe_load((tmp_path / "c.yaml").read_text())
    assert made["relay"]["routes"] == {"partner.example": "gw.partner.example", ".sub.example": "mx.sub.example"}
    assert "gatepostNextHop: 10.0.0.9" in ldif
    lost = [line["text"] for line in json.loads(run("sendmail", CASES / "sendmail", "--domain", "corp.example", "--json"))["lines"]
            if not line["kept"]]  # fmt: skip
    for text in (
        "archive: /var/mail/archive",
        "bad line",
        "nonsense",
        "uucp.example\tuucp-new:host",
        "spam.example\tREJECT",
        "-bad-",
    ):
        assert text in lost
