"""Second factors: enrolled, asked for, used once, lost and reset; and what the password alone still opens."""

from __future__ import annotations

import html
import imaplib
import json
import re
import subprocess
import time
from collections.abc import Callable

import pyotp
import pytest
from conftest import GATEPOST, RunningDemo
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
STEP = 30


def gatepost(demo: RunningDemo, *command: str, given: str = "") -> str:
    done = subprocess.run(
        [*GATEPOST, *command, "--config", demo.facts["config_file"]],
        input=given, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def person(demo: RunningDemo, login: str) -> str:
    name = f"{login}-demo-password"
    words_ = ("user", "add", login, "--name", login.title(), "--address", f"{login}@example.com", "--password-stdin")
    gatepost(demo, *words_, given=f"{name}\n")
    return name


def reads(demo: RunningDemo, login: str, password: str) -> bool:
    client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30)
    try:
        client.login(login, password)
    except imaplib.IMAP4.error:
        return False
    finally:
        client.shutdown()
    return True


def enrol(who: Visitor, password: str) -> tuple[pyotp.TOTP, list[str]]:
    """The generator, and recovery codes. The code that showed that it works is spent."""
    page = who.post("/second-factor/totp", password=password)
    uri = html.unescape(re.search(r'name="uri" value="([^"]+)"', page.text)[1])  # type: ignore[index]
    totp = pyotp.parse_uri(uri)
    assert isinstance(totp, pyotp.TOTP) and "data:image/svg+xml" in page.text
    refused = who.post("/second-factor/totp/finish", uri=uri, name="Telephone", code="000000x")
    assert refused.status_code == 409 and "not right" in words(refused) and totp.secret in refused.text
    page = who.post("/second-factor/totp/finish", uri=uri, name="Telephone", code=totp.at(time.time() - STEP))
    codes = re.findall(r"<code>([a-z2-7-]{19})</code>", page.text)
    assert len(codes) == 10, words(page)
    return totp, codes


def begin(visit: Visit, login: str, password: str) -> Visitor:
    """Somebody between the steps."""
    somebody = visit()
    answer = somebody.post("/login", login=login, password=password, to="/second-factor/")
    assert "/login/second" in answer.url and "Second step" in words(answer)
    return somebody


def test_a_code_is_asked_for_and_good_once(visit: Visit, webbed: RunningDemo) -> None:
    password = person(webbed, "factor1")
    assert reads(webbed, "factor1", password)
    totp, codes = enrol(visit("factor1", password), password)
    assert not reads(webbed, "factor1", password), "the password alone opens no mail from now on"
    made = json.loads(gatepost(webbed, "user", "app-password", "add", "factor1", "phone", "--json"))
    assert reads(webbed, "factor1", made["password"])

    somebody = begin(visit, "factor1", password)
    assert "/login" in somebody.get("/mail/").url, "between the steps nothing is open"
    wrong = somebody.post("/login/second", code="123456", to="/second-factor/")
    assert wrong.status_code == 401 and "not right" in words(wrong)
    code = totp.now()
    right = somebody.post("/login/second", code=code, to="/second-factor/")
    assert right.url.endswith("/second-factor/") and "Telephone" in words(right)
    again = begin(visit, "factor1", password).post("/login/second", code=code)
    assert again.status_code == 401, "a code that was seen over a shoulder is spent"

    other = begin(visit, "factor1", password)
    assert other.post("/login/second", code=codes[0].upper().replace("-", " "), to="/second-factor/").status_code == 200
    assert "9 codes are left" in words(other.get("/second-factor/"))
    assert begin(visit, "factor1", password).post("/login/second", code=codes[0]).status_code == 401


def test_five_tries_a_ticket_and_no_ticket_no_try(visit: Visit, webbed: RunningDemo) -> None:
    password = person(webbed, "factor2")
    totp, _ = enrol(visit("factor2", password), password)
    somebody = begin(visit, "factor2", password)
    answers = [somebody.post("/login/second", code=f"{number:06}").status_code for number in range(5)]
    assert answers == [401] * 5
    assert "too many tries" in words(somebody.post("/login/second", code=totp.now()))
    stranger = visit()
    assert stranger.post("/login/second", code=totp.now()).url.split("?")[0].endswith("/login")


def test_removing_one_takes_the_password_again(visit: Visit, webbed: RunningDemo) -> None:
    password = person(webbed, "factor3")
    who = visit("factor3", password)
    assert who.post("/second-factor/totp", password="wrong").status_code == 409
    enrol(who, password)
    number = re.search(r'name="id" value="([^"]+)"', who.get("/second-factor/").text)[1]  # type: ignore[index]
    assert who.post("/second-factor/remove", id=number, password="wrong").status_code == 409
    assert "was removed" in words(who.post("/second-factor/remove", id=number, password=password))
    assert reads(webbed, "factor3", password)
    assert visit("factor3", password).get("/second-factor/").status_code == 200


def test_the_help_desk_resets_what_is_lost_and_it_is_written_down(visit: Visit, webbed: RunningDemo) -> None:
    password = person(webbed, "factor4")
    who = visit("factor4", password)
    enrol(who, password)
    desk = visit("henry")
    assert 'href="/second-factor/of/factor4"' in desk.get("/people/of/factor4").text
    assert "Telephone" in words(desk.get("/second-factor/of/factor4"))
    assert visit("sophie").get("/second-factor/of/factor4").status_code == 403
    assert desk.get("/second-factor/of/admin").status_code == 404, "an administrator is not the help desk's"
    assert "are gone" in words(desk.post("/second-factor/of/factor4"))
    assert "/login" in who.get("/mail/").url, "the sessions have ended"
    assert reads(webbed, "factor4", password)
    rows = json.loads(gatepost(webbed, "directory", "journal", "--json"))
    assert any("second-factor reset" in json.dumps(row) and "henry" in json.dumps(row) for row in rows)


def test_the_operator_resets_by_command(visit: Visit, webbed: RunningDemo) -> None:
    password = person(webbed, "factor5")
    enrol(visit("factor5", password), password)
    assert "Telephone" in gatepost(webbed, "user", "second-factor", "factor5")
    assert "1 second factors of factor5 removed" in gatepost(webbed, "user", "second-factor", "factor5", "--reset")
    assert reads(webbed, "factor5", password)
