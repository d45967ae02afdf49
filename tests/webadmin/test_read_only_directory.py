"""A directory that Gatepost may not change: the pages say so, show what there is, and offer nothing that cannot be done."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import yaml
from conftest import GATEPOST, eventually
from visitor import Visitor, words

from directory.embedded import hash_password
from gateway.store.markers import prepare_volume

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Visitor]:
    """The administrator of a company whose directory is one file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (tmp_path / "company.ldif").write_text(
        "dn: uid=ann,o=x\nobjectClass: inetOrgPerson\nuid: ann\ncn: Ann\ndisplayName: Ann Only\nmail: ann@tiny.example\n"
        f"userPassword: {hash_password('pw-ann', is_public=True)}\n\n"
    )
    for name in ("state", "run", "mail"):
        (tmp_path / name).mkdir()
    prepare_volume(tmp_path / "mail")
    settings = {
        "state_dir": str(tmp_path / "state"),
        "run_dir": str(tmp_path / "run"),
        "workers": 1,
        "directory": {
            "servers": [f"file://{tmp_path}/company.ldif"],
            "profile": "ldif",
            "domains": ["tiny.example"],
            "rights": {"administrators": ["uid=ann,o=x"]},
        },
        "store": {"volumes": {"main": {"path": str(tmp_path / "mail")}}},
        "web": {"listen": f"127.0.0.1:{port}", "url": f"http://localhost:{port}"},
    }
    (tmp_path / "gatepost.yaml").write_text(yaml.safe_dump(settings))
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            [*GATEPOST, "serve", "--config", str(tmp_path / "gatepost.yaml")], stdout=log, stderr=log
        )
        url = f"http://localhost:{port}"

        def is_there() -> bool:
            try:
                return requests.get(url + "/login", timeout=5).status_code == 200
            except requests.ConnectionError:
                return False

        try:
            eventually(is_there)
            visitor = Visitor(SimpleNamespace(facts={"web": {"url": url}}))  # type: ignore[arg-type]
            eventually(lambda: visitor.post("/login", login="ann", password="pw-ann").status_code == 200)
            yield visitor
            visitor.close()
        finally:
            service.terminate()
            service.wait(30)


def test_pages_say_so_and_offer_nothing(ann: Visitor) -> None:
    said = "The directory is read-only here: it is a file, which is changed with an editor"
    page = ann.get("/people/")
    assert said in words(page) and "Ann Only" in words(page) and "New person" not in words(page)
    page = ann.get("/people/of/ann")
    assert said in words(page) and "ann@tiny.example" in page.text
    assert "<button>Save" not in page.text and "/people/delete/" not in page.text
    answer = ann.post("/people/new", **{"n.login": "bob", "n.name": "Bob", "n.addresses": "bob@tiny.example"})
    assert answer.status_code in (403, 422), "somebody was made"
    answer = ann.post("/people/of/ann", before="{}", **{"f.display_name": "Other", "version": ""})
    assert answer.status_code in (403, 409, 422), words(answer)
    assert "Ann Only" in words(ann.get("/people/"))
    domain = ann.get("/domains/of/tiny.example")
    assert domain.status_code == 200 and "<button>Save" not in domain.text
    assert ann.post("/people/delete/ann").status_code == 403
    answer = ann.post("/bulk/", table="login,title\nann,Boss\n", apply="1")
    assert "0 of 1 rows are good." in words(answer) and "read-only" in words(answer)
