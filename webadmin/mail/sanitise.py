"""HTML of a message made harmless: only elements, attributes and styles that are named here are left.

What is left is shown in a frame without scripts under a policy of its own (`webadmin.pages.mail_frame`), so that a hole here
is not yet one in the page. Pictures of other hosts are taken out unless the reader asked for them; `cid:` names become
addresses of the message's own parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import escape

from webadmin.mail.harmless import TooTangled, clean, words_of

MAX_HTML = 2 << 20  # octets of a part that are shown
_TAGS = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "address",
        "article",
        "aside",
        "b",
        "bdi",
        "bdo",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "main",
        "mark",
        "nav",
        "ol",
        "p",
        "pre",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "section",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "wbr",
    ]
)
_DROPPED = frozenset(
    [
        "script",
        "style",
        "title",
        "head",
        "noscript",
        "template",
        "iframe",
        "frame",
        "frameset",
        "object",
        "embed",
        "applet",
        "svg",
        "math",
        "select",
        "option",
        "textarea",
        "xmp",
        "plaintext",
        "noembed",
        "noframes",
        "audio",
        "video",
        "canvas",
    ]
)
_ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align", "valign", "width", "height", "bgcolor", "border"},
    "a": {"href"},
    "img": {"src", "alt", "hspace", "vspace"},
    "font": {"color", "face", "size"},
    "table": {"cellpadding", "cellspacing", "summary", "role"},
    "td": {"colspan", "rowspan", "nowrap", "headers", "scope"},
    "th": {"colspan", "rowspan", "nowrap", "headers", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start", "type", "reversed"},
    "ul": {"type"},
    "li": {"value"},
    "bdo": {"dir"},
    "hr": {"size", "noshade", "color"},
    "time": {"datetime"},
    "details": {"open"},
}
_STYLES = frozenset(
    [
        "color",
        "background-color",
        "font",
        "font-family",
        "font-size",
        "font-style",
        "font-weight",
        "font-variant",
        "line-height",
        "letter-spacing",
        "word-spacing",
        "text-align",
        "text-decoration",
        "text-indent",
        "text-transform",
        "vertical-align",
        "white-space",
        "word-break",
        "overflow-wrap",
        "word-wrap",
        "direction",
        "margin",
        "margin-top",
        "margin-right",
        "margin-bottom",
        "margin-left",
        "padding",
        "padding-top",
        "padding-right",
        "padding-bottom",
        "padding-left",
        "border",
        "border-top",
        "border-right",
        "border-bottom",
        "border-left",
        "border-color",
        "border-style",
        "border-width",
        "border-radius",
        "border-collapse",
        "border-spacing",
        "border-top-color",
        "border-top-style",
        "border-top-width",
        "border-bottom-color",
        "border-bottom-style",
        "border-bottom-width",
        "border-left-color",
        "border-left-style",
        "border-left-width",
        "border-right-color",
        "border-right-style",
        "border-right-width",
        "width",
        "height",
        "max-width",
        "max-height",
        "min-width",
        "min-height",
        "display",
        "list-style-type",
        "table-layout",
        "float",
        "clear",
    ]
)
#: what a link may lead to
_LINK = re.compile(r"\s*(?:https?://|ftp://|mailto:|tel:)", re.IGNORECASE)
#: a declaration that could load something, or that is written so that it does not look like it
_LOADS = re.compile(r"url|image|expression|import|@|\\|/\*|<|&", re.IGNORECASE)
_SCHEMES = frozenset(("http", "https", "mailto", "tel", "cid", "ftp"))


def sanitised(html: str, cid_url: Callable[[str], str | None], *, remote: bool) -> tuple[str, int]:
    """(harmless HTML, how many pictures of other hosts were left out); its words only where it has too many tags.

    `cid_url` tells where a part is by its Content-ID; `remote` keeps the addresses of pictures elsewhere.
    """
    left_out = 0

    def attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal left_out
        if name == "src" and tag == "img":
            text = value.strip()
            kind = text[:8].lower()
            if kind.startswith("cid:"):
                return cid_url(text[4:])
            if kind.startswith(("http://", "https://")):
                if remote:
                    return text
                left_out += 1
            return None
        if name == "href":
            return value if _LINK.match(value) else None
        if name == "style":
            return ";".join(each for each in value.split(";") if not _LOADS.search(each))
        return value

    try:
        shown = clean(
            html,
            tags=set(_TAGS),
            clean_content_tags=set(_DROPPED),
            attributes=_ATTRIBUTES,
            attribute_filter=attribute,
            link_rel="noopener noreferrer nofollow",
            set_tag_attribute_values={"a": {"target": "_blank"}},
            url_schemes=set(_SCHEMES),
            url_relative="pass_through",  # those that `attribute` made; it takes the others out
            filter_style_properties=set(_STYLES),
        )
    except TooTangled:
        return f"<pre>{escape(words_of(html))}</pre>", 0
    return shown, left_out
