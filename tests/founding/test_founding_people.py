"""S7, S12, S14, S18, S24-S26, S29, S31, S32, S56-S59: people of the directory, their mailboxes, how they read."""

from __future__ import annotations

import os
import pwd
import re
import smtplib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import GATEPOST, RunningDemo, eventually
from letters import FOUNDING, SENDER, Person, configured, facts, make_person, offline, outside, post, rcpt, verb

ROOT = Path(__file__).resolve().parents[2]
MB = 1 << 20

pytestmark = FOUNDING


def test_s07_nobody_needs_an_account_of_the_host(founded: RunningDemo) -> None:
    person = make_person(founded, "nobody07")
    with pytest.raises(KeyError):
        pwd.getpwnam(person.login)
    post(founded, "s07", person.address)
    person.message("s07")
    (worker,) = {row["uid"] for row in facts(founded, "ps") if row["name"].startswith("worker")}
    files = [path for path in person.maildir().rglob("*") if path.is_file()]
    assert files
    assert {path.stat().st_uid for path in files} == {worker}, "who runs the service, not who gets the mail"


def test_s12_people_of_several_domains(founded: RunningDemo) -> None:
    verb(founded, "domain", "add", "a12.example")
    verb(founded, "domain", "add", "b12.example")
    here, there = make_person(founded, "p12a", domain="a12.example"), make_person(founded, "p12b", domain="b12.example")
    verb(founded, "user", "set", here.login, "addresses+=info@a12.example")
    verb(founded, "user", "set", there.login, "addresses+=info@b12.example")
    for domain in ("a12", "b12"):
        post(founded, f"s12 {domain}", f"info@{domain}.example")
    assert (here.subjects(), there.subjects()) == (["s12 a12"], ["s12 b12"])
    assert rcpt(founded, "p12a@b12.example")[0] == 550


def test_s14_mail_for_privileged_users_goes_to_the_alias(founded: RunningDemo, tmp_path: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        homes = [Path(entry.pw_dir) for entry in pwd.getpwall() if entry.pw_uid == 0] + [Path("/var/mail")]
        files = [home / name for home in homes for name in ("root", "mbox", "Mailbox", "Maildir", "dead.letter")]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()}

    before = state()
    reader = make_person(founded, "alias14")
    verb(founded, "domain", "add", "d14.example")
    verb(founded, "alias", "add", "root@d14.example", "alias14")
    post(founded, "s14 root", "root@d14.example")
    reader.message("s14 root")
    assert rcpt(founded, "daemon@d14.example")[0] == 550, "no entry, no mailbox, whatever /etc/passwd has"
    assert state() == before
    # taken over from qmail: uid 0 is nobody who gets mail, ~alias reads it
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("d14.example\n")
    (tmp_path / "alias").mkdir()
    (tmp_path / "alias" / ".qmail-root").write_text("&reader@d14.example\n")
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nreader:x:1000:1000::/home/reader:/bin/sh\n")
    ldif = offline("import", "qmail", tmp_path, "--passwd", tmp_path / "passwd", "--base", "o=x")
    assert "uid: root" not in ldif
    assert re.search(r"gatepostAddress: root@d14\.example\n(.+\n)*gatepostForward: reader@d14\.example", ldif)


def test_s18_one_walk_serves_forward_alias_and_list(founded: RunningDemo) -> None:
    last = make_person(founded, "last18")
    forwarding = make_person(founded, "forward18", "forwards=last18@example.com", "keep_copy=no")
    verb(founded, "list", "add", "list18@example.com", forwarding.login)
    verb(founded, "alias", "add", "alias18@example.com", "list18@example.com")
    told = facts(founded, "doctor", "address", "alias18@example.com", "--sender", SENDER)
    walk = "\n".join(told["steps"])
    places = [walk.index(name) for name in ("alias18", "list18", "forward18", "last18")]
    assert places == sorted(places), walk
    assert [target.partition(" (")[0] for target in told["targets"]] == ["mailbox of last18@example.com"]
    post(founded, "s18", "alias18@example.com")
    assert last.subjects() == ["s18"]
    assert forwarding.subjects() == []


