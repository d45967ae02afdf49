"""Mailing lists on a running system with a real directory: lists in lists, members outside, what they get."""

from __future__ import annotations

import json
import os
import re
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ldap3
import pytest
from conftest import RunningDemo
from in_process import answer


class Company:
    """The demo, with what the tests do to it."""

    def __init__(self, demo: RunningDemo) -> None:
        self.demo = demo
        facts = demo.facts["directory"]
        self.base = facts["base"]
        server = ldap3.Server(facts["uri"], get_info=ldap3.NONE)
        self.ldap = ldap3.Connection(server, facts["admin_dn"], facts["admin_password"], auto_bind=True)

    def person(self, uid: str) -> str:
        return f"uid={uid},ou=people,{self.base}"

    def list_dn(self, name: str) -> str:
        return f"cn={name},ou=groups,{self.base}"

    def add_list(self, name: str, **attributes: str | list[str]) -> None:
        values = {"gatepostAddress": f"{name}@example.com", **attributes}
        self.ldap.add(self.list_dn(name), ["gatepostEntry", "gatepostList"], values)
        assert self.ldap.result["result"] == 0, self.ldap.result

    def send(self, recipient: str, text: str, sender: str = "me@elsewhere.example") -> None:
        """By the MX; what was made a moment ago may not be known yet."""
        begin = time.monotonic()
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", self.demo.port("mx"), timeout=20) as client:
                    client.sendmail(sender, [recipient], text)
                return
            except smtplib.SMTPRecipientsRefused:
                if time.monotonic() - begin > 10:
                    raise
                time.sleep(0.02)

    def stored(self, login: str, text: bytes, seconds: float = 20) -> list[Path]:
        """Files of that person with `text` in them, at least one."""
        (maildir,) = [Path(a["maildir"]) for a in self.demo.facts["accounts"] if login in (a["login"], *a["addresses"])]
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            found = [p for folder in ("cur", "new") for p in (maildir / folder).iterdir() if text in p.read_bytes()]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{text!r} never came to {login}")

    def outside(self, text: bytes, seconds: float = 20) -> list[bytes]:
        """What left with `text` in it, at least one."""
        folder = Path(self.demo.facts["smarthost"]["sink_dir"])
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            found = [content for p in folder.glob("*.eml") if text in (content := p.read_bytes())]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{text!r} never left")


@pytest.fixture(scope="module")
def company(demo: RunningDemo) -> Iterator[Company]:
    made = Company(demo)
    yield made
    made.ldap.unbind()


def test_three_levels_with_a_cycle_a_dangling_name_and_somebody_outside(company: Company) -> None:
    company.add_list(
        "level3", member=[company.person("harry"), company.list_dn("level1")], gatepostMemberAddress="out@far.example"
    )
    company.add_list("level2", member=[company.list_dn("level3"), f"uid=gone,{company.base}", company.person("anna")])
    company.add_list(
        "level1",
        member=[company.list_dn("level2"), company.person("jane"), company.person("anna")],
        owner=company.person("jane"),
        gatepostSubjectTag="[one]",
        gatepostReplyTo="list",
    )
    company.send("level1@example.com", "From: me@elsewhere.example\nSubject: three levels\nList-Id: <x.y>\n\nbody\n")
    for login in ("jane", "anna", "harry"):
        (path,) = company.stored(login, b"three levels")
        content = path.read_bytes()
        assert b"\nSubject: [one] three levels\n" in content
        assert b"\nReply-To: level1@example.com\n" in content
        assert b"\nList-Id: <level1.example.com>\n" in content
        assert b"\nList-Owner: <mailto:level1-owner@example.com>\n" in content
        assert b"x.y" not in content
    (left,) = company.outside(b"three levels")
    assert b"\r\nX-Envelope-To: <out@far.example>\r\n" in left
    assert b"\r\nList-Id: <level1.example.com>\r\n" in left
    assert left.startswith(b"X-Envelope-From: <level3-bounces")


def test_members_here_share_one_file(company: Company) -> None:
    company.add_list("shared", member=[company.person("jane"), company.person("harry")], gatepostSubjectTag="[s]")
    company.send("shared@example.com", "Subject: one file\n\n" + "x" * 500 + "\n" + "y\n" * 150_000)
    (one,), (two,) = company.stored("jane", b"[s] one file"), company.stored("harry", b"[s] one file")
    assert os.stat(one).st_ino == os.stat(two).st_ino


