"""The parts of a message, from the server's BODYSTRUCTURE (RFC 9051 7.5.2): what is shown, what is attached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.mime.parameters import Parameters, parameter, parameter_text
from webadmin.mail.addresses import clean
from webadmin.mail.answers import Value, number, octets

MAX_PARTS = 1000
MAX_DEPTH = 50
MAX_FILE_NAME = 150  # characters
_BAD_IN_NAMES = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))


@dataclass(slots=True)
class Part:
    """A part; `path` is what IMAP calls it ("1.2"), "" the message itself where it has parts."""

    path: str
    type: str
    parameters: Parameters
    id: str = ""
    encoding: str = ""
    #: as encoded in the message
    size: int = 0
    disposition: str = ""
    file_parameters: Parameters = field(default_factory=list)
    children: list[Part] = field(default_factory=list)

    @property
    def charset(self) -> bytes:
        return parameter(self.parameters, b"charset") or b""

    @property
    def file_name(self) -> str:
        """The name that the sender gave it, safe as a name of a file here; empty when there is none."""
        name = parameter_text(self.file_parameters, b"filename") or parameter_text(self.parameters, b"name") or ""
        return safe_file_name(name)

    @property
    def decoded_size(self) -> int:
        """About how many octets it has without its transfer encoding."""
        return self.size * 3 // 4 if self.encoding == "base64" else self.size

    @property
    def is_attached(self) -> bool:
        return self.disposition == "attachment"

    def walk(self) -> Iterator[Part]:
        """This part and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def safe_file_name(name: str) -> str:
    """A name without folders, control characters and what some systems take for something else."""
    name = clean(name).translate(_BAD_IN_NAMES).strip(". ")
    if len(name) <= MAX_FILE_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem[: MAX_FILE_NAME - 20]}.{ending}" if dot and len(ending) <= 16 else name[:MAX_FILE_NAME]


def _parameters(value: Value) -> Parameters:
    if not isinstance(value, list):
        return []
    return [(octets(name), octets(each)) for name, each in zip(value[::2], value[1::2], strict=False)]


def _text(value: Value) -> str:
    return octets(value).decode("ascii", "replace").lower()


def _placing(part: Part, value: Value) -> None:
    if isinstance(value, list) and value:
        part.disposition = _text(value[0])
        part.file_parameters = _parameters(value[1]) if len(value) > 1 else []


def structure(value: Value) -> Part:
    """The tree of parts. What the server says that is no structure becomes one part of unknown type."""
    left = [MAX_PARTS]
    return _part(value, "", 0, left, in_message=True)


def _part(value: Value, path: str, depth: int, left: list[int], *, in_message: bool = False) -> Part:
    left[0] -= 1
    if not isinstance(value, list) or not value or depth > MAX_DEPTH:
        return Part(path or "1", "application/octet-stream", [])
    if isinstance(value[0], list):
        return _multipart(value, path, depth, left)
    row: list[Value] = [*value, *[None] * 12]
    kind = _text(row[0])
    part = Part(
        path or "1",
        f"{kind}/{_text(row[1])}",
        _parameters(row[2]),
        id=octets(row[3]).decode("utf-8", "replace").strip("<> "),
        encoding=_text(row[5]),
        size=number(row[6]),
    )
    is_message = part.type in ("message/rfc822", "message/global") and isinstance(row[8], list)
    _placing(part, row[11] if is_message else row[9] if kind == "text" else row[8])
    return part


def _multipart(value: list[Value], path: str, depth: int, left: list[int]) -> Part:
    children = []
    at = 0
    while at < len(value) and isinstance(value[at], list):
        if left[0] > 0:
            children.append(_part(value[at], f"{path}.{at + 1}" if path else f"{at + 1}", depth + 1, left))
        at += 1
    row: list[Value] = [*value[at:], *[None] * 4]
    part = Part(path, f"multipart/{_text(row[0])}", _parameters(row[1]), children=children)
    _placing(part, row[2])
    return part


@dataclass(slots=True)
class Shown:
    """How a message is shown: parts in their order, attachments, pictures that the text names."""

    #: text/plain or text/html
    texts: list[Part] = field(default_factory=list)
    attached: list[Part] = field(default_factory=list)
    #: by Content-ID
    related: dict[str, Part] = field(default_factory=dict)
    #: text/calendar
    invitations: list[Part] = field(default_factory=list)
    #: the plain text beside HTML, where there are both
    plain: Part | None = None


def shown(root: Part) -> Shown:
    """What to show, and what to list."""
    found = Shown()
    _show(root, found)
    return found


def _is_text(part: Part) -> bool:
    return part.type in ("text/plain", "text/html") and not part.is_attached


def _show(part: Part, found: Shown) -> None:
    if part.type == "multipart/alternative":
        _alternative(part, found)
    elif part.type == "multipart/related" and part.children:
        start = (parameter(part.parameters, b"start") or b"").decode("utf-8", "replace").strip("<> ")
        root = next((each for each in part.children if start and each.id == start), part.children[0])
        _show(root, found)
        for each in part.children:
            if each is not root:
                _related(each, found)
    elif part.type.startswith("multipart/"):
        for each in part.children:
            _show(each, found)
    elif _is_text(part):
        found.texts.append(part)
    else:
        _single(part, found)


def _alternative(part: Part, found: Shown) -> None:
    """The last form that can be shown (RFC 2046 5.1.4); the rest are calendars or other forms of the same."""
    best: Part | None = None
    for each in part.children:
        if any(leaf.type in ("text/plain", "text/html") and not leaf.is_attached for leaf in each.walk()):
            best = each
    if best is not None:
        _show(best, found)
    for each in part.children:
        if each is best:
            continue
        for leaf in each.walk():
            if leaf.type == "text/plain" and found.plain is None:
                found.plain = leaf
            elif not leaf.children and leaf.type not in ("text/plain", "text/html") and not leaf.type.startswith("multipart/"):  # fmt: skip
                _single(leaf, found)


def _related(part: Part, found: Shown) -> None:
    for leaf in part.walk():
        if leaf.type.startswith("multipart/"):
            continue
        if leaf.id and leaf.type.startswith("image/"):
            found.related.setdefault(leaf.id, leaf)  # the first of a name, as mail programs do
        else:
            _single(leaf, found)


def _single(part: Part, found: Shown) -> None:
    if part.type == "text/calendar":
        found.invitations.append(part)
    if part.id and part.type.startswith("image/"):
        found.related.setdefault(part.id, part)
    found.attached.append(part)
