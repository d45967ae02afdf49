"""What other processes refuse is read in the reader's language: every message of theirs is known to the front end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from webadmin.app import make_app
from webadmin.backend import NotPossible
from webadmin.said import in_words, matching
from webadmin.settings import WebSettings

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    *sorted((ROOT / "directory").glob("write*.py")), ROOT / "directory" / "rights.py",
    *(ROOT / "gateway" / "service" / f"agent_{name}.py" for name in ("accounts", "reading", "self", "tokens", "second_factor", "applications", "subscriptions", "photo")),
    ROOT / "gateway" / "service" / "owner_verbs.py", ROOT / "directory" / "model" / "address.py", ROOT / "directory" / "photo.py",
)  # fmt: skip
REFUSALS = {
    "Invalid",
    "NotAllowed",
    "NotThere",
    "Conflict",
    "WriteProblem",
    "VerbError",
    "ValueError",
    "InvalidAddress",
    "NoPhoto",
}
#: said to programs, operators and the front end's own mistakes, which nobody reads in a browser
OTHERS = (
    "x1 is not one of set, add, remove", "1 to x1 changes with at most x1 values", "the profile", "with the profile",
    "has no attribute so named", "is reserved, this version", "token", "is no service; there is", "a session ",
    "that is asked by people", "that is for people who administer", "a login is needed, with its password",
)  # fmt: skip


def shown(node: ast.AST) -> str:
    """The message with its blanks filled; "" for one that is made elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(each.value)
            if isinstance(each, ast.Constant)
            else "was changed meanwhile"
            if "CHANGED_MEANWHILE" in ast.unparse(each)
            else "x1"
            for each in node.values
        )
    return ""


def messages() -> Iterator[tuple[str, str]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found: ast.AST | None = None
            if (
                isinstance(node, ast.Call)
                and node.args
                and isinstance(node.func, ast.Name)
                and node.func.id in REFUSALS
            ):
                found = node.args[0]
            elif path.name == "rights.py" and isinstance(node, ast.Return):
                found = node.value if isinstance(node.value, ast.JoinedStr | ast.Constant | ast.IfExp) else None
            parts = (found.body, found.orelse) if isinstance(found, ast.IfExp) else (found,)
            for part in parts:
                text = shown(part) if part is not None else ""
                if " " in text and text.replace("x1", "").strip(" :"):
                    yield f"{path.name}:{node.lineno}", text


def test_every_refusal_is_known() -> None:
    found = list(messages())
    assert len(found) > 100
    unknown = [
        f"{where}: {text!r}"
        for where, text in found
        if matching(text) is None
        and matching(text.partition(": ")[2]) is None
        and text not in ("x1: x1", "x1 x1")
        and not any(other in text for other in OTHERS)
    ]
    assert unknown == [], "write them into webadmin/said.py"


@pytest.fixture(scope="module")
def app() -> Flask:
    return make_app(WebSettings(), Path("/nowhere"), b"k" * 32, "mail.example.com")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nobody has the address x@example.com", "没有人使用地址 x@example.com"),
        ("quota: '5X' is not a number, 0 or more", "quota: '5X' 不是 0 或以上的数字"),
        ("sales@example.com is a mailing list, not an account", "sales@example.com 是邮件列表，不是账户"),
        ("'x@': the domain is empty", "'x@': 域为空"),
        ("something nobody foresaw: at all", "something nobody foresaw: at all"),
        ("%(x)s %s {}", "%(x)s %s {}"),
        ("a: " * 2000, "a: " * 2000),
        ("", ""),
    ],
)
def test_in_the_readers_language(app: Flask, text: str, wanted: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "zh-CN"}):
        assert in_words(text) == wanted and str(NotPossible(text)) == wanted and NotPossible(text).said == text
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert in_words(text) == text
    assert str(NotPossible(text)) == text