def test_what_comes_back_is_refused(company: Company) -> None:
    company.add_list("round", member=company.person("jane"))
    company.send("round@example.com", "Subject: first time\n\nbody\n")
    (path,) = company.stored("jane", b"first time")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        company.send("round@example.com", path.read_text().partition("\n")[2])
    assert refused.value.smtp_code == 554
    assert b"5.4.6" in refused.value.smtp_error


def gatepost(company: Company, *arguments: str) -> str:
    done = answer(*arguments, "--config", company.demo.facts["config_file"])
    assert done.returncode == 0, done.stderr
    return done.stdout


REPORT = """From: MAILER-DAEMON@far.example
To: {path}
Subject: Undelivered
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example

Final-Recipient: rfc822; somebody@else.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 gone

--b--
"""


def test_bounces_of_a_member_park_him_and_an_owner_lets_him_in_again(company: Company) -> None:
    company.add_list("bouncy", gatepostMemberAddress=["gone@far.example", "there@far.example"],
                     member=company.person("harry"), owner=company.person("jane"))  # fmt: skip

    def copies(subject: str) -> dict[str, str]:
        company.send("bouncy@example.com", f"Subject: {subject}\n\nbody\n")
        company.outside(f"Subject: {subject}\r".encode())
        time.sleep(1)
        found = {}
        for content in company.outside(f"Subject: {subject}\r".encode()):
            lines = content.decode().split("\r\n")
            found[lines[1].partition("<")[2].rstrip(">")] = lines[0].partition("<")[2].rstrip(">")
        return found

    paths = copies("before")
    assert set(paths) == {"gone@far.example", "there@far.example"}
    assert len(set(paths.values())) == 2
    assert all(path.startswith("bouncy-bounces+") for path in paths.values())
    for number in range(5):
        company.send(
            paths["gone@far.example"], f"X-Number: {number}\n" + REPORT.format(path=paths["gone@far.example"]), ""
        )
    company.send("bouncy-bounces+aaaaaaaaaaaaaaaa@example.com", REPORT.format(path="forged"), "")
    (told,) = company.stored("jane", b"Subject: bouncy@example.com: a member is parked")
    assert b"gone@far.example" in told.read_bytes()
    assert "bounces: gone@far.example: parked" in gatepost(company, "list", "show", "bouncy@example.com")
    assert set(copies("meanwhile")) == {"there@far.example"}
    submit(company, "harry", "bouncy-request@example.com", "Subject: unpark gone@far.example\nX-Mark: no owner\n\n")
    company.stored("jane", b"X-Mark: no owner")
    assert set(copies("still")) == {"there@far.example"}
    submit(company, "jane", "bouncy-request@example.com", "Subject: unpark gone@far.example\n\n")
    company.stored("jane", b"gets mail of this list again")
    assert set(copies("again")) == {"gone@far.example", "there@far.example"}


def submit(company: Company, login: str, recipient: str, text: str) -> None:
    """As somebody who logged in."""
    (account,) = [a for a in company.demo.facts["accounts"] if a["login"] == login]
    context = ssl.create_default_context(cafile=company.demo.facts["ca_file"])
    with smtplib.SMTP("localhost", company.demo.port("submission"), timeout=20) as client:
        client.starttls(context=context)
        client.login(login, account["password"])
        begin = time.monotonic()
        while True:
            try:
                client.sendmail(account["addresses"][0], [recipient], f"From: {account['addresses'][0]}\n{text}")
                return
            except smtplib.SMTPRecipientsRefused:
                if time.monotonic() - begin > 10:
                    raise
                time.sleep(0.02)


def tokens(told: bytes) -> dict[str, str]:
    flat = told.replace(b"=\n", b"").replace(b"=3D", b"=").decode()
    return dict(re.findall(r"subject=(approve|reject|confirm)%20([a-z2-7]{26})\b", flat))


