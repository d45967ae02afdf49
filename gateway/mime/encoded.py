"""Header text for people: encoded words (RFC 2047) and raw eight-bit text; charsets by a closed table.

The table is closed because the codec registry remembers every name it was ever asked for, and because
some of Python's codecs (idna, punycode) take quadratic time.
"""

from __future__ import annotations

import binascii
import re

from gateway.mime.limits import MAX_CHARSET

_WORD = re.compile(rb"=\?([^?\s]{1,80})\?([bBqQ])\?([^?\n]*+)\?=")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def _charsets() -> dict[bytes, str]:
    table = {
        "us-ascii": "ascii", "ascii": "ascii", "ansi_x3.4-1968": "ascii", "utf-8": "utf-8", "utf8": "utf-8",
        "unicode-1-1-utf-8": "utf-8", "utf-7": "utf-7", "unicode-1-1-utf-7": "utf-7", "utf-16": "utf-16",
        "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "utf-32": "utf-32", "utf-32le": "utf-32-le",
        "utf-32be": "utf-32-be", "latin1": "latin-1", "latin-1": "latin-1", "iso8859-1": "latin-1",
        # GB18030 holds GBK and GB2312, and senders say GB2312 when they mean GBK
        "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "cp936": "gb18030", "gb18030": "gb18030",
        "gb_2312-80": "gb18030", "hz-gb-2312": "hz", "big5": "cp950", "big5-hkscs": "big5hkscs", "cp950": "cp950",
        "x-x-big5": "cp950", "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932",
        "windows-31j": "cp932", "cp932": "cp932", "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp_ext",
        "iso-2022-jp-2": "iso2022_jp_2", "iso-2022-kr": "iso2022_kr", "euc-kr": "cp949",
        "ks_c_5601-1987": "cp949", "cp949": "cp949", "koi8-r": "koi8_r", "koi8-u": "koi8_u", "tis-620": "cp874",
        "windows-874": "cp874", "macintosh": "mac_roman", "x-mac-roman": "mac_roman", "ibm437": "cp437",
        "cp437": "cp437", "cp850": "cp850", "ibm850": "cp850", "cp852": "cp852", "cp866": "cp866", "ibm866": "cp866",
    }  # fmt: skip
    for number in (*range(1, 12), 13, 14, 15, 16):
        table[f"iso-8859-{number}"] = f"iso8859_{number}"
    table["iso-8859-8-i"] = "iso8859_8"
    for number in range(1250, 1259):
        table[f"windows-{number}"] = table[f"cp{number}"] = table[f"x-cp{number}"] = f"cp{number}"
    return {name.encode(): codec for name, codec in table.items()}


_CHARSETS = _charsets()


def codec_of(charset: bytes) -> str | None:
    """Python's codec for a charset's name, None for an unknown one."""
    return _CHARSETS.get(charset[:MAX_CHARSET].strip(b" \t\"'").lower())


def charset_text(data: bytes, charset: bytes) -> str:
    """`data` in the declared charset, replacing what is not in it; guessed when the charset is unknown."""
    codec = codec_of(charset)
    if codec is None or codec == "ascii":
        return guessed_text(data)
    return data.decode(codec, "replace")


def guessed_text(data: bytes) -> str:
    """`data` of an unknown charset: UTF-8, else GB18030, else Latin-1."""
    for codec in ("utf-8", "gb18030"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def base64_octets(data: bytes) -> bytes:
    """Base64 with whatever is wrong in it left out; a cut-off end gives what is whole."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = data.translate(None, _NOT_BASE64)
        if len(clean) % 4 == 1:
            clean = clean[:-1]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def decode_header_text(raw: bytes) -> str:
    """The text of an unfolded field for people. Never raises; an unknown charset is guessed.

    White space between neighbouring encoded words is not shown (RFC 2047 6.2), and words of one charset
    are put together before they are decoded, since some programs cut inside a character.
    """
    if b"\n" in raw:
        raw = raw.replace(b"\r\n", b"").replace(b"\n", b"")
    if b"=?" not in raw:
        return guessed_text(raw)
    out: list[str] = []
    waiting: list[bytes] = []
    charset = b""
    at = 0
    for word in _WORD.finditer(raw):
        between = raw[at : word.start()]
        at = word.end()
        name = word[1].partition(b"*")[0].lower()
        data = binascii.a2b_qp(word[3], header=True) if word[2] in b"qQ" else base64_octets(word[3])
        if waiting and (name != charset or between.strip()):
            out.append(charset_text(b"".join(waiting), charset))
            waiting.clear()
            if between.strip():
                out.append(guessed_text(between))
        elif not waiting and between and (between.strip() or not out):
            out.append(guessed_text(between))
        charset = name
        waiting.append(data)
    if waiting:
        out.append(charset_text(b"".join(waiting), charset))
    out.append(guessed_text(raw[at:]))
    return "".join(out)