def test_s24_people_aliases_and_lists_on_the_command_line(founded: RunningDemo) -> None:
    person = make_person(founded, "cli24", "quota=30M")
    assert facts(founded, "user", "show", "cli24")["quota"] == 30 * MB
    verb(founded, "user", "set", "cli24", "quota=40M", "addresses+=cli24b@example.com", "display_name=Clive")
    shown = facts(founded, "user", "show", "cli24")
    assert (shown["quota"], shown["display_name"]) == (40 * MB, "Clive")
    assert "cli24b@example.com" in shown["addresses"]
    verb(founded, "passwd", "cli24", "--stdin", given="quite another password\n")
    assert not person.may_log_in()
    Person(founded, "cli24", person.address, "quite another password").imap().logout()
    verb(founded, "alias", "add", "alias24@example.com", "cli24", "dd@21cn.example")
    assert facts(founded, "alias", "show", "alias24@example.com")["forwards"] == ["dd@21cn.example"]
    verb(founded, "list", "add", "list24@example.com", "cli24", "jane")
    verb(founded, "list", "member", "remove", "list24@example.com", "jane")
    assert list(facts(founded, "list", "show", "list24@example.com")["member_names"].values()) == [person.address]
    # a dump for programs: every kind, one JSON array each
    assert "cli24" in {login for each in facts(founded, "user", "list") for login in each.get("logins", [])}
    assert "alias24@example.com" in {a for each in facts(founded, "alias", "list") for a in each["addresses"]}
    assert "list24@example.com" in {a for each in facts(founded, "list", "list") for a in each["addresses"]}
    assert "example.com" in {each["name"] for each in facts(founded, "domain", "list")}
    verb(founded, "list", "delete", "list24@example.com", "--yes")
    verb(founded, "alias", "remove", "alias24@example.com", "--yes")
    verb(founded, "user", "delete", "cli24", "--yes")
    for gone in ("list24", "alias24", "cli24"):
        assert rcpt(founded, f"{gone}@example.com")[0] == 550


def test_s25_a_soft_quota_warns_a_hard_one_refuses(founded: RunningDemo) -> None:
    person = make_person(founded, "limits25", "quota=100K", "quota_soft=20K")
    post(founded, "s25 fits", person.address)
    assert "over the soft" not in verb(founded, "account", "show", person.address)
    post(founded, "s25 warned", person.address, body="x" * 60 + "\r\n" + ("x" * 70 + "\r\n") * 400)
    assert "over the soft quota" in verb(founded, "account", "show", person.address)
    with person.imap() as client:

        def is_warned() -> bool:  # a worker sees what another noted a moment later
            client.select("INBOX")
            return bool(client.untagged_responses.get("OVERQUOTA"))

        eventually(is_warned)
        answer, lines = client.append("INBOX", "", None, b"Subject: too much\r\n\r\n" + b"x" * 100_000)
        assert (answer, b"OVERQUOTA" in lines[0]) == ("NO", True)
    with smtplib.SMTP("127.0.0.1", founded.port("mx"), timeout=20) as client:
        with pytest.raises(smtplib.SMTPException) as caught:
            client.sendmail(SENDER, [person.address], b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 2000)
        assert re.search(r"5\.2\.2|4\.2\.2", str(caught.value)), caught.value
    assert person.subjects() == ["s25 fits", "s25 warned"]


def test_s26_one_mailbox_by_pop3_and_imap(founded: RunningDemo) -> None:
    person = make_person(founded, "both26")
    post(founded, "s26 one", person.address)
    post(founded, "s26 two", person.address)
    assert person.subjects() == ["s26 one", "s26 two"]
    client = person.pop3()
    assert client.stat()[0] == 2
    assert b"Subject: s26 one" in client.retr(1)[1]
    client.dele(1)
    client.quit()
    assert person.subjects() == ["s26 two"]