def test_a_moderated_post_is_approved_by_mail(company: Company) -> None:
    company.add_list(
        "calm", member=[company.person("harry"), company.person("anna")], gatepostMemberAddress="calm@far.example",
        gatepostModerator=company.person("jane"), gatepostModeration="nonmembers", gatepostSubjectTag="[calm]",
    )  # fmt: skip
    company.send("calm@example.com", "From: x@elsewhere.example\nSubject: first post\n\nhello\n")
    company.send("calm@example.com", "From: x@elsewhere.example\nSubject: second post\n\nhello\n")
    company.send("calm@example.com", "Subject: of a member\n\nhello\n", "harry@example.com")
    company.stored("anna", b"[calm] of a member")
    told = company.stored("jane", b"Subject: first post")[0].read_bytes()
    other = company.stored("jane", b"Subject: second post")[0].read_bytes()
    assert b"hello" in told, "the moderator sees what he decides on"
    approve, reject = (
        f"Subject: Re: approve {tokens(told)['approve']}\n\n",
        f"Subject: reject {tokens(other)['reject']}\n\n",
    )
    company.send("calm-request@example.com", approve, "jane@example.com")  # a return path proves nothing
    submit(company, "harry", "calm-request@example.com", approve)
    submit(company, "jane", "calm-request@example.com", f"Subject: approve {'a' * 26}\n\n")
    company.stored("jane", b"decided on this post already")
    assert not [
        1 for text in (b"[calm] first", b"[calm] second") for login in ("harry",) if found_now(company, login, text)
    ]
    submit(company, "jane", "calm-request@example.com", approve)
    submit(company, "jane", "calm-request@example.com", reject)
    for login in ("harry", "anna"):
        assert len(company.stored(login, b"[calm] first post")) == 1
    (left,) = company.outside(b"[calm] first post")
    assert left.startswith(b"X-Envelope-From: <calm-bounces+")
    company.stored("jane", b"The post was thrown away")
    assert not found_now(company, "harry", b"second post")
    assert gatepost(company, "list", "moderate", "calm@example.com", "--json").strip() == "[]"


def found_now(company: Company, login: str, text: bytes) -> bool:
    try:
        return bool(company.stored(login, text, 0))
    except AssertionError:
        return False


def test_a_post_is_approved_on_the_command_line_and_moderators_need_no_approval(company: Company) -> None:
    company.add_list("strict", member=[company.person("harry")], owner=company.person("anna"), gatepostModeration="all")
    company.send("strict@example.com", "From: me@elsewhere.example\nSubject: by hand\n\nhello\n", "harry@example.com")
    company.stored("anna", b"Subject: by hand")
    (row,) = json.loads(gatepost(company, "list", "moderate", "strict@example.com", "--json"))
    assert (row["subject"], row["return_path"], row["author"]) == (
        "by hand",
        "harry@example.com",
        "me@elsewhere.example",
    )
    assert row["id"] in gatepost(company, "list", "moderate", "strict@example.com")
    gatepost(company, "list", "moderate", "strict@example.com", "approve", row["id"])
    company.stored("harry", b"Subject: by hand")
    with pytest.raises(AssertionError, match="no post"):
        gatepost(company, "list", "moderate", "strict@example.com", "approve", row["id"])
    submit(company, "anna", "strict@example.com", "Subject: by the owner\n\nhello\n")
    company.stored("harry", b"Subject: by the owner")
    assert not found_now(company, "anna", b"by the owner")


def attribute(company: Company, name: str, attribute: str) -> list[str]:
    company.ldap.search(company.list_dn(name), "(objectClass=*)", ldap3.BASE, attributes=[attribute])
    return [str(value) for value in company.ldap.entries[0][attribute].values]


def wait_until(what: Callable[[], bool], seconds: float = 20) -> None:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)


def mailto(octets: bytes, name: bytes) -> tuple[str, str]:
    match = re.search(rb"\n%s: <mailto:([^?>]+)\?subject=([^>]+)>" % name, octets)
    assert match is not None
    return match[1].decode(), f"Subject: {match[2].decode()}\n\n"


def test_mailto_unsubscribe_works(company: Company) -> None:
    company.add_list(
        "free", member=[company.person("harry"), company.person("anna")], gatepostMemberAddress="free@far.example",
        gatepostSubscription="open",
    )  # fmt: skip
    company.send("free@example.com", "Subject: one for all\n\nhello\n")
    (copy,) = company.stored("harry", b"one for all")
    address, text = mailto(copy.read_bytes(), b"List-Unsubscribe")
    submit(company, "harry", address, text)
    wait_until(lambda: company.person("harry") not in attribute(company, "free", "member"))
    assert attribute(company, "free", "member") == [company.person("anna")]
    company.stored("harry", b"You are not a member of this list any more")
    # somebody outside proves by a token that the address is his
    company.send(address, f"From: Free <free@far.example>\n{text}", "free@far.example")
    (asked,) = company.outside(b"Subject: free@example.com: please confirm")
    assert asked.startswith(b"X-Envelope-From: <>\r\nX-Envelope-To: <free@far.example>\r\n")
    token = tokens(asked.replace(b"\r", b""))["confirm"]
    confirm = f"Subject: Re: confirm {token}\n\n"
    company.send(address, f"From: else@far.example\n{confirm}", "free@far.example")
    company.send("free@example.com", "Subject: still there\n\nhello\n")
    company.outside(b"Subject: still there")
    assert not found_now(company, "harry", b"still there")
    company.send(address, f"From: free@far.example\n{confirm}", "free@far.example")
    wait_until(lambda: attribute(company, "free", "gatepostMemberAddress") == [])
    company.outside(b"You are not a member of this list any more")


