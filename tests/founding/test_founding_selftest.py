"""S44-S47b: qmail's TEST.deliver and TEST.receive, done by hand and by `gatepost selftest` on the same system."""

from __future__ import annotations

import os
import re
import smtplib
from typing import Any

from conftest import RunningDemo, eventually
from letters import FOUNDING, Person, facts, make_person, outside, rcpt, verb

pytestmark = FOUNDING

FAR = "somebody@far.example"


def selftest(demo: RunningDemo, *names: str) -> None:
    """These tests of the self-test, all of them, pass and are cleaned up behind."""
    text = verb(demo, "selftest", *names)
    lines = text.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [[name, "ok"] for name in ("entries", *names, "clean")], text
    assert "selftest" not in verb(demo, "domain", "list")


def inject(demo: RunningDemo, person: Person, subject: str, *recipients: str, sender: str = "", code: int = 0) -> str:
    """`echo to: RECIPIENT | gatepost inject`."""
    content = f"To: {', '.join(recipients)}\nSubject: {subject}\nMessage-ID: <{subject.replace(' ', '')}@x>\n\nx\n"
    return verb(demo, "inject", "-f", sender or person.address, given=content, code=code)


def story(demo: RunningDemo, subject: str) -> list[dict[str, Any]]:
    """The events of the message with this subject."""
    (found,) = facts(demo, "trace", f"{subject.replace(' ', '')}@x")
    events = found["events"]
    assert isinstance(events, list)
    return events


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_s44_a_local_message_has_its_steps_in_order(founded: RunningDemo) -> None:
    selftest(founded, "local", "steps")
    me = make_person(founded, "me44")
    inject(founded, me, "s44", me.address)
    content = me.message("s44")
    assert f"uid-{os.getuid()}".encode() in content, "info msg tells the uid"
    new, delivered, end = story(founded, "s44")
    assert names([new, delivered, end]) == ["received", "delivered", "accepted"]
    assert new["return_path"] == f"<{me.address}>" and new["recipients"] == [me.address] and new["size"] > 0
    assert delivered["recipient"] == me.address and delivered["uid"] == 1
    log = (founded.folder / "demo.log").read_text()
    assert re.search(rf"id={re.escape(new['id'])}\S* event=accepted .*size=\d+", log)


def test_s45_a_local_error_is_told_at_once_or_by_a_report(founded: RunningDemo) -> None:
    selftest(founded, "error", "bounce")
    me = make_person(founded, "me45")
    said = inject(founded, me, "s45 refused", "nonexistent45@example.com", code=100)
    assert "550 5.1.1 no such recipient here" in said
    assert me.subjects() == [], "the program was told, nobody else has to be"
    verb(founded, "alias", "add", "team45@example.com", "me45")
    verb(founded, "alias", "set", "team45@example.com", "forwards+=nonexistent45@example.com")
    inject(founded, me, "s45 taken", "team45@example.com")
    eventually(lambda: len(me.subjects()) == 2)
    with me.imap() as client:
        client.select("INBOX", readonly=True)
        (number,) = client.search(None, "FROM", "mailer-daemon")[1][0].split()
        report = bytes(client.fetch(number, "(BODY.PEEK[])")[1][0][1])
    assert report.startswith(b"Return-Path: <>\r\n")
    assert b"Status: 5.1.1" in report and b"nonexistent45@example.com" in report
    told = names(story(founded, "s45 taken"))
    assert told.index("accepted") < told.index("reported") < told.index("attempted")


def test_s46_a_remote_message_is_taken_by_the_far_end(founded: RunningDemo) -> None:
    selftest(founded, "remote", "remote-refused", "remote-later")
    me = make_person(founded, "me46")
    inject(founded, me, "s46", "friend@elsewhere.example")
    left = outside(founded, "s46")
    assert b"X-Envelope-To: <friend@elsewhere.example>" in left
    eventually(lambda: "attempted" in names(story(founded, "s46")))
    events = story(founded, "s46")
    wanted = ["received", "queued", "accepted", "handed-on", "attempted"]
    assert [name for name in names(events) if name in wanted] == wanted
    assert events[-1]["state"] == "done" and "kept" in events[-1]["reply"], "the far end's own words"


def test_s47_postmaster_double_bounce_and_programs(founded: RunningDemo) -> None:
    selftest(founded, "postmaster", "doublebounce", "program")
    me = make_person(founded, "me47")
    verb(founded, "domain", "add", "d47.example")
    verb(founded, "alias", "add", "postmaster@d47.example", "me47")
    for number, local in enumerate(("postmaster", "POSTMASTER", "PostMaster")):
        inject(founded, me, f"s47 {number}", f"{local}@d47.example")
    assert me.subjects() == ["s47 0", "s47 1", "s47 2"]
    verb(founded, "alias", "add", "team@d47.example", "me47")
    verb(founded, "alias", "set", "team@d47.example", "forwards+=nobody@d47.example")
    inject(founded, me, "s47 double", "team@d47.example", sender="nobody@d47.example")
    eventually(lambda: "double-bounce" in names(story(founded, "s47 double")))
    eventually(lambda: len(me.subjects()) == 5)
    assert names(story(founded, "s47 double")).count("double-bounce") == 1, "there it ends"


def test_s47b_what_comes_by_smtp(founded: RunningDemo) -> None:
    selftest(
        founded, "smtp", "remote-local", "remote-error", "relay", "remote-postmaster", "user-agent",
        "user-agent-remote",
    )  # fmt: skip
    me = make_person(founded, "me47b")
    verb(founded, "domain", "add", "d47b.example")
    verb(founded, "alias", "add", "postmaster@d47b.example", "me47b")
    for sender, recipient in ((me.address, me.address), (FAR, me.address), (FAR, "PoStMaStEr@d47b.example")):
        with smtplib.SMTP("127.0.0.1", founded.port("mx"), timeout=20) as client:
            assert client.sendmail(sender, [recipient], f"Subject: from {sender} to {recipient}\r\n\r\nx\r\n") == {}
        me.message(f"from {sender} to {recipient}")
    code, text = rcpt(founded, "nonexistent47b@d47b.example", FAR)
    assert (code, text[:5]) == (550, "5.1.1")
    assert "reported" not in str(facts(founded, "trace", "nonexistent47b@d47b.example")), "no report to a stranger"
    with smtplib.SMTP("127.0.0.1", founded.port("submission"), timeout=20) as client:
        client.login(me.login, me.password)
        client.sendmail(
            me.address, [me.address, "ua47b@far.example"], f"From: {me.address}\r\nSubject: s47b ua\r\n\r\nx\r\n"
        )
    me.message("s47b ua")
    assert outside(founded, "s47b ua")
