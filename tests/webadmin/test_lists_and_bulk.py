"""Lists and their members, aliases, shared mailboxes, the journal, and many people at once, in the browser."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator

import ldap3
import pytest
from conftest import RunningDemo, eventually
from filled_forms import filled
from visitor import Visitor, words

from directory.ldif import records

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


@pytest.fixture
def admin(visit: Visit) -> Iterator[Visitor]:
    yield visit("admin")


def made(admin: Visitor, kind: str, **fields: str) -> None:
    answer = admin.post(f"/{kind}/new", **{f"n.{name}": value for name, value in fields.items()})
    assert answer.status_code == 200 and "Made." in words(answer), words(answer)


def test_members_of_a_list_come_and_go(admin: Visitor) -> None:
    made(
        admin, "mailing-lists", address="weblist@example.com", name="Web list", members="jane\nfriend@elsewhere.example"
    )
    page = "/mailing-lists/members/weblist@example.com"
    assert "Jane Doe" in words(admin.get(page)) and "friend@elsewhere.example" in words(admin.get(page))
    answer = admin.post(page, add="oliver\r\n sales@example.com \r\nother@elsewhere.example\r\n")
    assert "3 members were added." in words(answer) and "Oliver Smith" in words(answer), words(answer)
    answer = admin.post(page, add="nobody-at-all")
    assert answer.status_code == 422 and "nobody-at-all" in words(answer) and ">nobody-at-all</textarea>" in answer.text
    value = re.search(r'name="remove" value="([^"]*uid=jane[^"]*)"', admin.get(page).text)
    assert value is not None
    answer = admin.post(page, remove=[value[1], "friend@elsewhere.example"])
    assert "2 members were taken out." in words(answer) and "Jane Doe" not in words(answer)
    assert "Oliver Smith" in words(admin.get(page + "?q=oliv")) and "other@" not in words(admin.get(page + "?q=oliv"))
    assert admin.post(page).status_code == 422
    assert admin.get("/mailing-lists/members/nolist@example.com").status_code == 404


def test_a_member_whose_entry_is_gone_can_be_taken_out(admin: Visitor, webbed: RunningDemo) -> None:
    made(admin, "mailing-lists", address="webgonelist@example.com", members="jane")
    where = webbed.facts["directory"]
    ldap = ldap3.Connection(where["uri"], where["admin_dn"], where["admin_password"], auto_bind=True)
    dn = f"cn=webgonelist@example.com,ou=groups,{where['base']}"
    assert ldap.modify(dn, {"member": [(ldap3.MODIFY_ADD, [f"uid=never,ou=people,{where['base']}"])]})
    ldap.unbind()
    page = "/mailing-lists/members/webgonelist@example.com"
    eventually(lambda: "uid=never" in admin.get(page).text)
    (gone,) = [
        value for value in re.findall(r'name="remove" value="([^"]+)"', admin.get(page).text) if "never" in value
    ]
    assert "no longer in the directory" in words(admin.get(page))
    assert "1 member was taken out." in words(admin.post(page, remove=gone))
    assert "uid=never" not in admin.get(page).text and "Jane Doe" in words(admin.get(page))


def test_the_owner_of_a_list_looks_after_it_and_nothing_else(admin: Visitor, visit: Visit) -> None:
    made(admin, "mailing-lists", address="webowned@example.com", members="jane")
    path = "/mailing-lists/of/webowned@example.com"
    form = filled(admin.get(path), "/mailing-lists/of/")
    assert "Saved." in words(admin.post(path, **{**form, "f.owners": "emma", "f.moderation": "all"}))
    emma = visit("emma")
    assert "webowned@example.com" in words(emma.get("/mailing-lists/"))
    assert "sales@example.com" not in words(emma.get("/mailing-lists/"))
    assert "1 member was added." in words(emma.post("/mailing-lists/members/webowned@example.com", add="harry"))
    own = filled(emma.get(path), "/mailing-lists/of/")
    assert "f.subject_tag" in own and "f.addresses" not in own and own["f.moderation"] == ["all"]
    assert "Saved." in words(emma.post(path, **{**own, "f.subject_tag": "[web]"}))
    assert emma.get("/mailing-lists/members/sales@example.com").status_code == 404
    assert emma.post("/mailing-lists/members/sales@example.com", add="emma").status_code == 404
    assert emma.post("/mailing-lists/delete/webowned@example.com").status_code == 403
    for path in ("/people/", "/changes/", "/bulk/", "/quotas/", "/bulk/export/user.ldif", "/domains/"):
        assert emma.get(path).status_code == 403, path


def test_an_alias_and_a_shared_mailbox(admin: Visitor) -> None:
    made(admin, "aliases", address="webalias@example.com", targets="jane\noutside@elsewhere.example")
    form = filled(admin.get("/aliases/of/webalias@example.com"), "/aliases/of/")
    assert form["f.targets"] == ["jane"] and form["f.forwards"] == ["outside@elsewhere.example"]
    answer = admin.post("/aliases/of/webalias@example.com", **{**form, "f.targets": "oliver"})
    assert "Saved." in words(answer)
    answer = admin.post("/aliases/new", **{"n.address": "webalias2@elsewhere.example", "n.targets": "jane"})
    assert answer.status_code == 422 and "no domain of ours" in words(answer)
    made(admin, "shared", address="webshared@example.com", name="Web shared")
    path = "/shared/of/webshared@example.com"
    form = filled(admin.get(path), "/shared/of/")
    assert "Saved." in words(
        admin.post(path, **{**form, "f.full_access": "jane", "f.read_access": "sales@example.com"})
    )
    assert filled(admin.get(path), "/shared/of/")["f.read_access"] == ["sales@example.com"]
    assert "is deleted" in words(admin.post("/shared/delete/webshared@example.com"))


def test_a_domain_is_made_and_not_deleted_while_it_is_used(admin: Visitor) -> None:
    made(admin, "domains", name="webdomain.example")
    made(admin, "aliases", address="x@webdomain.example", targets="jane")
    answer = admin.post("/domains/delete/webdomain.example")
    assert answer.status_code == 422 and "entries have addresses in webdomain.example" in words(answer)
    admin.post("/aliases/delete/x@webdomain.example")
    assert "is deleted" in words(admin.post("/domains/delete/webdomain.example"))


def test_a_change_is_taken_back(admin: Visitor, visit: Visit) -> None:
    made(admin, "aliases", address="webundo@example.com", targets="jane")
    path = "/aliases/of/webundo@example.com"
    form = filled(admin.get(path), "/aliases/of/")
    admin.post(path, **{**form, "f.targets": "oliver"})
    page = admin.get("/changes/")
    number = re.search(r"/changes/undo/(\d+)", page.text)
    assert number is not None and "gatepostTarget" in page.text and "uid=oliver" in page.text
    answer = admin.post(f"/changes/undo/{number[1]}")
    assert f"Change {number[1]} is taken back." in words(answer)
    assert filled(admin.get(path), "/aliases/of/")["f.targets"] == ["jane"]
    assert "no change 999999" in words(admin.post("/changes/undo/999999"))
    assert visit("henry").get("/changes/").status_code == 403
    assert visit("henry").post(f"/changes/undo/{number[1]}").status_code == 403
    assert admin.get("/changes/?before=2").status_code == 200


TABLE = """login;name;addresses;department;quota;password;action
webcsv1;Csv One;webcsv1@example.com|c1@example.com;lab;2G;generate;
webcsv2;Csv Two;webcsv2@example.com;lab;much;;
jane;;;-;;;change
nobody-there;;;x;;;change
"""


def test_a_table_is_looked_at_and_then_done(admin: Visitor) -> None:
    text = TABLE.replace("|", "\t").replace(";", ",").replace("\t", ";")
    before = admin.get("/people/of/jane").text
    answer = admin.post("/bulk/", table=text)
    assert (
        answer.status_code == 200 and "What would happen" in words(answer) and "2 of 4 rows are good." in words(answer)
    )
    assert "&#39;much&#39; is not a size" in answer.text and "there is no nobody-there" in words(answer)
    assert admin.get("/people/of/webcsv1").status_code == 404, "a look made somebody"
    kept = filled(answer, "/bulk/") if 'action="/bulk/' in answer.text else {"table": [text]}
    answer = admin.post("/bulk/", table=kept["table"], apply="1")
    assert "What was done" in words(answer) and "2 of 4 rows are good." in words(answer)
    password = re.search(r'<output class="ldap">([^<]+)</output>', answer.text)
    assert password is not None
    form = filled(admin.get("/people/of/webcsv1"), "/people/of/")
    assert form["f.quota"] == ["2G"] and "c1@example.com" in form["f.addresses"][0]
    assert admin.get("/people/of/webcsv2").status_code == 404
    assert filled(admin.get("/people/of/jane"), "/people/of/")["f.department"] == [""] and "sales" in before
    answer = admin.post("/bulk/", files={"file": ("people.csv", b"login,department,action\njane,sales,\nwebcsv1,,delete\n")}, apply="1")  # fmt: skip
    assert "2 of 2 rows are good." in words(answer), words(answer)
    assert admin.get("/people/of/webcsv1").status_code == 404


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a first row with the names"),
        ("name\nx", "a column login is needed"),
        ("login,qouta\njane,1", "quota"),
        ("login,quota,quota\njane,1,2", "there twice"),
        ("login\njane\nJANE", "already"),
        ("login,name\njane,x,y", "cells under"),
        ("login,action\njane,explode", "one of add, change, delete"),
        ('login,name\n"jane', "no CSV"),
        ("login\n" + "\n".join(f"u{n}" for n in range(501)), "more than 500 rows"),
    ],
)
def test_a_table_that_is_none(admin: Visitor, text: str, says: str) -> None:
    answer = admin.post("/bulk/", table=text)
    assert answer.status_code == 422 and says in words(answer)


def test_a_table_changes_nothing_outside_ones_domain(admin: Visitor, visit: Visit) -> None:
    path = "/domains/of/xn--fsqu00a.example"
    form = filled(admin.get(path), "/domains/of/")
    assert "Saved." in words(admin.post(path, **{**form, "f.admins": "li.na"}))
    his = visit("li.na")
    answer = his.post("/bulk/", table="login,department,password\njane,x,stolen-password-1\nyang.fan,lab,\n", apply="1")
    assert "1 of 2 rows are good." in words(answer), words(answer)
    assert visit("jane").get("/mail/").status_code == 200
    found = his.get("/bulk/export/user.ldif").text
    assert "uid=yang.fan" in found and "uid=jane" not in found
    assert his.get("/changes/").status_code == 403


def test_what_was_found_leaves_as_ldif(admin: Visitor) -> None:
    answer = admin.get("/bulk/export/user.ldif?q=müller")
    assert answer.headers["Content-Disposition"].endswith('"user.ldif"')
    found = {dn: attributes for dn, attributes, _ in records(answer.content)}
    (only,) = found.values()
    assert only["displayname"] == ["Jörg Müller".encode()] and only["objectclass"]
    assert not any("password" in name or name.startswith("entry") for name in only)
    whole = admin.get("/bulk/export/user.ldif")
    assert sum(1 for _ in records(whole.content)) >= 30
    assert admin.get("/bulk/export/nothing.ldif").status_code == 404


def test_only_who_may_sees_the_queue_of_changes_of_an_entry(admin: Visitor, webbed: RunningDemo) -> None:
    page = admin.get("/mailing-lists/of/sales@example.com")
    entry = re.search(r"/changes/\?entry=([^\"&]+)", page.text)
    assert entry is not None
    assert admin.get(f"/changes/?entry={entry[1]}").status_code == 200


def test_a_list_with_thousands_of_members_is_shown_and_changed(admin: Visitor) -> None:
    made(admin, "mailing-lists", address="webmany@example.com", name="Many")
    page = "/mailing-lists/members/webmany@example.com"
    for start in range(0, 3000, 1000):
        names = "\n".join(
            f"somebody.with.a.long.name.{number:05}@elsewhere.example" for number in range(start, start + 1000)
        )
        assert "1000 members were added." in words(admin.post(page, add=names))
    assert "3000 entries" in words(admin.get(page)) and "00049@" in words(admin.get(page))
    assert "02999@" in words(admin.get(page + "?q=02999"))
    path = "/mailing-lists/of/webmany@example.com"
    form = filled(admin.get(path), "/mailing-lists/of/")
    assert "Saved." in words(admin.post(path, **{**form, "f.owners": "jane"}))
    assert filled(admin.get(path), "/mailing-lists/of/")["f.owners"] == ["jane"]
    assert "3000 entries" in words(admin.get(page)), "members were lost"
    assert admin.post(page, add="\n".join(f"x{n}@elsewhere.example" for n in range(1001))).status_code == 422


def test_people_leave_as_a_table_that_comes_back(admin: Visitor) -> None:
    answer = admin.post("/people/new", password_kind="generate", **{"n.login": "webout", "n.name": "=Out & About", "n.addresses": "webout@example.com\nout@example.com", "f.office": "-1 floor", "f.quota": "3M"})  # fmt: skip
    assert answer.status_code == 200
    found = admin.get("/bulk/export/people.csv?q=webout")
    assert found.headers["Content-Disposition"].endswith('"people.csv"')
    text = found.content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["login"] == "webout" and row["quota"] == "3M" and set(row["addresses"].split(";")) == {"webout@example.com", "out@example.com"}  # fmt: skip
    assert row["name"] == "'=Out & About" and row["office"] == "'-1 floor", "a spreadsheet would run it"
    again = admin.post("/bulk/", table=text)
    assert "nothing to change" in words(again) and "0 of 1 rows are good." in words(again)
    admin.post("/bulk/", table=text.replace("3M", "4M"), apply="1")
    form = filled(admin.get("/people/of/webout"), "/people/of/")
    assert form["f.quota"] == ["4M"] and form["f.office"] == ["-1 floor"] and form["f.display_name"] == ["=Out & About"]
    assert len(admin.get("/bulk/export/people.csv").content.decode().splitlines()) > 30