def test_subscribing_to_an_open_list_and_by_request(company: Company) -> None:
    company.add_list("joined", member=company.person("anna"), gatepostSubscription="open")
    company.add_list(
        "asked", member=company.person("anna"), owner=company.person("jane"), gatepostSubscription="request"
    )
    company.add_list("shut", member=company.person("anna"), owner=company.person("jane"))
    submit(company, "harry", "joined-request@example.com", "Subject: subscribe\n\n")
    wait_until(lambda: company.person("harry") in attribute(company, "joined", "member"))
    company.send("asked-request@example.com", "From: new@far.example\nSubject: subscribe\n\n", "new@far.example")
    company.send("asked-request@example.com", "From: new@far.example\nSubject: subscribe\n\n", "new@far.example")
    (question,) = company.outside(b"Subject: asked@example.com: please confirm")
    token = tokens(question.replace(b"\r", b""))["confirm"]
    confirm = f"Subject: confirm {token}\n\n"
    company.send("asked-request@example.com", f"From: new@far.example\n{confirm}", "new@far.example")
    told = company.stored("jane", b"asked@example.com: somebody wants to join")[0].read_bytes()
    match = re.search(
        rb"subject=admit%20new@far.example%20([a-z2-7]{26})", told.replace(b"=\n", b"").replace(b"=3D", b"=")
    )
    assert match is not None
    admit = f"Subject: admit new@far.example {match[1].decode()}\n\n"
    submit(company, "harry", "asked-request@example.com", admit)
    company.stored("jane", b"Subject: admit new@far.example")  # whom it does not obey it shows to the owners
    assert attribute(company, "asked", "gatepostMemberAddress") == []
    submit(company, "jane", "asked-request@example.com", admit)
    wait_until(lambda: attribute(company, "asked", "gatepostMemberAddress") == ["new@far.example"])
    submit(company, "harry", "shut-request@example.com", "Subject: subscribe\nX-Mark: shut\n\n")
    company.stored("jane", b"X-Mark: shut")
    assert attribute(company, "shut", "member") == [company.person("anna")]


def test_a_member_may_do_without_his_own_posts(company: Company) -> None:
    company.add_list("echo", member=[company.person("harry"), company.person("anna")])
    submit(company, "harry", "echo@example.com", "Subject: with an echo\n\nhello\n")
    company.stored("harry", b"with an echo")
    company.send("echo-request@example.com", "From: harry@example.com\nSubject: nocopy\n\n", "harry@example.com")
    company.stored("harry", b"Subject: echo@example.com: please confirm")  # from outside it is not believed
    submit(company, "harry", "echo-request@example.com", "Subject: nocopy\n\n")
    company.stored("harry", b"You get no copies of your own posts")
    submit(company, "harry", "echo@example.com", "Subject: without an echo\n\nhello\n")
    company.stored("anna", b"without an echo")
    submit(company, "anna", "echo@example.com", "Subject: of somebody else\n\nhello\n")
    company.stored("harry", b"of somebody else")
    assert not found_now(company, "harry", b"without an echo")


def test_doctor_tells_what_is_behind_the_addresses_of_a_list(company: Company) -> None:
    company.add_list("asked4", member=company.person("harry"), gatepostModeration="all", owner=company.person("anna"))
    company.send("asked4@example.com", "Subject: known by now\n\nhello\n")
    for address, words in (
        ("asked4", "waits for the moderators of the list asked4@example.com"),
        ("asked4-bounces+abc", "read as a bounce of the list"),
        ("asked4-request", "read as a request to the list"),
        ("asked4-owner", "mailbox of anna@"),
    ):
        told = gatepost(company, "doctor", "address", f"{address}@example.com", "--sender", "x@far.example")
        assert words in told, told
