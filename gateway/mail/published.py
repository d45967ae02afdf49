"""What the DNS must say of a mail domain of ours, and whether what it says is that. Pure.

A record is wanted as a zone file has it (`10 mail.example.com.`). What is found is judged by what matters: an SPF record
of the administrator's own making is as good as the one that is proposed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

#: present and right; present and not what we would have; absent; not found out
State = Literal["right", "other", "missing", "unknown"]
#: HOST = the name has an address, or stands for another one
RecordKind = Literal["MX", "TXT", "TLSA", "SRV", "HOST"]
MAX_TEXT = 1000  # characters of a found record that are shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """One record. `purpose` is a word that the front end explains; `must` = mail does not work well without it."""

    purpose: str
    name: str
    kind: RecordKind
    value: str
    must: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A record that is wanted, and what was found under its name."""

    wanted: Wanted
    state: State
    found: tuple[str, ...] = ()


def basic(domain: str, host: str) -> list[Wanted]:
    """What every domain has: who takes its mail, who may send it, what is to be done with what nobody vouches for."""
    return [
        Wanted("mx", domain, "MX", f"10 {host}.", must=True),
        Wanted("spf", domain, "TXT", "v=spf1 mx -all", must=True),
        Wanted("dmarc", f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}", must=True),
    ]


def dkim(domain: str, selector: str, value: str) -> Wanted:
    """The public half of a key that signs."""
    return Wanted("dkim", f"{selector}._domainkey.{domain}", "TXT", value, must=True)


def tlsa(host: str, digest: str) -> Wanted:
    """The fingerprint of the key that `host` shows on port 25 (RFC 7672 3.1.1): DANE-EE, public key, SHA-256."""
    return Wanted("tlsa", f"_25._tcp.{host}", "TLSA", f"3 1 1 {digest}")


def _tags(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in parts}


def _version(text: str) -> str:
    """What kind of record a TXT is: `v=spf1`, `v=dmarc1`, `v=stsv1`."""
    return text.replace(";", " ").split(" ", 1)[0].strip().lower()


def judge(wanted: Wanted, found: Iterable[str]) -> Judged:
    """`found`: the records under the name, in the form of `value`."""
    records = tuple(text[:MAX_TEXT] for text in found)
    if wanted.purpose == "dkim":
        key = _tags(wanted.value).get("p")
        mine = [text for text in records if "p" in _tags(text)]
        state: State = "missing" if not mine else "right" if [_tags(text)["p"] for text in mine] == [key] else "other"
        return Judged(wanted, state, tuple(mine))
    if wanted.kind == "TXT":
        same = tuple(text for text in records if _version(text) == _version(wanted.value))
        # two of one kind count as none (RFC 7208 4.5, RFC 7489 6.6.3, RFC 8461 3.1)
        return Judged(wanted, "missing" if not same else "right" if len(same) == 1 else "other", same)
    if wanted.kind == "HOST":
        return Judged(wanted, "right" if records else "missing", records)
    if not records:
        return Judged(wanted, "missing")
    return Judged(wanted, "right" if _is_there(wanted, records) else "other", records)


def _is_there(wanted: Wanted, records: Sequence[str]) -> bool:
    """Preferences and weights are the administrator's; the host, the port and the fingerprint are not."""
    count = {"MX": 1, "SRV": 2, "TLSA": 4}[wanted.kind]

    def matter(text: str) -> list[str]:
        return text.lower().removesuffix(".").split()[-count:]

    return any(matter(text) == matter(wanted.value) for text in records)
