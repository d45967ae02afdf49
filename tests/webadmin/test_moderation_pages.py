"""Posts that wait for a moderator, decided on in the browser; members whose copies came back."""

from __future__ import annotations

import json
import re
import smtplib
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import GATEPOST, RunningDemo, eventually
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
LIST = "web-moderated@example.com"


def gatepost(demo: RunningDemo, *command: str) -> str:
    done = subprocess.run(
        [*GATEPOST, *command, "--config", demo.facts["config_file"]], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def moderated(webbed: RunningDemo) -> RunningDemo:
    """A list that emma owns, harry moderates; jane is its member."""
    gatepost(webbed, "list", "add", LIST, "jane", "--name", "Web moderated", "--owner", "emma")  # fmt: skip
    gatepost(webbed, "list", "set", LIST, "moderators=harry", "moderation=all")
    return webbed


def post(demo: RunningDemo, subject: str, text: str = "Dear all\n<script>alert(1)</script>\n") -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=30) as client:
        client.sendmail(
            "oliver@elsewhere.example",
            [LIST],
            f"From: oliver@elsewhere.example\r\nTo: {LIST}\r\nSubject: {subject}\r\n\r\n{text}",
        )


def waits(visitor: Visitor, subject: str) -> str:
    """The address of the page of a post that waits."""

    def link() -> Any:
        page = visitor.get(f"/moderation/{LIST}/")
        return re.search(r'href="(/moderation/[^"]+)">' + re.escape(subject), page.text)

    eventually(link)
    return str(link()[1])


def test_a_moderator_reads_and_approves(moderated: RunningDemo, visit: Visit) -> None:
    post(moderated, "Approved in the browser")
    harry = visit("harry")
    assert "Web moderated" in words(harry.get("/moderation/"))
    where = waits(harry, "Approved in the browser")
    page = harry.get(where)
    assert "Dear all" in words(page) and "oliver@elsewhere.example" in words(page)
    assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
    assert "on its way to the members" in words(harry.post(where, decision="approve"))
    jane = visit("jane")
    eventually(lambda: "Approved in the browser" in words(jane.get("/mail/")))
    again = harry.post(where, decision="approve")
    assert again.status_code == 404 and "decided on this post already" in words(again)


def test_the_owner_throws_one_away(moderated: RunningDemo, visit: Visit) -> None:
    post(moderated, "Thrown away in the browser")
    emma = visit("emma")
    where = waits(emma, "Thrown away in the browser")
    assert emma.post(where, decision="perhaps").status_code == 400
    assert "thrown away" in words(emma.post(where, decision="reject"))
    assert "Thrown away in the browser" not in words(emma.get(f"/moderation/{LIST}/"))


def test_others_see_nothing_of_it(moderated: RunningDemo, visit: Visit) -> None:
    post(moderated, "Not for others")
    where = waits(visit("emma"), "Not for others")
    felix = visit("felix")
    for path in ("/moderation/", f"/moderation/{LIST}/", where):
        assert felix.get(path).status_code in (403, 404)
    assert felix.post(where, decision="approve").status_code in (403, 404)
    # who looks after another list gets no further with this one's posts
    gatepost(moderated, "list", "add", "web-other@example.com", "--name", "Other", "--owner", "ursula")
    ursula = visit("ursula")
    assert ursula.get("/moderation/").status_code == 200
    assert ursula.get(where).status_code == 404 and ursula.post(where, decision="approve").status_code == 404
    assert ursula.get(where.replace("web-moderated", "web-other")).status_code == 404
    visit("emma").post(where, decision="reject")


def test_a_member_that_is_parked_gets_mail_again(moderated: RunningDemo, visit: Visit) -> None:
    entry = next(each for each in _lists(moderated) if LIST in each["addresses"])
    with sqlite3.connect(Path(moderated.facts["state_dir"]) / "lists.db", timeout=30) as db:
        db.execute(
            "INSERT INTO bounce VALUES (?,?,?,?,?,?,?,?)",
            (entry["id"], "gone@elsewhere.example", 5.0, 5, time.time(), "m", "550 5.1.1 no such user", time.time()),
        )
    emma = visit("emma")
    page = words(emma.get(f"/moderation/{LIST}/"))
    assert "gone@elsewhere.example" in page and "550 5.1.1 no such user" in page
    done = emma.post(f"/moderation/{LIST}/unpark", member="gone@elsewhere.example")
    assert "gets mail of the list again" in words(done) and "Nothing came back" in words(done)


def _lists(demo: RunningDemo) -> list[dict[str, Any]]:
    found = json.loads(gatepost(demo, "list", "show", LIST, "--json"))
    return found if isinstance(found, list) else [found]
