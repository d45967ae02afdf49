"""Writing messages in the browser, without scripts: new ones, answers, drafts, files, as a shared mailbox, taken back."""

from __future__ import annotations

import email
import email.policy
import html
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import pytest
import requests
from conftest import RunningDemo, eventually
from imapclient import IMAPClient
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


@contextmanager
def mailbox(demo: RunningDemo, login: str, name: str = "INBOX") -> Iterator[IMAPClient]:
    with IMAPClient("127.0.0.1", port=demo.port("imap"), ssl=False) as client:
        client.login(login, f"{login}-demo-password")
        client.select_folder(name)
        yield client


def messages(demo: RunningDemo, login: str, name: str, subject: str) -> list[EmailMessage]:
    with mailbox(demo, login, name) as client:
        found = client.fetch(uids, ["BODY.PEEK[]"]) if (uids := client.search(["SUBJECT", subject], "UTF-8")) else {}
    parsed = [email.message_from_bytes(one[b"BODY[]"], policy=email.policy.default) for one in found.values()]
    return [one for one in parsed if isinstance(one, EmailMessage)]


def arrived(demo: RunningDemo, login: str, subject: str, name: str = "INBOX") -> EmailMessage:
    found: list[EmailMessage] = []

    def look() -> bool:
        found[:] = messages(demo, login, name, subject)
        return bool(found)

    eventually(look)
    assert len(found) == 1
    return found[0]


