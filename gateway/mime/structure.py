"""BODYSTRUCTURE and BODY of one part from its header (RFC 3501 7.4.2)."""

from __future__ import annotations

from gateway.mime.fields import Fields, without_comments
from gateway.mime.parameters import Parameters, disposition
from gateway.mime.quoting import nstring, string

#: (BODYSTRUCTURE, BODY) of one part
Rendered = tuple[bytes, bytes]

_NO_EXTENSION = b" NIL NIL NIL NIL"


def parameter_list(parameters: Parameters) -> bytes:
    """`("name" "value" ...)` or NIL."""
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])


def encoding_of(fields: Fields) -> bytes:
    """Content-Transfer-Encoding as written, empty when there is none."""
    value = fields.get(b"\ncontent-transfer-encoding:")
    if not value:
        return b""
    return without_comments(value).partition(b";")[0].strip()


def _placing(fields: Fields) -> bytes:
    """Disposition, language, location: the end of the extension data."""
    kind = disposition(fields.get(b"\ncontent-disposition:"))
    shown = b"NIL" if kind is None else b"(%b %b)" % (string(kind[0]), parameter_list(kind[1]))
    tags = [tag.strip() for tag in without_comments(fields.get(b"\ncontent-language:") or b"").split(b",")[:50]]
    tags = [tag for tag in tags if tag]
    languages = b"NIL" if not tags else string(tags[0]) if len(tags) == 1 else b"(%b)" % b" ".join(map(string, tags))
    return b"%b %b %b" % (shown, languages, nstring(fields.get(b"\ncontent-location:")))


def single(
    fields: Fields | None,
    type_: bytes,
    subtype: bytes,
    parameters: Parameters,
    encoding: bytes,
    octets: int,
    lines: int,
    inner: tuple[bytes, Rendered] | None,
) -> Rendered:
    """A part that is no multipart; `inner` is (envelope, structure) of a message/rfc822."""
    mime = fields is not None and fields.has(b"\ncontent-")
    start = b'"%b" "%b" %b %b %b %b %d' % (
        type_,
        subtype,
        parameter_list(parameters),
        nstring(fields.get(b"\ncontent-id:")) if mime and fields else b"NIL",
        nstring(fields.get(b"\ncontent-description:")) if mime and fields else b"NIL",
        string(encoding or b"7bit"),
        octets,
    )
    extension = _NO_EXTENSION
    if mime and fields:
        extension = b" %b %b" % (nstring(fields.get(b"\ncontent-md5:")), _placing(fields))
    if inner is not None:
        envelope, (structure, body) = inner
        return (
            b"(%b %b %b %d%b)" % (start, envelope, structure, lines, extension),
            b"(%b %b %b %d)" % (start, envelope, body, lines),
        )
    if type_.lower() == b"text":
        start = b"%b %d" % (start, lines)
    return b"(%b%b)" % (start, extension), b"(%b)" % start


def multipart(fields: Fields, subtype: bytes, parameters: Parameters, children: list[Rendered]) -> Rendered:
    """A multipart around its parts."""
    return (
        b'(%b "%b" %b %b)'
        % (b"".join([each[0] for each in children]), subtype, parameter_list(parameters), _placing(fields)),
        b'(%b "%b")' % (b"".join([each[1] for each in children]), subtype),
    )
