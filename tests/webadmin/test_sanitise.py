"""What is left of hostile HTML: only elements, attributes and addresses that are harmless."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from mail_vectors import HOST, vectors

from webadmin.mail.sanitise import sanitised

VECTORS = vectors()
_LINK = re.compile(r"(?:https?://|ftp://|mailto:|tel:)", re.IGNORECASE)
_FORBIDDEN = {
    "script", "style", "svg", "math", "iframe", "frame", "object", "embed", "form", "input", "button", "select", "textarea", "link", "meta",
    "base", "template", "video", "audio", "source", "track", "title", "noscript", "applet", "map", "area", "dialog", "marquee", "body", "html",
}  # fmt: skip


class _Seen(HTMLParser):
    """Collects what is wrong."""

    def __init__(self, *, remote: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.remote = remote

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _FORBIDDEN:
            self.wrong.append(tag)
        for name, value in attrs:
            text = value or ""
            if name.startswith(("on", "data-", "hx-", "form", "xlink")) or name in ("id", "name", "class", "srcset", "action", "ping", "is", "slot", "accesskey", "background"):  # fmt: skip
                self.wrong.append(f"{tag} {name}")
            if name == "href" and not _LINK.match(text):
                self.wrong.append(f"{tag} {name}={text}")
            if name == "src" and not (text.startswith("/mail/part?") or (self.remote and _LINK.match(text))):
                self.wrong.append(f"{tag} {name}={text}")
            if name == "style" and re.search(r"url|\\|expression|position|fixed|import", text, re.IGNORECASE):
                self.wrong.append(f"{tag} {name}={text}")
            if tag == "a" and name == "target" and text != "_blank":
                self.wrong.append(f"{tag} {name}={text}")


def cid_url(name: str) -> str | None:
    return "/mail/part?part=2" if name == "dot@x" else None


@pytest.mark.parametrize("remote", [False, True])
def test_nothing_that_could_run_or_load_is_left(remote: bool) -> None:
    wrong = {}
    for name, html in VECTORS:
        clean, _ = sanitised(html, cid_url, remote=remote)
        seen = _Seen(remote=remote)
        seen.feed(clean)
        again, _ = sanitised(clean, lambda _: None, remote=remote)
        if seen.wrong:
            wrong[name] = (seen.wrong, clean)
        assert "script>" not in again.replace("&lt;/script&gt;", "").replace("&lt;script&gt;", ""), name
    assert wrong == {} and len(VECTORS) >= 150


def test_what_a_letter_needs_is_kept() -> None:
    html = (
        '<table width="600" bgcolor="#eef" cellpadding=4><tr><td align=center style="color:#333;font:14px Arial;padding:4px;background:url(x)">'
        '<h1>Hi</h1><a href="https://shop.example/?a=1&amp;b=2">Buy</a> <a href="mailto:a@b.example">write</a> <img src="cid:dot@x" alt="dot" width="9">'
        '<font color="red" size="2">red</font><ul><li>one</ul><blockquote>said</blockquote></td></tr></table>'
    )
    clean, left_out = sanitised(html, cid_url, remote=False)
    for kept in ('width="600"', 'bgcolor="#eef"', "color:#333", "padding:4px", "<h1>Hi</h1>", 'href="https://shop.example/?a=1&amp;b=2"', 'href="mailto:a@b.example"', 'src="/mail/part?part=2"', 'alt="dot"', 'color="red"', "<li>one", "<blockquote>said"):  # fmt: skip
        assert kept in clean, kept
    assert left_out == 0 and "url" not in clean and 'rel="noopener noreferrer nofollow"' in clean


def test_pictures_of_others_are_counted_and_kept_only_when_asked_for() -> None:
    html = f'<img src="{HOST}/a.gif"><img src=" HTTP://evil.example/b.gif"><img src="cid:none">'
    clean, left_out = sanitised(html, cid_url, remote=False)
    assert "evil" not in clean and left_out == 2
    assert sanitised(html, cid_url, remote=True)[0].count("evil.example") == 2