def form_of(page: requests.Response) -> dict[str, Any]:
    """What the page's form would send."""
    found: dict[str, Any] = {}
    form = page.text.partition('id="compose"')[2]
    for tag in re.findall(r"<input\b[^>]*>", form):
        values = {name: html.unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        if values.get("type") in ("checkbox", "file") or "name" not in values or values["name"] == "csrf_token":
            continue
        if values["name"] == "part":
            found.setdefault("part", []).append(values["value"])
        else:
            found[values["name"]] = values.get("value", "")
    text = re.search(r'<textarea id="text"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL)
    chosen = re.search(r'<option value="([^"]*)" selected', form)
    assert text is not None and chosen is not None, words(page)
    return found | {"text": html.unescape(text[1]), "author": html.unescape(chosen[1])}


def write(
    visitor: Visitor, path: str = "/compose", files: Any = None, do: str = "send", **fields: Any
) -> requests.Response:
    """Open the form, fill it in, press a button."""
    return visitor.post("/compose", files=files, **(form_of(visitor.get(path)) | {"do": do} | fields))


@pytest.fixture(scope="module")
def at_once(webbed: RunningDemo) -> None:
    """Those who write here wait for nothing."""
    for login in ("emma", "harry", "sophie"):
        visitor = Visitor(webbed, login)
        assert "Saved" in words(visitor.post("/self/writing", undo_seconds="0", signature=""))
        visitor.close()


def put(demo: RunningDemo, login: str, content: str) -> int:
    """A message in his INBOX; its UID."""
    with mailbox(demo, login) as client:
        found = re.search(rb"APPENDUID \d+ (\d+)", client.append("INBOX", content.replace("\n", "\r\n").encode()))
    assert found is not None
    return int(found[1])


LETTER = """From: "Harry W." <harry@example.com>
To: Emma <emma@example.com>, Oliver <oliver@example.com>
Cc: friend@elsewhere.example, EMMA@example.com
Date: Mon, 5 Jan 2026 10:00:00 +0000
Subject: {subject}
Message-ID: <{id}@elsewhere.example>
References: <first@elsewhere.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8; format=flowed

Grüße, this line\x20
flows.
> before
--\x20
Harry
--b
Content-Type: application/pdf; name="=?utf-8?q?=C3=9Cber.pdf?="
Content-Transfer-Encoding: base64

JVBERi0=
--b--
"""


@pytest.mark.usefixtures("at_once")
def test_a_message_with_a_file_reaches_everybody_and_the_authors_sent(visit: Visit, webbed: RunningDemo) -> None:
    answer = write(
        visit("emma"), to="Harry <harry@example.com>; li.na@例子.example", bcc="stefan@example.org", subject="Grüße 1",
        text="hello 世界\n" + "word " * 50, files=[("files", ("naïve 文.txt", b"content", "text/plain"))],
    )  # fmt: skip
    assert "The message is sent." in words(answer)
    for login in ("harry", "li.na", "stefan"):
        message = arrived(webbed, login, "Grüße 1")
        assert message["Bcc"] is None and "li.na@xn--fsqu00a.example" in message["To"]
        (attached,) = message.iter_attachments()
        assert attached.get_filename() == "naïve 文.txt" and attached.get_content() == "content"
        assert "hello 世界" in message.get_body().get_content()  # type: ignore[union-attr]
    assert "stefan@example.org" in arrived(webbed, "emma", "Grüße 1", "Sent")["Bcc"]


@pytest.mark.usefixtures("at_once")
def test_an_answer_to_everybody_quotes_refers_and_marks(visit: Visit, webbed: RunningDemo) -> None:
    uid = put(webbed, "emma", LETTER.format(subject="Re: plan 2", id="two"))
    emma = visit("emma")
    form = form_of(emma.get(f"/compose?reply_all={uid}&mailbox=INBOX"))
    assert form["to"] == '"Harry W." <harry@example.com>' or form["to"] == "Harry W. <harry@example.com>"
    assert form["cc"] == "Oliver <oliver@example.com>, friend@elsewhere.example"
    assert form["subject"] == "Re: plan 2" and form["author"] == "emma@example.com" and "part" not in form
    assert "> Grüße, this line flows.\n>> before" in form["text"] and "> --" not in form["text"]
    assert "Harry W. wrote:" in form["text"]
    answer = emma.post("/compose", **(form | {"do": "send", "cc": "", "text": f"yes\n{form['text']}"}))
    assert "The message is sent." in words(answer)
    message = arrived(webbed, "harry", "plan 2")
    assert message["In-Reply-To"] == "<two@elsewhere.example>"
    assert message["References"].split() == ["<first@elsewhere.example>", "<two@elsewhere.example>"]
    with mailbox(webbed, "emma") as client:
        assert b"\\Answered" in client.get_flags([uid])[uid]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("way", ["forward", "forward_attached"])
def test_a_message_is_passed_on(visit: Visit, webbed: RunningDemo, way: str) -> None:
    uid = put(webbed, "emma", LETTER.format(subject=f"report {way}.", id=way))
    emma = visit("emma")
    form = form_of(emma.get(f"/compose?{way}={uid}"))
    assert form["subject"] == f"Fwd: report {way}." and len(form["part"]) == 1 and form["to"] == ""
    assert "The message is sent." in words(emma.post("/compose", **(form | {"do": "send", "to": "harry@example.com"})))
    message = arrived(webbed, "harry", f"report {way}.")
    (attached,) = message.iter_attachments()
    if way == "forward":
        assert attached.get_filename() == "Über.pdf" and attached.get_content() == b"%PDF-"
        assert "From: Harry W. <harry@example.com>" in message.get_body().get_content()  # type: ignore[union-attr]
    else:
        assert attached.get_content_type() == "message/rfc822"
        assert attached.get_content()["Message-ID"] == f"<{way}@elsewhere.example>"
    with mailbox(webbed, "emma") as client:
        assert b"$Forwarded" in client.get_flags([uid])[uid]


@pytest.mark.usefixtures("at_once")
def test_a_draft_is_gone_on_with_and_goes_when_it_is_sent(visit: Visit, webbed: RunningDemo) -> None:
    harry = visit("harry")
    page = write(harry, do="save", to="emma@exa", subject="draft 3", text="half", files=[("files", ("a.bin", b"\0\r\n" * 999, ""))])  # fmt: skip
    assert "Attach" in words(page)
    page = write(harry, do="save", to="emma@example.com", subject="draft 3", text="half", files=[("files", ("a.bin", b"\0\r\n" * 999, ""))])  # fmt: skip
    assert "The draft is saved." in words(page) and "a.bin" in words(page)
    form = form_of(page)
    page = harry.post("/compose", **(form | {"do": "attach", "text": "whole"}), files=[("files", ("b.txt", b"b", ""))])
    form = form_of(page)
    assert len(form["part"]) == 2
    with mailbox(webbed, "harry", "Drafts") as client:
        newest = client.search(["SUBJECT", "draft 3"])[-1]
        assert b"\\Draft" in client.get_flags([newest])[newest]
    form = form_of(harry.get(f"/compose?draft={newest}&mailbox=Drafts"))
    assert (form["to"], form["text"].strip(), len(form["part"])) == ("emma@example.com", "whole", 2)
    assert "The message is sent." in words(harry.post("/compose", **(form | {"do": "send", "drop": form["part"][1]})))
    message = arrived(webbed, "emma", "draft 3")
    (attached,) = message.iter_attachments()
    assert attached.get_payload(decode=True) == b"\0\r\n" * 999
    with mailbox(webbed, "harry", "Drafts") as client:
        assert newest not in client.search(["SUBJECT", "draft 3"])


@pytest.mark.usefixtures("at_once")
def test_what_is_wrong_is_said_at_the_form_and_nothing_is_lost(visit: Visit, webbed: RunningDemo) -> None:
    harry = visit("harry")
    page = write(harry, to="emma, oliver@example.com", subject="wrong 4", text="keep me")
    assert page.status_code == 409 and "emma: there is no @ in it" in words(page)
    assert form_of(page)["text"] == "keep me" and form_of(page)["to"] == "emma, oliver@example.com"
    page = write(harry, to="", subject="wrong 4")
    assert "Nobody is named whom it should go to." in words(page)
    page = write(harry, to="nobody.there@example.com, emma@example.com", subject="wrong 4", text="keep me")
    assert page.status_code == 409 and "nobody.there@example.com (550" in words(page)
    assert form_of(page)["draft"], "it is kept as a draft"
    page = write(harry, to="emma@example.com", author="jane@example.com", subject="wrong 4")
    assert "You may not write as jane@example.com." in words(page)
    page = write(harry, to="emma@example.com", later="2020-01-01T00:00", subject="wrong 4")
    assert "That moment has passed." in words(page)
    assert messages(webbed, "emma", "INBOX", "wrong 4") == []


@pytest.mark.usefixtures("at_once")
def test_pressing_twice_sends_once(visit: Visit, webbed: RunningDemo) -> None:
    harry = visit("harry")
    form = form_of(harry.get("/compose")) | {"do": "send", "to": "emma@example.com", "subject": "twice 5"}
    for _ in range(2):
        assert harry.post("/compose", **form).status_code == 200
    arrived(webbed, "emma", "twice 5")
    assert len(messages(webbed, "harry", "Sent", "twice 5")) == 1


@pytest.mark.usefixtures("at_once")
def test_as_a_shared_mailbox_with_the_copy_there(visit: Visit, webbed: RunningDemo) -> None:
    sophie = visit("sophie")
    page = sophie.get("/compose")
    assert "Help Desk <helpdesk@example.com>" in words(page)
    answer = write(sophie, author="helpdesk@example.com", to="emma@example.com", subject="ticket 6")
    assert "The message is sent." in words(answer)
    assert arrived(webbed, "emma", "ticket 6")["From"] == "Help Desk <helpdesk@example.com>"
    arrived(webbed, "sophie", "ticket 6", "Shared/helpdesk@example.com/Sent")
    assert messages(webbed, "sophie", "Sent", "ticket 6") == []
    assert "helpdesk@example.com" not in words(visit("harry").get("/compose"))


def test_a_message_is_taken_back_before_it_goes(visit: Visit, webbed: RunningDemo) -> None:
    bjoern = visit("bjoern")
    page = write(bjoern, to="ursula@example.org", subject="oops 7", text="too early")
    assert "It goes in" in words(page)
    fields = dict(re.findall(r'<input type="hidden" name="(message|copy)" value="([^"]*)"', page.text))
    assert visit("harry").post("/compose/undo", **fields).status_code == 409, "it is not his"
    page = bjoern.post("/compose/undo", **fields)
    assert "It is a draft again." in words(page) and form_of(page)["text"].strip() == "too early"
    assert messages(webbed, "bjoern", "Sent", "oops 7") == []
    assert bjoern.post("/compose/undo", **fields).status_code == 409
    page = bjoern.post("/compose", **(form_of(page) | {"do": "discard"}))
    assert "thrown away" in words(page) and messages(webbed, "bjoern", "Drafts", "oops 7") == []


def test_a_message_waits_for_its_moment(visit: Visit, webbed: RunningDemo) -> None:
    bjoern = visit("bjoern")
    later = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 7200))
    page = write(bjoern, to="ursula@example.org", subject="later 8", later=later)
    assert "The message waits" in words(page)
    fields = dict(re.findall(r'<input type="hidden" name="(message|copy)" value="([^"]*)"', page.text))
    assert "It is a draft again." in words(bjoern.post("/compose/undo", **fields))


