"""Every address of the front end, asked by every role: nobody gets to a page that is not for him, and no form of another
site does anything. The addresses come from the program itself; one that no row here speaks of fails.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import GATEPOST, RunningDemo
from parts import Parts
from werkzeug.routing import Rule

pytestmark = pytest.mark.xdist_group("web")
NOBODY, PERSON, OWNER, DOMAIN, HELPDESK, ADMIN = "nobody", "person", "owner", "domain", "helpdesk", "administrator"
LOGINS = {PERSON: "sophie", OWNER: "harry", DOMAIN: "matrix", HELPDESK: "henry", ADMIN: "admin"}
ALL = (NOBODY, PERSON, OWNER, DOMAIN, HELPDESK, ADMIN)
SIGNED_IN = ALL[1:]
#: who may come in, by the page's module or (narrower) by endpoint; what is done to an entry, its own rights decide
ROWS: dict[str, tuple[str, ...]] = {
    "home": SIGNED_IN,
    "login": ALL,
    "company_sign_in": ALL,
    "session": ALL,
    "mail": SIGNED_IN,
    "people": (DOMAIN, HELPDESK, ADMIN),
    "moderation": (OWNER, DOMAIN, ADMIN),
    "subscriptions": SIGNED_IN,
    "unsubscribe": ALL,
    "devices": SIGNED_IN,
    "discovery": ALL,
    "api": ALL,
    "second_step": ALL,
    "second_factor": SIGNED_IN,
    "second_factor_desk": (DOMAIN, HELPDESK, ADMIN),
    "aliases": (DOMAIN, ADMIN),
    "applications": (DOMAIN, ADMIN),
    "apply": ALL,
    "bulk": (DOMAIN, ADMIN),
    "domains": (DOMAIN, ADMIN),
    "journal": (ADMIN,),
    "lists": (OWNER, DOMAIN, ADMIN),
    "pick": (OWNER, DOMAIN, HELPDESK, ADMIN),
    "shared": (DOMAIN, ADMIN),
    "mail_act": SIGNED_IN,
    "mail_answer": SIGNED_IN,
    "message": SIGNED_IN,
    "mail_parts": SIGNED_IN,
    "mail_folders": SIGNED_IN,
    "compose": SIGNED_IN,
    "quotas": (DOMAIN, HELPDESK, ADMIN),
    "queue": (DOMAIN, HELPDESK, ADMIN),
    "trace": (DOMAIN, HELPDESK, ADMIN),
    "doctor": (DOMAIN, HELPDESK, ADMIN),
    "dashboard": (ADMIN,),
    "dkim": (ADMIN,),
    "service_log": (ADMIN,),
    "configuration": (ADMIN,),
    "self_apps": SIGNED_IN,
    "self_deleted": SIGNED_IN,
    "self_queue": SIGNED_IN,
    "self_storage": SIGNED_IN,
    "self_trace": SIGNED_IN,
    "self_writing": SIGNED_IN,
    "self_password": SIGNED_IN,
    "self_forward": SIGNED_IN,
    "self_vacation": SIGNED_IN,
    "self_data": SIGNED_IN,
    "self_photo": SIGNED_IN,
    "self_sessions": SIGNED_IN,
}
#: forms that need no token of ours: what is in their address is the proof
TOKEN_FREE = {"unsubscribe.leave", "discovery.autodiscover"}
#: an address with these in the place of its variables leads to nothing
BLANKS = {"int": "7", "path": "x/y", "default": "x", "string": "x", "uuid": "0" * 32, "float": "1.0"}


def rules(parts: Parts) -> list[Rule]:
    return [rule for rule in parts.app.url_map.iter_rules() if not rule.endpoint.startswith("assets.")]


def row_of(endpoint: str) -> tuple[str, ...] | None:
    return ROWS.get(endpoint, ROWS.get(endpoint.partition(".")[0]))


def address(parts: Parts, rule: Rule) -> str:
    blanks = {
        name: 7 if type(converter).__name__ == "IntegerConverter" else "x"
        for name, converter in rule._converters.items()
    }
    with parts.app.test_request_context():
        built: Any = parts.app.url_map.bind("localhost").build(rule.endpoint, blanks)
    return str(built)


@pytest.fixture(scope="module")
def everybody(webbed: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Parts]]:
    """A front end a role, signed in."""
    config = ["--config", webbed.facts["config_file"]]
    for words in (
        ("domain", "add", "matrix.example"),
        ("user", "add", "matrix", "--name", "Max Matrix", "--address", "max@matrix.example", "--password-stdin"),
        ("domain", "set", "matrix.example", "admins=matrix"),
    ):
        done = subprocess.run(
            [*GATEPOST, *words, *config], input="matrix-demo-password\n", capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    made = {}
    for role in ALL:
        made[role] = Parts(webbed, Path(tmp_path_factory.mktemp(role)))
        if role != NOBODY:
            made[role].sign_in(LOGINS[role])
    yield made
    for parts in made.values():
        parts.close()


def test_every_address_has_a_row(everybody: dict[str, Parts]) -> None:
    endpoints = {rule.endpoint for rule in rules(everybody[NOBODY])}
    assert {name for name in endpoints if row_of(name) is None} == set(), "say in ROWS who may come in there"
    assert TOKEN_FREE - endpoints == set()


@pytest.mark.parametrize("role", ALL)
def test_nobody_comes_in_where_he_has_no_business(everybody: dict[str, Parts], role: str) -> None:
    parts, wrong = everybody[role], []
    for rule in rules(parts):
        path, allowed = address(parts, rule), row_of(rule.endpoint) or ()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if role in allowed:
                if method != "GET":
                    continue  # it would be done
                answer = parts.browser.open(path, method=method)
                fine = answer.status_code < 500 and b"for people with other rights" not in answer.data
            else:
                headers = {"X-CSRFToken": token(parts)}
                answer = parts.browser.open(path, method=method, headers=headers)
                if role == NOBODY:
                    fine = answer.status_code in (302, 401) and "/login" in answer.headers.get("Location", "/login")
                else:
                    fine = answer.status_code == 403
            if not fine:
                wrong.append(f"{role} {method} {path} ({rule.endpoint}): {answer.status_code}")
    assert wrong == []


def token(parts: Parts) -> str:
    from visitor import TOKEN

    found = TOKEN.search(parts.browser.get("/login").text)
    assert found is not None
    return found[1]


def test_every_form_of_another_site_is_refused(everybody: dict[str, Parts]) -> None:
    parts, done = everybody[ADMIN], []
    for rule in rules(parts):
        for method in sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}):
            if rule.endpoint in TOKEN_FREE:
                continue
            if rule.endpoint.startswith("api."):  # it looks at no cookie
                assert parts.browser.open(address(parts, rule), method=method).status_code == 401, rule.endpoint
                continue
            for headers in ({}, {"X-CSRFToken": "IjEi.x"}):
                answer = parts.browser.open(address(parts, rule), method=method, headers=headers)
                if answer.status_code != 400 or "came from another site" not in answer.text:
                    done.append(f"{method} {rule.endpoint} {headers}: {answer.status_code}")
    assert done == []


def test_the_token_of_another_session_is_no_good(everybody: dict[str, Parts]) -> None:
    foreign = token(everybody[PERSON])
    answer = everybody[ADMIN].browser.post("/logout", data={"csrf_token": foreign})
    assert answer.status_code == 400 and everybody[ADMIN].browser.get("/people/").status_code == 200


def test_no_page_may_stand_in_a_frame_of_another_site(everybody: dict[str, Parts]) -> None:
    for rule in rules(everybody[ADMIN]):
        if "GET" in (rule.methods or set()):
            headers = everybody[ADMIN].browser.get(address(everybody[ADMIN], rule)).headers
            policy = headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy or "frame-ancestors 'self'" in policy, rule.endpoint
            assert headers["X-Frame-Options"] in ("DENY", "SAMEORIGIN"), rule.endpoint
