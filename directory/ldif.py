"""Reads and writes directory entries as LDIF (RFC 2849): content records, as `ldapsearch` and `slapcat` write them.

Change records are refused (a file of changes is no directory), and values that stand in other files.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence

MAX_OCTETS = 256 * 1024 * 1024
MAX_ENTRIES = 500_000
LINE_OCTETS = 76  # RFC 2849 note 2
#: SAFE-STRING without a space at its end (RFC 2849)
_SAFE = re.compile(rb"(?:[\x01-\x09\x0b\x0c\x0e-\x1f!-9;=-\x7f][\x01-\x09\x0b\x0c\x0e-\x7f]*)?(?<! )\Z")
#: dn, attributes with lower-case names, number of the first line
Record = tuple[str, dict[str, list[bytes]], int]


class InvalidLdif(ValueError):
    """The text is no LDIF content; the message is `line: what is wrong`."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"{line}: {reason}")
        self.line = line


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Unfolded lines with their numbers, comments left out, record ends as empty lines."""
    pending: tuple[int, list[bytes]] | None = None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if line.startswith(b" ") and pending is not None:
            pending[1].append(line[1:])
            continue
        if pending is not None:
            whole = b"".join(pending[1])
            if not whole.startswith(b"#"):
                yield pending[0], whole
        pending = (number, [line])
    if pending is not None:
        whole = b"".join(pending[1])
        if not whole.startswith(b"#"):
            yield pending[0], whole


def _value(line: int, name: str, rest: bytes) -> bytes:
    if rest.startswith(b":"):
        try:
            return base64.b64decode(rest[1:].strip(b" "), validate=True)
        except binascii.Error:
            raise InvalidLdif(line, f"{name}: not base64 behind ::") from None
    if rest.startswith(b"<"):
        raise InvalidLdif(line, f"{name}: values in other files are not read")
    return rest.lstrip(b" ")


def _pair(line: int, text: bytes) -> tuple[str, bytes]:
    head, colon, rest = text.partition(b":")
    try:
        name = head.decode("ascii").lower()
    except UnicodeDecodeError:
        name = ""
    if not colon or not name or not name[0].isalpha() or not all(c.isalnum() or c in "-;." for c in name):
        raise InvalidLdif(line, f"'attribute: value' is expected, not {text[:40].decode('utf-8', 'replace')!r}")
    return name, _value(line, name, rest)


def records(data: bytes) -> Iterator[Record]:
    """The entries of a file. Raises InvalidLdif."""
    if len(data) > MAX_OCTETS:
        raise InvalidLdif(1, f"larger than {MAX_OCTETS} octets")
    count = 0
    entry: Record | None = None
    for number, line in _lines(data):
        if not line:
            if entry is not None:
                yield entry
                entry = None
            continue
        name, value = _pair(number, line)
        if entry is None:
            if name == "version" and count == 0:
                if value.strip() != b"1":
                    raise InvalidLdif(number, "only version 1 of LDIF is known")
                continue
            if name != "dn":
                raise InvalidLdif(number, f"an entry begins with 'dn:', not with '{name}:'")
            count += 1
            if count > MAX_ENTRIES:
                raise InvalidLdif(number, f"more than {MAX_ENTRIES} entries")
            try:
                entry = (value.decode("utf-8").strip(), {}, number)
            except UnicodeDecodeError:
                raise InvalidLdif(number, "the name of the entry is not UTF-8") from None
        elif name == "dn":
            raise InvalidLdif(number, "an empty line is missing before this entry")
        elif name in ("changetype", "control"):
            raise InvalidLdif(number, f"{name}: this is a file of changes, not of entries")
        else:
            entry[1].setdefault(name, []).append(value)
    if entry is not None:
        yield entry


def _line(name: str, value: bytes) -> str:
    text = f"{name}: {value.decode()}" if _SAFE.match(value) else f"{name}:: {base64.b64encode(value).decode()}"
    lines = [text[:LINE_OCTETS]]
    lines.extend(" " + text[at : at + LINE_OCTETS - 1] for at in range(LINE_OCTETS, len(text), LINE_OCTETS - 1))
    return "\n".join(lines)


def write_record(dn: str, attributes: Mapping[str, Sequence[bytes]]) -> str:
    """One entry, with an empty line behind it; object classes first, the others by name."""
    names = sorted(attributes, key=lambda name: (name != "objectclass", name))
    lines = [_line("dn", dn.encode()), *(_line(name, value) for name in names for value in attributes[name])]
    return "\n".join(lines) + "\n\n"