def test_people_of_the_directory_are_found_and_hidden_ones_not(visit: Visit, webbed: RunningDemo) -> None:
    jane = visit("jane")
    assert [one["address"] for one in jane.get("/compose/people?q=angwei").json()] == []
    assert [one["address"] for one in jane.get("/compose/people?q=müll j").json()] == ["jmueller@example.com"]
    assert jane.get("/compose/people?q=sales@").json()[0]["kind"] in ("list", "alias")
    assert jane.get("/compose/people?q=李娜").json()[0]["address"] == "li.na@例子.example"
    assert "closed@example.com" not in [one["address"] for one in jane.get("/compose/people?q=closed").json()]
    assert len(jane.get("/compose/people?q=e").json()) <= 8
    webbed.change("anna", {"gatepostHidden": ["TRUE"]})
    eventually(lambda: jane.get("/compose/people?q=anna.fischer").json() == [])
    webbed.change("anna", {"gatepostHidden": []})


def test_the_mail_of_others_is_not_there(visit: Visit, webbed: RunningDemo) -> None:
    uid = put(webbed, "emma", LETTER.format(subject="private 9", id="nine"))
    harry = visit("harry")
    for box in ("Other%20Users/emma@example.com", "nothing", "..", "INBOX"):
        answer = harry.get(f"/compose?reply={uid + 100_000}&mailbox={box}")
        assert answer.status_code == 409 and "not there any more" in words(answer)
    form = form_of(harry.get("/compose"))
    part = f"1.{uid}.2.Other Users/emma@example.com"
    answer = harry.post("/compose", **form, do="save", part=part)
    assert answer.status_code == 409 and "not there any more" in words(answer)


