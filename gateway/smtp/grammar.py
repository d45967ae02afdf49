"""The grammar of MAIL, RCPT and their parameters (RFC 5321 4.1.2, 6531 3.3), by regular expression."""

from __future__ import annotations

import re

from directory.model import InvalidAddress, canonical_address

_PATH = re.compile(
    r"""\s*<(?:@[^:>]*:)?                                   # a source route is ignored (RFC 5321 C)
        ((?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"|[^\s<>()\[\]\\,;:@"\x00-\x1f\x7f]+)
        (?:@(?:[^\s<>()\[\]\\,;:@"\x00-\x1f\x7f]+|\[[0-9A-Fa-fIPv.:]+\]))?|)>(?:\s+(.*))?\Z""",
    re.VERBOSE | re.DOTALL,
)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\u0080-\U0010ffff]+))?\Z")
_DOMAIN = re.compile(r"[\w\u0080-\U0010ffff](?:[\w.-]{0,253}[\w])?\.?\Z|\[[0-9A-Fa-fIPv.:]+\]\Z")


class SyntaxProblem(ValueError):
    """The argument does not follow the grammar; the message is for the client."""


def path_and_parameters(argument: str, keyword: str) -> tuple[str, dict[str, str]]:
    """Parse `FROM:<path> KEY=VALUE …`; the path is returned without brackets, "" for `<>`.

    Raises SyntaxProblem.
    """
    head, colon, rest = argument.partition(":")
    if not colon or head.strip().upper() != keyword:
        raise SyntaxProblem(f"syntax: {'MAIL' if keyword == 'FROM' else 'RCPT'} {keyword}:<address>")
    match = _PATH.match(rest)
    if match is None:
        raise SyntaxProblem(f"syntax: {'MAIL' if keyword == 'FROM' else 'RCPT'} {keyword}:<address>")
    parameters: dict[str, str] = {}
    for word in (match[2] or "").split():
        parameter = _PARAMETER.match(word)
        if parameter is None:
            raise SyntaxProblem("syntax error in parameters")
        if parameter[1].upper() in parameters:
            raise SyntaxProblem(f"parameter {parameter[1].upper()} given twice")
        parameters[parameter[1].upper()] = parameter[2] or ""
    return match[1], parameters


def check_address(path: str) -> None:
    """Raise SyntaxProblem when `path` is no usable address."""
    if path.endswith("]"):
        raise SyntaxProblem("address literals are not accepted")
    try:
        canonical_address(path)
    except InvalidAddress as error:
        raise SyntaxProblem(str(error)) from None


def is_host_name(text: str) -> bool:
    """True for what may stand behind EHLO: a domain or an address literal (be liberal: `_` is common)."""
    return text.isascii() and bool(_DOMAIN.match(text))
