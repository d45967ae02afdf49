"""An administrator brings back what a person has expunged, beside the running service."""

from __future__ import annotations

import imaplib
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningDemo
from in_process import run

from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim


def test_what_was_expunged_comes_back(demo: RunningDemo) -> None:
    account = next(each for each in demo.facts["accounts"] if each["login"] == "oliver")
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        assert client.create("Undelete")[0] == "OK"
        for subject in ("one", "two"):
            client.append("Undelete", "(\\Flagged)", None, f"Subject: {subject}\r\n\r\nx\r\n".encode())
        client.select("Undelete")
        client.store("1:2", "+FLAGS", "\\Deleted")
        client.expunge()
        code, said = run(demo, "undelete", "oliver", "--mailbox", "Undelete", "--subjects", "--json")
        listed = json.loads(said)
        assert (code, sorted(each["subject"] for each in listed)) == (0, ["one", "two"])
        one = next(each["id"] for each in listed if each["subject"] == "one")
        code, said = run(demo, "undelete", "oliver@example.com", one)
        assert code == 0
        assert "-> Undelete, UID 3" in said
        assert run(demo, "undelete", "oliver", one, "--mailbox", "Undelete")[0] == 1  # it is back already
        assert run(demo, "undelete", "oliver", "--all", "--mailbox", "Undelete", "--into", "Found/it")[0] == 0
        assert run(demo, "undelete", "oliver", "--mailbox", "Undelete") == (0, "")
        assert run(demo, "undelete", "nobody@example.com")[0] == 1
        assert client.select("Undelete")[1] == [b"1"]
        fetched = client.fetch("1", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0]
        assert b"\\Flagged" in fetched[0]
        assert b"\\Deleted" not in fetched[0]
        assert b"Subject: one" in fetched[1]
        assert client.select("Found/it")[1] == [b"1"]


def test_the_owner_gets_it_back_himself_and_nobody_else(demo: RunningDemo) -> None:
    socket = Path(demo.facts["control_socket"]).parent / "owner.sock"

    def ask(verb: str, login: str, **wish: object) -> Any:
        return call(socket, verb, Claim(login, f"{login}-demo-password"), **wish)

    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login("oliver", "oliver-demo-password")
        client.create("Owned")
        client.append("Owned", None, None, b"Subject: own\r\n\r\nx\r\n")
        client.select("Owned")
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
        (message,) = ask("own-expunged-list", "oliver", mailbox="Owned")
        assert (message["mailbox"], message["octets"]) == ("Owned", 16)
        assert message["id"] not in [each["id"] for each in ask("own-expunged-list", "jane")]
        (answer,) = ask("own-undelete", "jane", messages=[message["id"]])
        assert answer == {"id": message["id"], "error": "it is not kept any more"}
        with pytest.raises(ControlError, match="authentication failed"):
            call(socket, "own-undelete", Claim("oliver", "guess"), messages=[message["id"]])
        with pytest.raises(ControlError, match="you have no mailbox"):
            call(socket, "own-expunged-list")
        (answer,) = ask("own-undelete", "oliver", messages=[message["id"]])
        assert answer == {"id": message["id"], "mailbox": "Owned", "uid": 2}
        assert client.select("Owned")[1] == [b"1"]
        (answer,) = ask("own-undelete", "oliver", messages=[message["id"]])
        assert "error" in answer
