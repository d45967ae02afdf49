"""The JSON interface: tokens, rights, the same functions as everywhere; its document holds for whatever is sent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from conftest import GATEPOST, RunningDemo
from hypothesis import HealthCheck, Phase, given, settings
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from webadmin.api.document import document
from webadmin.api.operations import OPERATIONS
from webadmin.api.pace import Answers, Pace

pytestmark = pytest.mark.xdist_group("web")


class Program:
    """A program with a token."""

    def __init__(self, demo: RunningDemo, token: str) -> None:
        self.base = f"{demo.facts['web']['url']}/api/v1"
        self.http = requests.Session()
        self.http.trust_env = False
        if token:
            self.http.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, body: Any = None, status: int | None = 200, **headers: str) -> Any:
        answer = self.http.request(method, self.base + path, json=body, headers=headers, timeout=30)
        assert status is None or answer.status_code == status, answer.text
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
        return answer.json()


@pytest.fixture
def program(webbed: RunningDemo) -> Iterator[Callable[[str], Program]]:
    made: list[Program] = []

    def program(token: str) -> Program:
        made.append(Program(webbed, token))
        return made[-1]

    yield program
    for one in made:
        one.http.close()


@pytest.fixture
def admin(webbed: RunningDemo, program: Callable[[str], Program]) -> Program:
    return program(webbed.facts["web"]["api_token"])


def token(demo: RunningDemo, login: str, *more: str) -> tuple[str, str]:
    """(id, token) of a new one."""
    command = [*GATEPOST, "user", "token", "add", login, "test", "--json", *more, "--config", demo.facts["config_file"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return made["id"], made["token"]


def test_a_person_is_made_changed_and_deleted(admin: Program) -> None:
    admin("POST", "/users", {"login": "api-ann", "name": "Ann Api", "addresses": ["api-ann@example.com"], "password": "api-ann-Password-1"}, 201)  # fmt: skip
    found = admin("GET", "/users?text=api-ann")
    assert found["total"] == 1 and found["entries"][0]["addresses"] == ["api-ann@example.com"]
    version = admin("GET", "/users/api-ann")["version"]
    change = {"changes": [{"field": "quota", "values": ["20M"]}], "version": version}
    admin("PATCH", "/users/api-ann", change)
    assert admin("GET", "/users/api-ann")["values"]["quota"] == 20 << 20
    assert "changed meanwhile" in admin("PATCH", "/users/api-ann", change, 412)["detail"]
    admin("PUT", "/users/api-ann/password", {"password": "api-ann-Password-2"})
    rows = admin("GET", "/journal?limit=5&login=api-ann")
    assert "Password-2" not in json.dumps(rows)
    admin("DELETE", "/users/api-ann")
    admin("GET", "/users/api-ann", status=404)
    assert admin("DELETE", "/users/api-ann", status=404)["detail"]


def test_lists_aliases_and_their_members(admin: Program) -> None:
    admin("POST", "/lists", {"address": "api-list@example.com", "members": ["jane"]}, 201)
    admin(
        "POST", "/lists/api-list@example.com/members", {"operation": "add", "members": ["harry", "x@elsewhere.example"]}
    )
    shown = admin("GET", "/lists/api-list@example.com")
    assert "x@elsewhere.example" in shown["values"]["member_addresses"] and len(shown["values"]["members"]) == 2
    assert (
        admin("GET", "/lists/api-list@example.com/held") == []
        and admin("GET", "/lists/api-list@example.com/bounces") == []
    )
    admin("POST", "/lists/api-list@example.com/held/none", {"decision": "approve"}, 404)
    admin("POST", "/aliases", {"address": "api-alias@example.com", "targets": ["jane", "harry"]}, 201)
    admin("POST", "/aliases/api-alias@example.com/remove", {"targets": ["harry"]})
    admin("DELETE", "/aliases/api-alias@example.com")
    admin("DELETE", "/lists/api-list@example.com")


def test_the_same_key_makes_a_change_once(admin: Program) -> None:
    body = {"address": "api-once@example.com", "targets": ["jane"]}
    first = admin("POST", "/aliases", body, 201, **{"Idempotency-Key": "once-1"})
    assert admin("POST", "/aliases", body, 201, **{"Idempotency-Key": "once-1"}) == first
    other = {**body, "targets": ["harry"]}
    assert "another request" in admin("POST", "/aliases", other, 409, **{"Idempotency-Key": "once-1"})["detail"]
    admin("POST", f"/journal/{first['number']}/undo")
    admin("GET", "/aliases/api-once@example.com", status=404)


def test_a_token_for_reading_changes_nothing(webbed: RunningDemo, program: Callable[[str], Program]) -> None:
    _, secret = token(webbed, "admin")
    reader = program(secret)
    assert reader("GET", "/me")["login"] == "admin" and reader("GET", "/users/jane")["id"]
    for operation in OPERATIONS:
        if operation.changes:
            path = operation.path.format(name="jane", post="x", member="x", number="1", message="x")
            assert reader(operation.method, path, {}, 403)["detail"] == "this token is for reading only"


def test_a_token_has_its_owners_rights_and_no_more(webbed: RunningDemo, program: Callable[[str], Program]) -> None:
    _, secret = token(webbed, "jane", "--scope", "write")
    jane = program(secret)
    assert jane("GET", "/me")["roles"] == [] or "administrator" not in jane("GET", "/me")["roles"]
    jane("GET", "/users/harry", status=404)
    jane("DELETE", "/users/harry", status=403)
    jane("POST", "/users", {"login": "x", "name": "X", "addresses": ["x@example.com"]}, 403)
    jane("GET", "/journal", status=403)


def test_a_token_ends_and_is_for_nothing_else(webbed: RunningDemo, program: Callable[[str], Program]) -> None:
    number, secret = token(webbed, "jane", "--network", "192.0.2.0/24")
    program(secret)("GET", "/me", status=403)
    number, secret = token(webbed, "jane")
    assert program(secret)("GET", "/me")["login"] == "jane"
    with IMAPClient("127.0.0.1", webbed.port("imap"), ssl=False) as client, pytest.raises(LoginError):
        client.login("jane", secret)
    command = [*GATEPOST, "user", "token", "revoke", "jane", number, "--config", webbed.facts["config_file"]]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    program(secret)("GET", "/me", status=401)
    for wrong in ("", "gpk_x", "gpk_" + "a" * 5000, "jane-demo-password"):
        program(wrong)("GET", "/me", status=401)


def test_bad_input_gets_one_clear_answer(admin: Program) -> None:
    assert "field `nmae`" in admin("POST", "/users", {"login": "x", "nmae": "y"}, 400)["detail"]
    assert "quotaa" in admin("PATCH", "/users/jane", {"changes": [{"field": "quotaa", "values": ["1"]}]}, 400)["detail"]
    assert admin("PATCH", "/users/jane", {"changes": []}, 400)["detail"]
    assert admin("GET", "/users?limit=100000", status=400)["detail"]
    assert admin("GET", "/users?limit=1&limit=2", status=400)["detail"]
    assert admin("POST", "/journal/x/undo", status=400)["detail"]
    assert admin("GET", "/nothing", status=404)["detail"]
    assert admin("POST", "/me", {}, 405)["detail"]
    answer = admin.http.post(f"{admin.base}/users", data="login=x", timeout=30)
    assert answer.status_code == 415
    answer = admin.http.post(
        f"{admin.base}/users", data=b"{" * 2_000_000, headers={"Content-Type": "application/json"}, timeout=30
    )
    assert answer.status_code in (400, 413)


def test_a_bucket_is_filled_again() -> None:
    now = [0.0]
    pace = Pace(60, lambda: now[0])
    assert [pace.wait("a") for _ in range(60)] == [0.0] * 60 and pace.wait("b") == 0.0
    assert pace.wait("a") == pytest.approx(1.0)
    now[0] = 1.01
    assert pace.wait("a") == 0.0 and pace.wait("a") > 0
    answers = Answers(10.0, 1, lambda: now[0])
    answers.keep("a", "k", "asked", 201, b"{}")
    assert answers.of("a", "k") == ("asked", 201, b"{}") and answers.of("b", "k") is None
    answers.keep("a", "k2", "asked", 201, b"{}")
    assert answers.of("a", "k") is None
    now[0] = 20.0
    assert answers.of("a", "k2") is None


SCHEMA = schemathesis.openapi.from_dict(document("http://localhost/api/v1"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_nothing_that_the_document_allows_or_forbids_is_a_fault_of_ours(
    admin: Program, webbed: RunningDemo, operation: Any
) -> None:
    """Requests made from the document, good and bad ones: no 5yz, and nothing that the document does not know."""
    under_test = SCHEMA[operation.path][operation.method]
    if operation.id in ("delete_domain", "change_domain", "delete_user", "set_password"):
        names = {"name": "api-nobody"}  # what others need stays
    else:
        names = {}

    cases = under_test.as_strategy()

    @settings(
        max_examples=5,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=cases)
    def run(case: Any) -> None:
        case.path_parameters = (
            {**(case.path_parameters or {}), **names} if case.path_parameters else case.path_parameters
        )
        answer = case.call(base_url=admin.base, session=admin.http, timeout=30)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        assert str(answer.status_code) in (*map(str, (operation.status,)), *DOCUMENTED), answer.status_code

    run()


DOCUMENTED = ("400", "401", "403", "404", "405", "409", "412", "413", "414", "415", "429", "308")


def test_members_shared_mailboxes_records_and_room(admin: Program) -> None:
    admin("POST", "/lists", {"address": "apimembers@example.com", "members": ["jane", "x@elsewhere.example"]}, 201)
    found = admin("GET", "/lists/apimembers@example.com/members?text=jane")
    assert found["total"] == 1 and found["members"][0]["title"] == "Jane Doe"
    admin("POST", "/shared", {"address": "apidesk@example.com", "name": "Desk"}, 201)
    assert admin("GET", "/shared/apidesk@example.com")["values"]["display_name"] == "Desk"
    records = admin("GET", "/domains/例子.example/dns")
    assert {row["purpose"] for row in records} >= {"mx", "spf", "dmarc", "programs"}
    assert all(row["name"].endswith("xn--fsqu00a.example") for row in records)
    assert admin("GET", "/quotas?order=share&limit=1&text=jane")["mailboxes"][0]["key"] == "jane"
    assert admin("GET", "/users?status=suspended")["total"] == 1


def test_a_rehearsal_changes_nothing(admin: Program) -> None:
    change = {"changes": [{"field": "title", "values": ["Rehearsed"]}], "rehearse": True}
    assert admin("PATCH", "/users/oliver", change)["number"] == -1
    assert "title" not in admin("GET", "/users/oliver")["values"]
    admin("PATCH", "/users/oliver", {"changes": [{"field": "quota", "values": ["much"]}], "rehearse": True}, 400)
    new = {"login": "apirehearsed", "name": "X", "addresses": ["apirehearsed@example.com"], "rehearse": True}
    assert admin("POST", "/users", new, 201)["number"] == -1
    admin("GET", "/users/apirehearsed", None, 404)
