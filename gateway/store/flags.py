"""Flags as the index keeps them: Maildir letters and keywords, both sorted, and what changes them. Pure."""

from __future__ import annotations

from gateway.store.repository import Mode

LETTERS = frozenset("DFRST")  # draft, flagged, replied, seen, trashed (deleted)
KEYWORDS = "K"  # stands for all keywords where letters say what may change
PASSED = "P"  # Maildir's letter for what IMAP calls $Forwarded
FORWARDED = "$Forwarded"
MAX_KEYWORDS = 100
MAX_KEYWORD = 100


def letters(text: str) -> str:
    """The known letters of `text`, each once, sorted."""
    return "".join(sorted(LETTERS.intersection(text)))


def words(text: str) -> str:
    """Keywords sorted, each once; the case of the first one stays (RFC 9051 2.3.2: case-insensitive).

    At most 100 keywords of 100 octets are kept.
    """
    if " " not in text:
        return text[:MAX_KEYWORD]
    found = {word.lower(): word for word in reversed(text.split()) if len(word) <= MAX_KEYWORD}
    return " ".join(sorted(found.values())[:MAX_KEYWORDS])


def changed(
    mode: Mode, flags: str, keywords: str, by_flags: str, by_keywords: str, within: str | None = None
) -> tuple[str, str]:
    """(flags, keywords) after STORE; only letters of `within` change, keywords where `KEYWORDS` is one of them."""
    if within is not None:
        new, words_now = changed(mode, flags, keywords, by_flags, by_keywords)
        kept = (set(new) & set(within)) | (set(flags) - set(within))
        return letters("".join(kept)), words_now if KEYWORDS in within else keywords
    if mode == "replace":
        return letters(by_flags), words(by_keywords)
    if mode == "add":
        return letters(flags + by_flags), words(f"{keywords} {by_keywords}") if by_keywords else keywords
    gone = {word.lower() for word in by_keywords.split()}
    rest = [word for word in keywords.split() if word.lower() not in gone] if gone else keywords.split()
    return letters("".join(set(flags) - set(by_flags))), " ".join(rest)


def from_info(info: str) -> tuple[str, str]:
    """(flags, keywords) that the letters in a file name mean."""
    return letters(info), FORWARDED if PASSED in info else ""


def foreign_change(info: str, new_info: str, flags: str, keywords: str) -> tuple[str, str]:
    """(flags, keywords) after another program renamed the file: only what it changed is taken over."""
    added, removed = set(new_info) - set(info), set(info) - set(new_info)
    flags, keywords = changed("add", flags, keywords, "".join(added), FORWARDED if PASSED in added else "")
    return changed("remove", flags, keywords, "".join(removed), FORWARDED if PASSED in removed else "")