def test_a_link_fills_the_form_in(visit: Visit) -> None:
    form = form_of(visit("jane").get("/compose?to=a@x.example&subject=Hi%0D%0ABcc:e@x&body=text"))
    assert form["to"] == "a@x.example" and form["text"].startswith("text")


def test_scripts_save_drafts_and_upload(visit: Visit, webbed: RunningDemo) -> None:
    harry = visit("harry")
    harry.http.headers["Accept"] = "application/json"
    form = form_of(visit("harry").get("/compose")) | {"subject": "auto 10", "to": "half an addr", "do": "save"}
    answer = harry.post("/compose", **form, files=[("files", ("c.txt", b"ccc", "text/plain"))]).json()
    assert [one["name"] for one in answer["attachments"]] == ["c.txt"] and "Draft saved" in answer["told"]
    again = harry.post(
        "/compose", **(form | {"draft": answer["draft"], "part": answer["attachments"][0]["place"]})
    ).json()
    assert again["draft"] != answer["draft"] and len(messages(webbed, "harry", "Drafts", "auto 10")) == 1


def test_mail_to_a_shared_mailbox_is_answered_as_it(visit: Visit, webbed: RunningDemo) -> None:
    letter = "From: harry@example.com\nTo: emma@example.com, helpdesk@example.com\nSubject: both 11\n\nx\n"
    with mailbox(webbed, "sophie", "Shared/helpdesk@example.com") as client:
        found = re.search(rb"APPENDUID \d+ (\d+)", client.append("Shared/helpdesk@example.com", letter.replace("\n", "\r\n").encode()))  # fmt: skip
    assert found is not None
    form = form_of(visit("sophie").get(f"/compose?reply_all={found[1].decode()}&mailbox=Shared/helpdesk@example.com"))
    assert form["author"] == "helpdesk@example.com"
    assert form["to"] == "harry@example.com" and form["cc"] == "emma@example.com"
    letter = letter.replace("To: emma", "To: sophie@example.com, emma")
    with mailbox(webbed, "sophie") as client:
        found = re.search(rb"APPENDUID \d+ (\d+)", client.append("INBOX", letter.replace("\n", "\r\n").encode()))
    assert found is not None
    form = form_of(visit("sophie").get(f"/compose?reply_all={found[1].decode()}"))
    assert form["author"] == "sophie@example.com", "the others of the desk read along"
    assert form["cc"] == "emma@example.com, helpdesk@example.com"
