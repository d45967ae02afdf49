"""Plain text that flows (RFC 3676), rich text as plain text and back."""

from __future__ import annotations

import pytest

from webadmin.mail.flowed import WIDTH, flow, quote, unflow
from webadmin.mail.rich import cleaned, html_of, text_of

LONG = "word " * 60 + "end"


@pytest.mark.parametrize(
    "text",
    [
        "", "one", "one\n\ntwo", LONG, f"> {LONG}", f"> > {LONG}\n> answer\nmine", " stuffed\n>literal\nFrom the start",
        f"before\n-- \nJane\n{LONG}", "  indented " + LONG, "x" * 300, "文" * 200, f"> {'y' * 200} z",
    ],
)  # fmt: skip
def test_what_is_sent_is_read_as_it_was_written(text: str) -> None:
    sent = flow(text)
    assert all(len(line) <= WIDTH + 8 or " " not in line.strip("> ") for line in sent.split("\n"))
    assert unflow(sent) == text.replace(">literal", "> literal")


def test_lines_that_other_programs_change_are_stuffed() -> None:
    assert flow("From me\n ind\n") == " From me\n  ind\n"


def test_a_space_goes_where_the_sender_says_so() -> None:
    assert unflow("文字 \n再来", delete_space=True) == "文字再来"


def test_a_quote_is_one_deeper_and_has_no_signature() -> None:
    assert quote("hello\n\n> before\n-- \nJane\nExample Ltd\n\n") == "> hello\n>\n>> before"
    assert quote("top\n-- \nJane\n\n> history") == "> top\n> --\n> Jane\n>\n>> history"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<p>two", "one\n\ntwo"),
        ("<div>a</div><div>b</div><div><br></div><div>c</div>", "a\nb\n\nc"),
        ("<ul><li>x<li>y</ul>", "* x\n* y"),
        ("<ol><li>x<li>y</ol>", "1. x\n2. y"),
        ("see <a href='https://example.com/x'>this</a>", "see this <https://example.com/x>"),
        ("<a href='https://example.com/'>https://example.com</a>", "https://example.com"),
        ("a<blockquote>b<blockquote>c</blockquote></blockquote>d", "a\n> b\n> > c\nd"),
        ("<style>p{}</style><script>x()</script>t  \n t", "t t"),
        ("<pre>  two\n    four</pre>", "  two\n    four"),
    ],
)
def test_rich_text_as_plain_text(html: str, text: str) -> None:
    assert text_of(html) == text


def test_plain_text_as_rich_text_and_back() -> None:
    text = "hello <you>\n\n> quoted\n> > twice\nend"
    assert text_of(html_of(text)) == text


@pytest.mark.parametrize(
    "html",
    [
        "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<a href='javascript:alert(1)'>x</a>", "<iframe src=//x>",
        "<p style='background:url(//x)'>x</p>", "<form action=//x><input></form>", "<math><mtext><style><img onerror=alert(1)>",
        "<b onclick=alert(1)>x</b>", "<meta http-equiv=refresh content='0;//x'>", "<a href='data:text/html,x'>x</a>",
    ],
)  # fmt: skip
def test_nothing_that_loads_or_runs_is_sent(html: str) -> None:
    found = cleaned(html).lower()
    assert not any(bad in found for bad in ("alert", "src", "style", "//x", "form", "data:", "javascript"))
