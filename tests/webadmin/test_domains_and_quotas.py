"""DNS records of domains and the room of mailboxes, in the browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import RunningDemo, eventually
from filled_forms import filled
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


def test_the_records_of_a_domain_are_told(visit: Visit, webbed: RunningDemo) -> None:
    admin = visit("admin")
    made = admin.post("/domains/new", **{"n.name": "webdns.example", "f.aliases": "webdns-alias.example"})
    assert "Made." in words(made)
    page = admin.get("/domains/dns/webdns.example")
    text = words(page)
    assert page.status_code == 200 and "webdns.example. IN MX 10 localhost." in text
    assert "v=spf1 mx -all" in text and "_dmarc.webdns.example. IN TXT" in text
    assert f"_imaps._tcp.webdns.example. IN SRV 0 1 {webbed.facts['ports']['imaps']} localhost." in text
    assert "no DKIM key on this host yet" in text
    assert "webdns-alias.example. IN MX" in words(admin.get("/domains/dns/webdns.example?of=webdns-alias.example"))
    assert admin.get("/domains/dns/webdns.example?of=elsewhere.example").status_code == 404
    assert admin.get("/domains/dns/elsewhere.example").status_code == 404


def test_records_are_for_who_administers_the_domain(visit: Visit) -> None:
    admin, his = visit("admin"), visit("bjoern")
    assert his.get("/domains/dns/example.org").status_code == 403
    made = admin.post("/domains/new", **{"n.name": "webhis.example", "f.admins": "bjoern"})
    assert "Made." in words(made)
    assert his.get("/domains/dns/webhis.example").status_code == 200
    assert his.get("/domains/dns/example.org").status_code == 404
    form = filled(his.get("/domains/of/webhis.example"), "/domains/of/")
    assert "f.catch_all" in form and "f.admins" not in form, "a domain's administrator makes no others"
    assert his.get("/domains/new").status_code == 403
    answer = his.post("/domains/new", **{"n.name": "webmine.example"})
    assert answer.status_code in (403, 422) and admin.get("/domains/of/webmine.example").status_code == 404
    assert his.post("/domains/delete/webhis.example").status_code == 403
    # his domain is empty, and of other people's mailboxes he learns nothing
    assert "Jane Doe" not in words(his.get("/quotas/"))


def test_the_biggest_mailboxes_come_first(visit: Visit) -> None:
    admin = visit("admin")
    page = words(admin.get("/quotas/"))
    assert "Jane Doe" in page and page.index("Jane Doe") < page.index("Sophie Brown"), (
        "an empty mailbox before a full one"
    )
    assert "Henry Walker" in words(admin.get("/quotas/?q=henry&order=share"))
    assert "Jane Doe" not in words(admin.get("/quotas/?domain=example.org"))
    assert admin.get("/quotas/?start=999999&order=nonsense").status_code == 200
    assert visit("sophie").get("/quotas/").status_code == 403
    assert "Jane Doe" in words(visit("henry").get("/quotas/"))


def test_keys_are_made_put_to_use_and_removed(visit: Visit) -> None:
    admin = visit("admin")
    assert "Made." in words(admin.post("/domains/new", **{"n.name": "webdkim.example"}))
    assert "no DKIM key" in words(admin.get("/dkim/webdkim.example"))
    page = words(admin.post("/dkim/webdkim.example", what="make", name="one"))
    assert "Made: one, one-ed." in page and "one._domainkey.webdkim.example. IN TXT" in page and "k=rsa" in page
    assert "there is a key one" in words(admin.post("/dkim/webdkim.example", what="make", name="one"))
    assert "is not a name" in words(admin.post("/dkim/webdkim.example", what="make", name="../x"))
    page = words(admin.post("/dkim/webdkim.example", what="sign", selector=["one", "one-ed"]))
    assert "These keys sign" in page
    eventually(lambda: "does not sign" not in words(admin.get("/dkim/webdkim.example")))
    assert "signs the domain's mail" in words(admin.post("/dkim/webdkim.example", what="remove", selector="one"))
    # new ones take over, and an old one goes
    assert "Made: gp" in words(admin.post("/dkim/webdkim.example", what="make"))
    admin.post("/dkim/webdkim.example", what="sign", selector=["one-ed"])
    eventually(lambda: "Remove one " in words(admin.get("/dkim/webdkim.example")))
    assert "The key one is removed" in words(admin.post("/dkim/webdkim.example", what="remove", selector="one"))
    assert "there is no key" in words(admin.post("/dkim/webdkim.example", what="remove", selector="../../x"))
    assert admin.post("/dkim/webdkim.example", what="sign", selector=["foreign"]).status_code == 400
    assert admin.post("/dkim/webdkim.example", what="nothing").status_code == 400
    assert admin.get("/dkim/elsewhere.example").status_code == 404
    assert admin.get("/dkim/webdkim.example?of=example.com").status_code == 404
    for number in range(3):
        page = words(admin.post("/dkim/webdkim.example", what="make", name=f"more{number}"))
    assert "remove those that do not sign" in page
