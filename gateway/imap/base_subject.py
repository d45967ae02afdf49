"""The base subject, by which SORT and THREAD compare subjects (RFC 5256 2.1). Pure."""

from __future__ import annotations

import re

MAX_LENGTH = 4096  # characters that are looked at
_SPACES = re.compile(r"[\s]+")
_TRAILER = re.compile(r"(?:\s|\(fwd\))+\Z", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_REPLY = re.compile(r"(?:\[[^\[\]]*\]\s*)*(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:", re.IGNORECASE)


def base_subject(subject: str) -> tuple[str, bool]:
    """(base subject, is a reply or forward) of a decoded Subject."""
    text = _SPACES.sub(" ", subject[:MAX_LENGTH])
    is_reply = False
    while True:
        trailer = _TRAILER.search(text)
        if trailer is not None:
            is_reply = is_reply or "(" in trailer[0]
            text = text[: trailer.start()]
        at = 0
        while True:
            if text[at : at + 1] == " ":
                at += 1
            elif (reply := _REPLY.match(text, at)) is not None:
                at, is_reply = reply.end(), True
            elif (blob := _BLOB.match(text, at)) is not None and blob.end() < len(text):
                at = blob.end()
            else:
                break
        text = text[at:]
        if not (text[:5].lower() == "[fwd:" and text.endswith("]")):
            return text, is_reply
        text, is_reply = text[5:-1], True
