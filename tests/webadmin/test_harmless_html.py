"""HTML of strangers costs bounded time and room, whatever it is made of."""

from __future__ import annotations

from webadmin.mail import rich
from webadmin.mail.harmless import MAX_TAGS
from webadmin.mail.sanitise import sanitised


def clean(html: str) -> str:
    return sanitised(html, lambda name: None, remote=False)[0]


def test_what_is_left_open_does_not_multiply() -> None:
    opened = "".join(f"<b title={number}><FONT color={number}>" for number in range(500))
    html = f"<p>{opened}</p>" + "<p>x</p>" * 500
    for found in (clean(html), rich.cleaned(html)):
        assert found.count("x") >= 500 and len(found) < 4 * len(html)


def test_more_tags_than_anybody_needs_become_words() -> None:
    html = (
        "<style>p{}</style><p>Dear <b>Jane</b> &lt;script&gt; " + "<div>" * (MAX_TAGS + 1) + "<script>alert(1)</script>"
    )
    shown = clean(html)
    assert shown.startswith("<pre>") and "Dear" in shown and "Jane" in shown
    assert "<div" not in shown and "<script" not in shown and "alert" not in shown and "p{}" not in shown
    assert "<div" in rich.cleaned(html) and "<script" not in rich.cleaned(html) and "Jane" in rich.cleaned(html)


def test_a_large_table_is_not_too_many_tags() -> None:
    assert "<td>" in clean("<table>" + "<tr><td>1</td><td>2</td></tr>" * MAX_TAGS + "</table>")


def test_formats_stay() -> None:
    html = '<p><B>bold</B> <font color="red">red</font> <i>thin <u>line</u></i> <script>x</script><x-b>y</x-b></p>'
    found = '<p><b>bold</b> <font color="red">red</font> <i>thin <u>line</u></i> <b>y</b></p>'
    assert clean(html) == found
    assert rich.cleaned("<strong>a</strong><font size=7>b</font>") == "<strong>a</strong>b"


def test_nested_lists_do_not_multiply_their_indentation() -> None:
    assert len(rich.text_of("<ol><li>x" * 5000)) < 5000 * 200
