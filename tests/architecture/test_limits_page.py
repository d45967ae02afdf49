"""docs/limits.md names settings that there are, with their defaults; of connections and POP3 every one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from directory.authenticator_settings import AuthSettings
from directory.model.units import write_seconds, write_size
from gateway.imap.settings import ImapSettings
from gateway.pop3.settings import Pop3Settings
from gateway.service.settings import LimitSettings
from gateway.smtp.settings import SmtpSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
SECTIONS = {
    "auth": AuthSettings,
    "limits": LimitSettings,
    "smtp": SmtpSettings,
    "imap": ImapSettings,
    "pop3": Pop3Settings,
}
COMPLETE = ("limits.", "pop3.")


def shown(hint: Any, value: Any) -> str:
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    unit = next((meta.extra["unit"] for meta in metas if meta.extra), "")
    if unit == "size":
        return write_size(value)
    if unit == "seconds":
        return write_seconds(value)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def test_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| ([^|]+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    said = dict(rows)
    assert len(said) == len(rows)
    expected = {}
    for section, kind in SECTIONS.items():
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            expected[f"{section}.{field.name}"] = shown(hints[field.name], field.default)
    assert said.items() <= expected.items()
    assert {name for name in expected if name.startswith(COMPLETE)} <= said.keys()