def test_s33_personal_data_is_shown_and_edited(founded: RunningDemo) -> None:
    person = make_person(founded, "data33", "given_name=Jürgen", "surname=Groß", "title=Buyer", "department=Purchasing")
    shown = facts(founded, "user", "show", "data33")
    assert (shown["given_name"], shown["surname"]) == ("Jürgen", "Groß")
    assert (shown["title"], shown["department"]) == ("Buyer", "Purchasing")
    own, given = ("user", "set", "data33", "--as", "data33"), f"{person.password}\n"
    verb(founded, *own, "phones=+49 228 1", "office=Room 33", given=given)
    verb(founded, *own, "phones+=+49 228 2", given=given)
    verb(founded, *own, "title=Director", given=given, code=5)
    shown = facts(founded, "user", "show", "data33")
    assert (shown["phones"], shown["title"]) == (["+49 228 1", "+49 228 2"], "Buyer")
    # the same data in any LDAP tool, in both directions
    founded.change("data33", {"mobile": ["+49 170 33"]})
    assert facts(founded, "user", "show", "data33")["mobile_phones"] == ["+49 170 33"]


def test_s29_smtp_pop3_and_imap_with_all_their_commands(founded: RunningDemo) -> None:
    person = make_person(founded, "all29")
    with smtplib.SMTP("127.0.0.1", founded.port("submission"), timeout=20) as smtp:
        smtp.ehlo()
        assert {
            "pipelining",
            "size",
            "8bitmime",
            "enhancedstatuscodes",
            "chunking",
            "dsn",
            "smtputf8",
            "starttls",
        } <= set(smtp.esmtp_features)
        smtp.login(person.login, person.password)
        assert smtp.mail(person.address)[0] == 250
        assert smtp.rset()[0] == smtp.noop()[0] == 250
        assert smtp.help()
        assert smtp.docmd("VRFY all29@example.com")[0] in (250, 252)
        for number in range(2):
            smtp.sendmail(
                person.address, [person.address], f"From: {person.address}\r\nSubject: s29 {number}\r\n\r\nx\r\n"
            )
    # RFC 1939, with the optional TOP and UIDL
    client = person.pop3()
    assert client.stat()[0] == len(client.list()[1]) == len(client.uidl()[1]) == 2
    assert client.top(1, 0)[1]
    assert client.noop().startswith(b"+OK")
    client.dele(2)
    client.rset()
    assert client.stat()[0] == 2
    client.quit()
    # RFC 3501, each command of a client
    with person.imap() as imap:
        assert "IMAP4REV1" in imap.capabilities
        for answer in (
            imap.noop(), imap.create("Work"), imap.rename("Work", "Play"), imap.subscribe("Play"), imap.lsub(),
            imap.list(), imap.status("Play", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)"),
            imap.append("Play", "(\\Seen)", None, b"Subject: appended\r\n\r\nx\r\n"), imap.select("INBOX"), imap.check(),
            imap.fetch("1:2", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[TEXT])"),
            imap.search(None, "SUBJECT", "s29"), imap.copy("1", "Play"), imap.store("1", "+FLAGS", "(\\Deleted)"),
            imap.uid("FETCH", "1:*", "(FLAGS)"), imap.expunge(), imap.close(), imap.select("Play", readonly=True),
            imap.unselect(), imap.unsubscribe("Play"), imap.delete("Play"),
        ):  # fmt: skip
            assert answer[0] == "OK", answer


