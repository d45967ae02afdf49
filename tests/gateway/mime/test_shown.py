"""Text that people see: HTML without tags, words of documents; what hostile ones cost."""

from __future__ import annotations

import base64
import io
import time
import zipfile

import pytest

from gateway.mime import decoded_text, scan, shown
from gateway.mime.limits import MAX_TEXT
from gateway.mime.shown import document_text, html_text

WORD = b"vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = b"vnd.oasis.opendocument.text"


def document(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".xml", text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<p>M&uuml;ller &amp; S<b>&ouml;</b>hne</p>", " Müller & Söhne "),
        ("<STYLE>p {color: red}</STYLE>word<script>x()</script>s", "words"),
        ("a<!-- hidden <b> -->b<br>c", "ab c"),
        ("1 < 2 > 1 <3", "1 < 2 > 1 <3"),
        ("a<style>never ends", "a"),
        ("a<!-- never ends", "a"),
        ('<a href="x">會<span\nclass=y>議</span></a>', "會議"),
    ],
)
def test_html(written: str, seen: str) -> None:
    assert html_text(written) == seen


def test_documents() -> None:
    word = document(
        word__document="<w:p><w:r><w:t>Quart</w:t></w:r><w:r><w:t>erly</w:t></w:r></w:p><w:p>r&amp;d</w:p>", other="no"
    )
    assert document_text(WORD, word).split() == ["Quarterly", "r&d"]
    assert document_text(ODT, document(content="<text:p>Ang<text:span>ebot</text:span></text:p>")).strip() == "Angebot"
    assert document_text(ODT, word) == ""
    for at in range(0, len(word), 7):  # damaged anywhere: an answer, never an error
        document_text(WORD, word[:at] + b"\xff" + word[at + 1 :])
        document_text(WORD, word[:at])


def test_a_message_with_a_document() -> None:
    attached = base64.encodebytes(document(content="<text:p>bid</text:p>"))
    message = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>&eacute;t&eacute;\n--b\n"
        b"Content-Type: application/%b\nContent-Transfer-Encoding: base64\n\n%b\n--b--\n" % (ODT, attached)
    )
    texts = list(decoded_text(lambda start, end: message[start:end], scan(message)))
    assert any("&eacute;t" in text for text in texts)
    assert any("été" in text for text in texts)
    assert any("bid" in text for text in texts)


def test_bombs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(document_text(ODT, document(content="a" * (2 * MAX_TEXT)))) <= MAX_TEXT
    monkeypatch.setattr(shown, "MAX_DOCUMENT_FILES", 3)
    assert document_text(ODT, document(content="a", b="b", c="c", d="d")) == ""
    monkeypatch.setattr(shown, "MAX_DOCUMENT", 10)
    assert document_text(ODT, document(content="a")) == ""


@pytest.mark.parametrize("piece", ["<", "<!--", "<style", "<script>", "<a ", "</", "<p", "&", "-->", "<a/"])
def test_what_many_of_them_cost(piece: str) -> None:
    """A megabyte takes milliseconds; a square would take hours."""
    begin = time.monotonic()
    html_text(piece * (1_000_000 // len(piece)))
    assert time.monotonic() - begin < 30