def test_s31_twenty_megabytes_a_person_and_twenty_gigabytes(founded: RunningDemo, tmp_path: Path) -> None:
    small, large = make_person(founded, "small31", "quota=20M"), make_person(founded, "large31", "quota=20G")
    letter = b"Subject: s31\r\n\r\n" + (b"x" * 70 + b"\r\n") * (9 * MB // 72)
    for person, answers in ((small, ["OK", "OK", "NO"]), (large, ["OK", "OK", "OK"])):
        with person.imap() as client:
            assert [client.append("INBOX", "", None, letter)[0] for _ in range(3)] == answers
            used, limit = re.findall(rb"STORAGE (\d+) (\d+)", client.getquotaroot("INBOX")[1][1][0])[0]
        assert int(limit) == (20 << 10 if person is small else 20 << 20)
        taken = answers.count("OK") * len(letter) / 1024
        assert 0.97 * taken < int(used) <= taken, "line ends are kept as one octet"
    # the setting that holds for everybody of whom the directory says nothing
    with configured(founded, defaults={"quota": "20M"}):
        verb(founded, "domain", "add", "d31.example")
        everybody = make_person(founded, "everybody31", domain="d31.example")
        with everybody.imap() as client:
            assert b"STORAGE 0 20480" in client.getquotaroot("INBOX")[1][1][0]


def test_s32_list_forward_and_alias_stand_in_the_directory(founded: RunningDemo) -> None:
    base = founded.facts["directory"]["base"]
    a, b = make_person(founded, "a32"), make_person(founded, "b32")
    with founded.administrator() as admin:
        assert admin.add(f"cn=list32,ou=groups,{base}", ["gatepostEntry", "gatepostList"], {
            "cn": "list32", "gatepostAddress": "list32@example.com", "member": f"uid=a32,ou=people,{base}"})  # fmt: skip
        assert admin.add(f"cn=alias32,ou=mail,{base}", ["gatepostEntry", "gatepostAlias"], {
            "cn": "alias32", "gatepostAddress": "alias32@example.com", "gatepostForward": "b32@example.com"})  # fmt: skip
    founded.change("a32", {"gatepostForward": ["dd@21cn.example"]})
    post(founded, "s32 list", "list32@example.com")
    post(founded, "s32 alias", "alias32@example.com")
    a.message("s32 list")
    b.message("s32 alias")
    outside(founded, "s32 list")


def test_s56_a_maildir_by_command_and_at_the_first_delivery(founded: RunningDemo) -> None:
    ordered, waiting = make_person(founded, "ordered56"), make_person(founded, "waiting56")
    for person in (ordered, waiting):
        assert "has no store" in verb(founded, "account", "show", person.address, code=1)
    (made,) = facts(founded, "account", "create", ordered.address)
    assert made["made"]
    assert {"tmp", "new", "cur"} <= {path.name for path in Path(made["path"]).iterdir()}
    assert "was there already" in verb(founded, "account", "create", ordered.address)
    assert "nobody with a store" in verb(founded, "account", "create", "nobody56@example.com", code=1)
    for person in (ordered, waiting):
        post(founded, "s56", person.address)
        assert person.subjects() == ["s56"]
        assert {"tmp", "new", "cur"} <= {path.name for path in person.maildir().iterdir()}
    assert ordered.maildir() == Path(made["path"])


def test_s57_where_a_shell_finds_the_mail_is_written_down() -> None:
    page = (ROOT / "docs/howto/local-programs.md").read_text(encoding="utf-8")
    assert re.search(r"^MAIL=imaps://\S+$", page, re.MULTILINE)
    assert "gatepost account show" in page


def test_s58_s59_pop3_and_checkpassword_by_the_directory(founded: RunningDemo) -> None:
    person = make_person(founded, "pop58")
    post(founded, "s58", person.address)
    client = person.pop3()
    assert client.stat()[0] == 1
    client.quit()
    assert not replace(person, password="wrong").may_log_in("pop3")
    # as qmail-popup starts checkpassword, and checkpassword qmail-pop3d
    for password, code, said in ((person.password, 0, f"{person.login} {person.maildir()}\n"), ("wrong", 1, "")):
        reading, writing = os.pipe()
        os.write(writing, f"{person.login}\0{password}\0<1.2@host>\0".encode())
        os.close(writing)
        words = [*GATEPOST, "checkpassword", "--config", founded.facts["config_file"], "--service", "pop3",
                 "/bin/sh", "-c", 'echo "$USER $MAILDIR"']  # fmt: skip
        done = subprocess.run(["/bin/bash", "-c", f'exec "$@" 3<&{reading}', "bash", *words], pass_fds=(reading,),
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        os.close(reading)
        assert (done.returncode, done.stdout) == (code, said)


def test_s55_a_reload_drops_no_session(founded: RunningDemo) -> None:
    person = make_person(founded, "stays55")
    with person.imap() as client:
        client.select("INBOX")
        before = {row["pid"] for row in facts(founded, "ps") if row["name"].startswith("worker")}
        verb(founded, "reload")
        eventually(lambda: len(before - {row["pid"] for row in facts(founded, "ps") if not row.get("passing")}) == 2)
        post(founded, "s55", person.address)
        assert client.noop()[0] == "OK"
        assert client.select("INBOX")[1] == [b"1"]
